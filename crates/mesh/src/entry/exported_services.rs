//! `exported-services`: the services that peered clusters may use.

use std::collections::{BTreeMap, BTreeSet};

use concord_model::chain::ChainNode;
use concord_model::entry::{
    Entry, EntryKind, EntryName, ExportedService, ExportedServices, Record, ResolverFailover, ServiceConsumer,
};
use concord_model::{Datacenter, Pattern, ServiceName, ServiceRef};

use super::fault::{Fault, Faults};
use super::gates::{SERVICES_MAX, services};
use super::gateway_fault::GatewayFault;
use super::graph::{CHAIN_RULES, GraphFault, Proposed};
use super::trial::{Turn, routed};
use crate::chain::{self, CompiledChain, Gathered};

/// Clusters that may use one service.
pub const CONSUMERS_MAX: usize = 1024;

pub(super) fn check(entry: &Record<ExportedServices>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
    let ExportedServices { services } = &entry.said;
    faults.at_most("Services", services.len(), SERVICES_MAX);
    for (i, own) in services.iter().enumerate().take(SERVICES_MAX) {
        check_service(&format!("Services[{i}]"), own, faults);
    }
}

fn check_service(at: &str, own: &ExportedService, faults: &mut Faults) {
    let ExportedService { name, namespace, consumers } = own;
    if name.is_none() {
        faults.push(format!("{at}.Name"), Fault::Required);
    }
    if !namespace.is_default() {
        faults.push(format!("{at}.Namespace"), Fault::OtherTenancy);
    }
    let at = format!("{at}.Consumers");
    if consumers.is_empty() {
        faults.push(&at, Fault::NoneOf { what: "consumer", owner: "service" });
    }
    faults.at_most(&at, consumers.len(), CONSUMERS_MAX);
    for (i, consumer) in consumers.iter().enumerate().take(CONSUMERS_MAX) {
        check_consumer(&format!("{at}[{i}]"), consumer, faults);
    }
}

fn check_consumer(at: &str, own: &ServiceConsumer, faults: &mut Faults) {
    let ServiceConsumer { partition, peer, sameness_group } = own;
    if !partition.is_default() {
        faults.push(format!("{at}.Partition"), GatewayFault::Enterprise { what: "partitions" });
    }
    if !sameness_group.is_empty() {
        faults.push(format!("{at}.SamenessGroup"), GatewayFault::Enterprise { what: "sameness groups" });
    }
    if peer.is_none() {
        faults.push(format!("{at}.Peer"), Fault::Required);
    }
}

/// Requests of a peered cluster for an exported service must not leave this cluster again.
pub(super) fn graph(proposed: Proposed<'_>) -> Result<(), GraphFault> {
    let Some(Entry::ExportedServices(to)) = proposed.to() else { return Ok(()) };
    if !proposed.keeps(CHAIN_RULES) {
        return Ok(());
    }
    let any = exported(&to.said).any(Pattern::is_any);
    let all = if any { routed(proposed) } else { BTreeSet::new() };
    let named = exported(&to.said).filter_map(Pattern::exact).cloned().map(ServiceRef::local);
    for service in all.into_iter().chain(named) {
        if let Some(what) = leaves(&chain::gather(&service, |name| proposed.find(name))?) {
            return Err(GraphFault::LeavesCluster { service, what });
        }
    }
    Ok(())
}

/// Whether an exported service keeps to this cluster when its chain changes and, where it has no requests, to the
/// services that peered clusters know of it.
pub(super) fn stay(turn: &Turn<'_>) -> Result<(), GraphFault> {
    if !is_exported(turn) {
        return Ok(());
    }
    let (service, Some(before)) = (turn.service.clone(), turn.before()) else { return Ok(()) };
    if let Some(what) = leaves(&turn.after.entries)
        && leaves(&before.entries).is_none()
    {
        return Err(GraphFault::LeavesCluster { service, what });
    }
    let (after, known) = (&turn.after.chain, places(&before.chain));
    let new = places(after).into_iter().find(|(place, _)| !known.contains_key(place));
    match new {
        Some((_, target)) if !after.protocol.is_http() => {
            Err(GraphFault::NewTarget { service, protocol: after.protocol, target: target.to_owned() })
        }
        _ => Ok(()),
    }
}

fn is_exported(turn: &Turn<'_>) -> bool {
    let name = EntryName::only(EntryKind::ExportedServices);
    let said = turn.proposed.see(&name, |entry| match entry {
        Entry::ExportedServices(own) => exported(&own.said).any(|name| name.matches(&turn.service.name)),
        _ => false,
    });
    said.unwrap_or(false)
}

/// The services that peered clusters may use.
fn exported(said: &ExportedServices) -> impl Iterator<Item = &Pattern<ServiceName>> {
    let to_peers = said.services.iter().filter(|own| own.consumers.iter().any(|one| one.peer.is_some()));
    to_peers.filter_map(|own| own.name.as_ref())
}

/// What of a chain's resolvers leads to another cluster. Failover to another peer does not count, as in Consul: only the
/// gateways of this cluster follow it.
fn leaves(entries: &Gathered) -> Option<&'static str> {
    entries.resolvers().find_map(|own| {
        let redirect = own.redirect.as_ref();
        let failover = own.failover.values();
        let far = |own: &ResolverFailover| {
            !own.datacenters.is_empty() || own.targets.iter().any(|target| target.datacenter.is_some())
        };
        match redirect {
            Some(to) if to.datacenter.is_some() => Some("cross-datacenter resolver redirect"),
            Some(to) if to.peer.is_some() => Some("cross-peer resolver redirect"),
            _ => failover.into_iter().any(far).then_some("cross-datacenter failover"),
        }
    })
}

/// The services and datacenters to which a chain leads at first, each with the id of a target.
fn places(chain: &CompiledChain) -> BTreeMap<(&ServiceRef, Option<&Datacenter>), &str> {
    let resolvers = chain.nodes.values().filter_map(|node| match node {
        ChainNode::Resolver(node) => Some(node),
        _ => None,
    });
    let second: BTreeSet<_> =
        resolvers.flat_map(|node| &node.failover).map(|own| own.target.as_str()).collect();
    let first = chain.targets.values().filter(|target| !second.contains(target.id.as_str()));
    first.map(|target| ((&target.service, target.datacenter.as_ref()), target.id.as_str())).collect()
}

pub(super) fn links(entry: &Record<ExportedServices>) -> Vec<ServiceRef> {
    services(entry.said.services.iter().filter_map(|own| own.name.as_ref()?.exact()))
}
