//! The settings that a server starts with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use concord_ca::KeyMaker;
use concord_ca::provider::{Kinds, Workers};
use concord_ca::seal::Kek;
use concord_mesh::intention::DefaultPolicy as IntentionDefault;
use concord_model::proxy::Settings;
use concord_model::{Datacenter, NodeName, Secret, Uuid};

use crate::caller::AclSettings;
use crate::limits;
use crate::live::LiveSettings;

/// Settings of a server.
#[derive(Clone)]
pub struct ServerConfig {
    /// Name of the server's node.
    pub node: NodeName,
    /// The permanent id of that node.
    pub node_id: Uuid,
    /// Address at which others reach the node.
    pub address: String,
    /// Port for other servers, as shown in `status` and the service `consul`.
    pub server_port: u16,
    /// Metadata of the service `consul`.
    pub server_meta: BTreeMap<String, String>,
    /// The datacenter.
    pub datacenter: Datacenter,
    /// Settings that a reload may change.
    pub live: LiveSettings,
    /// The ACL settings.
    pub acl: AclSettings,
    /// Secret of the management token that every new cluster starts with.
    pub initial_management: Option<Secret>,
    /// The decision about a connection that no intention matches.
    pub intention_default: IntentionDefault,
    /// How the certificate authority of a new cluster starts.
    pub ca: CaStart,
    /// Keys that encrypt secrets in the log. The first one encrypts; all can decrypt.
    pub keks: Vec<Kek>,
    /// Creates and uses private keys.
    pub keys: Arc<dyn KeyMaker>,
    /// Runs what takes long: work of the certificate authority, and studies. The program uses [`Aside`](crate::Aside).
    pub workers: Arc<dyn Workers>,
    /// How long a blocking query waits by default.
    pub default_query_time: Duration,
    /// How long a blocking query may wait.
    pub max_query_time: Duration,
}

impl std::fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerConfig").field("node", &self.node).finish_non_exhaustive()
    }
}

/// How the certificate authority of a new cluster starts.
#[derive(Clone, Debug)]
pub struct CaStart {
    /// Whether there is a certificate authority (`connect.enabled`).
    pub enabled: bool,
    /// The known kinds of providers.
    pub kinds: Kinds,
    /// The kind of provider.
    pub provider: String,
    /// Its settings.
    pub settings: Settings,
    /// The cluster id, if the operator chose one.
    pub cluster_id: Option<Uuid>,
}

impl Default for CaStart {
    fn default() -> Self {
        let kinds = Kinds::default();
        let provider = kinds.default_kind().name().to_owned();
        Self { enabled: true, kinds, provider, settings: Settings::default(), cluster_id: None }
    }
}

impl ServerConfig {
    /// Query times as Consul has them.
    pub const QUERY_TIMES: (Duration, Duration) = (limits::DEFAULT_QUERY_TIME, limits::MAX_QUERY_TIME);
}
