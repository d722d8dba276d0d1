//! What the leader does besides answering: makes the cluster what every cluster is, keeps its own
//! node in the catalog, removes expired tokens, runs the certificate authority.
//!
//! Each duty is idempotent and takes no input: it looks at the state and brings it to where it
//! should be, when leadership begins and every [`DUTY_PERIOD`]. Reads and writes are
//! served once the first two have succeeded; they never wait for the certificate authority.

mod builtins;
mod own_node;
mod tokens;

use std::sync::Arc;

use concord_rpc::RpcError;
use concord_runtime::Backoff;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::core::Core;
use crate::limits::DUTY_PERIOD;

/// Whether this server leads and has done what must be done before it serves.
#[derive(Debug)]
pub(crate) struct Duties {
    leading: watch::Sender<bool>,
}

impl Duties {
    pub(crate) fn new() -> Self {
        Self { leading: watch::Sender::new(false) }
    }

    /// Whether this server leads and serves.
    pub(crate) fn has_led(&self) -> bool {
        *self.leading.borrow()
    }

    /// Completes when this server leads and serves.
    pub(crate) async fn leading(&self) {
        let mut leading = self.leading.subscribe();
        // The sender lives as long as the server: the wait cannot fail.
        let _ = leading.wait_for(|leads| *leads).await;
    }
}

/// Runs until the scope ends.
pub(crate) async fn run(core: Arc<Core>) {
    let mut stats = core.raft.watch();
    loop {
        if core.raft.is_leader() {
            lead(&core).await;
        }
        tokio::select! {
            biased;
            () = core.scope.cancelled() => return,
            changed = stats.changed() => if changed.is_err() { return },
        }
    }
}

/// One leadership, from its beginning to its end.
async fn lead(core: &Arc<Core>) {
    let term = core.raft.term();
    let mut backoff = Backoff::default();
    while core.raft.is_leader() && core.raft.term() == term && !core.scope.is_cancelled() {
        match establish(core).await {
            Ok(()) => break,
            Err(error) => {
                warn!(%error, term, "cannot begin to lead yet");
                core.world.clock.sleep(backoff.next(&*core.world.entropy)).await;
            }
        }
    }
    info!(term, node = %core.config.node, "leading");
    core.duties.leading.send_replace(true);
    core.ca.wake();
    let mut stats = core.raft.watch();
    while core.raft.is_leader() && core.raft.term() == term {
        tokio::select! {
            biased;
            () = core.scope.cancelled() => break,
            changed = stats.changed() => if changed.is_err() { break },
            () = core.world.clock.sleep(DUTY_PERIOD) => duties(core).await,
        }
    }
    core.duties.leading.send_replace(false);
    core.published.hub.wake_all();
    info!(term, "no longer leading");
}

/// What must hold before anything is served.
async fn establish(core: &Core) -> Result<(), RpcError> {
    core.raft.read_barrier().await.map_err(|_| RpcError::NoLeader)?;
    builtins::ensure_cluster_id(core).await?;
    if core.config.acl.enabled {
        builtins::ensure_acl(core).await?;
    }
    own_node::ensure(core).await
}

async fn duties(core: &Core) {
    for (name, outcome) in
        [("own node", own_node::ensure(core).await), ("token reaper", tokens::reap(core).await)]
    {
        if let Err(error) = outcome {
            warn!(%error, duty = name, "a leader duty failed; it will be tried again");
        }
    }
}
