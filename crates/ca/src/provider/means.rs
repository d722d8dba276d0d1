//! What a host gives its providers.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use concord_model::TrustDomain;

use super::error::{ProviderError, Unreachable};
use crate::key::KeyMaker;

/// What a host gives its providers. Clones are the same.
#[derive(Clone, Debug)]
pub struct Means {
    /// The trust domain for which all of them sign.
    pub trust_domain: TrustDomain,
    /// Makes keys in this process.
    pub keys: Arc<dyn KeyMaker>,
    /// Does what keeps a processor busy for long.
    pub workers: Arc<dyn Workers>,
}

/// The port for work that keeps a processor busy for long, a thousandth of a second and more.
pub trait Workers: fmt::Debug + Send + Sync {
    /// Does the work where it delays nobody, and completes once it is done or given up. Dropping what is returned does
    /// not stop work that has begun.
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Works at once, on the thread of the caller: for tests and measurements.
#[derive(Clone, Copy, Debug)]
pub struct Inline;

impl Workers for Inline {
    fn run(&self, work: Box<dyn FnOnce() + Send>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        work();
        Box::pin(std::future::ready(()))
    }
}

impl Means {
    /// Means with which calls of a provider in this process wait for nothing ([`at_once`]).
    pub fn inline(trust_domain: TrustDomain, keys: Arc<dyn KeyMaker>) -> Self {
        Self { trust_domain, keys, workers: Arc::new(Inline) }
    }

    /// Has the workers do something, and waits for it.
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
        // Nobody did it: the host is ending.
        outcome.unwrap_or(Err(ProviderError::Unreachable(Unreachable::NoAnswer)))
    }
}

/// The outcome of a call that waits for nothing; one that waits counts as unanswered.
pub fn at_once<T>(call: impl Future<Output = Result<T, ProviderError>>) -> Result<T, ProviderError> {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(ProviderError::Unreachable(Unreachable::NoAnswer)),
    }
}
