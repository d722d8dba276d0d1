//! What may be sent now: make before break.

use std::collections::BTreeSet;

use super::batch::Batch;
use super::kind::{Has, Kind};
use super::kinds::Kinds;
use crate::resource::{Resource, ResourceSet, ResourceType};

/// What may be sent of a type now; `None` if there is nothing, or if a response is not answered yet.
pub(super) fn batch(kind: ResourceType, kinds: &Kinds, wanted: &ResourceSet) -> Option<Batch> {
    let state = kinds.get(kind).filter(|state| !state.is_in_flight())?;
    let mut updated: Vec<_> =
        state.lacking(kind, wanted).filter(|resource| may_come(resource, kinds, wanted)).cloned().collect();
    if let Some(alone) = updated.iter().position(|resource| state.is_suspect(&resource.name)) {
        updated = vec![updated.swap_remove(alone)];
    }
    let removed: Vec<_> =
        state.surplus(kind, wanted).filter(|name| may_go(kind, name, kinds, wanted)).cloned().collect();
    let is_first_and_empty = || state.owes_first() && state.lacking(kind, wanted).next().is_none();
    if updated.is_empty() && removed.is_empty() && !is_first_and_empty() {
        return None;
    }
    Some(Batch { updated, removed, forgotten: BTreeSet::new() })
}

/// Whether Envoy has every cluster that the resource names, with its endpoints.
fn may_come(resource: &Resource, kinds: &Kinds, wanted: &ResourceSet) -> bool {
    resource.clusters.iter().all(|cluster| {
        let Some(cluster) = wanted.find(ResourceType::Cluster, cluster) else { return false };
        is_there(ResourceType::Cluster, cluster, kinds)
            && cluster.children.iter().all(|(kind, name)| match wanted.find(*kind, name) {
                Some(child) => is_there(*kind, child, kinds),
                None => true,
            })
    })
}

fn is_there(kind: ResourceType, resource: &Resource, kinds: &Kinds) -> bool {
    kinds.get(kind).is_some_and(|state| state.is_there(resource))
}

/// Whether nothing that Envoy has, or will have, needs the resource.
fn may_go(kind: ResourceType, name: &str, kinds: &Kinds, wanted: &ResourceSet) -> bool {
    use ResourceType::{Cluster, Endpoint, Listener, Route, Secret};
    match kind {
        Listener | Route => true,
        Cluster => {
            let routes_are_free = if is_asked(Route, kinds) {
                is_free_of(Route, name, kinds, wanted)
            } else {
                has_no_routes(kinds)
            };
            is_asked(Listener, kinds) && is_free_of(Listener, name, kinds, wanted) && routes_are_free
        }
        Endpoint => kinds.get(Cluster).is_none_or(|clusters| !clusters.has().contains_key(name)),
        Secret => [Cluster, Listener].into_iter().all(|kind| is_settled(kind, kinds, wanted)),
    }
}

/// Before Envoy has asked for a type, it is not known what it has of it.
fn is_asked(kind: ResourceType, kinds: &Kinds) -> bool {
    kinds.get(kind).is_some_and(Kind::has_asked)
}

/// Whether all listeners that Envoy has are known, and none has routes that it would ask for.
fn has_no_routes(kinds: &Kinds) -> bool {
    let is_without = |has: &Has| match has {
        Has::Nothing => true,
        Has::Version(_) => false,
        Has::Resource(listener) => listener.children.is_empty(),
    };
    kinds.get(ResourceType::Listener).is_none_or(|state| state.has().values().all(is_without))
}

/// Whether no resource of this type that Envoy has, or that is on its way, names the cluster. Of what Envoy brought
/// along it is known only once it is replaced.
fn is_free_of(kind: ResourceType, cluster: &str, kinds: &Kinds, wanted: &ResourceSet) -> bool {
    let Some(state) = kinds.get(kind) else { return true };
    !state.is_in_flight()
        && state.has().iter().all(|(name, has)| match has {
            Has::Nothing => true,
            Has::Version(_) => {
                let same = wanted.find(kind, name).filter(|resource| has.is(&resource.version));
                same.is_some_and(|resource| !resource.clusters.contains(cluster))
            }
            Has::Resource(resource) => !resource.clusters.contains(cluster),
        })
}

fn is_settled(kind: ResourceType, kinds: &Kinds, wanted: &ResourceSet) -> bool {
    kinds.get(kind).is_none_or(|state| state.is_settled(kind, wanted))
}
