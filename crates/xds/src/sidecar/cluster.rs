//! Clusters: the local service, and the services that it calls.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use concord_envoy_proto::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use concord_envoy_proto::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, CommonLbConfig, CustomClusterType, DiscoveryType, EdsClusterConfig, LbConfig,
    LbPolicy, LeastRequestLbConfig, RingHashLbConfig,
};
use concord_envoy_proto::envoy::config::cluster::v3::{CircuitBreakers, Cluster as Form, OutlierDetection};
use concord_envoy_proto::envoy::config::core::v3::{
    Address, Http1ProtocolOptions, Http2ProtocolOptions, TransportSocket,
};
use concord_envoy_proto::envoy::extensions::clusters::aggregate::v3::ClusterConfig as Aggregate;
use concord_envoy_proto::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use concord_envoy_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use concord_envoy_proto::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig,
};
use concord_envoy_proto::envoy::r#type::v3::Percent;
use concord_envoy_proto::{Any, any};
use concord_model::entry::{BalancingPolicy, LoadBalancer, PassiveHealthCheck, Protocol, TlsLimits};
use concord_model::{Span, Timeout, TrustDomain};
use concord_proxycfg::{
    InboundListener, LOCAL_CONNECT_TIMEOUT_ENVOY, LocalTarget, Target, TargetParts, UpstreamLimits,
};

use super::given::Given;
use super::{address, endpoint, tls};
use crate::names;
use crate::resource::{Resource, ResourceType};

/// A cluster to be made for upstreams.
pub(super) enum Cluster {
    /// A service, whose instances are discovered.
    Service(Destination),
    /// The first of these clusters that has a healthy instance.
    Failover { members: Vec<String>, connect_timeout: Duration },
    /// A service whose cluster an operator has written.
    Given(Destination, Box<Given>),
}

/// A service whose instances are discovered. Several upstreams may lead to it.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    /// `None` if it is in a peered cluster: it has no instances here.
    pub(super) instances: Option<Arc<Target>>,
    pub(super) sni: String,
    pub(super) connect_timeout: Duration,
    pub(super) http2: bool,
    pub(super) limits: UpstreamLimits,
    pub(super) passive: Option<PassiveHealthCheck>,
    pub(super) balancer: Option<LoadBalancer>,
}

/// The cluster of the local service. Without an address it is empty, and connections end.
pub(super) fn local_app(inbound: &InboundListener, protocol: Option<Protocol>) -> Resource {
    let how = match protocol {
        Some(Protocol::Http2 | Protocol::Grpc) => as_they_came(),
        _ => BTreeMap::new(),
    };
    app(names::LOCAL_APP.to_owned(), inbound.local.as_ref(), inbound, how)
}

/// The cluster of a port of the local service for an exposed path.
pub(super) fn exposed(port: u16, inbound: &InboundListener, is_http2: bool) -> Resource {
    let place = match &inbound.local {
        Some(LocalTarget::Tcp { host, port: _ }) => LocalTarget::Tcp { host: host.clone(), port },
        Some(socket @ LocalTarget::Unix { .. }) => socket.clone(),
        None => LocalTarget::Tcp { host: "127.0.0.1".to_owned(), port },
    };
    let how = if is_http2 { by_http2() } else { BTreeMap::new() };
    app(names::exposed_cluster(port), Some(&place), inbound, how)
}

fn app(
    name: String,
    at: Option<&LocalTarget>,
    inbound: &InboundListener,
    how: BTreeMap<String, Any>,
) -> Resource {
    let (kind, place) = local(at);
    let timeout = inbound.local_connect_timeout.unwrap_or(LOCAL_CONNECT_TIMEOUT_ENVOY);
    let cluster = Form {
        name: name.clone(),
        connect_timeout: Some(address::duration(timeout)),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(kind.into())),
        load_assignment: Some(endpoint::fixed(&name, place)),
        circuit_breakers: inbound
            .max_connections
            .map(|most| breakers(Thresholds { max_connections: Some(most), ..Thresholds::default() })),
        typed_extension_protocol_options: how,
        ..Form::default()
    };
    Resource::new(name, &cluster)
}

