//! Roots, CA configuration, signatures.

use concord_acl::{Labelled, Level, Right};
use concord_ca::Csr;
use concord_ca::csr::{IdentityKind, ScopeRefusal, SigningScope, check_csr_for};
use concord_ca::provider::LeafRequest;
use concord_ca::rotation::public_state;
use concord_model::ca::{CaConfig, CaRoots, LeafCertificate};
use concord_model::{Namespace, Partition, Stamp};
use concord_rpc::request::{ReadCaConfig, ReadCaRoots, SetCaConfig, SignLeaf};
use concord_rpc::{Answer, Head, Request, RpcError};
use concord_runtime::timeout;

use crate::ca;
use crate::ca::signing::{self, Signed};
use crate::limits::FIRST_ROOT_HOLD;
use crate::paths::Core;

impl Core {
    pub(crate) async fn read_ca_roots(
        &self,
        head: &Head,
        request: ReadCaRoots,
    ) -> Result<Answer<CaRoots>, RpcError> {
        self.ca_enabled()?;
        // A new cluster has its first root a moment after it serves.
        let first = timeout(&*self.world.clock, FIRST_ROOT_HOLD, self.first_root()).await;
        first.unwrap_or(Ok(()))?;
        self.read(head, &request.need(), |eval| {
            let roots = eval.reader.ca_roots();
            roots
                .map(|roots| (*roots).clone())
                .ok_or_else(|| RpcError::CaNotReady("it has no root yet".to_owned()))
        })
        .await
    }

    /// Completes once there is a root.
    async fn first_root(&self) -> Result<(), RpcError> {
        loop {
            let mut reader = self.view().read();
            if reader.ca_roots().is_some() {
                return Ok(());
            }
            let read = reader.finish();
            let keys = read.keys().cloned().collect();
            let waiter =
                self.published.hub.register(keys).map_err(|error| RpcError::Busy(error.to_string()))?;
            if read.holds_in(&self.view()) {
                tokio::select! {
                    biased;
                    () = self.scope.cancelled() => return Err(RpcError::ShuttingDown),
                    () = waiter.woken() => {}
                }
            }
        }
    }

    pub(crate) async fn read_ca_config(
        &self,
        head: &Head,
        request: ReadCaConfig,
    ) -> Result<Answer<CaConfig>, RpcError> {
        self.ca_enabled()?;
        self.read(head, &request.need(), |eval| {
            let config = eval.reader.ca_config();
            config
                .map(|config| CaConfig { state: public_state(&config), ..(*config).clone() })
                .ok_or_else(|| RpcError::CaNotReady("it has not been initialised".to_owned()))
        })
        .await
    }

    pub(crate) async fn set_ca_config(
        &self,
        head: &Head,
        request: SetCaConfig,
    ) -> Result<Answer<()>, RpcError> {
        self.ca_enabled()?;
        self.authorise(head, &request.need()).await?;
        let SetCaConfig {
            provider,
            settings,
            state,
            force_without_cross_signing: without_cross_signing,
            force_without_oldest_root: without_oldest_root,
        } = request;
        let force = ca::Force { without_cross_signing, without_oldest_root };
        let index = ca::change(self, &provider, &settings, &state, force).await?;
        Ok(self.written((), index))
    }

    /// Signs for the identity the CSR names, if the caller may be it. Of the CSR only the identity
    /// and the public key are used; everything else of the leaf is ours.
    pub(crate) async fn sign_leaf(
        &self,
        head: &Head,
        request: SignLeaf,
    ) -> Result<Answer<LeafCertificate>, RpcError> {
        self.ca_enabled()?;
        let caller = self.authorise(head, &request.need()).await?;
        let csr = Csr::parse(&request.csr).map_err(|refusal| RpcError::Invalid(refusal.to_string()))?;
        let trust_domain = self.trust_domain()?;
        let scope = SigningScope {
            kinds: &[IdentityKind::Service],
            trust_domain: &trust_domain,
            datacenter: &self.config.datacenter,
            partition: &Partition::default(),
            namespace: &Namespace::default(),
        };
        check_csr_for(&csr, &scope).map_err(|refusal| match refusal {
            ScopeRefusal::TrustDomain(_) | ScopeRefusal::Datacenter(_) => {
                RpcError::Invalid(refusal.to_string())
            }
            ScopeRefusal::Kind(_) | ScopeRefusal::Partition(_) | ScopeRefusal::Namespace(_) => {
                RpcError::Denied(format!("Permission denied: {refusal}"))
            }
        })?;
        let service =
            csr.identity.service().ok_or_else(|| RpcError::Denied("Permission denied".to_owned()))?;
        caller.require(&Right::named(Labelled::Service, service.service.as_str(), Level::Write))?;
        let _admitted = signing::admit(self).await?;
        let (issue, index) = signing::issue_at(self).await?;
        let request = LeafRequest {
            identity: &csr.identity,
            dns_names: &[],
            addresses: &[],
            public_key: &csr.public_key,
        };
        let Signed { leaf, chain_pem } = signing::sign(self, request, &issue).await?;
        let leaf = LeafCertificate {
            serial: leaf.serial_text(),
            cert_pem: chain_pem,
            uri: csr.identity.to_string(),
            valid_after: leaf.not_before(),
            valid_before: leaf.not_after(),
            authority_key_id: leaf.authority_key_id_text(),
            stamp: Stamp { create: index, modify: index },
        };
        Ok(self.written(leaf, index))
    }

    fn trust_domain(&self) -> Result<concord_model::TrustDomain, RpcError> {
        let id = self.cluster_id().ok_or_else(|| RpcError::CaNotReady("no cluster id".to_owned()))?;
        Ok(concord_model::TrustDomain::of_cluster(id))
    }

    fn ca_enabled(&self) -> Result<(), RpcError> {
        if self.config.ca.enabled {
            Ok(())
        } else {
            Err(RpcError::Invalid("Connect must be enabled in order to use this endpoint".to_owned()))
        }
    }
}
