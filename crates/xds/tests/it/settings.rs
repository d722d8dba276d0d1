//! Settings of the mesh, of a proxy and of its upstreams: what becomes of them in the resources.

use concord_envoy_proto::envoy::config::cluster::v3::Cluster;
use concord_envoy_proto::envoy::config::core::v3::TransportSocket;
use concord_envoy_proto::envoy::config::core::v3::transport_socket::ConfigType as Socket;
use concord_envoy_proto::envoy::config::listener::v3::Listener;
use concord_envoy_proto::envoy::config::listener::v3::filter::ConfigType;
use concord_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use concord_envoy_proto::envoy::config::route::v3::route::Action as RouteTo;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::ForwardClientCertDetails;
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::tls_parameters::TlsProtocol;
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::{
    DownstreamTlsContext, TlsParameters, UpstreamTlsContext,
};
use concord_envoy_proto::Any;
use concord_model::entry::MutualTlsMode;
use concord_model::intention::Action;
use concord_model::proxy::UpstreamKind;
use concord_xds::{Configuration, ResourceType, Unserved, sidecar};

use crate::world::{self, DOMAIN, NEWEST, Told, message, settings, unpacked, upstream};

const PUBLIC: &str = "public_listener:0.0.0.0:21000";

fn db() -> String {
    format!("db.default.dc1.internal.{DOMAIN}")
}

/// The sidecar of `web`, which calls `db`, with these settings.
fn built(told: Told, config: &str) -> Configuration {
    let mut instance = world::sidecar(vec![upstream("db", 9191)]);
    instance.proxy.as_mut().unwrap().config = settings(config);
    sidecar(&told.snapshot(instance, Action::Deny), NEWEST).unwrap()
}

#[track_caller]
fn tls(socket: Option<&TransportSocket>) -> &Any {
    let Some(Socket::TypedConfig(config)) = &socket.expect("TLS").config_type else { panic!("no TLS") };
    config
}

/// What is said of TLS to callers, and to upstreams.
#[track_caller]
fn parameters(built: &Configuration) -> [TlsParameters; 2] {
    let listener: Listener = message(&built.resources, ResourceType::Listener, PUBLIC);
    let incoming: DownstreamTlsContext = unpacked(tls(listener.filter_chains[0].transport_socket.as_ref()));
    let cluster: Cluster = message(&built.resources, ResourceType::Cluster, &db());
    let outgoing: UpstreamTlsContext = unpacked(tls(cluster.transport_socket.as_ref()));
    [incoming.common_tls_context, outgoing.common_tls_context].map(|own| own.unwrap().tls_params.unwrap())
}

#[track_caller]
fn manager(built: &Configuration) -> HttpConnectionManager {
    let listener: Listener = message(&built.resources, ResourceType::Listener, PUBLIC);
    let filter = listener.filter_chains[0].filters.last().unwrap();
    let Some(ConfigType::TypedConfig(config)) = &filter.config_type else { panic!("{filter:?}") };
    unpacked(config)
}

