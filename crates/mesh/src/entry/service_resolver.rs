//! `service-resolver`: which instances requests for a service reach.

use concord_filter::Expression;
use concord_model::entry::{
    BalancingPolicy, CookieConfig, HashField, HashPolicy, LoadBalancer, Record, ResolverFailover,
    ResolverSubset, ResolverTarget, ServiceResolver,
};
use concord_model::{ServiceName, ServiceRef};

use super::chains;
use super::fault::{Fault, Faults, Given, RoutingFault};
use super::graph::{GraphFault, Proposed};
use super::limits::TEXT_BYTES_MAX;
use super::routing::{check_absent, check_positive, check_subset, is_subset};
use crate::chain::named;

/// Subsets of a service: each is a target of its own in the chains that name it.
pub const SUBSETS_MAX: usize = 1024;
/// Failovers of a service: one for each subset, and one for all.
pub const FAILOVERS_MAX: usize = SUBSETS_MAX + 1;
/// Targets of a failover: they are tried one after the other.
pub const FAILOVER_TARGETS_MAX: usize = 256;
/// Things of a request that are hashed.
pub const HASH_POLICIES_MAX: usize = 64;
/// Points on a ring of hashes: more are refused by Envoy.
pub const RING_SIZE_MAX: u64 = 8 * 1024 * 1024;

/// What a failover must say one of.
const FAILOVER_FIELDS: &str = "Service, ServiceSubset, Targets, or Datacenters";

pub(super) fn check(entry: &Record<ServiceResolver>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
    let ServiceResolver {
        connect_timeout,
        request_timeout,
        default_subset,
        subsets,
        redirect,
        failover,
        prioritize_by_locality,
        load_balancer,
    } = &entry.said;
    let own = Own { name: entry.scope.name.as_str(), said: &entry.said };
    check_positive("ConnectTimeout", connect_timeout.nanos(), faults);
    check_positive("RequestTimeout", request_timeout.nanos(), faults);
    own.subset("DefaultSubset", None, default_subset, faults);
    faults.at_most("Subsets", subsets.len(), SUBSETS_MAX);
    for (name, subset) in subsets.iter().take(SUBSETS_MAX) {
        check_definition(name, subset, faults);
    }
    if let Some(redirect) = redirect {
        own.redirect(redirect, faults);
    }
    faults.at_most("Failover", failover.len(), FAILOVERS_MAX);
    for (subset, failover) in failover.iter().take(FAILOVERS_MAX) {
        own.failover(subset, failover, faults);
    }
    let locality = prioritize_by_locality.as_ref().is_some_and(|own| !own.mode.is_empty());
    check_absent("PrioritizeByLocality.Mode", locality, faults);
    if let Some(balancer) = load_balancer {
        check_balancer(balancer, faults);
    }
}

fn check_definition(name: &str, subset: &ResolverSubset, faults: &mut Faults) {
    let ResolverSubset { filter, only_passing: _ } = subset;
    let at = format!("Subsets[{}]", Given::of(name));
    if !is_subset(name) {
        faults.push(&at, RoutingFault::NoSubsetName(Given::of(name)));
    }
    if filter.is_empty() {
        return;
    }
    if let Err(error) = Expression::parse(filter) {
        faults.push(format!("{at}.Filter"), RoutingFault::NoFilter(error.to_string()));
    }
}

/// The resolver to which a part belongs.
struct Own<'a> {
    name: &'a str,
    said: &'a ServiceResolver,
}

impl Own<'_> {
    /// Checks a subset of a service. Only the subsets of the own service are known here.
    fn subset(&self, at: &str, service: Option<&ServiceName>, subset: &str, faults: &mut Faults) {
        let is_own = service.is_none_or(|service| service.as_str() == self.name);
        if is_own && !self.said.has_subset(subset) {
            faults.push(at, RoutingFault::NoSubset(Given::of(subset), Given::of(self.name)));
        } else if !is_own {
            check_subset(at, subset, faults);
        }
    }

    fn redirect(&self, redirect: &ResolverTarget, faults: &mut Faults) {
        if !self.said.failover.is_empty() {
            faults.push("Redirect and Failover", Fault::Exclusive);
        }
        if *redirect == ResolverTarget::default() {
            faults.push("Redirect", RoutingFault::Empty("Service, ServiceSubset, Datacenter, or Peer"));
        }
        check_target("Redirect", redirect, faults);
        let ResolverTarget { service, service_subset, peer, .. } = redirect;
        if service.is_none() {
            if !service_subset.is_empty() {
                faults.push("Redirect.ServiceSubset", RoutingFault::Without("Redirect.Service"));
            }
            if peer.is_some() {
                faults.push("Redirect.Peer", RoutingFault::Without("Redirect.Service"));
            }
        } else {
            self.subset("Redirect.ServiceSubset", service.as_ref(), service_subset, faults);
        }
    }

    fn failover(&self, subset: &str, failover: &ResolverFailover, faults: &mut Faults) {
        let at = format!("Failover[{}]", Given::of(subset));
        if subset != "*" && !self.said.subsets.contains_key(subset) {
            faults.push(&at, RoutingFault::NoSubset(Given::of(subset), Given::of(self.name)));
        }
        let ResolverFailover {
            service,
            service_subset,
            namespace,
            datacenters,
            targets,
            policy,
            sameness_group,
        } = failover;
        check_absent(&format!("{at}.Namespace"), namespace.is_some(), faults);
        check_absent(&format!("{at}.SamenessGroup"), !sameness_group.is_empty(), faults);
        let policy = policy.as_ref().is_some_and(|own| !own.mode.is_empty() || !own.regions.is_empty());
        check_absent(&format!("{at}.Policy"), policy, faults);
        let bare = service.is_none() && service_subset.is_empty() && namespace.is_none();
        if bare && sameness_group.is_empty() && datacenters.is_empty() && targets.is_empty() {
            faults.push(&at, RoutingFault::Empty(FAILOVER_FIELDS));
        }
        self.subset(&format!("{at}.ServiceSubset"), service.as_ref(), service_subset, faults);
        if !targets.is_empty() {
            let beside = [
                ("Datacenters", !datacenters.is_empty()),
                ("ServiceSubset", !service_subset.is_empty()),
                ("Service", service.is_some()),
            ];
            for (other, _) in beside.into_iter().filter(|(_, set)| *set) {
                faults.push(format!("{at}.Targets"), RoutingFault::With(other));
            }
        }
        faults.at_most(format!("{at}.Datacenters"), datacenters.len(), FAILOVER_TARGETS_MAX);
        faults.at_most(format!("{at}.Targets"), targets.len(), FAILOVER_TARGETS_MAX);
        for (i, target) in targets.iter().enumerate().take(FAILOVER_TARGETS_MAX) {
            self.target(&format!("{at}.Targets[{i}]"), target, faults);
        }
    }

    fn target(&self, at: &str, target: &ResolverTarget, faults: &mut Faults) {
        check_target(at, target, faults);
        let ResolverTarget { service, service_subset, .. } = target;
        self.subset(&format!("{at}.ServiceSubset"), service.as_ref(), service_subset, faults);
    }
}

