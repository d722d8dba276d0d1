//! Leaf certificates: signed by the provider of the active root, within the configured limits, several in parallel.

use std::sync::Arc;

use concord_ca::Certificate;
use concord_ca::limiter::Admission;
use concord_ca::limits::CSR_WAIT_MAX;
use concord_ca::provider::{Issue, LeafRequest, ProviderError, Unreachable, chain_pem};
use concord_ca::rotation::may_sign;
use concord_ca::x509::build::Serial;
use concord_model::Stamp;
use concord_model::ca::{CaRoot, CaRoots, LeafCertificate};
use concord_rpc::RpcError;
use concord_runtime::timeout;
use concord_state::CommandReply;
use concord_state::command::AllocateSerials;

use super::Authority;
use super::call::{Patience, patiently, provider_error};
use super::host::{CaHost, InUse};
use crate::limits::{SIGNING_HOLD, SIGNING_TIME};
use crate::log::Log;

/// Permission for one signature. Dropping it frees its place within the limits.
#[derive(Debug)]
struct Admitted<'a> {
    host: &'a CaHost,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.host.limiter.lock().leave();
        self.host.freed.notify_one();
    }
}

/// Waits for permission within the configured limits, or returns an error.
async fn admit(authority: Authority<'_>) -> Result<Admitted<'_>, RpcError> {
    let host = authority.host;
    let _place = host.waiting.try_acquire().map_err(|_| RpcError::RateLimited)?;
    let clock = &authority.world.clock;
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

/// A leaf certificate, as it is returned.
#[derive(Debug)]
struct Signed {
    leaf: Certificate,
    /// The leaf and its intermediates.
    chain_pem: String,
}

/// Issues a leaf within the configured limits. The caller has authorised the identity and its names.
pub(crate) async fn issue(
    authority: Authority<'_>,
    request: LeafRequest<'_>,
) -> Result<LeafCertificate, RpcError> {
    let uri = request.identity.to_string();
    let _admitted = admit(authority).await?;
    let (issue, index) = issue_at(authority.log).await?;
    let Signed { leaf, chain_pem } = sign(authority, request, &issue).await?;
    Ok(LeafCertificate {
        serial: leaf.serial_text(),
        cert_pem: chain_pem,
        uri,
        valid_after: leaf.not_before(),
        valid_before: leaf.not_after(),
        authority_key_id: leaf.authority_key_id_text(),
        stamp: Stamp { create: index, modify: index },
    })
}

/// Lets the provider of the active root sign a leaf. Waits a short time while roots change. Fails when this server no
/// longer leads.
async fn sign(authority: Authority<'_>, request: LeafRequest<'_>, issue: &Issue) -> Result<Signed, RpcError> {
    let mut leading = authority.duties.watch();
    let signed = timeout(&*authority.world.clock, SIGNING_TIME, signed(authority, request, issue));
    tokio::select! {
        biased;
        () = authority.scope.cancelled() => Err(RpcError::ShuttingDown),
        _ = leading.wait_for(|leads| !*leads) => Err(RpcError::NoLeader),
        signed = signed => signed.unwrap_or_else(|_| {
            Err(provider_error(&ProviderError::Unreachable(Unreachable::NoAnswer)))
        }),
    }
}

async fn signed(
    authority: Authority<'_>,
    request: LeafRequest<'_>,
    issue: &Issue,
) -> Result<Signed, RpcError> {
    loop {
        let (own, roots) =
            timeout(&*authority.world.clock, SIGNING_HOLD, signing(authority)).await.unwrap_or_else(
                |_| Err(authority.host.not_ready("signing is closed while the root is changed")),
            )?;
        let active = valid(authority, &roots, issue)?;
        authority.host.signs_until(&own.root, issue.now.plus(own.leaf_life));
        let call = async {
            let _place = authority.host.signatures.acquire().await.expect("the semaphore is never closed");
            patiently(authority.world, Patience::LEAF, || own.provider.sign(request, issue.clone())).await
        };
        let leaf = tokio::select! {
            biased;
            signed = call => signed.map_err(|error| provider_error(&error))?,
            // Another provider signs now, or none: start again.
            () = replaced(authority, &own) => continue,
        };
        // The lifetime of leaf certificates may have been changed in the meantime, so record the actual end.
        authority.host.signs_until(&own.root, leaf.not_after());
        if authority
            .log
            .view()
            .read()
            .ca_roots()
            .is_some_and(|now| Arc::ptr_eq(&now, &roots) || signs(&own, &now))
        {
            return Ok(Signed { chain_pem: chain_pem(&leaf, active), leaf });
        }
    }
}

/// The active root, if it is valid now.
fn valid<'a>(authority: Authority<'_>, roots: &'a CaRoots, issue: &Issue) -> Result<&'a CaRoot, RpcError> {
    let active = roots.active().ok_or_else(|| RpcError::CaNotReady("no root is active".to_owned()))?;
    let refused = if active.not_after <= issue.now {
        "the active root has expired; rotate it"
    } else if issue.now < active.not_before {
        "the active root is not valid yet by the clock of this server: compare its clock, or rotate the root"
    } else {
        return Ok(active);
    };
    authority.host.look.notify_one();
    Err(RpcError::CaNotReady(refused.to_owned()))
}

/// The provider, once it belongs to the active root.
async fn signing(authority: Authority<'_>) -> Result<(Arc<InUse>, Arc<CaRoots>), RpcError> {
    let mut slot = authority.host.slot.subscribe();
    loop {
        let now = slot.borrow_and_update().clone();
        let roots = authority.log.view().read().ca_roots();
        if let (Some(own), Some(roots)) = (now.in_use, roots)
            && signs(&own, &roots)
        {
            return Ok((own, roots));
        }
        if let Some(trouble) = now.trouble {
            return Err(RpcError::CaNotReady(trouble));
        }
        // The sender lives as long as the server, so the wait cannot fail.
        let _ = slot.changed().await;
    }
}

fn signs(own: &InUse, roots: &CaRoots) -> bool {
    own.provider.chain().is_some_and(|chain| may_sign(chain.signing(), roots))
}

/// Completes once another provider signs, or none.
async fn replaced(authority: Authority<'_>, own: &InUse) {
    let is_another =
        |now: &Option<Arc<InUse>>| now.as_ref().is_none_or(|now| !Arc::ptr_eq(&now.provider, &own.provider));
    // The sender lives as long as the server, so the wait cannot fail.
    let _ = authority.host.slot.subscribe().wait_for(|slot| is_another(&slot.in_use)).await;
}

/// Time and serial number for one certificate, and the index of the log entry that recorded them.
pub(crate) async fn issue_at(log: &Log) -> Result<(Issue, u64), RpcError> {
    let (reply, index) = log.write(AllocateSerials { count: 1 }).await?;
    match reply {
        CommandReply::Serials { first, .. } => {
            let serial =
                Serial::from_counter(first).map_err(|error| RpcError::Internal(error.to_string()))?;
            Ok((Issue { now: log.now(), serial }, index))
        }
        other => Err(crate::endpoint::acl::unexpected(&other)),
    }
}
