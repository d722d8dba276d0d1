//! The agent's section of the configuration, as the binary hands it over.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use concord_acl::DefaultPolicy;
use concord_api::definition::{CheckDefinition, ServiceDefinition};
use concord_ca::seal::Kek;
use concord_mesh::intention::DefaultPolicy as IntentionDefault;
use concord_model::catalog::{Locality, Node, NodeScope};
use concord_model::intention::Action;
use concord_model::{Datacenter, NodeName, Secret, Stamp, Uuid};
use serde_json::Value;

use crate::limits::{
    CACHE_BYTES, CHECK_OUTPUT_BYTES_MAX, CHECK_UPDATE_INTERVAL, SYNC_INTERVAL, TOKEN_TTL, WAIT_DEFAULT,
    WAIT_MAX,
};

/// How an agent is set up.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// The node's name.
    pub node: NodeName,
    /// The node's lasting id.
    pub node_id: Option<Uuid>,
    /// The node's datacenter.
    pub datacenter: Datacenter,
    /// The datacenter that decides on intentions, entries and tokens; `None`: the agent's own.
    pub primary_datacenter: Option<Datacenter>,
    /// The address the node is reached at.
    pub address: String,
    /// Further addresses of the node.
    pub tagged_addresses: BTreeMap<String, String>,
    /// The node's metadata.
    pub meta: BTreeMap<String, String>,
    /// Where the node stands.
    pub locality: Option<Locality>,
    /// How callers are judged.
    pub acl: AclConfig,
    /// The tokens the agent uses itself, until they are set to others.
    pub tokens: AgentTokens,
    /// Whether tokens set while the agent runs outlive a restart.
    pub token_persistence: bool,
    /// The keys that what is kept on the disk is sealed with; without one nothing can be kept.
    pub keks: Vec<Kek>,
    /// What decides where no intention does; `None`: the ACLs' default.
    pub default_intention_policy: Option<Action>,
    /// Ports sidecars get where their definition names none.
    pub sidecar_ports: RangeInclusive<u16>,
    /// Services from configuration files.
    pub services: Vec<ServiceDefinition>,
    /// Checks from configuration files.
    pub checks: Vec<CheckDefinition>,
    /// How long output alone may lag behind in the catalog; zero: not at all.
    pub check_update_interval: Duration,
    /// Bytes of output kept of a check.
    pub check_output_bytes_max: usize,
    /// Keep no output of checks at all.
    pub discard_check_output: bool,
    /// Whose checks may run programs.
    pub script_checks: ScriptChecks,
    /// PEM file with the authorities that the certificates of checks' targets are verified by; `None`: the system's.
    pub check_authorities: Option<PathBuf>,
    /// Time between full comparisons with the catalog.
    pub sync_interval: Duration,
    /// How long a blocking read waits that names no time.
    pub default_query_time: Duration,
    /// How long a blocking read may wait.
    pub max_query_time: Duration,
    /// Bytes of cached answers.
    pub cache_bytes: usize,
    /// Development mode: nothing waits long at random (D26).
    pub dev: bool,
    /// What the agent tells about itself.
    pub about: About,
}

/// Whose checks may run programs on this machine.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ScriptChecks {
    /// Nobody's.
    #[default]
    Refused,
    /// Those of configuration files.
    FromFiles,
    /// Those registered over the API, too: whoever may register there runs programs here.
    FromAnywhere,
}

/// How callers are judged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AclConfig {
    /// Whether tokens are asked for at all.
    pub enabled: bool,
    /// What holds where no rule speaks.
    pub default_policy: DefaultPolicy,
    /// How long a resolved token is believed.
    pub token_ttl: Duration,
    /// What holds while no server resolves tokens.
    pub down_policy: DownPolicy,
}

/// What holds while no server resolves tokens. There is none that opens: who cannot be judged is refused.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DownPolicy {
    /// Nothing beyond the time a token is believed for.
    Deny,
    /// What was resolved last.
    #[default]
    ExtendCache,
    /// The same; and what is believed no more is asked for while the caller goes on with it.
    AsyncCache,
}

/// The tokens the agent uses itself.
#[derive(Clone, Debug, Default)]
pub struct AgentTokens {
    /// For requests without a token, and for services that have none of their own.
    pub default: Option<Secret>,
    /// For the node itself and for what is removed; the default one if there is none.
    pub agent: Option<Secret>,
    /// For services from configuration files that have none of their own.
    pub config_file_service_registration: Option<Secret>,
}

/// What the agent tells about itself at `agent/self` and `agent/members`.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The level of Consul it is compatible with.
    pub version: String,
    /// Revision of the source it was built from.
    pub revision: String,
    /// When it was built.
    pub build_date: String,
    /// Whether it is a server.
    pub server: bool,
    /// Whether it was started as the only server to expect.
    pub bootstrap: bool,
    /// Port of gRPC without TLS; -1 if off.
    pub grpc_port: i32,
    /// Port of gRPC with TLS; -1 if off.
    pub grpc_tls_port: i32,
    /// Port of the gossip pool.
    pub serf_port: u16,
    /// Port of the servers.
    pub server_port: u16,
    /// Versions of Envoy that can be served, newest first; empty while none can.
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
            acl: AclConfig::default(),
            tokens: AgentTokens::default(),
            token_persistence: false,
            keks: Vec::new(),
            default_intention_policy: None,
            sidecar_ports: 21_000..=21_255,
            services: Vec::new(),
            checks: Vec::new(),
            check_update_interval: CHECK_UPDATE_INTERVAL,
            check_output_bytes_max: CHECK_OUTPUT_BYTES_MAX,
            discard_check_output: false,
            script_checks: ScriptChecks::default(),
            check_authorities: None,
            sync_interval: SYNC_INTERVAL,
            default_query_time: WAIT_DEFAULT,
            max_query_time: WAIT_MAX,
            cache_bytes: CACHE_BYTES,
            dev: false,
            about: About::default(),
        }
    }

    /// The node as it should stand in the catalog.
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

    /// What decides about connections no intention speaks about.
    pub fn intention_default(&self) -> IntentionDefault {
        let allows = !self.acl.enabled || self.acl.default_policy == DefaultPolicy::Allow;
        let acl = if allows { Action::Allow } else { Action::Deny };
        IntentionDefault::resolve(self.default_intention_policy, acl)
    }
}

impl Default for AclConfig {
    /// ACLs are off, as in Consul.
    fn default() -> Self {
        Self {
            enabled: false,
            default_policy: DefaultPolicy::Allow,
            token_ttl: TOKEN_TTL,
            down_policy: DownPolicy::default(),
        }
    }
}

impl DownPolicy {
    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::ExtendCache => "extend-cache",
            Self::AsyncCache => "async-cache",
        }
    }
}

impl AgentTokens {
    /// The token for the node itself and for removals.
    pub(crate) fn for_node(&self) -> Option<&Secret> {
        self.agent.as_ref().or(self.default.as_ref())
    }
}
