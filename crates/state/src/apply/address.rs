//! Virtual addresses: which services have one, and the further addresses that operators give them.
//!
//! Rule sets before [`ADDRESS_RULES`] gave none. Raising the rule set gives one to every service that is to have one.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use concord_model::ServiceRef;
use concord_model::catalog::{NodeScope, ServiceAddress, ServiceInstance};
use concord_model::entry::{EntryKind, EntryName};
use concord_model::proxy::ServiceKind;

use crate::apply::cluster::{ADDRESS_RULES, rule_set};
use crate::apply::stamp::renewed;
use crate::command::SetManualAddresses;
use crate::derive::{address as rows, catalog};
use crate::keys;
use crate::reply::{CatalogRefusal, CommandReply, Refusal};
use crate::row::{Placed, VirtualAddress};
use crate::table::Commit;
use crate::tables::Tables;

/// The tag of a virtual address among the tagged addresses of an instance.
const TAG: &str = "consul-virtual";
/// How the tags begin of the virtual addresses of the services behind a terminating gateway. The name follows.
const LINKED: &str = "consul-virtual:";

/// Gives and takes the addresses of the services that a command has touched.
pub(super) fn settle(tables: &mut Tables, commit: &mut Commit) -> Result<(), Refusal> {
    if rule_set(tables) < ADDRESS_RULES {
        return Ok(());
    }
    rows::settle(tables, commit).ok_or_else(|| CatalogRefusal::NoAddress.into())
}

/// An instance with the virtual address of the service for which it takes traffic, or, of a terminating gateway, with
/// those of the services that its entry names.
pub(super) fn tagged(
    tables: &mut Tables,
    commit: &mut Commit,
    scope: &NodeScope,
    mut instance: ServiceInstance,
) -> Result<ServiceInstance, CatalogRefusal> {
    if rule_set(tables) < ADDRESS_RULES {
        return Ok(instance);
    }
    if instance.kind == ServiceKind::TerminatingGateway {
        tag_linked(tables, commit, scope, &mut instance)?;
    }
    if let Some(service) = instance.connect_target(scope) {
        let address = rows::assign(tables, commit, &service).ok_or(CatalogRefusal::NoAddress)?;
        let own = ServiceAddress { address: address.to_string(), port: instance.port };
        instance.tagged_addresses.insert(TAG.to_owned(), own);
    }
    Ok(instance)
}

fn tag_linked(
    tables: &mut Tables,
    commit: &mut Commit,
    scope: &NodeScope,
    instance: &mut ServiceInstance,
) -> Result<(), CatalogRefusal> {
    instance.tagged_addresses.retain(|tag, _| !tag.starts_with(LINKED));
    for service in rows::behind(tables, &instance.service_ref(scope)) {
        let address = rows::assign(tables, commit, &service).ok_or(CatalogRefusal::NoAddress)?;
        let own = ServiceAddress { address: address.to_string(), port: 0 };
        instance.tagged_addresses.insert(format!("{LINKED}{}", service.name), own);
    }
    Ok(())
}

/// Tags the instances of a terminating gateway anew, after a change of its entry.
pub(super) fn retag(tables: &mut Tables, commit: &mut Commit, entry: &EntryName) -> Result<(), Refusal> {
    let gateway = entry.scope.service().filter(|_| entry.kind == EntryKind::TerminatingGateway);
    let Some(gateway) = gateway.filter(|_| rule_set(tables) >= ADDRESS_RULES) else { return Ok(()) };
    let all = tables.placed.scan(&keys::placed::of_service(&gateway));
    let all = all.map(|(_, placed)| Arc::clone(placed)).collect();
    tag_all(tables, commit, all)
}

fn tag_all(tables: &mut Tables, commit: &mut Commit, all: Vec<Arc<Placed>>) -> Result<(), Refusal> {
    for placed in all {
        let (node, old) = (&placed.node, &placed.service);
        let new = tagged(tables, commit, &node.scope, ServiceInstance::clone(old))?;
        if let Some(row) = renewed(Some(&**old), new, commit.index) {
            catalog::put_instance(tables, commit, node, &row);
        }
    }
    Ok(())
}

/// Gives addresses to everything that is there, when the rule set begins to demand them.
pub(super) fn assign_all(tables: &mut Tables, commit: &mut Commit) -> Result<(), Refusal> {
    commit.services.extend(tables.entries.iter().filter_map(|(_, row)| rows::of_entry(&row.name())));
    let linked = tables.entry_links.iter().filter(|(_, link)| rows::gives_address(link));
    commit.services.extend(linked.map(|(_, link)| link.to.clone()));
    let gateways =
        tables.placed.iter().filter(|(_, own)| own.service.kind == ServiceKind::TerminatingGateway);
    let all = tables.connect_placed.iter().chain(gateways).map(|(_, placed)| Arc::clone(placed)).collect();
    tag_all(tables, commit, all)
}

pub(super) fn set_manual(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &SetManualAddresses,
) -> CommandReply {
    let SetManualAddresses { service, addresses } = command;
    let Some(own) = tables.virtual_addresses.get(&keys::virtual_addresses::row(service)).cloned() else {
        return CommandReply::Addressed { found: false, taken_from: Vec::new() };
    };
    let wanted: BTreeSet<Ipv4Addr> = addresses.iter().copied().collect();
    let others = tables.virtual_addresses.iter().map(|(_, row)| Arc::clone(row)).filter(|row| {
        row.service != *service
            && row.service.partition == service.partition
            && row.manual.iter().any(|address| wanted.contains(address))
    });
    let mut taken_from: Vec<ServiceRef> = Vec::new();
    for other in others.collect::<Vec<_>>() {
        let left = other.manual.iter().copied().filter(|address| !wanted.contains(address)).collect();
        taken_from.push(other.service.clone());
        put(tables, commit, &other, left);
    }
    put(tables, commit, &own, wanted.into_iter().collect());
    CommandReply::Addressed { found: true, taken_from }
}

fn put(tables: &mut Tables, commit: &mut Commit, old: &VirtualAddress, manual: Vec<Ipv4Addr>) {
    if old.manual != manual {
        let stamp = concord_model::Stamp { modify: commit.index, ..old.stamp };
        let row = Arc::new(VirtualAddress { manual, stamp, ..old.clone() });
        tables.virtual_addresses.put(&keys::virtual_addresses::row(&old.service), row, commit);
    }
}
