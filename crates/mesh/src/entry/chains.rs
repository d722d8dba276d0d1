//! Rules about discovery chains: a change must not break the chain of a service that can be compiled before it.

use std::collections::BTreeSet;

use concord_model::entry::{Entry, EntryKind, Protocol};
use concord_model::{Datacenter, ServiceRef, TrustDomain};

use super::graph::{CHAIN_RULES, GraphFault, Proposed};
use super::protocol;
use crate::chain::{self, ChainFault, CompiledChain, Overrides, Request, VirtualIps};

/// Refuses a change after which the chain of a service cannot be compiled any more. A chain that could not be compiled
/// before is no reason to refuse anything.
pub(super) fn stay(proposed: Proposed<'_>) -> Result<(), GraphFault> {
    if !proposed.keeps(CHAIN_RULES) {
        return Ok(());
    }
    for service in affected(proposed) {
        if let Err(fault) = compiled(proposed, &service)
            && compiled(proposed.before(), &service).is_ok()
        {
            return Err(GraphFault::Chain(Box::new(fault)));
        }
    }
    Ok(())
}

/// Whether a chain can be compiled depends on neither the datacenter nor the trust domain.
fn compiled(proposed: Proposed<'_>, service: &ServiceRef) -> Result<CompiledChain, ChainFault> {
    let request = Request {
        service: service.clone(),
        datacenter: Datacenter::parse("dc1").expect("a name"),
        trust_domain: TrustDomain::parse("any.consul").expect("a domain"),
        overrides: Overrides::default(),
        virtual_ips: VirtualIps::default(),
    };
    chain::compile(&chain::gather(service, |name| proposed.find(name))?, &request)
}

/// The services whose chains may change.
fn affected(proposed: Proposed<'_>) -> BTreeSet<ServiceRef> {
    let Some(name) = proposed.name() else { return BTreeSet::new() };
    let own = name.scope.service();
    match name.kind {
        // The router of another service counts for nobody.
        EntryKind::ServiceRouter => own.into_iter().collect(),
        EntryKind::ServiceSplitter | EntryKind::ServiceResolver => reaching(proposed, own),
        EntryKind::ServiceDefaults if decides(proposed.from().as_deref()) != decides(proposed.to()) => {
            reaching(proposed, own)
        }
        EntryKind::ProxyDefaults if protocol::of_all(proposed.before()) != protocol::of_all(proposed) => {
            routed(proposed)
        }
        _ => BTreeSet::new(),
    }
}

/// What of a service's defaults decides whether chains can be compiled.
fn decides(entry: Option<&Entry>) -> (Protocol, bool) {
    match entry {
        Some(Entry::ServiceDefaults(own)) => (own.said.protocol, own.said.external_sni.is_empty()),
        _ => (Protocol::Unset, true),
    }
}

/// A service, and those whose requests may reach it.
fn reaching(proposed: Proposed<'_>, service: Option<ServiceRef>) -> BTreeSet<ServiceRef> {
    let kept = proposed.kept();
    let mut todo: Vec<_> = service.into_iter().collect();
    let (mut all, mut followed) = (BTreeSet::new(), BTreeSet::new());
    while let Some(next) = todo.pop() {
        if !followed.insert(next.clone()) {
            continue;
        }
        for from in kept.links_to(&next) {
            let Some(service) = from.scope.service() else { continue };
            match from.kind {
                EntryKind::ServiceRouter => all.extend([service]),
                EntryKind::ServiceSplitter | EntryKind::ServiceResolver => todo.push(service),
                _ => {}
            }
        }
    }
    all.extend(followed);
    all
}

/// The services with a router, splitter or resolver, and those whose requests may reach one of them.
fn routed(proposed: Proposed<'_>) -> BTreeSet<ServiceRef> {
    let kinds = [EntryKind::ServiceRouter, EntryKind::ServiceSplitter, EntryKind::ServiceResolver];
    let names = kinds.into_iter().flat_map(|kind| proposed.kept().named(kind));
    names.filter_map(|name| name.scope.service()).collect()
}
