//! Catalog records: nodes, service instances, health checks.

use std::collections::BTreeMap;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::name::{
    CheckId, Datacenter, InstanceId, Namespace, NodeName, Partition, PeerName, ServiceName, ServiceRef,
};
use crate::proxy::{ProxyConfig, ServiceKind, Settings, UpstreamKind};
use crate::{Stamp, Uuid};

/// The part that all catalog keys start with: the partition and cluster of a node.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct NodeScope {
    /// The admin partition of the node.
    #[serde(default)]
    pub partition: Partition,
    /// The peered cluster from which the node is imported. `None` for our own cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
}

/// A node of the catalog.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Node {
    /// The partition and cluster of the node.
    #[serde(default)]
    pub scope: NodeScope,
    /// Its name, unique in its scope.
    pub name: NodeName,
    /// Its permanent id, if it has reported one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Its address, which may be a host name.
    pub address: String,
    /// Its datacenter.
    pub datacenter: Datacenter,
    /// Further addresses by tag (`lan`, `wan`, …).
    #[serde(default)]
    pub tagged_addresses: BTreeMap<String, String>,
    /// Metadata.
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
    /// Where it runs, so that nearby instances can be preferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locality: Option<Locality>,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

/// The place where a node or an instance runs.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Locality {
    /// The region.
    #[serde(default)]
    pub region: String,
    /// The zone within the region.
    #[serde(default)]
    pub zone: String,
}

/// An address with its port.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServiceAddress {
    /// Host or IP address.
    pub address: String,
    /// Port; 0 if there is none.
    pub port: u16,
}

/// One of an instance's several ports.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ServicePort {
    /// Its name, unique in the instance.
    pub name: String,
    /// The port.
    pub port: u16,
    /// Whether it is also the instance's `port`. Exactly one is.
    pub default: bool,
}

/// Weights of an instance in DNS answers and load balancing.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Weights {
    /// The weight while all its checks pass.
    pub passing: u32,
    /// The weight while a check has a warning.
    pub warning: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Self { passing: 1, warning: 1 }
    }
}

/// One instance of a service on a node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServiceInstance {
    /// The service's namespace. Partition and peer are those of the node.
    #[serde(default)]
    pub namespace: Namespace,
    /// Its id, unique on its node within the namespace.
    pub id: InstanceId,
    /// The service's name.
    pub service: ServiceName,
    /// What kind of service it is.
    #[serde(default)]
    pub kind: ServiceKind,
    /// Tags, in the order given.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Its address. Empty means the node's address.
    #[serde(default)]
    pub address: String,
    /// Its port. 0 if it has none.
    #[serde(default)]
    pub port: u16,
    /// Its ports by name. Empty if it has one at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ServicePort>,
    /// Path of a unix socket, instead of address and port. Empty if there is none.
    #[serde(default)]
    pub socket_path: String,
    /// Further addresses by tag.
    #[serde(default)]
    pub tagged_addresses: BTreeMap<String, ServiceAddress>,
    /// Metadata.
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
    /// Weights.
    #[serde(default)]
    pub weights: Weights,
    /// Whether tags that were changed in the catalog take precedence over the agent's tags.
    #[serde(default)]
    pub enable_tag_override: bool,
    /// The proxy's configuration, if the instance is a proxy or gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyConfig>,
    /// Whether the service itself uses the mesh's TLS.
    #[serde(default)]
    pub native: bool,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locality: Option<Locality>,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

impl ServiceInstance {
    /// An ordinary instance with nothing but its names.
    pub fn of(id: InstanceId, service: ServiceName) -> Self {
        Self {
            namespace: Namespace::default(),
            id,
            service,
            kind: ServiceKind::Typical,
            tags: Vec::new(),
            address: String::new(),
            port: 0,
            ports: Vec::new(),
            socket_path: String::new(),
            tagged_addresses: BTreeMap::new(),
            meta: BTreeMap::new(),
            weights: Weights::default(),
            enable_tag_override: false,
            proxy: None,
            native: false,
            locality: None,
            stamp: Stamp::default(),
        }
    }

    /// About how many bytes of memory it holds.
    pub fn held_bytes(&self) -> usize {
        let meta = self.meta.iter().map(|(key, value)| 64 + key.len() + value.len()).sum::<usize>();
        let tagged = self.tagged_addresses.iter().map(|(tag, one)| 64 + tag.len() + one.address.len());
        let tags = self.tags.iter().map(|tag| 24 + tag.len()).sum::<usize>();
        let ports = self.ports.iter().map(|port| 32 + port.name.len()).sum::<usize>();
        let upstreams = self.proxy.as_ref().map_or(0, |proxy| 256 + 512 * proxy.upstreams.len());
        512 + meta + tagged.sum::<usize>() + tags + ports + upstreams
    }

    /// The service of this instance, on a node in `scope`.
    pub fn service_ref(&self, scope: &NodeScope) -> ServiceRef {
        ServiceRef {
            partition: scope.partition.clone(),
            namespace: self.namespace.clone(),
            peer: scope.peer.clone(),
            name: self.service.clone(),
        }
    }

