//! The certificate authority's host: signs within limits, and changes its configuration.
//!
//! A side task of the leader (D7): leadership, catalog and intentions never wait for it. How roots
//! come and go is decided by [`concord_ca::rotation::Machine`], which [`driver`] feeds; here is what
//! requests touch. Keys are opened in the leader's memory only, and dropped when it no longer leads.

pub(crate) mod driver;
mod host;

use self::host::{Ask, InUse};
pub(crate) use self::host::{CaHost, Force};

use std::collections::BTreeMap;

use concord_ca::limiter::Admission;
use concord_ca::limits::CSR_WAIT_MAX;
use concord_ca::provider::{BUILTIN, BuiltinProvider, Issue, ParsedSettings, Provider, ProviderError};
use concord_ca::rotation::may_sign;
use concord_ca::x509::build::Serial;
use concord_model::ca::{CaRoot, CaRoots};
use concord_model::proxy::Settings;
use concord_rpc::RpcError;
use concord_runtime::timeout;
use concord_state::Reply;
use concord_state::command::AllocateSerials;
use tokio::sync::{MutexGuard, oneshot};

use crate::limits::SIGNING_HOLD;
use crate::paths::Core;

// === changes of the configuration ===

/// Changes the configuration; another root follows if it asks for one. Returns the index of the
/// change once it holds; for a rotation without cross-signing, once both roots are published.
pub(crate) async fn change(
    core: &Core,
    provider: &str,
    settings: &Settings,
    state: &BTreeMap<String, String>,
    force: Force,
) -> Result<u64, RpcError> {
    let Some(config) = core.view().read().ca_config() else {
        return Err(core.ca.not_ready("it has not been initialised"));
    };
    if !state.is_empty() && *state != concord_ca::rotation::public_state(&config) {
        return Err(RpcError::Invalid(
            "State: is kept by the provider; leave it out or send it unchanged".to_owned(),
        ));
    }
    let parsed = parse(provider, settings)?;
    let (answer, answered) = oneshot::channel();
    let ask = Ask { provider: provider.to_owned(), parsed, force, answer };
    core.ca
        .changes
        .try_send(ask)
        .map_err(|_| RpcError::Busy("the CA is being changed; try again when that is done".to_owned()))?;
    tokio::select! {
        biased;
        () = core.scope.cancelled() => Err(RpcError::ShuttingDown),
        answer = answered => answer.unwrap_or(Err(RpcError::OutcomeUnknown)),
    }
}

fn parse(provider: &str, settings: &Settings) -> Result<ParsedSettings, RpcError> {
    match provider {
        BUILTIN => ParsedSettings::parse(settings)
            .map_err(|faults| RpcError::Invalid(concord_ca::provider::builtin::describe(&faults))),
        "vault" | "aws-pca" => Err(RpcError::NotAvailable(format!("CA provider {provider:?}"))),
        other => {
            Err(RpcError::Invalid(format!("Provider: {other:?} is unknown; \"consul\" is the built-in one")))
        }
    }
}

// === signing ===

/// A signature within the limits; its place is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    host: &'a CaHost,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.host.limiter.lock().leave();
        self.host.freed.notify_one();
    }
}

/// Waits for a turn within the configured limits, or refuses.
pub(crate) async fn admit(core: &Core) -> Result<Admitted<'_>, RpcError> {
    let host = &core.ca;
    let _place = host.waiting.try_acquire().map_err(|_| RpcError::RateLimited)?;
    let clock = &core.world.clock;
    let until = clock.now() + CSR_WAIT_MAX;
    let admission = host.limiter.lock().admit(clock.now().since_epoch());
    match admission {
        Admission::Refused => return Err(RpcError::RateLimited),
        Admission::After(wait) => clock.sleep(wait).await,
    }
    loop {
        if host.limiter.lock().enter() {
            return Ok(Admitted { host });
        }
        tokio::select! {
            biased;
            () = host.freed.notified() => {}
            () = clock.sleep_until(until) => return Err(RpcError::RateLimited),
        }
    }
}

/// What a signature is made with.
pub(crate) struct Signing<'a> {
    pub(crate) provider: &'a mut BuiltinProvider,
    pub(crate) active: &'a CaRoot,
}

/// Runs `sign` with the provider of the active root; waits a little while roots are being changed.
pub(crate) async fn with_provider<T>(
    core: &Core,
    issue: Issue,
    sign: impl FnOnce(Signing<'_>, Issue) -> Result<T, ProviderError>,
) -> Result<T, RpcError> {
    let (mut in_use, roots) = timeout(&*core.world.clock, SIGNING_HOLD, signing(core))
        .await
        .unwrap_or_else(|_| Err(core.ca.not_ready("signing is closed while the root is changed")))?;
    let active = roots.active().ok_or_else(|| RpcError::CaNotReady("no root is active".to_owned()))?;
    if active.not_after <= issue.now || issue.now < active.not_before {
        core.ca.look.notify_one();
    }
    if active.not_after <= issue.now {
        return Err(RpcError::CaNotReady("the active root has expired; rotate it".to_owned()));
    }
    if issue.now < active.not_before {
        let text = "the active root is not valid yet by the clock of this server: compare its clock, or rotate the root";
        return Err(RpcError::CaNotReady(text.to_owned()));
    }
    let own = in_use.as_mut().ok_or_else(|| core.ca.not_ready("no provider signs"))?;
    if let Some(end) = core.ca.signed.lock().get_mut(&own.root) {
        *end = (*end).max(Some(issue.now.plus(own.provider.settings().life.leaf)));
    }
    sign(Signing { provider: &mut own.provider, active }, issue).map_err(|error| provider_error(&error))
}

/// The provider, as soon as it is that of the active root.
async fn signing(core: &Core) -> Result<(MutexGuard<'_, Option<InUse>>, std::sync::Arc<CaRoots>), RpcError> {
    let mut moved = core.ca.moved.subscribe();
    loop {
        moved.borrow_and_update();
        let in_use = core.ca.provider.lock().await;
        let roots = core.view().read().ca_roots();
        if let (Some(own), Some(roots)) = (&*in_use, roots) {
            let own = own.provider.active_leaf_signing_cert().map_err(|error| provider_error(&error))?;
            if may_sign(&own, &roots) {
                return Ok((in_use, roots));
            }
        }
        drop(in_use);
        if core.ca.trouble.lock().is_some() {
            return Err(core.ca.not_ready(""));
        }
        // The sender lives as long as the server: the wait cannot fail.
        let _ = moved.changed().await;
    }
}

/// Time and serial number for one certificate.
async fn issue(core: &Core) -> Result<Issue, RpcError> {
    issue_at(core).await.map(|(issue, _)| issue)
}

/// The same, with the index of the log entry that recorded it.
pub(crate) async fn issue_at(core: &Core) -> Result<(Issue, u64), RpcError> {
    let (reply, index) = core.write(AllocateSerials { count: 1 }).await?;
    match reply {
        Reply::Serials { first, .. } => {
            let serial =
                Serial::from_counter(first).map_err(|error| RpcError::Internal(error.to_string()))?;
            Ok((Issue { now: core.now(), serial }, index))
        }
        other => Err(crate::endpoint::acl::unexpected(&other)),
    }
}

fn provider_error(error: &ProviderError) -> RpcError {
    match error {
        ProviderError::Unavailable(_) => RpcError::NotAvailable(error.to_string()),
        ProviderError::RootCert(_)
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
