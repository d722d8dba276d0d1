//! The services that routers, splitters and resolvers name, besides their own.

use std::collections::BTreeSet;

use concord_model::entry::{Record, ServiceResolver, ServiceRouter, ServiceSplitter};
use concord_model::{ServiceName, ServiceRef};

/// The services to which a router sends requests.
pub(crate) fn by_router(entry: &Record<ServiceRouter>) -> Vec<ServiceRef> {
    others(entry, entry.said.routes.iter().filter_map(|route| route.destination.as_ref()?.service.as_ref()))
}

/// The services to which a splitter sends requests.
pub(crate) fn by_splitter(entry: &Record<ServiceSplitter>) -> Vec<ServiceRef> {
    others(entry, entry.said.splits.iter().filter_map(|split| split.service.as_ref()))
}

/// The services to which a resolver leads. Services of peered clusters are not ours, except that a redirect names one
/// of ours as well, as in Consul.
pub(crate) fn by_resolver(entry: &Record<ServiceResolver>) -> Vec<ServiceRef> {
    let redirect = entry.said.redirect.iter().filter_map(|redirect| redirect.service.as_ref());
    let failover = entry.said.failover.values().flat_map(|failover| {
        let targets = failover.targets.iter().filter(|target| target.peer.is_none());
        failover.service.iter().chain(targets.filter_map(|target| target.service.as_ref()))
    });
    others(entry, redirect.chain(failover))
}

fn others<'a, T>(entry: &Record<T>, named: impl Iterator<Item = &'a ServiceName>) -> Vec<ServiceRef> {
    let own = entry.scope.service();
    let named: BTreeSet<_> = named.cloned().map(ServiceRef::local).collect();
    named.into_iter().filter(|named| Some(named) != own.as_ref()).collect()
}