/// Checks what does not depend on the service. A peered cluster has subsets and datacenters of its own.
fn check_target(at: &str, target: &ResolverTarget, faults: &mut Faults) {
    let ResolverTarget { service: _, service_subset, namespace, partition, datacenter, peer, sameness_group } =
        target;
    check_absent(&format!("{at}.Namespace"), namespace.is_some(), faults);
    check_absent(&format!("{at}.Partition"), partition.is_some(), faults);
    check_absent(&format!("{at}.SamenessGroup"), !sameness_group.is_empty(), faults);
    if peer.is_some() && !service_subset.is_empty() {
        faults.push(format!("{at}.Peer"), RoutingFault::With("ServiceSubset"));
    }
    if peer.is_some() && datacenter.is_some() {
        faults.push(format!("{at}.Peer"), RoutingFault::With("Datacenter"));
    }
}

fn check_balancer(balancer: &LoadBalancer, faults: &mut Faults) {
    let LoadBalancer { policy, ring_hash_config, least_request_config, hash_policies } = balancer;
    let other = |of| RoutingFault::OtherPolicy { policy: policy.as_str(), of };
    if ring_hash_config.is_some() && *policy != BalancingPolicy::RingHash {
        faults.push("LoadBalancer.RingHashConfig", other("ring_hash"));
    }
    if least_request_config.is_some() && *policy != BalancingPolicy::LeastRequest {
        faults.push("LoadBalancer.LeastRequestConfig", other("least_request"));
    }
    if !hash_policies.is_empty() && !policy.is_hash_based() {
        faults.push("LoadBalancer.HashPolicies", other("ring_hash and maglev"));
    }
    if let Some(ring) = ring_hash_config {
        let sizes =
            [("MinimumRingSize", ring.minimum_ring_size), ("MaximumRingSize", ring.maximum_ring_size)];
        for (name, size) in sizes.into_iter().filter(|(_, size)| *size > RING_SIZE_MAX) {
            let at = format!("LoadBalancer.RingHashConfig.{name}");
            faults.push(at, RoutingFault::TooLarge(size, RING_SIZE_MAX));
        }
    }
    faults.at_most("LoadBalancer.HashPolicies", hash_policies.len(), HASH_POLICIES_MAX);
    for (i, policy) in hash_policies.iter().enumerate().take(HASH_POLICIES_MAX) {
        check_hash(&format!("LoadBalancer.HashPolicies[{i}]"), policy, faults);
    }
}

fn check_hash(at: &str, policy: &HashPolicy, faults: &mut Faults) {
    let HashPolicy { field, field_value, cookie_config, source_ip, terminal: _ } = policy;
    let has_field = *field != HashField::Unset;
    if *source_ip && has_field {
        faults.push(format!("{at}.SourceIP"), RoutingFault::With("Field"));
    }
    if *source_ip && !field_value.is_empty() {
        faults.push(format!("{at}.SourceIP"), RoutingFault::With("FieldValue"));
    }
    if has_field && field_value.is_empty() {
        faults.push(format!("{at}.FieldValue"), Fault::Required);
    }
    if !has_field && !field_value.is_empty() {
        faults.push(format!("{at}.FieldValue"), RoutingFault::Without("Field"));
    }
    faults.no_longer(format!("{at}.FieldValue"), field_value, TEXT_BYTES_MAX);
    let Some(CookieConfig { session, ttl, path }) = cookie_config else { return };
    let at = format!("{at}.CookieConfig");
    if *field != HashField::Cookie {
        faults.push(&at, RoutingFault::Without("Field cookie"));
    }
    if *session && ttl.nanos() != 0 {
        faults.push(format!("{at}.Session"), RoutingFault::With("TTL"));
    }
    check_positive(&format!("{at}.TTL"), ttl.nanos(), faults);
    faults.no_longer(format!("{at}.Path"), path, TEXT_BYTES_MAX);
}

pub(super) fn graph(proposed: Proposed<'_>) -> Result<(), GraphFault> {
    chains::stay(proposed)
}

pub(super) fn links(entry: &Record<ServiceResolver>) -> Vec<ServiceRef> {
    named::by_resolver(entry)
}