    /// The services that a proxy has as upstreams, in its own datacenter. Prepared queries are none.
    pub fn upstreams<'a>(&'a self, own: &'a Datacenter) -> impl Iterator<Item = ServiceRef> + 'a {
        let all = self.proxy.iter().flat_map(|proxy| &proxy.upstreams);
        let here = all.filter(move |upstream| {
            upstream.kind == UpstreamKind::Service
                && upstream.datacenter.as_ref().is_none_or(|other| other == own)
        });
        here.filter_map(|upstream| {
            let (partition, namespace) = (upstream.partition.clone(), upstream.namespace.clone());
            let (peer, name) = (upstream.peer.clone(), upstream.name.exact()?.clone());
            Some(ServiceRef { partition, namespace, peer, name })
        })
    }

    /// The service whose mesh traffic the instance accepts: a proxy's destination, or a native service itself.
    pub fn connect_target(&self, scope: &NodeScope) -> Option<ServiceRef> {
        let name = match (&self.kind, &self.proxy) {
            (ServiceKind::ConnectProxy, Some(proxy)) => proxy.destination_service.clone()?,
            _ if self.native => self.service.clone(),
            _ => return None,
        };
        Some(ServiceRef { name, ..self.service_ref(scope) })
    }
}

/// A write to the catalog: a node, an instance on it, and checks. It is applied as a whole or not at all.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Registration {
    /// The new state of the node.
    pub node: Node,
    /// Do not change the node if it exists.
    #[serde(default)]
    pub skip_node_update: bool,
    /// An instance on the node.
    #[serde(default)]
    pub service: Option<ServiceInstance>,
    /// Checks of the node or of its instances. For an instance's check the service name is taken from the instance.
    #[serde(default)]
    pub checks: Vec<Check>,
}

impl Registration {
    /// Registers only a node.
    pub fn of(node: Node) -> Self {
        Self { node, skip_node_update: false, service: None, checks: Vec::new() }
    }
}

/// The log also contains the node's scope and name separately, because other versions read these fields.
impl Serialize for Registration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { node, skip_node_update, service, checks } = self;
        let mut fields = serializer.serialize_struct("Registration", 5 + usize::from(service.is_some()))?;
        fields.serialize_field("scope", &node.scope)?;
        fields.serialize_field("node_name", &node.name)?;
        fields.serialize_field("node", node)?;
        fields.serialize_field("skip_node_update", skip_node_update)?;
        match service {
            Some(service) => fields.serialize_field("service", service)?,
            None => fields.skip_field("service")?,
        }
        fields.serialize_field("checks", checks)?;
        fields.end()
    }
}

/// A removal from the catalog. It succeeds even if there is nothing to remove.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Deregistration {
    /// The partition and cluster of the node.
    #[serde(default)]
    pub scope: NodeScope,
    /// The node.
    #[serde(rename = "node_name")]
    pub node: NodeName,
    /// What to remove from the node.
    pub what: Registered,
}

/// Something registered on a node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Registered {
    /// The node with all its instances and checks.
    Node,
    /// An instance with its checks.
    Service {
        /// The instance's namespace.
        #[serde(default)]
        namespace: Namespace,
        /// The instance.
        id: InstanceId,
    },
    /// A check.
    Check {
        /// The check.
        id: CheckId,
    },
}

/// The state of a check.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// The checked node or instance is healthy.
    Passing,
    /// It is usable, but an operator should look at it.
    Warning,
    /// It must not be used.
    Critical,
}

impl CheckStatus {
    /// The text in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// Reads the text of the API.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "passing" => Some(Self::Passing),
            "warning" => Some(Self::Warning),
            "critical" => Some(Self::Critical),
            _ => None,
        }
    }
}

/// A health check of a node or of a service instance.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Check {
    /// Its id, unique on its node.
    pub id: CheckId,
    /// Its display name.
    pub name: String,
    /// Its current state.
    pub status: CheckStatus,
    /// Notes for people.
    #[serde(default)]
    pub notes: String,
    /// Its last output.
    #[serde(default)]
    pub output: String,
    /// The checked instance. `None` if the node is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_id: Option<InstanceId>,
    /// The service of this instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<ServiceName>,
    /// Namespace of this instance.
    #[serde(default)]
    pub namespace: Namespace,
    /// Tags of this instance when the check was registered.
    #[serde(default)]
    pub service_tags: Vec<String>,
    /// The type of check: `ttl`, `tcp`, `alias`, …. Empty if the registration did not say.
    #[serde(default)]
    pub kind: String,
    /// Its interval as text, in Consul's form. Empty if it has none.
    #[serde(default)]
    pub interval: String,
    /// Its time-out as text. Empty if it has none.
    #[serde(default)]
    pub timeout: String,
    /// Instructions for a monitor outside of concord, in the API's form. Concord does not read them.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub definition: Settings,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

/// The check that each member of the gossip pool has.
pub const SERF_HEALTH: &str = "serfHealth";
/// Name and id of the service under which servers register themselves.
pub const SERVER_SERVICE: &str = "consul";
