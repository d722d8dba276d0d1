//! The instances of a cluster.

use std::net::IpAddr;

use concord_envoy_proto::envoy::config::core::v3::{Address, HealthStatus};
use concord_envoy_proto::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use concord_envoy_proto::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint as Place, LbEndpoint, LocalityLbEndpoints,
};
use concord_proxycfg::{Endpoint, Endpoints, TargetId};

use super::address;
use super::outcome::Unserved;
use crate::resource::Resource;

/// The largest weight that an instance is given.
const WEIGHT_MAX: u32 = 128;

/// The instances that must prove the identity of the target. One that is not at an IP address is left out: Envoy would
/// refuse all of them.
pub(super) fn assignment(
    cluster: &str,
    target: &TargetId,
    endpoints: &Endpoints,
    unserved: &mut Vec<Unserved>,
) -> Resource {
    let proves = |one: &&Endpoint| {
        one.identity.service == target.service && one.identity.datacenter == target.datacenter
    };
    let mut found = Vec::with_capacity(endpoints.list.len());
    for one in endpoints.list.iter().filter(proves) {
        match one.address.parse() {
            Ok(ip) => found.push(endpoint(one, ip, target)),
            Err(_) => unserved.push(Unserved::Address {
                target: target.to_string(),
                instance: one.instance.to_string(),
                address: one.address.clone(),
            }),
        }
    }
    let group = LocalityLbEndpoints { lb_endpoints: found, ..LocalityLbEndpoints::default() };
    Resource::new(cluster.to_owned(), &of(cluster, group))
}

/// No instances.
pub(super) fn none(cluster: &str) -> Resource {
    Resource::new(cluster.to_owned(), &of(cluster, LocalityLbEndpoints::default()))
}

/// One place, which is always healthy: that of the local service.
pub(super) fn fixed(cluster: &str, place: Option<Address>) -> ClusterLoadAssignment {
    let lb_endpoints = place.into_iter().map(|place| at(place, HealthStatus::Unknown, None)).collect();
    of(cluster, LocalityLbEndpoints { lb_endpoints, ..LocalityLbEndpoints::default() })
}

fn of(cluster: &str, group: LocalityLbEndpoints) -> ClusterLoadAssignment {
    let endpoints = vec![group];
    ClusterLoadAssignment { cluster_name: cluster.to_owned(), endpoints, ..ClusterLoadAssignment::default() }
}

fn endpoint(one: &Endpoint, ip: IpAddr, target: &TargetId) -> LbEndpoint {
    let health =
        if one.takes_connections(&target.subset) { HealthStatus::Healthy } else { HealthStatus::Unhealthy };
    at(address::tcp(ip.to_string(), one.port), health, Some(one.weight.clamp(1, WEIGHT_MAX)))
}

fn at(place: Address, health: HealthStatus, load_balancing_weight: Option<u32>) -> LbEndpoint {
    let place = Place { address: Some(place), ..Place::default() };
    LbEndpoint {
        health_status: health.into(),
        load_balancing_weight,
        host_identifier: Some(HostIdentifier::Endpoint(place)),
        ..LbEndpoint::default()
    }
}
