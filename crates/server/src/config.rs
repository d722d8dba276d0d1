//! What a server is told at its start.

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
    /// The node it runs on.
    pub node: NodeName,
    /// That node's lasting id.
    pub node_id: Uuid,
    /// Address at which others reach the node.
    pub address: String,
    /// Port for other servers, as shown in `status` and the service `consul`.
    pub server_port: u16,
    /// Metadata of the service `consul`.
    pub server_meta: BTreeMap<String, String>,
    /// The datacenter.
    pub datacenter: Datacenter,
    /// What may change while it runs.
    pub live: LiveSettings,
    /// How ACLs are set up.
    pub acl: AclSettings,
    /// Secret of the management token every new cluster begins with.
    pub initial_management: Option<Secret>,
    /// What holds between services that no intention is about.
    pub intention_default: IntentionDefault,
    /// How the certificate authority begins.
    pub ca: CaStart,
    /// Keys that seal what must not lie in the log in clear; the first seals, all open.
    pub keks: Vec<Kek>,
    /// Makes and uses private keys.
    pub keys: Arc<dyn KeyMaker>,
    /// Does the work of the certificate authority that keeps a processor busy: [`Aside`](crate::Aside) in the program.
    pub workers: Arc<dyn Workers>,
    /// How long a blocking query waits if the caller does not say.
    pub default_query_time: Duration,
    /// How long a blocking query may wait.
    pub max_query_time: Duration,
}

impl std::fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerConfig").field("node", &self.node).finish_non_exhaustive()
    }
}

/// How the certificate authority of a new cluster begins.
#[derive(Clone, Debug)]
pub struct CaStart {
    /// Whether there is one at all (`connect.enabled`).
    pub enabled: bool,
    /// The kinds of providers there are.
    pub kinds: Kinds,
    /// The kind of provider.
    pub provider: String,
    /// Its settings.
    pub settings: Settings,
    /// The cluster's identity, if it is to be a given one.
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
