//! Paths of the local service that everybody may ask for, without the mesh's TLS: each has a listener of its own, which
//! has this path and no other. One that comes from a check is for this machine alone.

use std::net::IpAddr;

use concord_envoy_proto::envoy::config::core::v3::{CidrRange, Http2ProtocolOptions};
use concord_envoy_proto::envoy::config::listener::v3::{FilterChain, FilterChainMatch};
use concord_envoy_proto::envoy::config::route::v3::route::Action as RouteTo;
use concord_envoy_proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use concord_envoy_proto::envoy::config::route::v3::route_match::PathSpecifier;
use concord_envoy_proto::envoy::config::route::v3::{
    Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost,
};
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    InternalAddressConfig, RouteSpecifier,
};
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use concord_model::entry::Protocol;
use concord_model::proxy::ExposedPath;
use concord_proxycfg::{InboundListener, LocalTarget, ProxySnapshot};

use super::inbound::http_protocol;
use super::observed::{self, Observed};
use super::outcome::{Configuration, Unserved};
use super::{cluster, listener, manager, requests};
use crate::names;
use crate::resource::ResourceType;

/// The addresses of this machine, as seen from itself.
const LOOPBACK: [(&str, u32); 2] = [("127.0.0.0", 8), ("::1", 128)];

/// What a path needs that requests can have.
const NO_SLASH: &str = "Path must begin with a slash";
/// What a path needs to lead somewhere.
const NO_PORT: &str = "LocalPathPort must name a port of the service";

/// Adds the listeners and clusters of all exposed paths. `local` is the cluster of the local service.
pub(super) fn add(
    snapshot: &ProxySnapshot,
    inbound: &InboundListener,
    local: &str,
    observed: &Observed,
    built: &mut Configuration,
) {
    let speaks_http2 = matches!(http_protocol(snapshot), Some(Protocol::Http2 | Protocol::Grpc));
    for own in &snapshot.proxy.exposed {
        let is_main = match &inbound.local {
            // The main cluster cannot speak HTTP/2 where the service's protocol is another one.
            Some(LocalTarget::Tcp { port, .. }) => {
                *port == own.local_path_port && (speaks_http2 || !(is_http2(own) && own.parsed_from_check))
            }
            // A service at a socket has no port, and its paths name none.
            Some(LocalTarget::Unix { .. }) => own.local_path_port == 0,
            None => false,
        };
        let lacks = if own.path.starts_with('/') { NO_PORT } else { NO_SLASH };
        if lacks == NO_SLASH || (!is_main && own.local_path_port == 0) {
            built.unserved.push(Unserved::Exposed { path: own.path.clone(), lacks });
            continue;
        }
        let mut to = local.to_owned();
        if !is_main {
            let is_http2 = is_http2(own);
            let cluster = cluster::exposed(own.local_path_port, inbound, is_http2);
            to = cluster.name.to_string();
            built.resources.insert(ResourceType::Cluster, cluster);
        }
        let filter =
            listener::filter("envoy.filters.network.http_connection_manager", &manage(own, &to, observed));
        let chain = FilterChain {
            filters: vec![filter],
            filter_chain_match: own.parsed_from_check.then(|| of_this_machine(snapshot.proxy.checked_from)),
            ..FilterChain::default()
        };
        let resource = listener::exposed(&inbound.bind, own, chain, observed).naming([to]);
        built.resources.insert(ResourceType::Listener, resource);
    }
}

fn is_http2(own: &ExposedPath) -> bool {
    own.protocol.eq_ignore_ascii_case("http2")
}

fn manage(own: &ExposedPath, cluster: &str, observed: &Observed) -> HttpConnectionManager {
    let name = names::exposed_filter(own);
    let route = Route {
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Path(own.path.clone())),
            ..RouteMatch::default()
        }),
        action: Some(RouteTo::Route(RouteAction {
            cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.to_owned())),
            ..RouteAction::default()
        })),
        ..Route::default()
    };
    let host = VirtualHost {
        name: name.clone(),
        domains: vec!["*".to_owned()],
        routes: vec![route],
        ..VirtualHost::default()
    };
    let routes = RouteConfiguration {
        name: name.clone(),
        virtual_hosts: vec![host],
        request_headers_to_remove: requests::STRIPPED.map(str::to_owned).to_vec(),
        ..RouteConfiguration::default()
    };
    HttpConnectionManager {
        route_specifier: Some(RouteSpecifier::RouteConfig(routes)),
        // No caller is trusted to steer this proxy.
        internal_address_config: Some(InternalAddressConfig::default()),
        http2_protocol_options: is_http2(own).then(Http2ProtocolOptions::default),
        // Who asks here is no part of the mesh, whose traces the settings of the proxy are about.
        tracing: Some(observed::by_caller()),
        ..manager::by_routes(name.clone(), name, manager::only_router(), observed)
    }
}

/// Connections from loopback, or from the address from which the agent checks.
fn of_this_machine(checker: Option<IpAddr>) -> FilterChainMatch {
    let range = |(prefix, length): (&str, u32)| CidrRange {
        address_prefix: prefix.to_owned(),
        prefix_len: Some(length),
    };
    let mut ranges = LOOPBACK.map(range).to_vec();
    let beyond = checker.filter(|address| !address.is_loopback() && !address.is_unspecified());
    ranges.extend(
        beyond.map(|address| range((&address.to_string(), if address.is_ipv4() { 32 } else { 128 }))),
    );
    FilterChainMatch { source_prefix_ranges: ranges, ..FilterChainMatch::default() }
}
