//! Delays reading from a connection while memory taken from evicted clients has not been freed yet.
//!
//! A waiting connection has a place in a queue, and the connections behind it depend on its progress. The library
//! does not poll a read while it cannot write. So the connection's own task polls the wait, whatever the library
//! does.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use concord_runtime::{BoxFuture, Clock, Guest};
use parking_lot::Mutex;

/// Whether a connection may read.
pub(super) struct Settling {
    guest: Arc<Guest>,
    clock: Arc<dyn Clock>,
    now: Mutex<Now>,
}

enum Now {
    /// No read has asked since the last wait ended.
    Idle,
    Waiting(BoxFuture<'static, ()>),
    /// The wait is over: the next read may proceed.
    Over,
}

impl Settling {
    pub(super) fn new(guest: Arc<Guest>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { guest, clock, now: Mutex::new(Now::Idle) })
    }

    /// Completes when the connection may read.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut now = self.now.lock();
        if matches!(*now, Now::Idle) {
            if self.guest.is_settled() {
                return Poll::Ready(());
            }
            let (guest, clock) = (Arc::clone(&self.guest), Arc::clone(&self.clock));
            *now = Now::Waiting(Box::pin(async move { guest.settled(&*clock).await }));
        }
        now.go_on(cx);
        if matches!(*now, Now::Waiting(_)) {
            return Poll::Pending;
        }
        *now = Now::Idle;
        Poll::Ready(())
    }

    /// Runs a connection and also polls the wait, so that the wait proceeds even if the connection does not ask.
    pub(super) async fn beside<F: Future>(&self, connection: F) -> F::Output {
        let mut connection = pin!(connection);
        poll_fn(|cx| {
            self.now.lock().go_on(cx);
            connection.as_mut().poll(cx)
        })
        .await
    }
}

impl Now {
    fn go_on(&mut self, cx: &mut Context<'_>) {
        if let Self::Waiting(waiting) = self
            && waiting.as_mut().poll(cx).is_ready()
        {
            *self = Self::Over;
        }
    }
}

#[cfg(test)]
mod tests {
    use concord_runtime::{Budget, ManualClock, Source};
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn n_10_a_connection_that_does_not_read_keeps_nobody_waiting() {
        const BYTES: usize = 1_000;
        let (budget, clock) = (Budget::new(BYTES, 10), Arc::new(ManualClock::new(0)));
        let door = budget.door(10);
        let enter = |last, bytes| door.enter(Source::of([127, 0, 0, last].into()), bytes).unwrap();
        let largest = enter(1, BYTES / 2);
        let (_other, reader, next) = (enter(2, BYTES / 2 - 20), enter(3, 10), enter(4, 10));
        let settling = Settling::new(Arc::clone(&reader), Arc::clone(&clock) as _);
        let mut asks = true;
        let connection =
            poll_fn(|cx| if std::mem::take(&mut asks) { settling.poll(cx) } else { Poll::Pending });
        let mut connection = Box::pin(settling.beside(connection));
        let _more = reader.hold(100).expect("the largest makes room");
        assert!(largest.is_evicted());
        assert!(connection.as_mut().now_or_never().is_none(), "it has not gone");
        let mut waits = Box::pin(next.settled(&*clock));
        assert!(waits.as_mut().now_or_never().is_none(), "behind the other");
        drop(largest);
        assert!(connection.as_mut().now_or_never().is_none(), "it does not ask again");
        assert!(waits.as_mut().now_or_never().is_some(), "and keeps nobody waiting");
        // The first read after the wait proceeds before anything else can delay it.
        assert!(poll_fn(|cx| settling.poll(cx)).now_or_never().is_some());
    }
}
