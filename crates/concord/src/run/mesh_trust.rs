//! Whom a proxy trusts at the agent's gRPC port when the agent presents the certificate that its mesh has signed.
//!
//! The mesh's authority signs services, too. So the name in the certificate is demanded always: it is one that no
//! service gets.

use concord_api::agent::AgentSelf;
use concord_client::{Client, QueryOptions};
use concord_model::sni;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::cli::Failure;

/// Where an agent says, within its `DebugConfig`, who signed its certificate for gRPC.
pub(super) const SIGNER_KEY: &str = "GRPCTLSCertificate";
/// The mesh signed it.
pub(super) const BY_MESH: &str = "mesh";

/// The authority of the mesh, and the name of its servers.
#[derive(Debug)]
pub(super) struct MeshTrust {
    pub(super) authorities: Vec<CertificateDer<'static>>,
    pub(super) name: String,
}

impl MeshTrust {
    /// Asks for the roots. `None`: the agent's certificate comes from its configuration, or there is none.
    pub(super) async fn of(about: &AgentSelf, client: &Client) -> Result<Option<Self>, Failure> {
        let signer = about.debug_config.get(SIGNER_KEY).and_then(serde_json::Value::as_str);
        if signer != Some(BY_MESH) {
            return Ok(None);
        }
        let asked = client.connect_roots(&QueryOptions::default()).await;
        let roots = asked.map_err(Failure::api("ask the agent for the mesh's roots"))?.value;
        let mut authorities = Vec::new();
        for root in &roots.roots {
            for found in CertificateDer::pem_slice_iter(root.root_cert.as_bytes()) {
                authorities.push(found.map_err(|error| {
                    Failure::input(format!("the agent tells a root that cannot be read: {error}"))
                })?);
            }
        }
        let name = sni::servers(&about.config.datacenter, &roots.trust_domain);
        Ok(Some(Self { authorities, name }))
    }
}
