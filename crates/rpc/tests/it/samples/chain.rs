//! Discovery chains: one with something in every field.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_mesh::chain::Overrides;
use concord_model::chain::*;
use concord_model::entry::*;
use concord_model::{Pattern, PeerName, ServiceRef, Timeout};
use concord_rpc::request::*;
use concord_rpc::{AnyReply, AnyRequest};

use super::entry::{balancer, extension, modifiers, route};
use super::{Sample, meta, name, sample};

pub(crate) fn requests() -> Vec<Sample<AnyRequest>> {
    let overrides = Overrides {
        protocol: Protocol::Http2,
        mesh_gateway: GatewayMode::Remote,
        connect_timeout: Timeout::from_nanos(7_000_000_000),
    };
    let request = ReadChain { service: service(), datacenter: Some(name("dc2")), overrides };
    vec![sample!(AnyRequest, ReadChain, "", request)]
}

pub(crate) fn replies() -> Vec<Sample<AnyReply>> {
    vec![sample!(AnyReply, ReadChain, "", Arc::new(chain()))]
}

fn service() -> ServiceRef {
    let peer: Option<PeerName> = Some(name("east"));
    ServiceRef { partition: name("part"), namespace: name("space"), peer, name: name("web") }
}

pub(super) fn origin(field: &str) -> Origin {
    let entry = EntryName::local(EntryKind::ServiceRouter, Pattern::Exact(name("web")));
    Origin { entry, field: field.to_owned() }
}

fn next(key: &str) -> NextNode {
    NextNode { key: key.to_owned(), via: vec![origin("Redirect")] }
}

pub(super) fn chain() -> CompiledChain {
    let nodes = [
        ChainNode::Router(RouterNode {
            name: "web".to_owned(),
            routes: vec![ChainRoute {
                definition: route(0),
                next: next("splitter:web"),
                origin: Some(origin("Routes[0]")),
            }],
        }),
        ChainNode::Splitter(SplitterNode {
            name: "web".to_owned(),
            splits: vec![ChainSplit {
                definition: Split { request_headers: modifiers(), ..Split::default() },
                weight: Weight::from_hundredths(3333),
                next: next("resolver:api"),
                origins: vec![origin("Splits[0]")],
            }],
            load_balancer: Some(balancer(1)),
        }),
        ChainNode::Resolver(ResolverNode {
            target: "api".to_owned(),
            default: true,
            connect_timeout: Timeout::from_nanos(5),
            request_timeout: Timeout::from_nanos(6),
            failover: vec![ChainFailover { target: "api".to_owned(), origins: vec![origin("Failover")] }],
            load_balancer: Some(balancer(2)),
            entry: Some(origin("").entry),
        }),
    ];
    let target = ChainTarget {
        id: "api".to_owned(),
        service: service(),
        subset_name: "v1".to_owned(),
        subset: ResolverSubset { filter: "Service.Meta.v == 1".to_owned(), only_passing: true },
        datacenter: Some(name("dc2")),
        mesh_gateway: GatewayMode::Local,
        mesh_gateway_origin: Some(origin("MeshGateway.Mode")),
        dialed_directly: true,
        connect_timeout: Timeout::from_nanos(5),
        external: Some(origin("ExternalSNI")),
        sni: "sni".to_owned(),
        name: "name".to_owned(),
    };
    CompiledChain {
        service: service(),
        datacenter: name("dc2"),
        customization_hash: "0123abcd".to_owned(),
        default: true,
        protocol: Protocol::Grpc,
        protocol_origin: Some(origin("Protocol")),
        service_meta: meta(),
        envoy_extensions: vec![extension()],
        start: next("router:web"),
        nodes: nodes.into_iter().map(|node| (node.key(), node)).collect(),
        targets: BTreeMap::from([(target.id.clone(), target)]),
        auto_virtual_ips: vec!["240.0.0.1".to_owned()],
        manual_virtual_ips: vec!["192.0.2.1".to_owned()],
    }
}