#[test]
fn n_299_the_tls_of_the_mesh_holds_in_its_direction() {
    let versions =
        |own: &TlsParameters| (own.tls_minimum_protocol_version(), own.tls_maximum_protocol_version());
    let usual = (TlsProtocol::TlSv12, TlsProtocol::TlSv13);
    let plain = parameters(&built(Told::default(), "{}"));
    assert_eq!(plain.each_ref().map(versions), [usual, usual]);
    let limits = r#"{"tls_min_version": "TLSv1_2", "tls_max_version": "TLSv1_2",
        "cipher_suites": ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"]}"#;
    let newest = r#"{"tls_min_version": "TLSv1_3"}"#;
    let said = format!(r#"{{"tls": {{"incoming": {newest}, "outgoing": {limits}}}}}"#);
    let [incoming, outgoing] = parameters(&built(Told::default().write("mesh", "mesh", &said), "{}"));
    assert_eq!(versions(&incoming), (TlsProtocol::TlSv13, TlsProtocol::TlSv13));
    assert_eq!(versions(&outgoing), (TlsProtocol::TlSv12, TlsProtocol::TlSv12));
    assert_eq!(outgoing.cipher_suites, ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"]);
    let said = format!(r#"{{"tls": {{"outgoing": {newest}}}}}"#);
    let [incoming, outgoing] = parameters(&built(Told::default().write("mesh", "mesh", &said), "{}"));
    assert_eq!(
        [versions(&incoming), versions(&outgoing)],
        [usual, (TlsProtocol::TlSv13, TlsProtocol::TlSv13)]
    );
}

#[test]
fn the_service_is_told_the_callers_certificate_unless_the_mesh_removes_it() {
    let of = |built: &Configuration| {
        let own = manager(built);
        (own.forward_client_cert_details(), own.set_current_client_cert_details.is_some())
    };
    let http = r#"{"protocol": "http"}"#;
    assert_eq!(of(&built(Told::default(), http)), (ForwardClientCertDetails::AppendForward, true));
    let removed = (ForwardClientCertDetails::Sanitize, false);
    assert_eq!(of(&built(Told::default(), r#"{"protocol": "grpc"}"#)), removed);
    let said = r#"{"http": {"sanitize_x_forwarded_client_cert": true}}"#;
    assert_eq!(of(&built(Told::default().write("mesh", "mesh", said), http)), removed);
}

#[test]
fn requests_to_the_service_have_the_time_limits_of_the_proxy() {
    let limits = |config: &str| {
        let built = built(Told::default(), config);
        let routes: RouteConfiguration = message(&built.resources, ResourceType::Route, "public_listener");
        assert!(routes.request_headers_to_remove.iter().any(|own| own == "x-envoy-original-path"));
        let Some(RouteTo::Route(route)) = routes.virtual_hosts[0].routes[0].action.clone() else {
            panic!("{routes:?}")
        };
        (route.timeout, route.idle_timeout)
    };
    assert_eq!(limits(r#"{"protocol": "http"}"#), (None, None));
    let (request, idle) =
        limits(r#"{"protocol": "http", "local_request_timeout_ms": 1500, "local_idle_timeout_ms": 0}"#);
    assert_eq!((request.unwrap().nanos, idle.unwrap()), (500_000_000, Default::default()));
}

#[test]
fn limits_and_passive_checks_of_an_upstream_are_those_of_its_cluster() {
    let mut own = upstream("db", 9191);
    own.config = settings(
        r#"{"limits": {"max_connections": 1, "max_pending_requests": 2, "max_concurrent_requests": 3},
            "passive_health_check": {"max_failures": 4, "enforcing_consecutive_5xx": 50, "interval": "7s"}}"#,
    );
    let instance = world::sidecar(vec![own]);
    let built = sidecar(&Told::default().snapshot(instance, Action::Deny), NEWEST).unwrap();
    let cluster: Cluster = message(&built.resources, ResourceType::Cluster, &db());
    let limits = &cluster.circuit_breakers.unwrap().thresholds[0];
    assert_eq!(
        (limits.max_connections, limits.max_pending_requests, limits.max_requests),
        (Some(1), Some(2), Some(3))
    );
    let outliers = cluster.outlier_detection.unwrap();
    assert_eq!((outliers.consecutive_5xx, outliers.enforcing_consecutive_5xx), (Some(4), Some(50)));
    assert_eq!(outliers.interval.unwrap().seconds, 7);
}

#[test]
fn a_prepared_query_is_refused_by_name() {
    let mut own = upstream("db", 9191);
    own.kind = UpstreamKind::PreparedQuery;
    let instance = world::sidecar(vec![own]);
    let built = sidecar(&Told::default().snapshot(instance, Action::Deny), NEWEST).unwrap();
    let [refused @ Unserved::Refused { .. }] = &built.unserved[..] else { panic!("{:?}", built.unserved) };
    let text = refused.to_string();
    assert!(text.contains("prepared_query:db: not available yet: prepared-query upstreams"), "{text}");
    assert_eq!(built.resources.of(ResourceType::Listener).count(), 1);
}

#[test]
fn a_service_outside_of_the_mesh_is_called_by_its_own_server_name() {
    let told = Told::default().write("service-defaults", "db", r#"{"external_sni": "db.example.com"}"#);
    let built = built(told, "{}");
    let cluster: Cluster = message(&built.resources, ResourceType::Cluster, &db());
    let context: UpstreamTlsContext = unpacked(tls(cluster.transport_socket.as_ref()));
    assert_eq!(context.sni, "db.example.com");
}

#[test]
fn a_proxy_that_is_not_transparent_has_one_way_in_whatever_its_tls_mode_is() {
    let mut instance = world::sidecar(vec![]);
    instance.proxy.as_mut().unwrap().mutual_tls_mode = MutualTlsMode::Permissive;
    let built = sidecar(&Told::default().snapshot(instance, Action::Deny), NEWEST).unwrap();
    let listener: Listener = message(&built.resources, ResourceType::Listener, PUBLIC);
    assert_eq!((listener.filter_chains.len(), listener.default_filter_chain), (1, None));
    let context: DownstreamTlsContext = unpacked(tls(listener.filter_chains[0].transport_socket.as_ref()));
    assert_eq!(context.require_client_certificate, Some(true));
}
