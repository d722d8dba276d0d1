//! Root certificates, CA configuration, leaf signatures.

use concord_acl::{Labelled, Level, Right};
use concord_ca::Csr;
use concord_ca::csr::{IdentityKind, ScopeRefusal, SigningScope, check_csr_for};
use concord_ca::provider::LeafRequest;
use concord_ca::rotation::public_state;
use concord_model::ca::{CaConfig, CaRoots, LeafCertificate};
use concord_model::{Namespace, Partition};
use concord_rpc::request::{ReadCaConfig, ReadCaRoots, SetCaConfig, SignLeaf};
use concord_rpc::{Answer, RpcError};
use concord_runtime::timeout;

use crate::ca;
use crate::ca::signing;
use crate::limits::FIRST_ROOT_HOLD;
use crate::parts::Core;
use crate::reading::Reading;
use crate::writing::Writing;

pub(crate) fn read_ca_roots(reading: &mut Reading<'_>, _: &ReadCaRoots) -> Result<CaRoots, RpcError> {
    let roots = reading.reader.ca_roots();
    let roots = roots.ok_or_else(|| RpcError::CaNotReady("it has no root yet".to_owned()))?;
    Ok((*roots).clone())
}

/// Waits a short time for the first root: a new cluster gets it a moment after it begins to serve.
pub(crate) async fn await_first_root(core: &Core) -> Result<(), RpcError> {
    timeout(&*core.world.clock, FIRST_ROOT_HOLD, first_root(core)).await.unwrap_or(Ok(()))
}

async fn first_root(core: &Core) -> Result<(), RpcError> {
    loop {
        let mut reader = core.log.view().read();
        if reader.ca_roots().is_some() {
            return Ok(());
        }
        let read = reader.finish();
        let waiter = core.log.published.hub.register(read.keys().cloned().collect());
        let waiter = waiter.map_err(|error| RpcError::Busy(error.to_string()))?;
        if read.holds_in(&core.log.view()) {
            tokio::select! {
                biased;
                () = core.scope.cancelled() => return Err(RpcError::ShuttingDown),
                () = waiter.woken() => {}
            }
        }
    }
}

pub(crate) fn read_ca_config(reading: &mut Reading<'_>, _: &ReadCaConfig) -> Result<CaConfig, RpcError> {
    let config = reading.reader.ca_config();
    config
        .map(|config| CaConfig { state: public_state(&config), ..(*config).clone() })
        .ok_or_else(|| RpcError::CaNotReady("it has not been initialised".to_owned()))
}

pub(crate) async fn set_ca_config(
    writing: Writing<'_>,
    request: SetCaConfig,
) -> Result<Answer<()>, RpcError> {
    let SetCaConfig {
        provider,
        settings,
        state,
        force_without_cross_signing: without_cross_signing,
        force_without_oldest_root: without_oldest_root,
    } = request;
    let force = ca::Force { without_cross_signing, without_oldest_root };
    let index = ca::change(writing.authority(), &provider, &settings, &state, force).await?;
    Ok(writing.log.written((), index))
}

/// Signs a leaf for the identity in the CSR, if the caller has the right to it. Only the identity and the public key
/// are taken from the CSR; the server sets everything else.
pub(crate) async fn sign_leaf(
    writing: Writing<'_>,
    request: SignLeaf,
) -> Result<Answer<LeafCertificate>, RpcError> {
    let csr = Csr::parse(&request.csr).map_err(|refusal| RpcError::Invalid(refusal.to_string()))?;
    let trust_domain = trust_domain(writing)?;
    let scope = SigningScope {
        kinds: &[IdentityKind::Service],
        trust_domain: &trust_domain,
        datacenter: &writing.config.datacenter,
        partition: &Partition::default(),
        namespace: &Namespace::default(),
    };
    check_csr_for(&csr, &scope).map_err(|refusal| match refusal {
        ScopeRefusal::TrustDomain(_) | ScopeRefusal::Datacenter(_) => RpcError::Invalid(refusal.to_string()),
        ScopeRefusal::Kind(_) | ScopeRefusal::Partition(_) | ScopeRefusal::Namespace(_) => {
            RpcError::Denied(format!("Permission denied: {refusal}"))
        }
    })?;
    let service = csr.identity.service().ok_or_else(|| RpcError::Denied("Permission denied".to_owned()))?;
    writing.caller.require(&Right::named(Labelled::Service, service.service.as_str(), Level::Write))?;
    let request =
        LeafRequest { identity: &csr.identity, dns_names: &[], addresses: &[], public_key: &csr.public_key };
    let leaf = signing::issue(writing.authority(), request).await?;
    let index = leaf.stamp.modify;
    Ok(writing.log.written(leaf, index))
}

fn trust_domain(writing: Writing<'_>) -> Result<concord_model::TrustDomain, RpcError> {
    let id = writing.log.cluster_id().ok_or_else(|| RpcError::CaNotReady("no cluster id".to_owned()))?;
    Ok(concord_model::TrustDomain::of_cluster(id))
}
