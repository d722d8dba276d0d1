//! Nodes, instances and checks, with all derived rows.
//!
//! A change of a node updates the rows of all its instances and checks. A change of a check updates the rows of the
//! instances it counts for.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_model::catalog::{Check, Node, NodeScope, ServiceInstance};
use concord_model::{CheckId, InstanceId, Namespace, NodeName, ServiceRef};

use crate::key::Key;
use crate::keys;
use crate::row::{NodeCheck, Placed, ServiceHealth, ServiceSummary, ServiceTraits, UpstreamUse};
use crate::table::Commit;
use crate::tables::Tables;

// === Nodes ===

/// Stores a node. Returns whether it changed.
pub(crate) fn put_node(tables: &mut Tables, commit: &mut Commit, node: &Arc<Node>) -> bool {
    let key = keys::nodes::row(&node.scope, &node.name);
    let old = tables.nodes.get(&key).cloned();
    if !tables.nodes.put(&key, Arc::clone(node), commit) {
        return false;
    }
    if let Some(id) = old.and_then(|old| old.id).filter(|id| Some(*id) != node.id) {
        tables.node_ids.remove(&keys::node_ids::key(&node.scope, id), commit);
    }
    if let Some(id) = node.id {
        tables.node_ids.put(&keys::node_ids::key(&node.scope, id), Arc::clone(node), commit);
    }
    for check in rows(tables.checks.scan(&key)) {
        arrange_check(tables, commit, node, &check);
    }
    arrange_instances(tables, commit, node);
    true
}

/// Removes a node with all its instances and checks. Returns whether there was one.
pub(crate) fn remove_node(
    tables: &mut Tables,
    commit: &mut Commit,
    scope: &NodeScope,
    name: &NodeName,
) -> bool {
    let key = keys::nodes::row(scope, name);
    let Some(node) = tables.nodes.get(&key).cloned() else { return false };
    for instance in rows(tables.instances.scan(&key)) {
        remove_instance(tables, commit, scope, name, &instance.namespace, &instance.id);
    }
    for check in rows(tables.checks.scan(&key)) {
        remove_check(tables, commit, scope, name, &check.id);
    }
    if let Some(id) = node.id {
        tables.node_ids.remove(&keys::node_ids::key(scope, id), commit);
    }
    tables.nodes.remove(&key, commit);
    true
}

// === Instances ===

/// Stores an instance on an existing node. Returns whether it changed.
pub(crate) fn put_instance(
    tables: &mut Tables,
    commit: &mut Commit,
    node: &Arc<Node>,
    instance: &Arc<ServiceInstance>,
) -> bool {
    let key = keys::instances::row(&node.scope, &node.name, &instance.namespace, &instance.id);
    let old = tables.instances.get(&key).cloned();
    if !tables.instances.put(&key, Arc::clone(instance), commit) {
        return false;
    }
    for touched in old.iter().chain([instance]) {
        touch(commit, &node.scope, touched);
    }
    if let Some(old) = &old {
        let (is, was) = (InstanceKeys::of(node, instance), InstanceKeys::of(node, old));
        if is.service != was.service {
            scatter_served(tables, commit, &was.service);
        }
        if let Some(target) = was.target.filter(|was| Some(was) != is.target.as_ref()) {
            scatter_connect(tables, commit, &target);
        }
    }
    count(tables, commit, &node.scope, old.as_deref(), Some(instance));
    arrange_instance(tables, commit, node, instance);
    arrange_upstreams(tables, commit, node, old.as_deref(), Some(instance));
    for touched in old.iter().chain([instance]) {
        arrange_traits(tables, commit, &node.scope, touched);
    }
    true
}

