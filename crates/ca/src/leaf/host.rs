//! The host of one leaf manager: makes its keys, writes its requests, pairs answers with keys.
//!
//! ```text
//! Input ─► Host ─► Manager ─► Effect ┬─► a key or a request: done here
//!                                    └─► Task: a shell asks for the signature, presents, tells
//! ```
//!
//! The agent and the built-in proxy both keep leaves. They differ in whom they ask for signatures, to whom they
//! present a leaf and how they tell of trouble; that is the shell's business. A host knows no clock: the shell gives
//! it the time, and wakes it with [`Input::Tick`] at [`Host::timer`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use concord_model::ca::{CaRoots, KeyKind, LeafCertificate};
use concord_model::{Now, Secret, ServiceIdentity, SpiffeId};

use super::{Alarm, Attempt, Config, Effect, Event, Issued, Manager, SignFailure};
use crate::csr::Csr;
use crate::key::{KeyError, KeyMaker};

/// What a shell tells a host.
#[derive(Clone, Debug)]
pub enum Input {
    /// Somebody needs the leaf.
    Wanted,
    /// The roots of trust are these.
    Roots(Arc<CaRoots>),
    /// What a request for a signature came to.
    Answered(Attempt, Result<LeafCertificate, SignFailure>),
    /// The timer fired, or any other moment.
    Tick,
}

/// What a host asks of its shell.
#[derive(Debug)]
pub enum Task {
    /// Have this request signed and answer with [`Input::Answered`]. An earlier one need not be answered any more.
    Sign {
        /// What the answer has to name.
        attempt: Attempt,
        /// The request, PEM.
        csr: String,
    },
    /// Present this leaf from now on.
    Present {
        /// The certificate with its chain.
        certificate: Box<LeafCertificate>,
        /// Its key, PEM.
        key: Secret,
    },
    /// Present nothing: the leaf has expired.
    Withdraw,
    /// Tell the operator that no key or no request could be made; the failure follows.
    Trouble(KeyError),
    /// Tell those who wait for the first leaf that there is none now.
    Fail(SignFailure),
    /// Tell the operator.
    Alarm(Alarm),
    /// What the operator was told of is over.
    AlarmOver,
}

/// Keeps one identity supplied with leaves.
#[derive(Debug)]
pub struct Host {
    identity: ServiceIdentity,
    manager: Manager,
    maker: Arc<dyn KeyMaker>,
    making: HashMap<Attempt, Making>,
    timer: Option<Duration>,
}

/// An attempt's key on its way to a leaf.
#[derive(Debug)]
struct Making {
    key: Secret,
    csr: String,
    signed: Option<LeafCertificate>,
}

impl Host {
    /// A host that nobody has asked for a leaf yet.
    pub fn new(identity: ServiceIdentity, config: Config, maker: Arc<dyn KeyMaker>) -> Self {
        Self { identity, manager: Manager::new(config), maker, making: HashMap::new(), timer: None }
    }

    /// Whom the leaves are for. Another identity needs another host.
    pub fn identity(&self) -> &ServiceIdentity {
        &self.identity
    }

    /// The uptime at which it wants to be woken; `None`: it waits for an input.
    pub fn timer(&self) -> Option<Duration> {
        self.timer
    }

    /// Takes an input; adds what the shell has to do to `out`, in order. `random` gives any 64 bits.
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

    /// Makes an attempt's key and its request.
    fn make(&mut self, attempt: Attempt, out: &mut Vec<Task>) -> Event {
        let identity = SpiffeId::Service(self.identity.clone());
        let made = self.maker.make(KeyKind::EcP256).and_then(|signer| {
            let csr = Csr::build(&*signer, &identity)?;
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
