//! Paths that are served without the mesh's TLS.

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
    let mut instance = world::sidecar(vec![]);
    instance.proxy.as_mut().unwrap().expose = Some(Box::new(Expose { checks: false, paths }));
    sidecar(&snapshot(instance, vec![], Action::Deny, vec![]), NEWEST).unwrap()
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
    let names = |kind| built.resources.of(kind).map(|own| own.name.clone()).collect::<Vec<_>>();
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
    let built = built(vec![ExposedPath { parsed_from_check: true, ..path("/h", 21500, 8080) }]);
    let own: Listener = message(&built.resources, ResourceType::Listener, "exposed_path_h:0.0.0.0:21500");
    let sources = own.filter_chains[0].filter_chain_match.clone().unwrap().source_prefix_ranges;
    let sources: Vec<_> = sources.iter().map(|own| (own.address_prefix.as_str(), own.prefix_len)).collect();
    assert_eq!(sources, [("127.0.0.0", Some(8)), ("::1", Some(128))]);
}

#[test]
fn a_path_of_a_service_that_speaks_http_2_is_asked_for_in_it() {
    let grpc =
        ExposedPath { protocol: "http2".to_owned(), ..path("/grpc.health.v1.Health/Check", 21500, 9000) };
    let built = built(vec![grpc]);
    let cluster: Cluster = message(&built.resources, ResourceType::Cluster, "exposed_cluster_9000");
    assert_eq!(cluster.typed_extension_protocol_options.len(), 1);
}