/// Removes an instance with its checks. Returns whether there was one.
pub(crate) fn remove_instance(
    tables: &mut Tables,
    commit: &mut Commit,
    scope: &NodeScope,
    node: &NodeName,
    namespace: &Namespace,
    id: &InstanceId,
) -> bool {
    let key = keys::instances::row(scope, node, namespace, id);
    let Some(old) = tables.instances.remove(&key, commit) else { return false };
    touch(commit, scope, &old);
    let was = InstanceKeys::on(scope, node, &old);
    scatter_served(tables, commit, &was.service);
    if let Some(target) = &was.target {
        scatter_connect(tables, commit, target);
    }
    count(tables, commit, scope, Some(&old), None);
    if let Some(node) = tables.nodes.get(&keys::nodes::row(scope, node)).cloned() {
        arrange_upstreams(tables, commit, &node, Some(&old), None);
    }
    arrange_traits(tables, commit, scope, &old);
    for check in
        rows(tables.instance_checks.scan(&keys::instance_checks::of(scope, node, Some((namespace, id)))))
    {
        remove_check(tables, commit, scope, node, &check.id);
    }
    true
}

/// Notes the services that an instance is of, or takes traffic for.
fn touch(commit: &mut Commit, scope: &NodeScope, instance: &ServiceInstance) {
    commit.services.insert(instance.service_ref(scope));
    commit.services.extend(instance.connect_target(scope));
}

/// The keys of an instance: in the tables of its service, and of the service for which it takes traffic.
struct InstanceKeys {
    service: Key,
    target: Option<Key>,
}

impl InstanceKeys {
    fn of(node: &Node, instance: &ServiceInstance) -> Self {
        Self::on(&node.scope, &node.name, instance)
    }

    fn on(scope: &NodeScope, node: &NodeName, instance: &ServiceInstance) -> Self {
        let target = instance.connect_target(scope);
        Self {
            service: keys::placed::key(&instance.service_ref(scope), node, &instance.id),
            target: target.map(|target| keys::connect_placed::key(&target, node, &instance.id)),
        }
    }
}

fn scatter_served(tables: &mut Tables, commit: &mut Commit, key: &Key) {
    tables.placed.remove(key, commit);
    tables.health.remove(key, commit);
}

fn scatter_connect(tables: &mut Tables, commit: &mut Commit, key: &Key) {
    tables.connect_placed.remove(key, commit);
    tables.connect_health.remove(key, commit);
}

fn arrange_instances(tables: &mut Tables, commit: &mut Commit, node: &Arc<Node>) {
    for instance in rows(tables.instances.scan(&keys::instances::on_node(&node.scope, &node.name))) {
        arrange_instance(tables, commit, node, &instance);
    }
}

fn arrange_instance(
    tables: &mut Tables,
    commit: &mut Commit,
    node: &Arc<Node>,
    instance: &Arc<ServiceInstance>,
) {
    let own = keys::instance_checks::of(&node.scope, &node.name, Some((&instance.namespace, &instance.id)));
    let mut checks =
        rows(tables.instance_checks.scan(&keys::instance_checks::of(&node.scope, &node.name, None)));
    checks.extend(tables.instance_checks.scan(&own).map(|(_, check)| Arc::clone(check)));
    let placed = Arc::new(Placed { node: Arc::clone(node), service: Arc::clone(instance) });
    let health = Arc::new(ServiceHealth { node: Arc::clone(node), service: Arc::clone(instance), checks });
    let at = InstanceKeys::of(node, instance);
    tables.placed.put(&at.service, Arc::clone(&placed), commit);
    tables.health.put(&at.service, Arc::clone(&health), commit);
    if let Some(target) = at.target {
        tables.connect_placed.put(&target, placed, commit);
        tables.connect_health.put(&target, health, commit);
    }
}

