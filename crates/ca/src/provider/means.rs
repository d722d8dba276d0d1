//! What a host provides to its providers.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use concord_model::TrustDomain;

use super::error::{ProviderError, Unreachable};
use crate::key::KeyMaker;

/// What a host provides to its providers. Clones share it.
#[derive(Clone, Debug)]
pub struct Means {
    /// The trust domain for which all providers sign.
    pub trust_domain: TrustDomain,
    /// Makes keys in this process.
    pub keys: Arc<dyn KeyMaker>,
    /// Do work that takes much processor time.
    pub workers: Arc<dyn Workers>,
}

/// Runs work that takes a millisecond of processor time or more.
pub trait Workers: fmt::Debug + Send + Sync {
    /// Runs the work where it delays no other task. The future completes when the work is done or given up. Dropping
    /// the future does not stop work that has begun.
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Runs work at once, on the caller's thread: for tests and benchmarks.
#[derive(Clone, Copy, Debug)]
pub struct Inline;

impl Workers for Inline {
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        work();
        Box::pin(std::future::ready(()))
    }
}

impl Means {
    /// With these means, calls of the built-in provider never wait; see [`at_once`].
    pub fn inline(trust_domain: TrustDomain, keys: Arc<dyn KeyMaker>) -> Self {
        Self { trust_domain, keys, workers: Arc::new(Inline) }
    }

    /// Runs `work` on the workers and waits for its result.
    pub async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ProviderError> + Send + 'static,
    ) -> Result<T, ProviderError> {
        let done = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&done);
        let work = move || {
            let outcome = work();
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        };
        self.workers.run(Box::new(work)).await;
        let outcome = done.lock().unwrap_or_else(PoisonError::into_inner).take();
        // No worker did the work: the host is shutting down.
        outcome.unwrap_or(Err(ProviderError::Unreachable(Unreachable::NoAnswer)))
    }
}

/// The outcome of a call that does not wait. A call that waits counts as unanswered.
pub fn at_once<T>(call: impl Future<Output = Result<T, ProviderError>>) -> Result<T, ProviderError> {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(ProviderError::Unreachable(Unreachable::NoAnswer)),
    }
}
