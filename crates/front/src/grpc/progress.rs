//! Detects clients that do not take their answers.
//!
//! The socket does not show it: nothing is written to a client that opens no window. So this module counts the bytes
//! that are handed to the library and those that the library has sent.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use concord_runtime::{Clock, Held, Instant};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::limits::{PROGRESS_BYTES, PROGRESS_TIMEOUT};

/// The bytes that wait for one client.
#[derive(Debug)]
pub(super) struct Progress {
    clock: Arc<dyn Clock>,
    waiting: Mutex<Waiting>,
    begun: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: usize,
    /// Bytes taken since `since`.
    taken: usize,
    /// Start of the current interval. Counts only while bytes wait.
    since: Instant,
}

impl Progress {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, waiting: Mutex::default(), begun: Notify::new() })
    }

    /// Completes when the client has taken too little for too long.
    pub(super) async fn stalled(&self) {
        loop {
            let due = {
                let waiting = self.waiting.lock();
                (waiting.bytes > 0).then(|| waiting.since + PROGRESS_TIMEOUT)
            };
            match due {
                None => self.begun.notified().await,
                Some(due) if due <= self.clock.now() => return,
                Some(due) => self.clock.sleep_until(due).await,
            }
        }
    }

    fn begin(&self, bytes: usize) {
        let mut waiting = self.waiting.lock();
        if waiting.bytes == 0 {
            (waiting.since, waiting.taken) = (self.clock.now(), 0);
            self.begun.notify_one();
        }
        waiting.bytes += bytes;
    }

    fn take(&self, bytes: usize) {
        let mut waiting = self.waiting.lock();
        waiting.bytes -= bytes;
        waiting.taken += bytes;
        if waiting.taken >= PROGRESS_BYTES {
            (waiting.since, waiting.taken) = (self.clock.now(), 0);
        }
    }
}

/// A part of an answer. It counts as waiting until it has been sent.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    progress: Arc<Progress>,
    _held: Held,
}

impl Piece {
    pub(super) fn new(bytes: Bytes, progress: &Arc<Progress>, held: Held) -> Self {
        progress.begin(bytes.len());
        Self { bytes, progress: Arc::clone(progress), _held: held }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.progress.take(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.progress.take(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use concord_runtime::{Budget, Guest, ManualClock, Source};
    use futures::FutureExt as _;

    use super::*;

    fn guest() -> Arc<Guest> {
        Budget::new(1 << 20, 1).door(1).enter(Source::UNIX, 0).unwrap()
    }

    fn piece(progress: &Arc<Progress>, guest: &Arc<Guest>, bytes: usize) -> Piece {
        Piece::new(vec![0; bytes].into(), progress, guest.hold(bytes).unwrap())
    }

    #[test]
    fn n_18_a_client_that_takes_too_little_is_stalled() {
        let (clock, guest) = (ManualClock::new(0), guest());
        let progress = Progress::new(Arc::new(clock.clone()));
        let mut stalled = Box::pin({
            let progress = Arc::clone(&progress);
            async move { progress.stalled().await }
        });
        let mut is_stalled = || stalled.as_mut().now_or_never().is_some();
        clock.advance(2 * PROGRESS_TIMEOUT);
        assert!(!is_stalled(), "nothing waits");
        let mut one = piece(&progress, &guest, 4 * PROGRESS_BYTES);
        for _ in 0..3 {
            assert!(!is_stalled());
            clock.advance(PROGRESS_TIMEOUT / 2);
            one.advance(PROGRESS_BYTES);
        }
        assert!(!is_stalled(), "it takes what it must");
        clock.advance(PROGRESS_TIMEOUT / 2);
        one.advance(PROGRESS_BYTES - 1);
        assert!(!is_stalled());
        clock.advance(PROGRESS_TIMEOUT / 2);
        assert!(is_stalled(), "a byte is missing");
    }

    #[test]
    fn a_client_that_has_taken_everything_has_time() {
        let (clock, guest) = (ManualClock::new(0), guest());
        let progress = Progress::new(Arc::new(clock.clone()));
        let mut one = piece(&progress, &guest, 10);
        clock.advance(PROGRESS_TIMEOUT / 2);
        one.advance(10);
        drop(one);
        drop(piece(&progress, &guest, 10));
        clock.advance(PROGRESS_TIMEOUT);
        assert!(progress.stalled().now_or_never().is_none());
        let _late = piece(&progress, &guest, 10);
        clock.advance(PROGRESS_TIMEOUT / 2);
        assert!(progress.stalled().now_or_never().is_none(), "its time begins anew");
    }
}
