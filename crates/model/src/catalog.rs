//! Catalog records: nodes, service instances, health checks.

use std::collections::BTreeMap;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::name::{
    CheckId, Datacenter, InstanceId, Namespace, NodeName, Partition, PeerName, ServiceName, ServiceRef,
};
use crate::proxy::{ProxyConfig, ServiceKind, Settings};
use crate::{Stamp, Uuid};

/// What every key of the catalog starts with: where a node is known from.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct NodeScope {
    /// The admin partition of the node.
    #[serde(default)]
    pub partition: Partition,
    /// The peered cluster it is imported from; `None` for our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
}

/// A node of the catalog.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Node {
    /// Where the node is known from.
    #[serde(default)]
    pub scope: NodeScope,
    /// Its name, unique in its scope.
    pub name: NodeName,
    /// Its lasting id, if it has told one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Address at which it is reached; may be a host name.
    pub address: String,
    /// Its datacenter.
    pub datacenter: Datacenter,
    /// Further addresses by tag (`lan`, `wan`, …).
    #[serde(default)]
    pub tagged_addresses: BTreeMap<String, String>,
    /// Metadata.
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
    /// Where it stands, for preferring what is near.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locality: Option<Locality>,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

/// Where something runs.
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

/// Weights of an instance in DNS answers and load balancing.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Weights {
    /// While all its checks pass.
    pub passing: u32,
    /// While a check warns.
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
    /// Address; empty means the node's.
    #[serde(default)]
    pub address: String,
    /// Port; 0 if there is none.
    #[serde(default)]
    pub port: u16,
    /// Path of a unix socket, instead of address and port; empty if there is none.
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
    /// Whether tags changed in the catalog win over those of the agent.
    #[serde(default)]
    pub enable_tag_override: bool,
    /// What it proxies, if it is a proxy or gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyConfig>,
    /// Whether the service speaks the mesh's TLS itself.
    #[serde(default)]
    pub native: bool,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locality: Option<Locality>,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

impl ServiceInstance {
    /// The service it is an instance of, on a node known from `scope`.
    pub fn service_ref(&self, scope: &NodeScope) -> ServiceRef {
        ServiceRef {
            partition: scope.partition.clone(),
            namespace: self.namespace.clone(),
            peer: scope.peer.clone(),
            name: self.service.clone(),
        }
    }

    /// The service whose mesh traffic it takes: that which it proxies, or its own if it is native.
    pub fn connect_target(&self, scope: &NodeScope) -> Option<ServiceRef> {
        let name = match (&self.kind, &self.proxy) {
            (ServiceKind::ConnectProxy, Some(proxy)) => proxy.destination_service.clone()?,
            _ if self.native => self.service.clone(),
            _ => return None,
        };
        Some(ServiceRef { name, ..self.service_ref(scope) })
    }
}

/// What is put into the catalog: a node, an instance on it, and checks; all of it or nothing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Registration {
    /// The node, as it should be.
    pub node: Node,
    /// Leave a node that exists as it is.
    #[serde(default)]
    pub skip_node_update: bool,
    /// An instance on it.
    #[serde(default)]
    pub service: Option<ServiceInstance>,
    /// Checks of the node or of its instances. The service name of an instance's check is filled in from the
    /// instance.
    #[serde(default)]
    pub checks: Vec<Check>,
}

impl Registration {
    /// Of a node alone.
    pub fn of(node: Node) -> Self {
        Self { node, skip_node_update: false, service: None, checks: Vec::new() }
    }
}

/// The log has scope and name of the node once more beside it, and other versions read them there.
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

/// What is taken out of the catalog. What is not there counts as taken out.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Deregistration {
    /// Where the node is known from.
    #[serde(default)]
    pub scope: NodeScope,
    /// The node.
    #[serde(rename = "node_name")]
    pub node: NodeName,
    /// What of it.
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

/// How well something is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// All is well.
    Passing,
    /// Usable, but somebody should look.
    Warning,
    /// Not to be used.
    Critical,
}

impl CheckStatus {
    /// As written in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// Reads the API's form.
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
    /// What people call it.
    pub name: String,
    /// Its verdict.
    pub status: CheckStatus,
    /// What people noted about it.
    #[serde(default)]
    pub notes: String,
    /// What it last printed.
    #[serde(default)]
    pub output: String,
    /// The instance it is about; `None` for the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_id: Option<InstanceId>,
    /// The service of that instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<ServiceName>,
    /// Namespace of that instance.
    #[serde(default)]
    pub namespace: Namespace,
    /// Tags of that instance when the check was registered.
    #[serde(default)]
    pub service_tags: Vec<String>,
    /// How it is made: `ttl`, `tcp`, `alias`, …; empty if the registrar did not say.
    #[serde(default)]
    pub kind: String,
    /// Its period as text, as Consul shows it; empty if it has none.
    #[serde(default)]
    pub interval: String,
    /// Its time-out as text; empty if it has none.
    #[serde(default)]
    pub timeout: String,
    /// How somebody else than an agent makes it, in the API's words. Nothing here reads it.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub definition: Settings,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

/// The check every member of the gossip pool carries.
pub const SERF_HEALTH: &str = "serfHealth";
/// The service the servers register themselves as, and its id.
pub const SERVER_SERVICE: &str = "consul";
