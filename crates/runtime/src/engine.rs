//! What an engine needs that brings its own task ownership and asks for time without a handle.
//!
//! openraft calls its runtime through static functions and joins its tasks itself when it is shut down. Such an
//! engine gets these wrappers, nobody else: ordinary tasks belong to a [`crate::Scope`].

use std::future::Future;
use std::time::Duration;

use crate::clock::{Instant, TokioClock};

pub use tokio::task::{JoinError, JoinHandle};
pub use tokio::time::error::Elapsed as EngineElapsed;
pub use tokio::time::{Sleep, Timeout};

/// Starts a task that the engine owns.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future)
}

/// Bounds `future` by a point of [`TokioClock::monotonic`].
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    tokio::time::timeout_at(TokioClock::tokio_instant(deadline), future)
}

/// Bounds `future` by a duration from now.
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    tokio::time::timeout(duration, future)
}

/// Runs blocking work for the engine.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    tokio::task::spawn_blocking(work)
}
