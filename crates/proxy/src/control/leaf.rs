//! Hosts the leaf manager: makes keys, has them signed over the stream's source, presents leaves.
//!
//! The key is made here and never leaves the process (D16). A change of identity — the proxy was
//! registered anew for another service — begins with a new manager and nothing to present.

use std::collections::HashMap;
use std::sync::Arc;

use concord_ca::leaf::{Attempt, Config, Effect, Event, Issued, Manager, SignFailure};
use concord_ca::tls::Presented;
use concord_ca::{Csr, KeyMaker, Signer};
use concord_model::ca::{KeyKind, LeafCertificate};
use concord_model::{ServiceIdentity, SpiffeId};
use concord_rpc::{RpcError, SnapshotSource};
use concord_runtime::Instant;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::watch;
use tracing::{info, warn};

use super::options::Options;
use super::status::ProxyStatus;
use crate::events::degraded;
use crate::limits::CLOCK_CHECK;
use crate::state::Shared;

/// Keeps the proxy's leaf fresh.
pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) source: Arc<dyn SnapshotSource>,
    pub(super) keys: Arc<dyn KeyMaker>,
    pub(super) options: Options,
    pub(super) status: Arc<watch::Sender<ProxyStatus>>,
}

/// What a signature request came to.
type Answer = (Attempt, Result<LeafCertificate, RpcError>);

/// One identity's manager with the keys of its attempts.
struct Running {
    identity: ServiceIdentity,
    manager: Manager,
    keys: HashMap<Attempt, Arc<dyn Signer>>,
    signed: HashMap<Attempt, LeafCertificate>,
    pending: FuturesUnordered<BoxFuture<'static, Answer>>,
    timer: Option<Instant>,
}

impl Keeper {
    /// Runs until the snapshots end.
    pub(super) async fn run(self, mut changes: watch::Receiver<u64>) {
        let mut running: Option<Running> = None;
        loop {
            let due = self.due(running.as_ref().and_then(|running| running.timer));
            let event = tokio::select! {
                biased;
                changed = changes.changed() => match changed {
                    Ok(()) => None,
                    Err(_) => return,
                },
                Some(answer) = next_answer(&mut running) => Some(Some(answer)),
                () = due => Some(None),
            };
            match (event, &mut running) {
                (None, _) => self.snapshot_changed(&mut running),
                (Some(Some((attempt, outcome))), Some(running)) => self.answered(running, attempt, outcome),
                (Some(None), Some(running)) => self.feed(running, Event::Tick),
                (Some(_), None) => {}
            }
        }
    }

    /// Completes at the moment, and often enough to notice that somebody has set the wall clock.
    async fn due(&self, at: Option<Instant>) {
        let Some(at) = at else { return std::future::pending().await };
        let clock = &self.shared.world.clock;
        clock.sleep_until(at.min(clock.now() + CLOCK_CHECK)).await;
    }

    fn snapshot_changed(&self, running: &mut Option<Running>) {
        let Some(current) = self.shared.current() else { return };
        let identity = match current.snapshot.identity() {
            Ok(identity) => identity,
            Err(error) => return degraded("identity", &error),
        };
        if running.as_ref().is_none_or(|running| running.identity != identity) {
            self.tell(None);
            let config = Config { root_change_jitter: self.options.rotation_jitter };
            *running = Some(Running {
                identity,
                manager: Manager::new(config),
                keys: HashMap::new(),
                signed: HashMap::new(),
                pending: FuturesUnordered::new(),
                timer: None,
            });
        }
        let Some(running) = running else { return };
        if let Some(active) = current.snapshot.roots.active() {
            self.feed(running, Event::RootsChanged { signing_key_id: active.signing_key_id.clone() });
        }
        self.feed(running, Event::Wanted);
    }

    fn answered(&self, running: &mut Running, attempt: Attempt, outcome: Result<LeafCertificate, RpcError>) {
        match outcome {
            Ok(leaf) => {
                let issued = Issued::from(&leaf);
                running.signed.insert(attempt, leaf);
                self.feed(running, Event::Signed(attempt, issued));
            }
            Err(error) => {
                warn!(%error, "the certificate was not signed");
                let failure = match error {
                    RpcError::RateLimited | RpcError::Busy(_) => SignFailure::RateLimited,
                    ref denied if denied.is_denial() => SignFailure::Denied,
                    _ => SignFailure::Unreachable,
                };
                self.feed(running, Event::Failed(attempt, failure));
            }
        }
    }