/// Updates the counts of a service's instances and tags.
fn count(
    tables: &mut Tables,
    commit: &mut Commit,
    scope: &NodeScope,
    old: Option<&ServiceInstance>,
    new: Option<&ServiceInstance>,
) {
    let subtracted = old.map(|old| {
        let mut summary = summary(tables, scope, old);
        summary.subtract(old);
        summary
    });
    let Some(new) = new else {
        subtracted.into_iter().for_each(|summary| store_summary(tables, commit, summary));
        return;
    };
    let mut added = match subtracted {
        Some(summary) if summary.service.name == new.service => summary,
        Some(other) => {
            store_summary(tables, commit, other);
            summary(tables, scope, new)
        }
        None => summary(tables, scope, new),
    };
    added.add(new);
    store_summary(tables, commit, added);
}

fn summary(tables: &Tables, scope: &NodeScope, instance: &ServiceInstance) -> ServiceSummary {
    let service = instance.service_ref(scope);
    let found =
        tables.service_names.get(&keys::service_names::row(&service)).map(|row| ServiceSummary::clone(row));
    found.unwrap_or_else(|| ServiceSummary::new(service))
}

fn store_summary(tables: &mut Tables, commit: &mut Commit, summary: ServiceSummary) {
    let key = keys::service_names::row(&summary.service);
    if summary.is_empty() {
        tables.service_names.remove(&key, commit);
    } else if tables.service_names.get(&key).is_some_and(|old| **old == summary) {
        tables.service_names.replace_unseen(&key, Arc::new(summary));
    } else {
        tables.service_names.put(&key, Arc::new(summary), commit);
    }
}

/// Writes what is known of the services that an instance is of, or takes traffic for.
fn arrange_traits(tables: &mut Tables, commit: &mut Commit, scope: &NodeScope, touched: &ServiceInstance) {
    for service in [Some(touched.service_ref(scope)), touched.connect_target(scope)].into_iter().flatten() {
        let key = keys::service_traits::row(&service);
        let summary = tables.service_names.get(&keys::service_names::row(&service)).cloned();
        let connected =
            tables.connect_placed.scan(&keys::connect_placed::of_service(&service)).next().is_some();
        if summary.is_none() && !connected {
            tables.service_traits.remove(&key, commit);
        } else {
            let row = ServiceTraits::of(&service, summary.as_deref(), connected);
            tables.service_traits.put(&key, Arc::new(row), commit);
        }
    }
}

/// Replaces the upstreams of a proxy by those that it has now.
fn arrange_upstreams(
    tables: &mut Tables,
    commit: &mut Commit,
    node: &Node,
    old: Option<&ServiceInstance>,
    new: Option<&ServiceInstance>,
) {
    let (was, is) = (upstreams(node, old), upstreams(node, new));
    for gone in was.keys().filter(|key| !is.contains_key(*key)) {
        tables.upstream_uses.remove(gone, commit);
    }
    for (key, row) in is {
        tables.upstream_uses.put(&key, Arc::new(row), commit);
    }
}

/// The rows of a proxy's upstreams.
fn upstreams(node: &Node, instance: Option<&ServiceInstance>) -> BTreeMap<Key, UpstreamUse> {
    let proxy = instance.and_then(|own| Some((own, own.connect_target(&node.scope)?)));
    let Some((own, caller)) = proxy else { return BTreeMap::new() };
    let used = |upstream: ServiceRef| {
        let key = keys::upstream_uses::key(&upstream, &node.scope, &node.name, &own.namespace, &own.id);
        (key, UpstreamUse { caller: caller.clone(), upstream })
    };
    own.upstreams(&node.datacenter).map(used).collect()
}

// === Checks ===

/// Stores a check on an existing node. Returns whether it changed.
pub(crate) fn put_check(
    tables: &mut Tables,
    commit: &mut Commit,
    node: &Arc<Node>,
    check: &Arc<Check>,
) -> bool {
    let key = keys::checks::row(&node.scope, &node.name, &check.id);
    let old = tables.checks.get(&key).cloned();
    if !tables.checks.put(&key, Arc::clone(check), commit) {
        return false;
    }
    if let Some(old) = &old {
        scatter_check(tables, commit, node, old, Some(check));
    }
    arrange_check(tables, commit, node, check);
    let moved = old.filter(|old| speaks_for(old) != speaks_for(check));
    for check in moved.iter().chain([check]) {
        arrange_instances_of(tables, commit, node, check);
    }
    true
}

