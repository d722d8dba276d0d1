//! `discovery-chain`: compiled chains. The entries from which they come are not shown.

use std::collections::BTreeMap;

use concord_model::chain::{ChainNode, ChainTarget, CompiledChain};
use concord_model::entry::{
    EnvoyExtension, LoadBalancer, MeshGateway, Protocol, ResolverSubset, Route, Split, Weight,
};
use concord_model::proxy::TransparentProxy;
use concord_model::{Datacenter, PeerName, Timeout};
use concord_syntax::duration;
use serde::{Deserialize, Serialize};

use crate::decode::{self, REQUEST_DECODING_FAILED};
use crate::fault::Faults;
use crate::shape::is_default;
use crate::spelled::Spelled;

#[cfg(test)]
mod tests;

/// The body of `POST discovery-chain`: what whoever asks wants otherwise.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, rename_all = "PascalCase")]
pub struct ChainOverridesBody {
    /// The time for a connection.
    pub override_connect_timeout: Timeout,
    /// The protocol.
    pub override_protocol: Protocol,
    /// How connections reach another network.
    pub override_mesh_gateway: MeshGateway,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DiscoveryChain {
    chain: Chain,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Chain {
    service_name: String,
    namespace: String,
    partition: String,
    datacenter: String,
    #[serde(skip_serializing_if = "is_default")]
    customization_hash: String,
    #[serde(skip_serializing_if = "is_default")]
    default: bool,
    #[serde(skip_serializing_if = "is_default")]
    protocol: &'static str,
    #[serde(skip_serializing_if = "is_default")]
    service_meta: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    envoy_extensions: Vec<Spelled<EnvoyExtension>>,
    start_node: String,
    nodes: BTreeMap<String, Node>,
    targets: BTreeMap<String, Target>,
    #[serde(rename = "AutoVirtualIPs")]
    auto_virtual_ips: Option<Vec<String>>,
    #[serde(rename = "ManualVirtualIPs")]
    manual_virtual_ips: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    #[serde(rename = "Type")]
    kind: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<RouteStep>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    splits: Vec<SplitStep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolver: Option<Resolver>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load_balancer: Option<Spelled<LoadBalancer>>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RouteStep {
    definition: Spelled<Route>,
    next_node: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SplitStep {
    definition: Spelled<Split>,
    #[serde(skip_serializing_if = "is_default")]
    weight: Weight,
    next_node: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Resolver {
    #[serde(skip_serializing_if = "is_default")]
    connect_timeout: String,
    #[serde(skip_serializing_if = "is_default")]
    default: bool,
    /// A number here, as in Consul.
    #[serde(skip_serializing_if = "is_default")]
    request_timeout: i64,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    failover: Option<Failover>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Failover {
    targets: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    #[serde(skip_serializing_if = "is_default")]
    connect_timeout: String,
    #[serde(rename = "ID")]
    id: String,
    service: String,
    #[serde(skip_serializing_if = "is_default")]
    service_subset: String,
    namespace: String,
    partition: String,
    #[serde(skip_serializing_if = "is_default")]
    datacenter: String,
    #[serde(skip_serializing_if = "is_default")]
    peer: String,
    mesh_gateway: Spelled<MeshGateway>,
    subset: Spelled<ResolverSubset>,
    transparent_proxy: Spelled<TransparentProxy>,
    #[serde(skip_serializing_if = "is_default")]
    external: bool,
    #[serde(rename = "SNI", skip_serializing_if = "is_default")]
    sni: String,
    #[serde(skip_serializing_if = "is_default")]
    name: String,
}

// === impl ChainOverridesBody ===

impl ChainOverridesBody {
    /// Parses a body.
    pub fn decode(body: &[u8]) -> Result<Self, Faults> {
        decode::body(body, REQUEST_DECODING_FAILED)
    }
}

// === impl DiscoveryChain ===

impl DiscoveryChain {
    /// The JSON of a chain.
    pub fn from_model(chain: &CompiledChain) -> Self {
        // A service with an address of its own has a list of further ones, even if it is empty.
        let addressed = |list: &[String]| (!chain.auto_virtual_ips.is_empty()).then(|| list.to_vec());
        let nodes = chain.nodes.iter().map(|(key, node)| (key.clone(), shown_node(node)));
        let targets = chain.targets.iter().map(|(id, target)| (id.clone(), shown_target(target)));
        let chain = Chain {
            service_name: chain.service.name.to_string(),
            namespace: chain.service.namespace.to_string(),
            partition: chain.service.partition.to_string(),
            datacenter: chain.datacenter.to_string(),
            customization_hash: chain.customization_hash.clone(),
            default: chain.default,
            protocol: chain.protocol.as_str(),
            service_meta: chain.service_meta.clone(),
            envoy_extensions: chain.envoy_extensions.iter().cloned().map(Spelled).collect(),
            start_node: chain.start.key.clone(),
            nodes: nodes.collect(),
            targets: targets.collect(),
            auto_virtual_ips: addressed(&chain.auto_virtual_ips),
            manual_virtual_ips: addressed(&chain.manual_virtual_ips),
        };
        Self { chain }
    }
}

fn shown_node(node: &ChainNode) -> Node {
    let plain = Node { kind: node.kind(), name: node.name().to_owned(), ..Node::default() };
    match node {
        ChainNode::Router(own) => {
            let routes = own.routes.iter().map(|route| RouteStep {
                definition: Spelled(route.definition.clone()),
                next_node: route.next.key.clone(),
            });
            Node { routes: routes.collect(), ..plain }
        }
        ChainNode::Splitter(own) => {
            let splits = own.splits.iter().map(|split| SplitStep {
                definition: Spelled(split.definition.clone()),
                weight: split.weight,
                next_node: split.next.key.clone(),
            });
            let load_balancer = own.load_balancer.clone().map(Spelled);
            Node { splits: splits.collect(), load_balancer, ..plain }
        }
        ChainNode::Resolver(own) => {
            let targets: Vec<_> = own.failover.iter().map(|step| step.target.clone()).collect();
            let resolver = Resolver {
                connect_timeout: shown_timeout(own.connect_timeout),
                default: own.default,
                request_timeout: own.request_timeout.nanos(),
                target: own.target.clone(),
                failover: (!targets.is_empty()).then_some(Failover { targets }),
            };
            Node { resolver: Some(resolver), load_balancer: own.load_balancer.clone().map(Spelled), ..plain }
        }
    }
}

fn shown_target(target: &ChainTarget) -> Target {
    let service = &target.service;
    let transparent =
        TransparentProxy { dialed_directly: target.dialed_directly, ..TransparentProxy::default() };
    Target {
        connect_timeout: shown_timeout(target.connect_timeout),
        id: target.id.clone(),
        service: service.name.to_string(),
        service_subset: target.subset_name.clone(),
        namespace: service.namespace.to_string(),
        partition: service.partition.to_string(),
        datacenter: target.datacenter.as_ref().map(Datacenter::to_string).unwrap_or_default(),
        peer: service.peer.as_ref().map(PeerName::to_string).unwrap_or_default(),
        mesh_gateway: Spelled(MeshGateway { mode: target.mesh_gateway }),
        subset: Spelled(target.subset.clone()),
        transparent_proxy: Spelled(transparent),
        external: target.external.is_some(),
        sni: target.sni.clone(),
        name: target.name.clone(),
    }
}

fn shown_timeout(timeout: Timeout) -> String {
    if timeout == Timeout::default() { String::new() } else { duration::format_signed(timeout.nanos()) }
}
