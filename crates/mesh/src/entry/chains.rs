//! Rules about discovery chains: a change must not break the chain of a service that can be compiled before it, nor
//! what follows from the chain for intentions, gateways and exports.

use std::collections::BTreeSet;

use concord_model::ServiceRef;
use concord_model::entry::{Entry, EntryKind, Protocol};

use super::graph::{CHAIN_RULES, GraphFault, Lookup, Proposed};
use super::trial::{Turn, compiled, routed};
use super::{exported_services, ingress_gateway, protocol, requests};

/// Refuses a change after which the chain of a service cannot be compiled any more, or does not fit what depends on it.
/// A chain that could not be compiled before is no reason to refuse anything.
pub(super) fn stay(proposed: Proposed<'_>) -> Result<(), GraphFault> {
    if !proposed.keeps(CHAIN_RULES) {
        return requests::stay_alone(proposed);
    }
    for service in affected(proposed) {
        match compiled(proposed, &service) {
            Ok(after) => fits(Turn { proposed, service: &service, after: &after })?,
            Err(fault) if compiled(proposed.before(), &service).is_ok() => return Err(fault.into()),
            Err(_) => {}
        }
    }
    Ok(())
}

fn fits(turn: Turn<'_>) -> Result<(), GraphFault> {
    requests::stay(&turn)?;
    ingress_gateway::stay(&turn)?;
    exported_services::stay(&turn)
}

/// The services whose chains may change.
fn affected(proposed: Proposed<'_>) -> BTreeSet<ServiceRef> {
    let Some(name) = proposed.name() else { return BTreeSet::new() };
    let own = name.scope.service();
    match name.kind {
        // The router of another service counts for nobody.
        EntryKind::ServiceRouter => own.into_iter().collect(),
        EntryKind::ServiceSplitter | EntryKind::ServiceResolver => leading_to(proposed.kept(), own),
        EntryKind::ServiceDefaults if decides(proposed.from().as_deref()) != decides(proposed.to()) => {
            leading_to(proposed.kept(), own)
        }
        EntryKind::ProxyDefaults if protocol::of_all(proposed.before()) != protocol::of_all(proposed) => {
            let kept = proposed.kept();
            let asking = [EntryKind::ServiceIntentions, EntryKind::IngressGateway];
            let linked = asking.into_iter().flat_map(|kind| kept.linked_by(kind));
            linked.chain(routed(proposed)).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// What of a service's defaults decides whether chains can be compiled.
fn decides(entry: Option<&Entry>) -> Option<(Protocol, bool)> {
    match entry {
        Some(Entry::ServiceDefaults(own)) => Some((own.said.protocol, own.said.external_sni.is_empty())),
        _ => None,
    }
}

/// A service, and those whose routers, splitters and resolvers lead to it. Only the router of the service itself counts.
pub(crate) fn leading_to(kept: &dyn Lookup, service: Option<ServiceRef>) -> BTreeSet<ServiceRef> {
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