    /// Lets the manager act on an event, and on what follows from its own effects.
    fn feed(&self, running: &mut Running, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let mut effects = Vec::new();
            let mut random = || self.shared.world.entropy.u64();
            running.manager.on(self.shared.both(), event, &mut random, &mut effects);
            for effect in effects {
                events.extend(self.perform(running, effect));
            }
        }
    }

    fn perform(&self, running: &mut Running, effect: Effect) -> Option<Event> {
        match effect {
            Effect::MakeKey(attempt) => Some(self.make_key(running, attempt)),
            Effect::RequestSignature(attempt) => self.request(running, attempt),
            Effect::Publish(attempt) => {
                self.publish(running, attempt);
                None
            }
            Effect::Forget(attempt) => {
                running.keys.remove(&attempt);
                running.signed.remove(&attempt);
                None
            }
            Effect::Withdraw => {
                self.shared.identity.withdraw();
                self.tell(None);
                None
            }
            Effect::Fail(why) => {
                degraded("leaf", &why);
                None
            }
            Effect::ArmTimer(at) => {
                running.timer = Some(Instant::from_epoch(at));
                None
            }
            Effect::Alarm(alarm) => {
                degraded(alarm.name(), &alarm);
                None
            }
            Effect::AlarmOver => {
                info!("the certificate is fresh again");
                None
            }
        }
    }

    /// Tells which leaf is presented.
    fn tell(&self, leaf: Option<&LeafCertificate>) {
        self.status.send_modify(|status| {
            status.leaf_authority = leaf.map(|leaf| leaf.authority_key_id.clone());
            status.leaf_until = leaf.map(|leaf| leaf.valid_before);
        });
    }

    fn make_key(&self, running: &mut Running, attempt: Attempt) -> Event {
        match self.keys.make(KeyKind::EcP256) {
            Ok(key) => {
                running.keys.insert(attempt, key);
                Event::KeyMade(attempt)
            }
            Err(error) => {
                degraded("key", &error);
                Event::Failed(attempt, SignFailure::NoKey)
            }
        }
    }

    fn request(&self, running: &mut Running, attempt: Attempt) -> Option<Event> {
        let key = running.keys.get(&attempt)?;
        let identity = SpiffeId::Service(running.identity.clone());
        let csr = match Csr::build(&**key, &identity) {
            Ok(csr) => csr,
            Err(error) => {
                degraded("csr", &error);
                return Some(Event::Failed(attempt, SignFailure::NoKey));
            }
        };
        let source = Arc::clone(&self.source);
        let Options { target, token, .. } = self.options.clone();
        // One attempt at a time; what an earlier one still waits for is of no use any more.
        running.pending.clear();
        running.pending.push(Box::pin(async move { (attempt, source.sign_leaf(target, token, csr).await) }));
        None
    }

    fn publish(&self, running: &mut Running, attempt: Attempt) {
        let (Some(key), Some(leaf)) = (running.keys.remove(&attempt), running.signed.remove(&attempt)) else {
            return;
        };
        running.keys.clear();
        running.signed.clear();
        let presented = key
            .private_key()
            .map_err(|error| error.to_string())
            .and_then(|key| Presented::try_new(&leaf.cert_pem, &key).map_err(|error| error.to_string()));
        let presented = presented.map(|presented| self.shared.identity.present(presented));
        match presented {
            Ok(true) => {
                info!(identity = %leaf.uri, serial = %leaf.serial, authority = %leaf.authority_key_id, "new certificate");
                self.tell(Some(&leaf));
            }
            Ok(false) => {
                degraded(
                    "leaf",
                    &"the certificate signed is for another service than this proxy stands before",
                );
            }
            Err(error) => degraded("leaf", &error),
        }
    }
}

/// The next answer of a signature request, if any is awaited.
async fn next_answer(running: &mut Option<Running>) -> Option<Answer> {
    match running {
        Some(running) if !running.pending.is_empty() => running.pending.next().await,
        Some(_) | None => std::future::pending().await,
    }
}
