//! Decides when a snapshot is taken, and what happens if it cannot be written.
//!
//! Two conditions make a snapshot due. Once per interval: enough entries were applied since the last one. At any
//! time: enough bytes of commands were applied, because a few large entries would make the next start slow. A failed
//! snapshot is reported and tried again with growing delays. Meanwhile the log continues to grow.

use std::sync::Arc;
use std::time::Duration;

use concord_runtime::{Backoff, Entropy as _, Scope, SeededEntropy, World, timeout};
use tokio::sync::watch;

use crate::limits::{SNAPSHOT_RETRIGGER, SNAPSHOT_RETRY_MAX, SNAPSHOT_RETRY_MIN};
use crate::machine::Engine;
use crate::snapshot::Snapshots;
use crate::snapshot::progress::{Attempts, Progress};
use crate::stats::Stats;

/// The conditions for a snapshot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Plan {
    /// Time between two checks of the number of entries. Up to the same time is added at random, so that the servers
    /// of a cluster do not all write at once.
    pub(crate) interval: Duration,
    /// This many entries make a snapshot due.
    pub(crate) entries: u64,
}

/// Takes snapshots for as long as the node runs.
pub(crate) struct Keeper {
    pub(crate) engine: Engine,
    pub(crate) stats: watch::Receiver<Stats>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) snapshots: Arc<Snapshots>,
    /// The current plan; it may change while the node runs.
    pub(crate) plan: watch::Receiver<Plan>,
    pub(crate) world: World,
    pub(crate) seed: u64,
    pub(crate) scope: Scope,
}

// === impl Keeper ===

impl Keeper {
    pub(crate) async fn run(mut self) {
        // A separate generator: how often this task draws numbers must not change the numbers of other tasks.
        let (clock, entropy) = (Arc::clone(&self.world.clock), &SeededEntropy::new(self.seed));
        let mut backoff = Backoff::new(SNAPSHOT_RETRY_MIN, SNAPSHOT_RETRY_MAX);
        loop {
            let interval = self.plan.borrow_and_update().interval;
            let interval = interval + entropy.jitter(interval);
            tokio::select! {
                biased;
                () = self.scope.cancelled() => return,
                () = self.progress.due.notified() => {}
                // The sender lives as long as the node.
                Ok(()) = self.plan.changed() => continue,
                () = clock.sleep(interval) => {}
            }
            while self.is_due() {
                let Some(attempts) = self.take().await else { return };
                if attempts.failure.is_none() {
                    backoff.reset();
                    continue;
                }
                tokio::select! {
                    biased;
                    () = self.scope.cancelled() => return,
                    () = clock.sleep(backoff.next(entropy)) => {}
                }
            }
        }
    }

    fn is_due(&self) -> bool {
        // The engine's statistics are delayed. A snapshot that it does not know of yet would be taken twice.
        let newest = self.snapshots.newest_index().map_or(0, |id| id.index());
        // If nothing was applied, there is nothing to write.
        let news = self.stats.borrow().applied_index.saturating_sub(newest);
        news > 0 && (news >= self.plan.borrow().entries || self.progress.is_due())
    }

    /// Takes a snapshot and waits for the result; `None` if the node stops.
    async fn take(&self) -> Option<Attempts> {
        let mut attempts = self.progress.attempts.subscribe();
        let before = attempts.borrow_and_update().ended;
        loop {
            self.engine.trigger().snapshot().await.ok()?;
            // If one is already being written, the trigger is ignored.
            let ended = attempts.wait_for(|attempts| attempts.ended > before);
            tokio::select! {
                biased;
                () = self.scope.cancelled() => return None,
                ended = timeout(&*self.world.clock, SNAPSHOT_RETRIGGER, ended) => {
                    if let Ok(ended) = ended {
                        return Some(ended.ok()?.clone());
                    }
                }
            }
        }
    }
}
