//! Runs a connection's own future while a check uses the connection, so that no task outlives the check's run.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use concord_runtime::BoxFuture;

/// The future that moves the bytes of a connection.
pub(super) struct Driver(Option<BoxFuture<'static, ()>>);

impl Driver {
    pub(super) fn new(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }

    /// Waits for `work` on the connection. If the connection ends first, data that was already received still counts.
    pub(super) async fn alongside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Some(own) = &mut self.0
                && own.as_mut().poll(cx).is_ready()
            {
                self.0 = None;
            }
            match work.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(done),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}
