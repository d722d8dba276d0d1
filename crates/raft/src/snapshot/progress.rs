//! Counts what was applied since the last snapshot, and records the result of the last attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, watch};

use crate::limits::SNAPSHOT_LOG_SHARE;
use crate::stats::SnapshotFailure;

/// Counts what was applied since the last snapshot, and records the result of the last attempt. Shared by the tasks
/// that apply, write and decide.
#[derive(Debug)]
pub(crate) struct Progress {
    applied_bytes: AtomicU64,
    /// This many applied bytes make a snapshot due at once.
    due_bytes: AtomicU64,
    /// The configured value; `due_bytes` is never below it.
    least_bytes: u64,
    pub(super) due: Notify,
    pub(super) attempts: watch::Sender<Attempts>,
}

/// The attempts to write a snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts {
    pub(super) ended: u64,
    pub(super) failure: Option<SnapshotFailure>,
}

impl Progress {
    /// `newest_bytes` is the size of the newest existing snapshot.
    pub(crate) fn new(least_bytes: u64, newest_bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            applied_bytes: AtomicU64::new(0),
            due_bytes: AtomicU64::new(due_after(least_bytes, newest_bytes)),
            least_bytes,
            due: Notify::new(),
            attempts: watch::Sender::default(),
        })
    }

    /// Records that a command of this size was applied.
    pub(crate) fn applied(&self, bytes: usize) {
        let bytes = bytes as u64;
        let before = self.applied_bytes.fetch_add(bytes, Ordering::Relaxed);
        let due = self.due_bytes.load(Ordering::Relaxed);
        if before < due && before.saturating_add(bytes) >= due {
            self.due.notify_one();
        }
    }

    /// The bytes applied so far. Pass the number to [`Progress::written`].
    pub(crate) fn mark(&self) -> u64 {
        self.applied_bytes.load(Ordering::Relaxed)
    }

    /// A snapshot of `bytes` that began at `mark` is durable. The next one is due after a fraction of its size in log
    /// bytes. So the written bytes stay in proportion to the applied ones, and the commands that a start applies
    /// again in proportion to the state.
    pub(crate) fn written(&self, mark: u64, bytes: usize) {
        self.due_bytes.store(due_after(self.least_bytes, bytes as u64), Ordering::Relaxed);
        // Another snapshot may have been counted in the meantime.
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

    /// Records that a snapshot could not be written.
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

    /// The failure of the last attempt, if no snapshot has succeeded since.
    pub(crate) fn failure(&self) -> Option<SnapshotFailure> {
        self.attempts.borrow().failure.clone()
    }

    pub(super) fn is_due(&self) -> bool {
        self.applied_bytes.load(Ordering::Relaxed) >= self.due_bytes.load(Ordering::Relaxed)
    }
}

/// The log bytes that make a snapshot due, if the newest one has `newest_bytes`.
fn due_after(least_bytes: u64, newest_bytes: u64) -> u64 {
    least_bytes.max(newest_bytes / SNAPSHOT_LOG_SHARE)
}
