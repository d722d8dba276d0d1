//! When a snapshot is taken, and what happens when one cannot be written.
//!
//! Two things make one due. Every interval it is looked whether so many entries were applied since the last one. And
//! at any moment so many bytes of commands: few but large entries would else make the next start long. A snapshot that
//! cannot be written is told, and tried again later and later; the log goes on meanwhile, and grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use concord_runtime::{Backoff, Entropy as _, Scope, SeededEntropy, World, timeout};
use tokio::sync::{Notify, watch};

use crate::engine::Engine;
use crate::limits::{SNAPSHOT_LOG_SHARE, SNAPSHOT_RETRIGGER, SNAPSHOT_RETRY_MAX, SNAPSHOT_RETRY_MIN};
use crate::snapshot::Snapshots;
use crate::stats::{SnapshotFailure, Stats};

/// What was applied since the last snapshot, and how the last attempt went. Shared by who applies, who writes and who
/// decides.
#[derive(Debug)]
pub(crate) struct Progress {
    applied_bytes: AtomicU64,
    /// So many of them make a snapshot due at once.
    due_bytes: AtomicU64,
    /// The setting; `due_bytes` is never below it.
    least_bytes: u64,
    due: Notify,
    attempts: watch::Sender<Attempts>,
}

/// The attempts to write a snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts {
    ended: u64,
    failure: Option<SnapshotFailure>,
}

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

// === impl Progress ===

impl Progress {
    /// `newest_bytes` is the size of the newest snapshot there is.
    pub(crate) fn new(least_bytes: u64, newest_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            applied_bytes: AtomicU64::new(0),
            due_bytes: AtomicU64::new(due_after(least_bytes, newest_bytes)),
            least_bytes,
            due: Notify::new(),
            attempts: watch::Sender::default(),
        })
    }

    /// A command of this size was applied.
    pub(crate) fn applied(&self, bytes: usize) {
        let bytes = bytes as u64;
        let before = self.applied_bytes.fetch_add(bytes, Ordering::Relaxed);
        let due = self.due_bytes.load(Ordering::Relaxed);
        if before < due && before.saturating_add(bytes) >= due {
            self.due.notify_one();
        }
    }

    /// Bytes applied so far, to be handed back by [`Progress::written`].
    pub(crate) fn mark(&self) -> u64 {
        self.applied_bytes.load(Ordering::Relaxed)
    }

    /// A snapshot of `bytes` that was begun at `mark` is durable. The next one is due after a part of that in bytes of
    /// log: what is written stays in proportion to what is applied, and what a start applies again to the state.
    pub(crate) fn written(&self, mark: u64, bytes: usize) {
        self.due_bytes.store(due_after(self.least_bytes, bytes as u64), Ordering::Relaxed);
        // Another snapshot may have been counted meanwhile.
        let take = |applied: u64| Some(applied.saturating_sub(mark));
        let _ = self.applied_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if self.attempts.borrow().failure.is_some() {
            tracing::info!("a snapshot could be written again");
        }
        metrics::gauge!("concord_raft_snapshot_failing").set(0.0);
        self.attempts.send_modify(|attempts| {
            attempts.ended += 1;
            attempts.failure = None;
        });
    }

    /// A snapshot could not be written.
    pub(crate) fn failed(&self, reason: String) {
        metrics::counter!("concord_raft_snapshot_failures_total").increment(1);
        metrics::gauge!("concord_raft_snapshot_failing").set(1.0);
        self.attempts.send_modify(|attempts| {
            attempts.ended += 1;
            let times = attempts.failure.as_ref().map_or(0, |failure| failure.times) + 1;
            tracing::error!(%reason, times, "a snapshot could not be written; it will be tried again");
            attempts.failure = Some(SnapshotFailure { reason, times });
        });
    }

    /// The failure since which no snapshot could be written.
    pub(crate) fn failure(&self) -> Option<SnapshotFailure> {
        self.attempts.borrow().failure.clone()
    }

    fn is_due(&self) -> bool {
        self.applied_bytes.load(Ordering::Relaxed) >= self.due_bytes.load(Ordering::Relaxed)
    }
}

/// The bytes of log after which a snapshot is due, when the newest one has so many.
fn due_after(least_bytes: u64, newest_bytes: u64) -> u64 {
    least_bytes.max(newest_bytes / SNAPSHOT_LOG_SHARE)
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
