//! Registers and deregisters nodes, instances and checks.
//!
//! A node name and a node id each belong to one node at a time. Another node gets them only if the `serfHealth` check
//! of the holder says that it has failed. Otherwise a node could replace another one by registering under its id or
//! name.

use std::sync::Arc;

use concord_model::catalog::{
    Check, CheckStatus, Deregistration, Node, Registered, Registration, SERF_HEALTH, ServiceInstance,
};
use concord_model::{CheckId, Namespace};

use super::address;
use super::outcome::done;
use crate::apply::stamp::renewed;
use crate::derive::catalog as rows;
use crate::keys;
use crate::reply::{CatalogRefusal, CommandReply, Refusal};
use crate::table::Commit;
use crate::tables::Tables;

pub(super) fn register(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &Registration,
) -> Result<CommandReply, Refusal> {
    let (node, mut changed) = register_node(tables, commit, command)?;
    if let Some(instance) = &command.service {
        changed |= register_instance(tables, commit, &node, instance, &command.checks)?;
    }
    for check in &command.checks {
        changed |= register_check(tables, commit, &node, check)?;
    }
    Ok(done(changed))
}

pub(super) fn deregister(tables: &mut Tables, commit: &mut Commit, command: &Deregistration) -> CommandReply {
    let (scope, node) = (&command.scope, &command.node);
    done(match &command.what {
        Registered::Node => rows::remove_node(tables, commit, scope, node),
        Registered::Service { namespace, id } => {
            rows::remove_instance(tables, commit, scope, node, namespace, id)
        }
        Registered::Check { id } => rows::remove_check(tables, commit, scope, node, id),
    })
}

// === Nodes ===

fn register_node(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &Registration,
) -> Result<(Arc<Node>, bool), CatalogRefusal> {
    let node = &command.node;
    let existing = tables.nodes.get(&keys::nodes::row(&node.scope, &node.name)).cloned();
    let failed = claim(tables, command, existing.as_deref())?;
    match existing {
        Some(existing) if command.skip_node_update => Ok((existing, false)),
        _ => Ok(store_node(tables, commit, node, &failed)),
    }
}

/// Decides whether a node may have the name and the id it asks for. Returns the failed nodes that have them; these
/// must be removed together with their registrations.
fn claim(
    tables: &Tables,
    command: &Registration,
    existing: Option<&Node>,
) -> Result<Vec<Arc<Node>>, CatalogRefusal> {
    let node = &command.node;
    let Some(id) = node.id else { return Ok(Vec::new()) };
    let of_name = existing.filter(|existing| existing.id.is_some_and(|own| own != id));
    if let Some(holder) = of_name
        && (command.skip_node_update || !failed(tables, holder))
    {
        let holder = holder.id.expect("filtered above");
        return Err(CatalogRefusal::NodeNameTaken { node: node.name.clone(), holder });
    }
    let of_id =
        tables.node_ids.get(&keys::node_ids::key(&node.scope, id)).filter(|holder| holder.name != node.name);
    if let Some(holder) = of_id
        && (command.skip_node_update || !failed(tables, holder))
    {
        let (holder, node) = (holder.name.clone(), node.name.clone());
        return Err(CatalogRefusal::NodeIdTaken { id, holder, node });
    }
    Ok(of_name.map(|node| Arc::new(node.clone())).into_iter().chain(of_id.cloned()).collect())
}

/// Whether the gossip pool reports the node as failed. A node outside the pool never counts as failed.
fn failed(tables: &Tables, node: &Node) -> bool {
    let serf_health = CheckId::parse(SERF_HEALTH).expect("a constant that is a check id");
    let check = tables.checks.get(&keys::checks::row(&node.scope, &node.name, &serf_health));
    check.is_some_and(|check| check.service_id.is_none() && check.status == CheckStatus::Critical)
}

fn store_node(
    tables: &mut Tables,
    commit: &mut Commit,
    described: &Node,
    failed: &[Arc<Node>],
) -> (Arc<Node>, bool) {
    for gone in failed {
        rows::remove_node(tables, commit, &gone.scope, &gone.name);
    }
    let existing = tables.nodes.get(&keys::nodes::row(&described.scope, &described.name)).cloned();
    let mut node = described.clone();
    // A registration without an id keeps the id that the node already has.
    node.id = node.id.or_else(|| existing.as_ref().and_then(|existing| existing.id));
    let Some(node) = renewed(existing.as_deref(), node, commit.index) else {
        return (existing.expect("only a record that exists can be the same already"), !failed.is_empty());
    };
    rows::put_node(tables, commit, &node);
    (node, true)
}

// === Instances ===

fn register_instance(
    tables: &mut Tables,
    commit: &mut Commit,
    node: &Arc<Node>,
    instance: &ServiceInstance,
    checks: &[Check],
) -> Result<bool, CatalogRefusal> {
    let key = keys::instances::row(&node.scope, &node.name, &instance.namespace, &instance.id);
    let old = tables.instances.get(&key).cloned();
    let instance = address::tagged(tables, commit, &node.scope, instance.clone())?;
    let Some(row) = renewed(old.as_deref(), instance, commit.index) else { return Ok(false) };
    rows::put_instance(tables, commit, node, &row);
    if old.is_some_and(|old| old.service != row.service) {
        rename_checks(tables, commit, node, &row, checks);
    }
    Ok(true)
}

/// Renames the checks of an instance whose service got another name. Checks that the same command registers are
/// skipped: they get the new name when they are registered, and some may no longer belong to the instance.
fn rename_checks(
    tables: &mut Tables,
    commit: &mut Commit,
    node: &Arc<Node>,
    instance: &ServiceInstance,
    registered: &[Check],
) {
    let own = keys::instance_checks::of(&node.scope, &node.name, Some((&instance.namespace, &instance.id)));
    let checks: Vec<_> = tables.instance_checks.scan(&own).map(|(_, check)| Arc::clone(check)).collect();
    let stay = |check: &&Arc<Check>| registered.iter().all(|other| other.id != check.id);
    for check in checks.iter().filter(stay) {
        let named = Check { service_name: Some(instance.service.clone()), ..Check::clone(check) };
        if let Some(row) = renewed(Some(&**check), named, commit.index) {
            rows::put_check(tables, commit, node, &row);
        }
    }
}

// === Checks ===

fn register_check(
    tables: &mut Tables,
    commit: &mut Commit,
    node: &Arc<Node>,
    check: &Check,
) -> Result<bool, CatalogRefusal> {
    let mut check = check.clone();
    match &check.service_id {
        // The check belongs to the node. A service that it names also lists it, as in Consul, but has no rights to
        // it.
        None => check.namespace = Namespace::default(),
        Some(id) => {
            let key = keys::instances::row(&node.scope, &node.name, &check.namespace, id);
            let instance = tables.instances.get(&key).ok_or_else(|| CatalogRefusal::UnknownService {
                node: node.name.clone(),
                service: id.clone(),
                check: check.id.clone(),
            })?;
            check.service_name = Some(instance.service.clone());
            check.service_tags = instance.tags.clone();
        }
    }
    let old = tables.checks.get(&keys::checks::row(&node.scope, &node.name, &check.id)).cloned();
    let Some(row) = renewed(old.as_deref(), check, commit.index) else { return Ok(false) };
    Ok(rows::put_check(tables, commit, node, &row))
}
