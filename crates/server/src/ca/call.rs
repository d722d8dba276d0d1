//! Calls of a provider: outside every lock, within a time limit, and repeated with back-off where that may help.
//!
//! Dropping one of these futures cancels the call. The driver does so when leadership ends; a signature is cancelled
//! when its caller goes away.

use std::time::Duration;

use concord_ca::provider::{ProviderError, Unreachable};
use concord_rpc::RpcError;
use concord_runtime::{Backoff, World, timeout};
use tracing::debug;

use crate::limits::{
    PROVIDER_CALL, PROVIDER_PAUSE_MAX, PROVIDER_PAUSE_MIN, PROVIDER_TIME, SIGN_CALL, SIGNING_TIME,
};

/// Time limits of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Of one attempt.
    attempt: Duration,
    /// Of all attempts and the pauses between them.
    whole: Duration,
}

impl Patience {
    /// For a leaf signature.
    pub(super) const LEAF: Self = Self { attempt: SIGN_CALL, whole: SIGNING_TIME };
    /// For a step of a configuration change.
    pub(super) const STEP: Self = Self { attempt: PROVIDER_CALL, whole: PROVIDER_TIME };
    /// For a call that is tried once and given up if it fails.
    pub(super) const ONCE: Self = Self { attempt: PROVIDER_CALL, whole: Duration::ZERO };
}

/// Makes a call. Repeats it while time is left, if the failure may be temporary.
pub(super) async fn patiently<T, F>(
    world: &World,
    patience: Patience,
    call: impl Fn() -> F,
) -> Result<T, ProviderError>
where
    F: Future<Output = Result<T, ProviderError>>,
{
    let clock = &*world.clock;
    let until = clock.now() + patience.whole;
    let mut backoff = Backoff::new(PROVIDER_PAUSE_MIN, PROVIDER_PAUSE_MAX);
    loop {
        let outcome = timeout(clock, patience.attempt, call()).await;
        let error = match outcome.unwrap_or(Err(ProviderError::Unreachable(Unreachable::NoAnswer))) {
            Err(error) if error.may_pass() => error,
            outcome => return outcome,
        };
        let pause = backoff.next(&*world.entropy);
        if clock.now() + pause + patience.attempt > until {
            return Err(error);
        }
        debug!(%error, ?pause, "repeating a call of the certificate authority's provider");
        clock.sleep(pause).await;
    }
}

/// Translates a provider's failure into an error of the request.
pub(super) fn provider_error(error: &ProviderError) -> RpcError {
    match error {
        ProviderError::Setting { .. }
        | ProviderError::RootCert(_)
        | ProviderError::Intermediate(_)
        | ProviderError::Trial(_)
        | ProviderError::Csr(_) => RpcError::Invalid(error.to_string()),
        ProviderError::NotInitialised | ProviderError::Expired | ProviderError::Unreachable(_) => {
            RpcError::CaNotReady(error.to_string())
        }
        ProviderError::NoCrossSigning
        | ProviderError::ForeignIntermediate
        | ProviderError::Certificate(_)
        | ProviderError::Build(_)
        | ProviderError::Key(_)
        | ProviderError::Seal(_) => RpcError::Internal(error.to_string()),
    }
}
