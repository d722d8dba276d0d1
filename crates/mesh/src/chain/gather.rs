//! Reads the entries that concern the chain of a service: its router, the splitters and resolvers to which that leads,
//! and the defaults of all these services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concord_model::ServiceRef;
use concord_model::chain::Origin;
use concord_model::entry::{
    Entry, EntryKind, EntryName, ProxyDefaults, Record, ServiceDefaults, ServiceResolver, ServiceRouter,
    ServiceSplitter,
};

use super::fault::ChainFault;
use super::limits::SERVICES_MAX;
use super::named;
use crate::protocol::{Spoken, Unsaid, protocol};

/// The entries that concern the chain of one service.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    router: Option<Arc<Entry>>,
    splitters: BTreeMap<ServiceRef, Arc<Entry>>,
    resolvers: BTreeMap<ServiceRef, Arc<Entry>>,
    services: BTreeMap<ServiceRef, Arc<Entry>>,
    proxies: Option<Arc<Entry>>,
}

/// Reads the entries that concern the chain of a service, and no others.
pub fn gather(
    service: &ServiceRef,
    mut entry: impl FnMut(&EntryName) -> Option<Arc<Entry>>,
) -> Result<Gathered, ChainFault> {
    let mut of = |kind, service: &ServiceRef| entry(&EntryName::of_service(kind, service));
    let mut found = Gathered { router: of(EntryKind::ServiceRouter, service), ..Gathered::default() };
    let mut todo = vec![service.clone()];
    todo.extend(found.router().map(named::by_router).unwrap_or_default());
    let too_large = || ChainFault::TooLarge { chain: service.clone(), what: "services", max: SERVICES_MAX };
    let mut named = BTreeSet::new();
    // Splitters lead to splitters, and everything leads to resolvers.
    while let Some(next) = todo.pop() {
        if !named.insert(next.clone()) {
            continue;
        }
        if named.len() > SERVICES_MAX {
            return Err(too_large());
        }
        let Some(splitter) = of(EntryKind::ServiceSplitter, &next) else { continue };
        found.splitters.insert(next.clone(), splitter);
        todo.extend(found.splitter(&next).map(named::by_splitter).unwrap_or_default());
    }
    let mut todo: Vec<_> = named.iter().cloned().collect();
    let mut resolved = BTreeSet::new();
    while let Some(next) = todo.pop() {
        if !resolved.insert(next.clone()) {
            continue;
        }
        if resolved.len() > SERVICES_MAX {
            return Err(too_large());
        }
        let Some(resolver) = of(EntryKind::ServiceResolver, &next) else { continue };
        found.resolvers.insert(next.clone(), resolver);
        todo.extend(found.resolver_entry(&next).map(named::by_resolver).unwrap_or_default());
    }
    for next in resolved {
        if let Some(defaults) = of(EntryKind::ServiceDefaults, &next) {
            found.services.insert(next, defaults);
        }
    }
    found.proxies = entry(&EntryName::only(EntryKind::ProxyDefaults));
    Ok(found)
}

// === impl Gathered ===

impl Gathered {
    pub(super) fn router(&self) -> Option<&Record<ServiceRouter>> {
        match self.router.as_deref() {
            Some(Entry::ServiceRouter(entry)) => Some(entry),
            _ => None,
        }
    }

    pub(super) fn splitter(&self, service: &ServiceRef) -> Option<&Record<ServiceSplitter>> {
        match self.splitters.get(service).map(|entry| &**entry) {
            Some(Entry::ServiceSplitter(entry)) => Some(entry),
            _ => None,
        }
    }

    pub(super) fn resolver(&self, service: &ServiceRef) -> Option<&ServiceResolver> {
        self.resolver_entry(service).map(|entry| &entry.said)
    }

    fn resolver_entry(&self, service: &ServiceRef) -> Option<&Record<ServiceResolver>> {
        match self.resolvers.get(service).map(|entry| &**entry) {
            Some(Entry::ServiceResolver(entry)) => Some(entry),
            _ => None,
        }
    }

    /// The resolvers.
    pub(crate) fn resolvers(&self) -> impl Iterator<Item = &ServiceResolver> {
        self.resolvers.keys().filter_map(|service| self.resolver(service))
    }

    pub(super) fn service(&self, service: &ServiceRef) -> Option<&Record<ServiceDefaults>> {
        match self.services.get(service).map(|entry| &**entry) {
            Some(Entry::ServiceDefaults(entry)) => Some(entry),
            _ => None,
        }
    }

    pub(super) fn proxies(&self) -> Option<&ProxyDefaults> {
        match self.proxies.as_deref() {
            Some(Entry::ProxyDefaults(entry)) => Some(&entry.said),
            _ => None,
        }
    }

    /// The protocol of a service, and what decides it.
    pub(super) fn protocol(&self, service: &ServiceRef) -> Spoken {
        let own = self.service(service).map(|own| own.said.protocol);
        protocol(service, own, self.proxies(), Unsaid::IsTcp)
    }
}

/// A field of `proxy-defaults`.
pub(super) fn of_proxies(field: &str) -> Origin {
    Origin { entry: EntryName::only(EntryKind::ProxyDefaults), field: field.to_owned() }
}