/// What holds for the TLS of all upstreams.
pub(super) struct MeshSide<'a> {
    pub(super) trust_domain: &'a TrustDomain,
    pub(super) limits: Option<&'a TlsLimits>,
}

/// A cluster of upstreams.
pub(super) fn outbound(name: String, own: Cluster, mesh: &MeshSide<'_>) -> Resource {
    match own {
        Cluster::Service(own) => service(name, &own, mesh),
        Cluster::Failover { members, connect_timeout } => failover(name, &members, connect_timeout),
        Cluster::Given(own, mut given) => {
            given.expect(&proof(&own, mesh));
            let is_discovered = given.is_discovered();
            let resource = given.resource();
            if is_discovered { resource.with_child(ResourceType::Endpoint, name) } else { resource }
        }
    }
}

/// Whom the instances must prove to be. Nobody proves the identity of an unknown target.
fn proof(own: &Destination, mesh: &MeshSide<'_>) -> TransportSocket {
    let expected = own.instances.as_ref().map(|target| identity(&target.id, mesh.trust_domain));
    tls::upstream(own.sni.clone(), expected.unwrap_or_default(), mesh.limits)
}

fn service(name: String, own: &Destination, mesh: &MeshSide<'_>) -> Resource {
    let (lb_policy, lb_config) = balancing(own.balancer.as_ref());
    let cluster = Form {
        name: name.clone(),
        alt_stat_name: name.clone(),
        connect_timeout: Some(address::duration(own.connect_timeout)),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
        eds_cluster_config: Some(EdsClusterConfig { eds_config: Some(address::by_this_stream()) }),
        lb_policy: lb_policy.into(),
        lb_config,
        circuit_breakers: Some(limited(own.limits)),
        // Present, so that instances that fail are passed over; its own defaults are Envoy's.
        outlier_detection: Some(outliers(own.passive)),
        // No instance that fails its checks gets connections, however many fail.
        common_lb_config: Some(CommonLbConfig {
            healthy_panic_threshold: Some(Percent { value: 0.0 }),
            ..CommonLbConfig::default()
        }),
        transport_socket: Some(proof(own, mesh)),
        typed_extension_protocol_options: if own.http2 { by_http2() } else { BTreeMap::new() },
        ..Form::default()
    };
    Resource::new(name.clone(), &cluster).with_child(ResourceType::Endpoint, name)
}

fn failover(name: String, members: &[String], connect_timeout: Duration) -> Resource {
    let members = members.to_vec();
    let typed_config = Some(any(&Aggregate { clusters: members.clone() }));
    let kind = CustomClusterType { name: "envoy.clusters.aggregate".to_owned(), typed_config };
    let cluster = Form {
        name: name.clone(),
        alt_stat_name: name.clone(),
        connect_timeout: Some(address::duration(connect_timeout)),
        cluster_discovery_type: Some(ClusterDiscoveryType::ClusterType(kind)),
        lb_policy: LbPolicy::ClusterProvided.into(),
        ..Form::default()
    };
    Resource::new(name, &cluster).naming(members)
}

/// Requests are sent by HTTP/2.
fn by_http2() -> BTreeMap<String, Any> {
    let explicit = ExplicitHttpConfig {
        protocol_config: Some(ProtocolConfig::Http2ProtocolOptions(Http2ProtocolOptions::default())),
    };
    sent(UpstreamProtocolOptions::ExplicitHttpConfig(explicit))
}

/// Requests are sent to the service as they came: not every server takes both.
fn as_they_came() -> BTreeMap<String, Any> {
    sent(UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
        http_protocol_options: Some(Http1ProtocolOptions::default()),
        http2_protocol_options: Some(Http2ProtocolOptions::default()),
    }))
}

