//! Calls of a provider: outside every lock, bounded in time, made again with back-off where that may help.
//!
//! Whoever drops one of these futures cuts the call: the driver when leadership ends, a signature when its caller goes.

use std::time::Duration;

use concord_ca::provider::{ProviderError, Unreachable};
use concord_rpc::RpcError;
use concord_runtime::{Backoff, timeout};
use tracing::debug;

use crate::limits::{
    PROVIDER_CALL, PROVIDER_PAUSE_MAX, PROVIDER_PAUSE_MIN, PROVIDER_TIME, SIGN_CALL, SIGNING_TIME,
};
use crate::parts::Core;

/// How long a call is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// One attempt.
    attempt: Duration,
    /// All of them, with the pauses between them.
    whole: Duration,
}

impl Patience {
    /// For the signature of a leaf.
    pub(super) const LEAF: Self = Self { attempt: SIGN_CALL, whole: SIGNING_TIME };
    /// For a step of a change.
    pub(super) const STEP: Self = Self { attempt: PROVIDER_CALL, whole: PROVIDER_TIME };
    /// For what is done once, and left if it does not come through.
    pub(super) const ONCE: Self = Self { attempt: PROVIDER_CALL, whole: Duration::ZERO };
}

/// Makes a call, and makes it again while it fails in a way that may pass and there is time.
pub(super) async fn patiently<T, F>(
    core: &Core,
    patience: Patience,
    call: impl Fn() -> F,
) -> Result<T, ProviderError>
where
    F: Future<Output = Result<T, ProviderError>>,
{
    let clock = &*core.world.clock;
    let until = clock.now() + patience.whole;
    let mut backoff = Backoff::new(PROVIDER_PAUSE_MIN, PROVIDER_PAUSE_MAX);
    loop {
        let outcome = timeout(clock, patience.attempt, call()).await;
        let error = match outcome.unwrap_or(Err(ProviderError::Unreachable(Unreachable::NoAnswer))) {
            Err(error) if error.may_pass() => error,
            outcome => return outcome,
        };
        let pause = backoff.next(&*core.world.entropy);
        if clock.now() + pause + patience.attempt > until {
            return Err(error);
        }
        debug!(%error, ?pause, "a call of the certificate authority's provider is made again");
        clock.sleep(pause).await;
    }
}

/// A provider's failure in the words of the request.
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
