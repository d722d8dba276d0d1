//! The proxy's leaf: has it signed by the source of the stream, and presents it.
//!
//! The key is created in this process and never leaves it (D16). If the identity changes because the proxy was
//! registered again for another service, this begins with a new host and presents nothing at first.

use std::sync::Arc;
use std::time::Duration;

use concord_ca::KeyMaker;
use concord_ca::leaf::{Attempt, Config, Host, Input, SignFailure, Task};
use concord_ca::tls::Presented;
use concord_model::Secret;
use concord_model::ca::LeafCertificate;
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

/// Renews the proxy's leaf.
pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) source: Arc<dyn SnapshotSource>,
    pub(super) keys: Arc<dyn KeyMaker>,
    pub(super) options: Options,
    pub(super) status: Arc<watch::Sender<ProxyStatus>>,
}

/// The result of a signature request.
type Answer = (Attempt, Result<LeafCertificate, RpcError>);

/// The host of one identity, and the answer that it waits for.
struct Running {
    host: Host,
    pending: FuturesUnordered<BoxFuture<'static, Answer>>,
}

impl Keeper {
    /// Runs until the snapshots end.
    pub(super) async fn run(self, mut changes: watch::Receiver<u64>) {
        let mut running: Option<Running> = None;
        loop {
            let due = self.due(running.as_ref().and_then(|running| running.host.timer()));
            let answer = tokio::select! {
                biased;
                changed = changes.changed() => match changed {
                    Ok(()) => {
                        self.snapshot_changed(&mut running);
                        continue;
                    }
                    Err(_) => return,
                },
                Some(answer) = next_answer(&mut running) => Some(answer),
                () = due => None,
            };
            if let Some(running) = &mut running {
                self.feed(running, answer.map_or(Input::Tick, answered));
            }
        }
    }

    /// Completes at this time. Checks often enough to notice that somebody has set the wall clock.
    async fn due(&self, at: Option<Duration>) {
        let Some(at) = at else { return std::future::pending().await };
        let clock = &self.shared.world.clock;
        clock.sleep_until(Instant::from_epoch(at).min(clock.now() + CLOCK_CHECK)).await;
    }

    fn snapshot_changed(&self, running: &mut Option<Running>) {
        let Some(current) = self.shared.current() else { return };
        let identity = match current.snapshot.identity() {
            Ok(identity) => identity,
            Err(error) => return degraded("identity", &error),
        };
        if running.as_ref().is_none_or(|running| running.host.identity().service() != Some(&identity)) {
            self.tell(None);
            let config = Config { root_change_jitter: self.options.rotation_jitter };
            let host = Host::new(identity, config, Arc::clone(&self.keys));
            *running = Some(Running { host, pending: FuturesUnordered::new() });
        }
        let Some(running) = running else { return };
        self.feed(running, Input::Roots(Arc::clone(&current.snapshot.roots.value)));
        self.feed(running, Input::Wanted);
    }

    fn feed(&self, running: &mut Running, input: Input) {
        let mut tasks = Vec::new();
        running.host.on(self.shared.both(), input, &mut || self.shared.world.entropy.u64(), &mut tasks);
        for task in tasks {
            self.perform(running, task);
        }
    }

    fn perform(&self, running: &mut Running, task: Task) {
        match task {
            Task::Sign { attempt, csr } => {
                let source = Arc::clone(&self.source);
                let Options { target, token, .. } = self.options.clone();
                running.pending.clear();
                let answer = async move { (attempt, source.sign_leaf(target, token, csr).await) };
                running.pending.push(Box::pin(answer));
            }
            Task::Present { certificate, key } => self.present(&certificate, &key),
            Task::Withdraw => {
                self.shared.identity.withdraw();
                self.tell(None);
            }
            Task::Trouble(error) => degraded("key", &error),
            Task::Fail(why) => degraded("leaf", &why),
            Task::Alarm(alarm) => degraded(alarm.name(), &alarm),
            Task::AlarmOver => info!("the certificate is fresh again"),
        }
    }

    /// Publishes which leaf is presented.
    fn tell(&self, leaf: Option<&LeafCertificate>) {
        self.status.send_modify(|status| {
            status.leaf_authority = leaf.map(|leaf| leaf.authority_key_id.clone());
            status.leaf_until = leaf.map(|leaf| leaf.valid_before);
        });
    }

    fn present(&self, leaf: &LeafCertificate, key: &Secret) {
        let presented = Presented::try_new(&leaf.cert_pem, key);
        match presented.map(|presented| self.shared.identity.present(presented)) {
            Ok(true) => {
                info!(identity = %leaf.uri, serial = %leaf.serial, authority = %leaf.authority_key_id, "new certificate");
                self.tell(Some(leaf));
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

fn answered((attempt, outcome): Answer) -> Input {
    let outcome = outcome.map_err(|error| {
        warn!(%error, "the certificate was not signed");
        match error {
            RpcError::RateLimited | RpcError::Busy(_) => SignFailure::RateLimited,
            denied if denied.is_denial() => SignFailure::Denied,
            _ => SignFailure::Unreachable,
        }
    });
    Input::Answered(attempt, outcome)
}

/// The next result of a signature request, if one is under way.
async fn next_answer(running: &mut Option<Running>) -> Option<Answer> {
    match running {
        Some(running) if !running.pending.is_empty() => running.pending.next().await,
        Some(_) | None => std::future::pending().await,
    }
}
