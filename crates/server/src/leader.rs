//! The duties of the leader besides answering requests: create what every cluster has, write the entries of the
//! configuration file, register its own node in the catalog, remove expired tokens. The certificate authority runs
//! beside it, in `ca`, and so does the state of API gateways, in `gateways`.
//!
//! Each duty is idempotent and takes no input: it reads the state and corrects it, when leadership begins and every
//! [`DUTY_PERIOD`]. The leader serves reads and writes once all duties but the last have succeeded. The duties never
//! wait for the certificate authority.

mod builtins;
pub(crate) mod clock_watch;
mod duties;
pub(crate) mod entries;
pub(crate) mod gateways;
pub(crate) mod own_node;
pub(crate) mod tokens;

pub(crate) use self::duties::Duties;

use std::sync::Arc;

use concord_rpc::RpcError;
use concord_runtime::Backoff;
use tracing::{info, warn};

use crate::limits::DUTY_PERIOD;
use crate::parts::Core;

/// Runs until the scope ends.
pub(crate) async fn run(core: Arc<Core>) {
    let mut stats = core.log.changes();
    loop {
        if let Some(term) = core.log.leading_term() {
            lead(&core, term).await;
        }
        tokio::select! {
            biased;
            () = core.scope.cancelled() => return,
            changed = stats.changed() => if changed.is_err() { return },
        }
    }
}

/// One term of leadership, from its beginning to its end.
async fn lead(core: &Core, term: u64) {
    let leads = || core.log.leading_term() == Some(term) && !core.scope.is_cancelled();
    let mut backoff = Backoff::default();
    while let Err(error) = establish(core).await {
        warn!(%error, term, "cannot begin to lead yet");
        tokio::select! {
            biased;
            () = core.scope.cancelled() => return,
            () = core.world.clock.sleep(backoff.next(&*core.world.entropy)) => {}
        }
        if !leads() {
            return;
        }
    }
    info!(term, node = %core.config.node, "leading");
    core.duties.set(true);
    let mut stats = core.log.changes();
    let mut due = core.world.clock.now() + DUTY_PERIOD;
    while leads() {
        tokio::select! {
            biased;
            () = core.scope.cancelled() => break,
            // The log's statistics change with every write, so the duties need their own timer.
            () = core.world.clock.sleep_until(due) => {
                duties(core).await;
                due = core.world.clock.now() + DUTY_PERIOD;
            }
            changed = stats.changed() => if changed.is_err() { break },
        }
    }
    core.duties.set(false);
    core.log.published.hub.wake_all();
    info!(term, "no longer leading");
}

/// The duties that must succeed before the leader serves requests.
async fn establish(core: &Core) -> Result<(), RpcError> {
    core.log.barrier().await?;
    builtins::ensure_cluster_id(core).await?;
    builtins::ensure_rules(core).await?;
    if core.config.acl.enabled {
        builtins::ensure_acl(core).await?;
    }
    entries::ensure(core).await?;
    own_node::ensure(core).await
}

async fn duties(core: &Core) {
    // An entry that an operator deleted must stay deleted. So only entries that were configured since the last run
    // are written.
    let entries = if core.live.entries_wait() { entries::ensure(core).await } else { Ok(()) };
    for (name, outcome) in [
        ("bootstrap entries", entries),
        ("own node", own_node::ensure(core).await),
        ("token reaper", tokens::reap(core).await),
    ] {
        if let Err(error) = outcome {
            warn!(%error, duty = name, "a leader duty failed; it will be tried again");
        }
    }
}
