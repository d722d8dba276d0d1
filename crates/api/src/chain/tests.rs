//! Chains as JSON.

use concord_model::chain::{
    ChainFailover, ChainRoute, ChainSplit, NextNode, Origin, ResolverNode, RouterNode, SplitterNode,
};
use concord_model::entry::{BalancingPolicy, EntryKind, EntryName, GatewayMode};
use concord_model::{Pattern, ServiceRef};
use serde_json::json;

use super::*;

fn origin() -> Origin {
    let name = Pattern::Exact("web".parse().unwrap());
    Origin { entry: EntryName::local(EntryKind::ServiceRouter, name), field: "hidden".to_owned() }
}

fn to(key: &str) -> NextNode {
    NextNode { key: key.to_owned(), via: vec![origin()] }
}

fn target(id: &str, peer: Option<&str>) -> ChainTarget {
    ChainTarget {
        id: id.to_owned(),
        service: ServiceRef {
            peer: peer.map(|own| own.parse().unwrap()),
            ..ServiceRef::local("api".parse().unwrap())
        },
        subset_name: String::new(),
        subset: ResolverSubset::default(),
        datacenter: peer.is_none().then(|| "dc1".parse().unwrap()),
        mesh_gateway: GatewayMode::Unset,
        mesh_gateway_origin: Some(origin()),
        dialed_directly: false,
        connect_timeout: Timeout::from_nanos(5_000_000_000),
        external: None,
        sni: if peer.is_some() { String::new() } else { "sni".to_owned() },
        name: if peer.is_some() { String::new() } else { "name".to_owned() },
    }
}

#[test]
fn a_chain_is_shown_as_consul_does() {
    let balancer = LoadBalancer { policy: BalancingPolicy::Maglev, ..LoadBalancer::default() };
    let resolver = ResolverNode {
        target: "t".to_owned(),
        default: true,
        connect_timeout: Timeout::from_nanos(33_000_000_000),
        request_timeout: Timeout::from_nanos(7),
        failover: vec![ChainFailover { target: "p".to_owned(), origins: vec![origin()] }],
        load_balancer: Some(balancer.clone()),
        entry: Some(origin().entry),
    };
    let nodes = [
        ChainNode::Router(RouterNode {
            name: "r".to_owned(),
            routes: vec![ChainRoute {
                definition: Route::default(),
                next: to("splitter:s"),
                origin: Some(origin()),
            }],
        }),
        ChainNode::Splitter(SplitterNode {
            name: "s".to_owned(),
            splits: vec![ChainSplit {
                definition: Split { weight: Weight::WHOLE, ..Split::default() },
                weight: Weight::from_hundredths(3333),
                next: to("resolver:t"),
                origins: vec![origin()],
            }],
            load_balancer: Some(balancer),
        }),
        ChainNode::Resolver(resolver),
    ];
    let subset = ResolverSubset { filter: "f".to_owned(), only_passing: true };
    let whole = ChainTarget {
        subset_name: "v1".to_owned(),
        subset,
        mesh_gateway: GatewayMode::Local,
        dialed_directly: true,
        external: Some(origin()),
        ..target("t", None)
    };
    let chain = CompiledChain {
        service: ServiceRef::local("web".parse().unwrap()),
        datacenter: "dc1".parse().unwrap(),
        customization_hash: "abcd1234".to_owned(),
        default: false,
        protocol: Protocol::Http,
        protocol_origin: Some(origin()),
        service_meta: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        envoy_extensions: vec![EnvoyExtension { name: "x".to_owned(), ..EnvoyExtension::default() }],
        start: to("router:r"),
        nodes: nodes.into_iter().map(|node| (node.key(), node)).collect(),
        targets: [whole, target("p", Some("east"))].into_iter().map(|own| (own.id.clone(), own)).collect(),
        auto_virtual_ips: vec!["240.0.0.1".to_owned()],
        manual_virtual_ips: Vec::new(),
    };
    let shown = serde_json::to_value(DiscoveryChain::from_model(&chain)).unwrap();
    assert_eq!(
        shown,
        json!({ "Chain": {
            "ServiceName": "web", "Namespace": "default", "Partition": "default", "Datacenter": "dc1",
            "CustomizationHash": "abcd1234", "Protocol": "http", "ServiceMeta": { "a": "b" },
            "EnvoyExtensions": [{ "Name": "x", "Required": false, "Arguments": {}, "ConsulVersion": "", "EnvoyVersion": "" }],
            "StartNode": "router:r",
            "Nodes": {
                "router:r": { "Type": "router", "Name": "r", "Routes": [{ "Definition": {}, "NextNode": "splitter:s" }] },
                "splitter:s": { "Type": "splitter", "Name": "s", "LoadBalancer": { "Policy": "maglev" },
                    "Splits": [{ "Definition": { "Weight": 100 }, "Weight": 33.33, "NextNode": "resolver:t" }] },
                "resolver:t": { "Type": "resolver", "Name": "t", "LoadBalancer": { "Policy": "maglev" },
                    "Resolver": { "Default": true, "ConnectTimeout": "33s", "RequestTimeout": 7, "Target": "t",
                        "Failover": { "Targets": ["p"] } } },
            },
            "Targets": {
                "t": { "ID": "t", "Service": "api", "ServiceSubset": "v1", "Namespace": "default", "Partition": "default",
                    "Datacenter": "dc1", "MeshGateway": { "Mode": "local" },
                    "Subset": { "Filter": "f", "OnlyPassing": true }, "TransparentProxy": { "DialedDirectly": true },
                    "ConnectTimeout": "5s", "External": true, "SNI": "sni", "Name": "name" },
                "p": { "ID": "p", "Service": "api", "Namespace": "default", "Partition": "default", "Peer": "east",
                    "MeshGateway": {}, "Subset": {}, "TransparentProxy": {}, "ConnectTimeout": "5s" },
            },
            "AutoVirtualIPs": ["240.0.0.1"], "ManualVirtualIPs": [],
        } })
    );
    let none = CompiledChain { auto_virtual_ips: Vec::new(), ..chain };
    let shown = serde_json::to_value(DiscoveryChain::from_model(&none)).unwrap();
    assert_eq!(
        (&shown["Chain"]["AutoVirtualIPs"], &shown["Chain"]["ManualVirtualIPs"]),
        (&json!(null), &json!(null))
    );
}

#[test]
fn overrides_are_read_in_both_styles() {
    let read = |body: &str| ChainOverridesBody::decode(body.as_bytes());
    let camel =
        r#"{"OverrideConnectTimeout":"7s","OverrideProtocol":"http","OverrideMeshGateway":{"Mode":"local"}}"#;
    let snake = r#"{"override_connect_timeout":7000000000,"override_protocol":"HTTP","override_mesh_gateway":{"mode":"local"}}"#;
    assert_eq!(read(camel).unwrap(), read(snake).unwrap());
    assert_eq!(read("{}").unwrap(), ChainOverridesBody::default());
    for (body, field) in [
        (r#"{"OverrideConnectTimeout":"7"}"#, "OverrideConnectTimeout"),
        (r#"{"OverrideProtocol":"ftp"}"#, "OverrideProtocol"),
        (r#"{"OverrideMeshGateway":{"Mode":"far"}}"#, "OverrideMeshGateway.Mode"),
        (r#"{"Override":1}"#, "Override"),
    ] {
        let told = read(body).expect_err(body).to_string();
        assert!(told.starts_with("Request decoding failed") && told.contains(field), "{told}");
    }
}
