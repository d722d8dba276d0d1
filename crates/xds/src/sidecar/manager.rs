//! What handles the requests of a connection.

use concord_envoy_proto::any;
use concord_envoy_proto::envoy::config::core::v3::Http2ProtocolOptions;
use concord_envoy_proto::envoy::extensions::filters::http::grpc_http1_bridge::v3::Config as GrpcBridge;
use concord_envoy_proto::envoy::extensions::filters::http::grpc_stats::v3::FilterConfig as GrpcStats;
use concord_envoy_proto::envoy::extensions::filters::http::grpc_stats::v3::filter_config::PerMethodStatSpecifier;
use concord_envoy_proto::envoy::extensions::filters::http::router::v3::Router;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    CodecType, RouteSpecifier, UpgradeConfig,
};
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, Rds,
};
use concord_model::entry::Protocol;
use prost::{Message, Name};

use super::address;
use super::observed::Observed;

/// Sends requests where the route configuration of this name says.
pub(super) fn outbound(
    stat_prefix: String,
    routes: String,
    protocol: Protocol,
    observed: &Observed,
) -> HttpConnectionManager {
    let mut http_filters = if protocol == Protocol::Grpc { grpc() } else { Vec::new() };
    http_filters.push(filter("envoy.filters.http.router", &Router::default()));
    HttpConnectionManager {
        http2_protocol_options: http2(protocol),
        ..by_routes(stat_prefix, routes, http_filters, observed)
    }
}

/// The options of HTTP/2 where it is spoken.
pub(super) fn http2(protocol: Protocol) -> Option<Http2ProtocolOptions> {
    matches!(protocol, Protocol::Http2 | Protocol::Grpc).then(Http2ProtocolOptions::default)
}

/// What all managers have in common. Requests go where the route configuration of this name says.
pub(super) fn by_routes(
    stat_prefix: String,
    routes: String,
    http_filters: Vec<HttpFilter>,
    observed: &Observed,
) -> HttpConnectionManager {
    let rds = Rds { route_config_name: routes, config_source: Some(address::by_this_stream()) };
    HttpConnectionManager {
        codec_type: CodecType::Auto.into(),
        stat_prefix,
        http_filters,
        access_log: observed.of_filter(),
        tracing: Some(observed.tracing()),
        upgrade_configs: vec![UpgradeConfig {
            upgrade_type: "websocket".to_owned(),
            ..UpgradeConfig::default()
        }],
        route_specifier: Some(RouteSpecifier::Rds(rds)),
        ..HttpConnectionManager::default()
    }
}

/// The filters of a manager that only sends requests on.
pub(super) fn only_router() -> Vec<HttpFilter> {
    vec![filter("envoy.filters.http.router", &Router::default())]
}

/// Counts the calls of gRPC, and carries it over HTTP/1.1.
pub(super) fn grpc() -> Vec<HttpFilter> {
    let stats = GrpcStats {
        per_method_stat_specifier: Some(PerMethodStatSpecifier::StatsForAllMethods(true)),
        ..GrpcStats::default()
    };
    let stats = filter("envoy.filters.http.grpc_stats", &stats);
    vec![stats, filter("envoy.filters.http.grpc_http1_bridge", &GrpcBridge::default())]
}

pub(super) fn filter<M: Message + Name>(name: &str, config: &M) -> HttpFilter {
    let config_type = Some(ConfigType::TypedConfig(any(config)));
    HttpFilter { name: name.to_owned(), config_type, ..HttpFilter::default() }
}
