//! Functions for an engine that owns its tasks and needs time without a handle.
//!
//! openraft calls its runtime through static functions, and joins its own tasks on shutdown. Only such an engine may
//! use these wrappers; all other tasks belong to a [`crate::Scope`].

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

/// Limits `future` to a deadline in the time of [`TokioClock::monotonic`].
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    tokio::time::timeout_at(TokioClock::tokio_instant(deadline), future)
}

/// Limits `future` to a duration from now.
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    tokio::time::timeout(duration, future)
}

/// Runs blocking work for the engine.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    tokio::task::spawn_blocking(work)
}
