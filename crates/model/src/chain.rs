//! Compiled discovery chains: where the requests for a service go, and by which entries.
//!
//! ```text
//!   start ──► router ──► splitter ──► resolver ──► target, or a target of its failover
//!                   └────────────────────┘  each step but the last may be missing
//! ```
//!
//! `mesh::chain` compiles them. Whatever an entry decides carries the entry and the field, so that an explanation needs
//! nothing but the chain. The API does not show these.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::entry::{
    EntryName, EnvoyExtension, GatewayMode, LoadBalancer, Protocol, ResolverSubset, Route, Split, Weight,
};
use crate::is_default;
use crate::name::{Datacenter, ServiceRef};
use crate::time::Timeout;

/// The field of an entry that decides something.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Origin {
    /// The entry.
    pub entry: EntryName,
    /// The field, as the API names it: `Routes[0]`, `Failover["*"].Targets[1]`.
    pub field: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.field, self.entry)
    }
}

/// Where the requests for a service go.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CompiledChain {
    /// The service.
    pub service: ServiceRef,
    /// The datacenter for which it was compiled.
    pub datacenter: Datacenter,
    /// A fingerprint of the overrides that changed something; empty if none did.
    #[serde(default, skip_serializing_if = "is_default")]
    pub customization_hash: String,
    /// Whether it is the chain of a service for which no entry says anything.
    #[serde(default, skip_serializing_if = "is_default")]
    pub default: bool,
    /// The protocol of all its targets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: Protocol,
    /// What decides the protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_origin: Option<Origin>,
    /// The metadata of the service's `service-defaults`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub service_meta: BTreeMap<String, String>,
    /// The extensions of Envoy's configuration: those for all services, then those of the service.
    #[serde(default, skip_serializing_if = "is_default")]
    pub envoy_extensions: Vec<EnvoyExtension>,
    /// The first node.
    pub start: NextNode,
    /// The nodes, by key.
    pub nodes: BTreeMap<String, ChainNode>,
    /// The targets, by id.
    pub targets: BTreeMap<String, ChainTarget>,
    /// The assigned virtual addresses of the service.
    #[serde(default, skip_serializing_if = "is_default")]
    pub auto_virtual_ips: Vec<String>,
    /// The virtual addresses that were chosen for the service.
    #[serde(default, skip_serializing_if = "is_default")]
    pub manual_virtual_ips: Vec<String>,
}

/// The way to a node.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct NextNode {
    /// The key of the node.
    pub key: String,
    /// The redirects and default subsets on the way, in order.
    #[serde(default, skip_serializing_if = "is_default")]
    pub via: Vec<Origin>,
}

/// One node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainNode {
    /// Chooses a route by the request.
    Router(RouterNode),
    /// Chooses a part by weight.
    Splitter(SplitterNode),
    /// Names the target.
    Resolver(ResolverNode),
}

/// Chooses a route: the first one that matches. The last one matches every request.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RouterNode {
    /// The service with the router, as `service.namespace.partition`.
    pub name: String,
    /// The routes.
    pub routes: Vec<ChainRoute>,
}

/// One route.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ChainRoute {
    /// The route as written.
    pub definition: Route,
    /// Where it goes.
    pub next: NextNode,
    /// What it comes from; `None` for the last one, which nobody has written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Chooses a part by weight.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SplitterNode {
    /// The service with the splitter, as `service.namespace.partition`.
    pub name: String,
    /// The parts. Splitters of splitters have become one.
    pub splits: Vec<ChainSplit>,
    /// What is hashed: the first such setting of the resolvers below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
}

/// One part.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ChainSplit {
    /// The part as written, with the changes of headers of all splitters on the way.
    pub definition: Split,
    /// Its share of all requests that reach the node.
    pub weight: Weight,
    /// Where it goes.
    pub next: NextNode,
    /// What it comes from: one part of each splitter on the way, from the first to the last.
    pub origins: Vec<Origin>,
}

/// Names the target.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ResolverNode {
    /// The id of the target, which is the node's name, too.
    pub target: String,
    /// Whether no resolver says anything about the target.
    #[serde(default, skip_serializing_if = "is_default")]
    pub default: bool,
    /// The time for a connection.
    #[serde(default, skip_serializing_if = "is_default")]
    pub connect_timeout: Timeout,
    /// The time for a request. 0 means the proxy's default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub request_timeout: Timeout,
    /// Where requests go if no instance of the target is healthy, in order.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failover: Vec<ChainFailover>,
    /// How requests are distributed to the instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
    /// The resolver that says this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<EntryName>,
}

/// One step of a failover.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ChainFailover {
    /// The id of the target.
    pub target: String,
    /// What it comes from: the failover, then the redirects and default subsets on the way.
    pub origins: Vec<Origin>,
}

/// Instances that can answer the requests.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ChainTarget {
    /// Its id in this chain.
    pub id: String,
    /// The service.
    pub service: ServiceRef,
    /// The subset; empty for all instances.
    #[serde(default, skip_serializing_if = "is_default")]
    pub subset_name: String,
    /// What the subset consists of.
    #[serde(default, skip_serializing_if = "is_default")]
    pub subset: ResolverSubset,
    /// The datacenter; `None` in a peered cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<Datacenter>,
    /// How connections reach another network.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mesh_gateway: GatewayMode,
    /// What decides that; `None` if nobody does, or the question itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh_gateway_origin: Option<Origin>,
    /// Whether transparent proxies may call instances by their addresses.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dialed_directly: bool,
    /// The time for a connection.
    #[serde(default, skip_serializing_if = "is_default")]
    pub connect_timeout: Timeout,
    /// What decides the server name, if the service is outside of the mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<Origin>,
    /// The server name. Empty in a peered cluster, and if the names are too long for one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sni: String,
    /// The name for a proxy's own objects: the server name that the service would have inside of the mesh.
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: String,
}

// === impl ChainNode ===

impl ChainNode {
    /// The kind of node, as in its key.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Router(_) => "router",
            Self::Splitter(_) => "splitter",
            Self::Resolver(_) => "resolver",
        }
    }

    /// Its name among nodes of its kind.
    pub fn name(&self) -> &str {
        match self {
            Self::Router(node) => &node.name,
            Self::Splitter(node) => &node.name,
            Self::Resolver(node) => &node.target,
        }
    }

    /// Its key among all nodes.
    pub fn key(&self) -> String {
        format!("{}:{}", self.kind(), self.name())
    }

    /// The keys of the nodes to which requests go from here.
    pub fn next(&self) -> Vec<&str> {
        match self {
            Self::Router(node) => node.routes.iter().map(|route| route.next.key.as_str()).collect(),
            Self::Splitter(node) => node.splits.iter().map(|split| split.next.key.as_str()).collect(),
            Self::Resolver(_) => Vec::new(),
        }
    }
}
