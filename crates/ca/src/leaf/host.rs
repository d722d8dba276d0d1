//! The host of one leaf manager: makes keys, writes requests, and matches certificates to keys.
//!
//! ```text
//! Input ─► Host ─► Manager ─► Effect ┬─► make a key and its request: the host does this itself
//!                                    └─► Task: the shell requests a signature, presents a leaf or reports
//! ```
//!
//! The agent, the built-in proxy and the server keep leaves. Their shells differ: which servers they ask for signatures, to
//! whom they present a leaf, and how they report problems. A host has no clock: the shell passes the time, and sends
//! [`Input::Tick`] at [`Host::timer`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use concord_model::ca::{CaRoots, KeyKind, LeafCertificate};
use concord_model::{Now, Secret, SpiffeId};

use super::{Alarm, Attempt, Config, Effect, Event, Issued, Manager, SignFailure};
use crate::csr::Csr;
use crate::key::{KeyError, KeyMaker};

/// An input from the shell.
#[derive(Clone, Debug)]
pub enum Input {
    /// Somebody needs the leaf.
    Wanted,
    /// The current roots.
    Roots(Arc<CaRoots>),
    /// The outcome of a request for a signature.
    Answered(Attempt, Result<LeafCertificate, SignFailure>),
    /// The timer fired. Also allowed at any other time.
    Tick,
}

/// What the shell must do.
#[derive(Debug)]
pub enum Task {
    /// Get this request signed and answer with [`Input::Answered`]. An earlier request needs no answer any more.
    Sign {
        /// The attempt that the answer must name.
        attempt: Attempt,
        /// The request as PEM.
        csr: String,
    },
    /// Present this leaf from now on.
    Present {
        /// The certificate and its chain.
        certificate: Box<LeafCertificate>,
        /// Its private key as PEM.
        key: Secret,
    },
    /// Present nothing: the leaf has expired.
    Withdraw,
    /// Tell the operator that the host could not make a key or a request. [`Task::Fail`] may follow.
    Trouble(KeyError),
    /// Tell those who wait for a leaf that there is none now.
    Fail(SignFailure),
    /// Tell the operator about a problem.
    Alarm(Alarm),
    /// Tell the operator that the problem is over.
    AlarmOver,
}

/// Keeps one identity supplied with leaves.
#[derive(Debug)]
pub struct Host {
    identity: SpiffeId,
    manager: Manager,
    maker: Arc<dyn KeyMaker>,
    making: HashMap<Attempt, Making>,
    timer: Option<Duration>,
}

/// The key of an attempt that has no leaf yet.
#[derive(Debug)]
struct Making {
    key: Secret,
    csr: String,
    signed: Option<LeafCertificate>,
}

impl Host {
    /// A host that nobody has asked for a leaf yet.
    pub fn new(identity: impl Into<SpiffeId>, config: Config, maker: Arc<dyn KeyMaker>) -> Self {
        let identity = identity.into();
        Self { identity, manager: Manager::new(config), maker, making: HashMap::new(), timer: None }
    }

    /// The identity of the leaves. Another identity needs another host.
    pub fn identity(&self) -> &SpiffeId {
        &self.identity
    }

    /// The uptime at which the host wants [`Input::Tick`]. `None` means that it waits for another input.
    pub fn timer(&self) -> Option<Duration> {
        self.timer
    }

    /// Handles an input and adds the tasks for the shell to `out`, in order. `random` returns any 64 bits.
    pub fn on(&mut self, now: Now, input: Input, random: &mut dyn FnMut() -> u64, out: &mut Vec<Task>) {
        let mut events: Vec<Event> = self.event(input).into_iter().collect();
        while let Some(event) = events.pop() {
            let mut effects = Vec::new();
            self.manager.on(now, event, random, &mut effects);
            for effect in effects {
                events.extend(self.perform(effect, out));
            }
        }
    }

    fn event(&mut self, input: Input) -> Option<Event> {
        Some(match input {
            Input::Wanted => Event::Wanted,
            Input::Roots(roots) => {
                Event::RootsChanged { signing_key_id: roots.active()?.signing_key_id.clone() }
            }
            Input::Answered(attempt, Ok(certificate)) => {
                let issued = Issued::from(&certificate);
                if let Some(making) = self.making.get_mut(&attempt) {
                    making.signed = Some(certificate);
                }
                Event::Signed(attempt, issued)
            }
            Input::Answered(attempt, Err(why)) => Event::Failed(attempt, why),
            Input::Tick => Event::Tick,
        })
    }

    fn perform(&mut self, effect: Effect, out: &mut Vec<Task>) -> Option<Event> {
        match effect {
            Effect::MakeKey(attempt) => return Some(self.make(attempt, out)),
            Effect::RequestSignature(attempt) => {
                let csr = self.making.get(&attempt)?.csr.clone();
                out.push(Task::Sign { attempt, csr });
            }
            Effect::Publish(attempt) => {
                let Making { key, csr: _, signed } = self.making.remove(&attempt)?;
                out.push(Task::Present { certificate: Box::new(signed?), key });
            }
            Effect::Forget(attempt) => drop(self.making.remove(&attempt)),
            Effect::Withdraw => out.push(Task::Withdraw),
            Effect::Fail(why) => out.push(Task::Fail(why)),
            Effect::ArmTimer(at) => self.timer = Some(at),
            Effect::Alarm(alarm) => out.push(Task::Alarm(alarm)),
            Effect::AlarmOver => out.push(Task::AlarmOver),
        }
        None
    }

    /// Makes the key and the request of an attempt.
    fn make(&mut self, attempt: Attempt, out: &mut Vec<Task>) -> Event {
        let made = self.maker.make(KeyKind::EcP256).and_then(|signer| {
            let csr = Csr::build(&*signer, &self.identity)?;
            Ok(Making { key: signer.private_key()?, csr, signed: None })
        });
        match made {
            Ok(making) => {
                self.making.insert(attempt, making);
                Event::KeyMade(attempt)
            }
            Err(error) => {
                out.push(Task::Trouble(error));
                Event::Failed(attempt, SignFailure::NoKey)
            }
        }
    }
}

#[cfg(test)]
mod tests;