fn sent(how: UpstreamProtocolOptions) -> BTreeMap<String, Any> {
    let options =
        HttpProtocolOptions { upstream_protocol_options: Some(how), ..HttpProtocolOptions::default() };
    [("envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned(), any(&options))].into()
}

fn balancing(balancer: Option<&LoadBalancer>) -> (LbPolicy, Option<LbConfig>) {
    let Some(own) = balancer else { return (LbPolicy::RoundRobin, None) };
    match own.policy {
        BalancingPolicy::Unset | BalancingPolicy::RoundRobin => (LbPolicy::RoundRobin, None),
        BalancingPolicy::Random => (LbPolicy::Random, None),
        BalancingPolicy::Maglev => (LbPolicy::Maglev, None),
        BalancingPolicy::LeastRequest => {
            let choices = own.least_request_config.map(|config| config.choice_count);
            let config = LeastRequestLbConfig {
                choice_count: choices.filter(|count| *count > 0),
                ..LeastRequestLbConfig::default()
            };
            (LbPolicy::LeastRequest, Some(LbConfig::LeastRequestLbConfig(config)))
        }
        BalancingPolicy::RingHash => {
            let sizes = own.ring_hash_config.unwrap_or_default();
            let set = |size: u64| (size > 0).then_some(size);
            let config = RingHashLbConfig {
                minimum_ring_size: set(sizes.minimum_ring_size),
                maximum_ring_size: set(sizes.maximum_ring_size),
                ..RingHashLbConfig::default()
            };
            (LbPolicy::RingHash, Some(LbConfig::RingHashLbConfig(config)))
        }
    }
}

/// When an instance that fails gets nothing for a while.
fn outliers(check: Option<PassiveHealthCheck>) -> OutlierDetection {
    let Some(own) = check else { return OutlierDetection::default() };
    let time = |span: Span| address::positive(Timeout(span)).map(address::duration);
    OutlierDetection {
        interval: time(own.interval),
        consecutive_5xx: (own.max_failures > 0).then_some(own.max_failures),
        enforcing_consecutive_5xx: own.enforcing_consecutive_5xx,
        max_ejection_percent: own.max_ejection_percent,
        base_ejection_time: own.base_ejection_time.and_then(time),
        ..OutlierDetection::default()
    }
}

/// The stricter of two limits of each kind: upstreams that share a cluster share its limits.
pub(super) fn stricter(one: UpstreamLimits, other: UpstreamLimits) -> UpstreamLimits {
    let less = |one: Option<u32>, other: Option<u32>| one.into_iter().chain(other).min();
    UpstreamLimits {
        max_connections: less(one.max_connections, other.max_connections),
        max_pending_requests: less(one.max_pending_requests, other.max_pending_requests),
        max_concurrent_requests: less(one.max_concurrent_requests, other.max_concurrent_requests),
    }
}

/// The identity that every instance of the target proves.
fn identity(target: &TargetParts, trust_domain: &TrustDomain) -> String {
    let TargetParts { service, datacenter, subset: _ } = target;
    let partition =
        if service.partition.is_default() { String::new() } else { format!("/ap/{}", service.partition) };
    format!(
        "spiffe://{trust_domain}{partition}/ns/{}/dc/{datacenter}/svc/{}",
        service.namespace, service.name
    )
}

fn local(target: Option<&LocalTarget>) -> (DiscoveryType, Option<Address>) {
    match target {
        None => (DiscoveryType::Static, None),
        Some(LocalTarget::Unix { path }) => (DiscoveryType::Static, Some(address::unix(path.clone(), 0))),
        Some(LocalTarget::Tcp { host, port }) => {
            let is_ip = host.parse::<IpAddr>().is_ok();
            let kind = if is_ip { DiscoveryType::Static } else { DiscoveryType::StrictDns };
            (kind, Some(address::tcp(host.clone(), *port)))
        }
    }
}

fn limited(limits: UpstreamLimits) -> CircuitBreakers {
    let UpstreamLimits { max_connections, max_pending_requests, max_concurrent_requests } = limits;
    let is_limited = limits != UpstreamLimits::default();
    let thresholds = Thresholds {
        max_connections,
        max_pending_requests,
        max_requests: max_concurrent_requests,
        ..Thresholds::default()
    };
    if is_limited { breakers(thresholds) } else { CircuitBreakers::default() }
}

fn breakers(thresholds: Thresholds) -> CircuitBreakers {
    CircuitBreakers { thresholds: vec![thresholds], ..CircuitBreakers::default() }
}
