//! The status of a proxy.

use std::collections::BTreeMap;

use concord_model::Timestamp;
use concord_rpc::RpcError;

/// The status of a proxy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProxyStatus {
    /// Version of the current snapshot; 0: none yet.
    pub version: u64,
    /// Whether it should accept connections from the mesh. A proxy that only calls has no public listener.
    pub takes_connections: bool,
    /// Address of the public listener.
    pub public: Option<String>,
    /// Addresses of the upstream listeners.
    pub upstreams: BTreeMap<String, String>,
    /// Key id of the certificate that signed its leaf.
    pub leaf_authority: Option<String>,
    /// Last second of its leaf's life.
    pub leaf_until: Option<Timestamp>,
    /// Whether it is attached to an agent.
    pub attached: bool,
    /// Why it is not attached, if so.
    pub turned_away: Option<RpcError>,
}

impl ProxyStatus {
    /// Whether it serves: it has a configuration and a certificate.
    pub fn is_ready(&self) -> bool {
        let listens = self.public.is_some() || !self.takes_connections;
        self.version > 0 && listens && self.leaf_authority.is_some()
    }
}
