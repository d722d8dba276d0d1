//! Virtual addresses of services (240.0.0.0/4): who has which, and which are free again.
//!
//! The lowest freed address is given away first; if there is none, the counter goes on. So equal logs give equal
//! addresses, and an address belongs to one service at a time.

use std::net::Ipv4Addr;
use std::sync::Arc;

use concord_model::entry::{EntryKind, EntryName};
use concord_model::{ServiceRef, Stamp};

use crate::key::part::Local;
use crate::keys;
use crate::row::{EntryLink, VirtualAddress};
use crate::table::Commit;
use crate::tables::Tables;

/// The greatest offset that is given away. Consul's limit.
const OFFSET_MAX: u32 = 0x0fff_fffd;

/// The kinds of entries that give a service an address.
const KINDS: [EntryKind; 5] = [
    EntryKind::ServiceDefaults,
    EntryKind::ServiceIntentions,
    EntryKind::ServiceResolver,
    EntryKind::ServiceRouter,
    EntryKind::ServiceSplitter,
];

/// The service to which an entry gives an address; `None` if its kind or name gives none.
pub(crate) fn of_entry(name: &EntryName) -> Option<ServiceRef> {
    let scope = &name.scope;
    let (namespace, service) = (scope.namespace.exact()?, scope.name.exact()?);
    KINDS.contains(&name.kind).then(|| ServiceRef {
        partition: scope.partition.clone(),
        namespace: namespace.clone(),
        peer: None,
        name: service.clone(),
    })
}

/// Whether an entry gives an address to a service that it names: a terminating gateway does.
pub(crate) fn gives_address(link: &EntryLink) -> bool {
    link.from.kind == EntryKind::TerminatingGateway
}

/// The services that the entry of a terminating gateway names.
pub(crate) fn behind(tables: &Tables, gateway: &ServiceRef) -> Vec<ServiceRef> {
    let name = EntryName::of_service(EntryKind::TerminatingGateway, gateway);
    let row = tables.entries.get(&keys::entries::row(&name)).filter(|_| gateway.peer.is_none());
    row.map(|row| row.links()).unwrap_or_default()
}

/// Gives a service an address, unless it has one. `None` if none is left.
pub(crate) fn assign(tables: &mut Tables, commit: &mut Commit, service: &ServiceRef) -> Option<Ipv4Addr> {
    let key = keys::virtual_addresses::row(service);
    if let Some(row) = tables.virtual_addresses.get(&key) {
        return Some(row.address());
    }
    let offset = take_offset(tables, commit)?;
    let stamp = Stamp { create: commit.index, modify: commit.index };
    let row = VirtualAddress { service: service.clone(), offset, manual: Vec::new(), stamp };
    let address = row.address();
    tables.virtual_addresses.put(&key, Arc::new(row), commit);
    Some(address)
}

fn take_offset(tables: &mut Tables, commit: &mut Commit) -> Option<u32> {
    let freed = tables.freed_addresses.iter().next().map(|(_, offset)| **offset);
    if let Some(freed) = freed {
        tables.freed_addresses.remove(&keys::freed_addresses::key(freed), commit);
        return Some(freed);
    }
    let last = tables.address_counter.get(&keys::address_counter::key()).map_or(0, |last| **last);
    let next = (last < OFFSET_MAX).then_some(last + 1)?;
    put_counter(tables, commit, &Arc::new(next));
    Some(next)
}

/// Gives an address to each touched service that should have one now, and takes it from each that should not. `None`
/// if none is left.
pub(crate) fn settle(tables: &mut Tables, commit: &mut Commit) -> Option<()> {
    for service in std::mem::take(&mut commit.services) {
        if wants(tables, &service) {
            assign(tables, commit, &service)?;
        } else if !holds(tables, &service) {
            release(tables, commit, &service);
        }
    }
    Some(())
}

fn release(tables: &mut Tables, commit: &mut Commit, service: &ServiceRef) {
    let key = keys::virtual_addresses::row(service);
    if let Some(row) = tables.virtual_addresses.remove(&key, commit) {
        put_freed(tables, commit, &Arc::new(row.offset));
    }
}

/// Restores a freed address.
pub(crate) fn put_freed(tables: &mut Tables, commit: &mut Commit, offset: &Arc<u32>) -> bool {
    tables.freed_addresses.put(&keys::freed_addresses::key(**offset), Arc::clone(offset), commit)
}

/// Restores the counter.
pub(crate) fn put_counter(tables: &mut Tables, commit: &mut Commit, last: &Arc<u32>) -> bool {
    tables.address_counter.put(&keys::address_counter::key(), Arc::clone(last), commit)
}

/// Whether the entry of a terminating gateway names a service.
fn is_behind(tables: &Tables, service: &ServiceRef) -> bool {
    tables.entry_links.scan(&keys::entry_links::to(Local(service))).any(|(_, link)| gives_address(link))
}

/// Whether a service gets an address: something takes mesh traffic for it, an entry is about it, or a terminating
/// gateway serves it by its name.
fn wants(tables: &Tables, service: &ServiceRef) -> bool {
    let entry =
        |kind| tables.entries.get(&keys::entries::row(&EntryName::of_service(kind, service))).is_some();
    tables.connect_placed.scan(&keys::connect_placed::of_service(service)).next().is_some()
        || (service.peer.is_none() && (KINDS.into_iter().any(entry) || is_behind(tables, service)))
}

/// Whether a service keeps its address: as long as it has instances, as in Consul.
fn holds(tables: &Tables, service: &ServiceRef) -> bool {
    tables.placed.scan(&keys::placed::of_service(service)).next().is_some()
}
