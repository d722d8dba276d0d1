//! Paths that are served without the mesh's TLS.

use std::net::IpAddr;
use std::sync::Arc;

use concord_envoy_proto::envoy::config::cluster::v3::Cluster;
use concord_envoy_proto::envoy::config::listener::v3::Listener;
use concord_envoy_proto::envoy::config::listener::v3::filter::ConfigType;
use concord_envoy_proto::envoy::config::route::v3::route_match::PathSpecifier;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use concord_model::intention::Action;
use concord_model::proxy::{Expose, ExposedPath};
use concord_xds::{Configuration, ResourceType, sidecar};

use crate::world::{self, NEWEST, message, snapshot, unpacked};

fn path(path: &str, listener_port: u16, local_path_port: u16) -> ExposedPath {
    ExposedPath { path: path.to_owned(), listener_port, local_path_port, ..ExposedPath::default() }
}

fn built(paths: Vec<ExposedPath>) -> Configuration {
    built_for(paths, None)
}

/// The same, where the agent checks from this address.
fn built_for(paths: Vec<ExposedPath>, checked_from: Option<IpAddr>) -> Configuration {
    let mut instance = world::sidecar(vec![]);
    instance.proxy.as_mut().unwrap().expose = Some(Box::new(Expose { checks: false, paths }));
    let mut snapshot = Arc::unwrap_or_clone(snapshot(instance, vec![], Action::Deny, vec![]));
    Arc::make_mut(&mut snapshot.proxy.value).checked_from = checked_from;
    sidecar(&snapshot, NEWEST).unwrap()
}

/// The paths that a listener takes, and the manager.
#[track_caller]
fn taken(own: &Listener) -> (Vec<PathSpecifier>, HttpConnectionManager) {
    let [chain] = own.filter_chains.as_slice() else { panic!("{own:?}") };
    assert!(chain.transport_socket.is_none() && own.default_filter_chain.is_none());
    let [filter] = chain.filters.as_slice() else { panic!("{chain:?}") };
    let Some(ConfigType::TypedConfig(config)) = &filter.config_type else { panic!("{filter:?}") };
    let manager: HttpConnectionManager = unpacked(config);
    let Some(RouteSpecifier::RouteConfig(routes)) = &manager.route_specifier else { panic!("{manager:?}") };
    let routes = routes.virtual_hosts.iter().flat_map(|host| &host.routes);
    let paths = routes.map(|route| route.r#match.clone().unwrap().path_specifier.unwrap()).collect();
    (paths, manager)
}

#[test]
fn n_297_a_listener_of_an_exposed_path_has_this_path_and_no_other() {
    let built = built(vec![path("/health/live", 21500, 8080), path("/metrics", 21501, 9102)]);
    let names = |kind| built.resources.of(kind).map(|own| own.name.to_string()).collect::<Vec<_>>();
    let listeners = [
        "exposed_path_healthlive:0.0.0.0:21500",
        "exposed_path_metrics:0.0.0.0:21501",
        "public_listener:0.0.0.0:21000",
    ];
    assert_eq!(names(ResourceType::Listener), listeners);
    assert_eq!(names(ResourceType::Cluster), ["exposed_cluster_9102", "local_app"]);
    for (name, expected, leads) in
        [(listeners[0], "/health/live", "local_app"), (listeners[1], "/metrics", "exposed_cluster_9102")]
    {
        let own: Listener = message(&built.resources, ResourceType::Listener, name);
        let (paths, manager) = taken(&own);
        assert_eq!(paths, [PathSpecifier::Path(expected.to_owned())]);
        assert!(manager.stat_prefix.starts_with("exposed_path_filter_"), "{}", manager.stat_prefix);
        assert!(own.filter_chains[0].filter_chain_match.is_none());
        let resource = built.resources.find(ResourceType::Listener, name).unwrap();
        assert!(resource.clusters.contains(leads), "{:?}", resource.clusters);
    }
    let cluster: Cluster = message(&built.resources, ResourceType::Cluster, "exposed_cluster_9102");
    assert!(format!("{:?}", cluster.load_assignment).contains("PortValue(9102)"));
}

#[test]
fn n_298_a_path_that_comes_from_a_check_is_for_this_machine_alone() {
    let sources = |from: Option<&str>| {
        let path = ExposedPath { parsed_from_check: true, ..path("/h", 21500, 8080) };
        let built = built_for(vec![path], from.map(|text| text.parse().unwrap()));
        let own: Listener = message(&built.resources, ResourceType::Listener, "exposed_path_h:0.0.0.0:21500");
        let sources = own.filter_chains[0].filter_chain_match.clone().unwrap().source_prefix_ranges;
        sources
            .iter()
            .map(|own| format!("{}/{}", own.address_prefix, own.prefix_len.unwrap()))
            .collect::<Vec<_>>()
    };
    let loopback = ["127.0.0.0/8", "::1/128"];
    for none in [None, Some("127.0.0.1"), Some("0.0.0.0"), Some("::1")] {
        assert_eq!(sources(none), loopback, "{none:?}");
    }
    // The address from which the agent checks is exactly one.
    assert_eq!(sources(Some("10.0.0.7"))[2..], ["10.0.0.7/32"]);
    assert_eq!(sources(Some("fd00::7"))[2..], ["fd00::7/128"]);
}

#[test]
fn a_grpc_check_is_asked_in_http_2_whatever_the_services_protocol() {
    let check = ExposedPath {
        protocol: "http2".to_owned(),
        parsed_from_check: true,
        ..path("/grpc.health.v1.Health/Check", 21500, 8080)
    };
    let built = built(vec![check]);
    let cluster: Cluster = message(&built.resources, ResourceType::Cluster, "exposed_cluster_8080");
    assert_eq!(cluster.typed_extension_protocol_options.len(), 1);
}

#[test]
fn a_path_of_a_service_that_speaks_http_2_is_asked_for_in_it() {
    let grpc =
        ExposedPath { protocol: "http2".to_owned(), ..path("/grpc.health.v1.Health/Check", 21500, 9000) };
    let built = built(vec![grpc]);
    let cluster: Cluster = message(&built.resources, ResourceType::Cluster, "exposed_cluster_9000");
    assert_eq!(cluster.typed_extension_protocol_options.len(), 1);
    let listeners: Vec<_> = built.resources.of(ResourceType::Listener).map(|own| own.name.clone()).collect();
    let own: Listener = message(&built.resources, ResourceType::Listener, &listeners[0]);
    assert!(taken(&own).1.http2_protocol_options.is_some());
}

#[test]
fn n_351_a_path_that_leads_nowhere_is_told_and_the_others_are_served() {
    let built =
        built(vec![path("/ready", 21500, 0), path("health", 21501, 8080), path("/live", 21502, 8080)]);
    let names: Vec<_> = built.resources.of(ResourceType::Listener).map(|own| &*own.name).collect();
    assert_eq!(names, ["exposed_path_live:0.0.0.0:21502", "public_listener:0.0.0.0:21000"]);
    let told: Vec<_> = built.unserved.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "Proxy.Expose.Paths: \"/ready\" is not served: LocalPathPort must name a port of the service",
            "Proxy.Expose.Paths: \"health\" is not served: Path must begin with a slash",
        ]
    );
}

