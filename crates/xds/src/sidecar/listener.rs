//! Listeners: for connections from the mesh, and for those of the local service to its upstreams.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use concord_envoy_proto::any;
use concord_envoy_proto::envoy::config::core::v3::TrafficDirection;
use concord_envoy_proto::envoy::config::listener::v3::filter::ConfigType;
use concord_envoy_proto::envoy::config::listener::v3::listener::ConnectionBalanceConfig;
use concord_envoy_proto::envoy::config::listener::v3::listener::connection_balance_config::{
    BalanceType, ExactBalance,
};
use concord_envoy_proto::envoy::config::listener::v3::{Filter, FilterChain, Listener};
use concord_envoy_proto::envoy::extensions::filters::network::connection_limit::v3::ConnectionLimit;
use concord_envoy_proto::envoy::extensions::filters::network::rbac::v3::Rbac;
use concord_envoy_proto::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use concord_envoy_proto::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::ClusterSpecifier;
use concord_model::chain::CompiledChain;
use concord_model::proxy::{ExposedPath, Settings};
use concord_proxycfg::{BindAddress, HANDSHAKE_TIMEOUT, InboundListener, OutboundListener, ProxySnapshot};
use prost::{Message, Name};

use super::given::{Fault, Given, Requests};
use super::inbound::{self, Incoming};
use super::jwt::Issuer;
use super::observed::Observed;
use super::{address, http, intentions, manager, tls};
use crate::names;
use crate::resource::{Resource, ResourceType};

/// The setting by which every worker of Envoy gets as many connections as the others.
const EXACT_BALANCE: &str = "exact_balance";

/// The listener for connections from the mesh: TLS, then the intentions, and only then the local service.
pub(super) fn public(
    snapshot: &ProxySnapshot,
    inbound: &InboundListener,
    incoming: &Incoming<'_>,
    issuers: &[Issuer],
    observed: &Observed,
) -> Resource {
    let protocol = inbound::http_protocol(snapshot);
    let most = inbound.max_connections.map(limit);
    let mut filters = Vec::new();
    match protocol {
        Some(protocol) => {
            filters.extend(most);
            let manager = http::inbound(snapshot, incoming, issuers, protocol, observed);
            filters.push(filter("envoy.filters.network.http_connection_manager", &manager));
        }
        None => {
            // Who is denied takes no place of the others.
            filters.push(judge(snapshot));
            filters.extend(most);
            filters.push(carry(names::PUBLIC_LISTENER.to_owned(), names::LOCAL_APP.to_owned(), observed));
        }
    }
    let handshake = inbound.handshake_timeout.unwrap_or(HANDSHAKE_TIMEOUT);
    let chain = FilterChain {
        filters,
        transport_socket: Some(tls::downstream(&snapshot.roots.trust_domain, incoming.tls(), protocol)),
        transport_socket_connect_timeout: Some(address::duration(handshake)),
        ..FilterChain::default()
    };
    let name = names::public_listener(&inbound.bind);
    let mut own = listener(name, &inbound.bind, TrafficDirection::Inbound, chain, observed);
    own.connection_balance_config = balance(&snapshot.proxy.settings, "balance_inbound_connections");
    let resource = Resource::new(own.name.clone(), &own);
    match protocol {
        Some(_) => {
            let servers = issuers.iter().filter_map(|own| Some(own.server.as_ref()?.name.clone()));
            resource.naming(servers).with_child(ResourceType::Route, names::PUBLIC_LISTENER.to_owned())
        }
        None => resource.naming([names::LOCAL_APP.to_owned()]),
    }
}

/// A public listener that an operator has written, with TLS and the intentions put into it.
pub(super) fn guarded(
    mut given: Given,
    snapshot: &ProxySnapshot,
    incoming: &Incoming<'_>,
    requests: Option<&Requests>,
) -> Result<Resource, Fault> {
    let protocol = inbound::http_protocol(snapshot);
    let tls = tls::downstream(&snapshot.roots.trust_domain, incoming.tls(), protocol);
    given.guard(&tls, &judge(snapshot), requests)?;
    Ok(given.resource())
}

