//! A drain with two ends: one side asks the other to finish, and waits until it has.
//!
//! Unlike a [`crate::Scope`] it knows nothing of tasks: each connection, listener or stream holds a watch.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The side that starts the drain and waits for it.
#[derive(Debug)]
pub struct DrainSignal {
    started: CancellationToken,
    holders: TaskTracker,
}

/// The side that is drained. The drain is over once every clone of every watch is dropped.
#[derive(Clone, Debug)]
pub struct DrainWatch {
    started: CancellationToken,
    _hold: TaskTrackerToken,
}

/// A connected pair.
#[must_use]
pub fn drain() -> (DrainSignal, DrainWatch) {
    let (started, holders) = (CancellationToken::new(), TaskTracker::new());
    holders.close();
    let watch = DrainWatch { started: started.clone(), _hold: holders.token() };
    (DrainSignal { started, holders }, watch)
}

impl DrainSignal {
    /// Tells every watch to finish. Idempotent.
    pub fn start(&self) {
        self.started.cancel();
    }

    /// Starts the drain and waits until every watch has been dropped. Bound it with [`crate::timeout`].
    pub async fn drain(&self) {
        self.start();
        self.holders.wait().await;
    }

    /// How many watches are still held.
    #[must_use]
    pub fn holders(&self) -> usize {
        self.holders.len()
    }
}

impl DrainWatch {
    /// Completes when the drain starts; at once if it has.
    pub async fn started(&self) {
        self.started.cancelled().await;
    }

    /// Whether the drain has started.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.started.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_drain_ends_when_the_last_watch_is_dropped() {
        let (signal, first) = drain();
        let second = first.clone();
        assert!(!first.is_started() && signal.holders() == 2);
        let mut over = Box::pin(signal.drain());
        assert!((&mut over).now_or_never().is_none());
        second.started().await;
        drop(first);
        assert!((&mut over).now_or_never().is_none());
        drop(second);
        over.await;
    }
}