/// Removes a check. Returns whether there was one.
pub(crate) fn remove_check(
    tables: &mut Tables,
    commit: &mut Commit,
    scope: &NodeScope,
    node: &NodeName,
    id: &CheckId,
) -> bool {
    let Some(node) = tables.nodes.get(&keys::nodes::row(scope, node)).cloned() else { return false };
    let Some(old) = tables.checks.remove(&keys::checks::row(scope, &node.name, id), commit) else {
        return false;
    };
    scatter_check(tables, commit, &node, &old, None);
    arrange_instances_of(tables, commit, &node, &old);
    true
}

/// The keys of a check: by what it belongs to, by its state, and by its service if it has one.
struct CheckKeys {
    instance: Key,
    state: Key,
    service: Option<Key>,
}

impl CheckKeys {
    fn of(node: &Node, check: &Check) -> Self {
        let (scope, name) = (&node.scope, &node.name);
        let service = check.service_name.clone().map(|service| ServiceRef {
            partition: scope.partition.clone(),
            namespace: check.namespace.clone(),
            peer: scope.peer.clone(),
            name: service,
        });
        Self {
            instance: keys::instance_checks::key(scope, name, speaks_for(check), &check.id),
            state: keys::check_states::key(scope, check.status, name, &check.id),
            service: service.map(|service| keys::service_checks::key(&service, name, &check.id)),
        }
    }
}

/// Removes the derived rows of `old` that the rows of `new` will not replace.
fn scatter_check(
    tables: &mut Tables,
    commit: &mut Commit,
    node: &Node,
    old: &Check,
    new: Option<&Arc<Check>>,
) {
    let was = CheckKeys::of(node, old);
    let is = new.map(|new| CheckKeys::of(node, new));
    if is.as_ref().is_none_or(|is| is.instance != was.instance) {
        tables.instance_checks.remove(&was.instance, commit);
    }
    if is.as_ref().is_none_or(|is| is.state != was.state) {
        tables.check_states.remove(&was.state, commit);
    }
    if let Some(gone) = was.service.filter(|was| is.and_then(|is| is.service).as_ref() != Some(was)) {
        tables.service_checks.remove(&gone, commit);
    }
}

fn arrange_check(tables: &mut Tables, commit: &mut Commit, node: &Arc<Node>, check: &Arc<Check>) {
    let row = Arc::new(NodeCheck { node: Arc::clone(node), check: Arc::clone(check) });
    let at = CheckKeys::of(node, check);
    tables.instance_checks.put(&at.instance, Arc::clone(check), commit);
    tables.check_states.put(&at.state, Arc::clone(&row), commit);
    if let Some(key) = at.service {
        tables.service_checks.put(&key, row, commit);
    }
}

fn speaks_for(check: &Check) -> Option<(&Namespace, &InstanceId)> {
    check.service_id.as_ref().map(|id| (&check.namespace, id))
}

fn arrange_instances_of(tables: &mut Tables, commit: &mut Commit, node: &Arc<Node>, check: &Check) {
    let Some((namespace, id)) = speaks_for(check) else {
        return arrange_instances(tables, commit, node);
    };
    let key = keys::instances::row(&node.scope, &node.name, namespace, id);
    if let Some(instance) = tables.instances.get(&key).cloned() {
        arrange_instance(tables, commit, node, &instance);
    }
}

fn rows<'a, R: 'a>(rows: impl Iterator<Item = (&'a Key, &'a Arc<R>)>) -> Vec<Arc<R>> {
    rows.map(|(_, row)| Arc::clone(row)).collect()
}