/// The listener of an exposed path: at the address of the public listener, at a port of its own.
pub(super) fn exposed(
    public: &BindAddress,
    own: &ExposedPath,
    chain: FilterChain,
    observed: &Observed,
) -> Resource {
    let ip = match public {
        BindAddress::Tcp(address) => address.ip(),
        BindAddress::Unix { .. } => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    let bind = BindAddress::Tcp(SocketAddr::new(ip, own.listener_port));
    let own = listener(names::exposed_path(own, &bind), &bind, TrafficDirection::Inbound, chain, observed);
    Resource::new(own.name.clone(), &own)
}

fn limit(most: u32) -> Filter {
    let limit = ConnectionLimit {
        stat_prefix: names::INBOUND_LIMIT.to_owned(),
        max_connections: Some(most.into()),
        ..ConnectionLimit::default()
    };
    filter("envoy.filters.network.connection_limit", &limit)
}

/// The intentions for connections.
fn judge(snapshot: &ProxySnapshot) -> Filter {
    let rules = Some(intentions::rules(&snapshot.intentions, &snapshot.roots.trust_domain));
    let rules = Rbac { rules, stat_prefix: names::INTENTIONS.to_owned(), ..Rbac::default() };
    filter("envoy.filters.network.rbac", &rules)
}

/// The listener of an upstream whose connections are carried as they are.
pub(super) fn connections(
    own: &OutboundListener,
    chain: &CompiledChain,
    cluster: &str,
    observed: &Observed,
) -> Resource {
    let carry =
        carry(names::upstream_statistics(&chain.service, &chain.datacenter), cluster.to_owned(), observed);
    let listener = upstream(own, carry, observed);
    Resource::new(listener.name.clone(), &listener).naming([cluster.to_owned()])
}

/// The listener of an upstream with requests, which find their way by its route configuration.
pub(super) fn requests(own: &OutboundListener, chain: &CompiledChain, observed: &Observed) -> Resource {
    let statistics = names::upstream_statistics(&chain.service, &chain.datacenter);
    let routes = own.upstream.to_string();
    let manage = manager::outbound(statistics, routes.clone(), chain.protocol, observed);
    let listener = upstream(own, filter("envoy.filters.network.http_connection_manager", &manage), observed);
    Resource::new(listener.name.clone(), &listener).with_child(ResourceType::Route, routes)
}

fn upstream(own: &OutboundListener, filter: Filter, observed: &Observed) -> Listener {
    let bind = own.bind.as_ref().expect("an upstream that is served has an address");
    let chain = FilterChain { filters: vec![filter], ..FilterChain::default() };
    let name = names::upstream_listener(&own.upstream, bind);
    let mut listener = listener(name, bind, TrafficDirection::Outbound, chain, observed);
    listener.connection_balance_config = balance(&own.settings, "balance_outbound_connections");
    listener
}

fn balance(settings: &Settings, key: &str) -> Option<ConnectionBalanceConfig> {
    let is_exact = settings.get(key).and_then(|value| value.as_str()) == Some(EXACT_BALANCE);
    let exact = Some(BalanceType::ExactBalance(ExactBalance {}));
    is_exact.then_some(ConnectionBalanceConfig { balance_type: exact })
}

fn listener(
    name: String,
    bind: &BindAddress,
    direction: TrafficDirection,
    chain: FilterChain,
    observed: &Observed,
) -> Listener {
    Listener {
        name,
        address: Some(address::bind(bind)),
        traffic_direction: direction.into(),
        filter_chains: vec![chain],
        access_log: observed.of_listener(),
        ..Listener::default()
    }
}

/// Carries a connection to a cluster.
fn carry(stat_prefix: String, cluster: String, observed: &Observed) -> Filter {
    let cluster_specifier = Some(ClusterSpecifier::Cluster(cluster));
    filter(
        "envoy.filters.network.tcp_proxy",
        &TcpProxy { stat_prefix, cluster_specifier, access_log: observed.of_filter(), ..TcpProxy::default() },
    )
}

pub(super) fn filter<M: Message + Name>(name: &str, config: &M) -> Filter {
    Filter { name: name.to_owned(), config_type: Some(ConfigType::TypedConfig(any(config))) }
}
