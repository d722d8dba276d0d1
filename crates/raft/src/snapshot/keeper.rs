//! When a snapshot is taken, and what happens when one cannot be written.
//!
//! Two things make one due. Every interval it is looked whether so many entries were applied since the last one. And
//! at any moment so many bytes of commands: few but large entries would else make the next start long. A snapshot that
//! cannot be written is told, and tried again later and later; the log goes on meanwhile, and grows.

use std::sync::Arc;
use std::time::Duration;

use concord_runtime::{Backoff, Entropy as _, Scope, SeededEntropy, World, timeout};
use tokio::sync::watch;

use crate::limits::{SNAPSHOT_RETRIGGER, SNAPSHOT_RETRY_MAX, SNAPSHOT_RETRY_MIN};
use crate::machine::Engine;
use crate::snapshot::Snapshots;
use crate::snapshot::progress::{Attempts, Progress};
use crate::stats::Stats;

/// What makes a snapshot due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Plan {
    /// Time between two looks at the number of entries; up to as much again is added at random, so that the servers of
    /// a cluster do not all write at once.
    pub(crate) interval: Duration,
    /// So many entries make one due.
    pub(crate) entries: u64,
}

/// Decides, for as long as the node runs.
pub(crate) struct Keeper {
    pub(crate) engine: Engine,
    pub(crate) stats: watch::Receiver<Stats>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) snapshots: Arc<Snapshots>,
    /// As it is now: it may change while the node runs.
    pub(crate) plan: watch::Receiver<Plan>,
    pub(crate) world: World,
    pub(crate) seed: u64,
    pub(crate) scope: Scope,
}

// === impl Keeper ===

impl Keeper {
    pub(crate) async fn run(mut self) {
        // A generator of its own: how often it looks must not change what others draw.
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
        // What the engine says of snapshots is late, and the one it has yet to hear of would be taken twice.
        let newest = self.snapshots.newest_index().map_or(0, |id| id.index());
        // Nothing new is nothing to write.
        let news = self.stats.borrow().applied_index.saturating_sub(newest);
        news > 0 && (news >= self.plan.borrow().entries || self.progress.is_due())
    }

    /// Takes a snapshot and waits for its outcome; nothing when the node stops.
    async fn take(&self) -> Option<Attempts> {
        let mut attempts = self.progress.attempts.subscribe();
        let before = attempts.borrow_and_update().ended;
        loop {
            self.engine.trigger().snapshot().await.ok()?;
            // One that is under way swallows the trigger.
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
