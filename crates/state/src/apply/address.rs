//! Virtual addresses: which services have one, and the further addresses that operators give them.
//!
//! Rule sets before [`ADDRESS_RULES`] gave none. Raising the rule set gives one to every service that is to have one.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use concord_model::ServiceRef;
use concord_model::catalog::{Node, NodeScope, ServiceAddress, ServiceInstance};

use crate::apply::cluster::{ADDRESS_RULES, rule_set};
use crate::apply::stamp::renewed;
use crate::command::SetManualAddresses;
use crate::derive::{address as rows, catalog};
use crate::keys;
use crate::reply::{CatalogRefusal, CommandReply, Refusal};
use crate::row::VirtualAddress;
use crate::table::Commit;
use crate::tables::Tables;

/// The tag of a virtual address among the tagged addresses of an instance.
const TAG: &str = "consul-virtual";

/// Gives and takes the addresses of the services that a command has touched.
pub(super) fn settle(tables: &mut Tables, commit: &mut Commit) -> Result<(), Refusal> {
    if rule_set(tables) < ADDRESS_RULES {
        return Ok(());
    }
    rows::settle(tables, commit).ok_or_else(|| CatalogRefusal::NoAddress.into())
}

/// An instance with the virtual address of the service for which it takes traffic.
pub(super) fn tagged(
    tables: &mut Tables,
    commit: &mut Commit,
    scope: &NodeScope,
    mut instance: ServiceInstance,
) -> Result<ServiceInstance, CatalogRefusal> {
    if rule_set(tables) >= ADDRESS_RULES
        && let Some(service) = instance.connect_target(scope)
    {
        let address = rows::assign(tables, commit, &service).ok_or(CatalogRefusal::NoAddress)?;
        let own = ServiceAddress { address: address.to_string(), port: instance.port };
        instance.tagged_addresses.insert(TAG.to_owned(), own);
    }
    Ok(instance)
}

/// Gives addresses to everything that is there, when the rule set begins to demand them.
pub(super) fn assign_all(tables: &mut Tables, commit: &mut Commit) -> Result<(), Refusal> {
    commit.services.extend(tables.entries.iter().filter_map(|(_, row)| rows::of_entry(&row.name())));
    let all: Vec<(Arc<Node>, Arc<ServiceInstance>)> = tables
        .connect_placed
        .iter()
        .map(|(_, placed)| (Arc::clone(&placed.node), Arc::clone(&placed.service)))
        .collect();
    for (node, old) in all {
        let new = tagged(tables, commit, &node.scope, ServiceInstance::clone(&old))?;
        if let Some(row) = renewed(Some(&*old), new, commit.index) {
            catalog::put_instance(tables, commit, &node, &row);
        }
    }
    Ok(())
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