#[test]
fn a_path_of_a_service_at_a_socket_names_no_port() {
    let mut instance = world::sidecar(vec![]);
    let proxy = instance.proxy.as_mut().unwrap();
    (proxy.local_service_port, proxy.local_service_socket_path) = (0, "/run/web".to_owned());
    proxy.expose = Some(Box::new(Expose { checks: false, paths: vec![path("/h", 21500, 0)] }));
    let built = sidecar(&snapshot(instance, vec![], Action::Deny, vec![]), NEWEST).unwrap();
    assert_eq!(built.unserved, []);
    let own = built.resources.find(ResourceType::Listener, "exposed_path_h:0.0.0.0:21500").unwrap();
    assert!(own.clusters.contains("local_app"), "{:?}", own.clusters);
}

#[test]
fn requests_for_an_exposed_path_are_no_traces_of_the_mesh() {
    let mut instance = world::sidecar(vec![]);
    let proxy = instance.proxy.as_mut().unwrap();
    let tracing = serde_json::json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing",
        "random_sampling": { "value": 10 } });
    proxy.config.insert("envoy_listener_tracing_json".to_owned(), tracing.to_string().into());
    proxy.expose = Some(Box::new(Expose { checks: false, paths: vec![path("/h", 21500, 8080)] }));
    let built = sidecar(&snapshot(instance, vec![], Action::Deny, vec![]), NEWEST).unwrap();
    assert_eq!(built.unserved, []);
    let own: Listener = message(&built.resources, ResourceType::Listener, "exposed_path_h:0.0.0.0:21500");
    let sampled = taken(&own).1.tracing.and_then(|own| own.random_sampling);
    assert_eq!(sampled.map(|own| own.value), Some(0.0), "who asks decides");
}
