//! Clusters: the local service, and the services that it calls.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use concord_envoy_proto::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use concord_envoy_proto::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, CommonLbConfig, DiscoveryType, EdsClusterConfig,
};
use concord_envoy_proto::envoy::config::cluster::v3::{CircuitBreakers, Cluster, OutlierDetection};
use concord_envoy_proto::envoy::config::core::v3::Address;
use concord_envoy_proto::envoy::r#type::v3::Percent;
use concord_model::TrustDomain;
use concord_proxycfg::{
    CONNECT_TIMEOUT_ENVOY, InboundListener, LOCAL_CONNECT_TIMEOUT_ENVOY, LocalTarget, Resolve, Target,
    TargetId, UpstreamLimits,
};
use sha2::{Digest as _, Sha256};

use super::{address, endpoint, tls};
use crate::names;
use crate::resource::{Resource, ResourceType};

/// How much of a hash is part of a name.
const HASH_BYTES: usize = 4;

/// A cluster to be made: several upstreams may lead to it.
pub(super) struct Destination<'a> {
    pub(super) resolve: &'a Resolve,
    pub(super) target: &'a Arc<Target>,
    pub(super) sni: String,
    pub(super) limits: UpstreamLimits,
}

/// The cluster of the local service. Without an address it is empty, and connections end.
pub(super) fn local_app(inbound: &InboundListener) -> Resource {
    let (kind, place) = local(inbound.local.as_ref());
    let timeout = inbound.local_connect_timeout.unwrap_or(LOCAL_CONNECT_TIMEOUT_ENVOY);
    let cluster = Cluster {
        name: names::LOCAL_APP.to_owned(),
        connect_timeout: Some(address::duration(timeout)),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(kind.into())),
        load_assignment: Some(endpoint::fixed(names::LOCAL_APP, place)),
        circuit_breakers: inbound
            .max_connections
            .map(|most| breakers(Thresholds { max_connections: Some(most), ..Thresholds::default() })),
        ..Cluster::default()
    };
    Resource::new(cluster.name.clone(), &cluster)
}

/// A service of the mesh, whose instances are discovered.
pub(super) fn upstream(name: String, own: &Destination<'_>, trust_domain: &TrustDomain) -> Resource {
    let timeout = own.resolve.connect_timeout.unwrap_or(CONNECT_TIMEOUT_ENVOY);
    let cluster = Cluster {
        name: name.clone(),
        alt_stat_name: name.clone(),
        connect_timeout: Some(address::duration(timeout)),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
        eds_cluster_config: Some(EdsClusterConfig { eds_config: Some(address::by_this_stream()) }),
        circuit_breakers: limited(own.limits),
        // Present, so that instances that fail are passed over; its own defaults are Envoy's.
        outlier_detection: Some(OutlierDetection::default()),
        // No instance that fails its checks gets connections, however many fail.
        common_lb_config: Some(CommonLbConfig {
            healthy_panic_threshold: Some(Percent { value: 0.0 }),
            ..CommonLbConfig::default()
        }),
        transport_socket: Some(tls::upstream(own.sni.clone(), identity(&own.target.id, trust_domain))),
        ..Cluster::default()
    };
    Resource::new(name.clone(), &cluster).with_child(ResourceType::Endpoint, name)
}

/// Part of the name of a cluster that has a time limit of its own.
pub(super) fn hash(connect_timeout: Duration) -> String {
    let text = format!("connect_timeout={}", connect_timeout.as_nanos());
    Sha256::digest(text).iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect()
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
fn identity(target: &TargetId, trust_domain: &TrustDomain) -> String {
    let TargetId { service, datacenter, subset: _ } = target;
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

fn limited(limits: UpstreamLimits) -> Option<CircuitBreakers> {
    let UpstreamLimits { max_connections, max_pending_requests, max_concurrent_requests } = limits;
    let is_limited = limits != UpstreamLimits::default();
    is_limited.then(|| {
        breakers(Thresholds {
            max_connections,
            max_pending_requests,
            max_requests: max_concurrent_requests,
            ..Thresholds::default()
        })
    })
}

fn breakers(thresholds: Thresholds) -> CircuitBreakers {
    CircuitBreakers { thresholds: vec![thresholds], ..CircuitBreakers::default() }
}
