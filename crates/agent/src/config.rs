//! The agent's section of the configuration, as the program passes it in.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use concord_ca::seal::Kek;
use concord_config::section::{
    AclSection, CheckSection, Definitions, ProxySection, QuerySection, Role, XdsSection,
};
use concord_mesh::intention::DefaultPolicy as IntentionDefault;
use concord_model::catalog::{Locality, Node, NodeScope};
use concord_model::intention::Action;
use concord_model::{Datacenter, NodeName, Secret, Stamp, Uuid};
use serde_json::Value;

use crate::limits::{CACHE_BYTES, SYNC_INTERVAL};

/// The settings of an agent.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// The node's name.
    pub node: NodeName,
    /// The node's permanent id.
    pub node_id: Option<Uuid>,
    /// The node's datacenter.
    pub datacenter: Datacenter,
    /// The datacenter that decides about intentions, entries and tokens. `None`: the agent's own.
    pub primary_datacenter: Option<Datacenter>,
    /// The node's address for other nodes.
    pub address: String,
    /// Further addresses of the node.
    pub tagged_addresses: BTreeMap<String, String>,
    /// The node's metadata.
    pub meta: BTreeMap<String, String>,
    /// The node's locality.
    pub locality: Option<Locality>,
    /// How callers are authorised, and the agent's own tokens, until others are set.
    pub acl: AclSection,
    /// Keys that encrypt the agent's files. Without a key nothing can be stored.
    pub keks: Vec<Kek>,
    /// Ports for sidecars whose definition names none.
    pub sidecar_ports: RangeInclusive<u16>,
    /// Ports at which proxies expose the checks of their services.
    pub expose_ports: RangeInclusive<u16>,
    /// Services and checks from configuration files.
    pub definitions: Definitions,
    /// Settings of all checks.
    pub check_settings: CheckSection,
    /// Settings of all proxies.
    pub proxies: ProxySection,
    /// How often proxies are told of changes.
    pub xds: XdsSection,
    /// PEM file with the authorities that sign the certificates of check targets. `None`: the system's.
    pub check_authorities: Option<PathBuf>,
    /// Time between full comparisons with the catalog.
    pub sync_interval: Duration,
    /// How long blocking reads wait.
    pub queries: QuerySection,
    /// Limit of the cache in bytes.
    pub cache_bytes: usize,
    /// Development mode: random waits are short (D26).
    pub dev: bool,
    /// What the agent reports about itself.
    pub about: About,
}

/// What the agent reports at `agent/self` and `agent/members`.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The version of Consul that it is compatible with.
    pub version: String,
    /// Revision of the source it was built from.
    pub revision: String,
    /// When it was built.
    pub build_date: String,
    /// What it is besides an agent.
    pub role: Role,
    /// Port of gRPC without TLS; -1 if disabled.
    pub grpc_port: i32,
    /// Port of gRPC with TLS; -1 if disabled.
    pub grpc_tls_port: i32,
    /// Port of the gossip pool.
    pub serf_port: u16,
    /// Port of the servers.
    pub server_port: u16,
    /// Supported versions of Envoy, newest first; empty while there are none.
    pub envoy_versions: Vec<String>,
    /// The resolved configuration, without secrets.
    pub debug_config: BTreeMap<String, Value>,
}

impl AgentConfig {
    /// An agent with Consul's defaults.
    pub fn new(node: NodeName, datacenter: Datacenter, address: String) -> Self {
        Self {
            node,
            node_id: None,
            datacenter,
            primary_datacenter: None,
            address,
            tagged_addresses: BTreeMap::new(),
            meta: BTreeMap::new(),
            locality: None,
            acl: AclSection::default(),
            keks: Vec::new(),
            sidecar_ports: 21_000..=21_255,
            expose_ports: 21_500..=21_755,
            definitions: Definitions::default(),
            check_settings: CheckSection::default(),
            proxies: ProxySection::default(),
            xds: XdsSection::default(),
            check_authorities: None,
            sync_interval: SYNC_INTERVAL,
            queries: QuerySection::default(),
            cache_bytes: CACHE_BYTES,
            dev: false,
            about: About::default(),
        }
    }

    /// The token for requests about the node itself and for removals.
    pub(crate) fn node_token(&self) -> Option<&Secret> {
        self.acl.tokens.agent.as_ref().or(self.acl.tokens.default.as_ref())
    }

    /// The node as the catalog should have it.
    pub(crate) fn node_record(&self) -> Node {
        Node {
            scope: NodeScope::default(),
            name: self.node.clone(),
            id: self.node_id,
            address: self.address.clone(),
            datacenter: self.datacenter.clone(),
            tagged_addresses: self.tagged_addresses.clone(),
            meta: self.meta.clone(),
            locality: self.locality.clone(),
            stamp: Stamp::default(),
        }
    }

    /// How long a token is kept. It is resolved together with its policies, so the shortest of these times counts.
    pub fn token_ttl(&self) -> Duration {
        let AclSection { token_ttl, policy_ttl, role_ttl, .. } = self.acl;
        token_ttl.min(policy_ttl).min(role_ttl)
    }

    /// The decision about connections that no intention matches.
    pub fn intention_default(&self) -> IntentionDefault {
        let acl = if self.acl.enabled { self.acl.default_policy } else { Action::Allow };
        IntentionDefault::resolve(self.acl.default_intention_policy, acl)
    }
}
