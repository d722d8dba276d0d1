//! Catalog and health.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concord_acl::{Labelled, Level, Right};
use concord_model::catalog::{
    Check, CheckStatus, Deregistration, Node, NodeScope, Registered, Registration, ServiceInstance,
};
use concord_model::{Datacenter, InstanceId, Namespace, NodeName, ServiceName};
use concord_rpc::request::{
    CheckState, ChecksInState, Deregister, InstanceHealth, InstanceOnNode, InstanceSelection,
    ListDatacenters, ListInstances, ListNodes, ListServices, NodeCheck, NodeChecks, NodeDump, NodeRecords,
    Register, ServiceChecks, ServiceHealth, ServiceInstances,
};
use concord_rpc::{Answer, Caller, RpcError};
use concord_state::{Placed, Reader, ServiceHealth as HealthRow, ServiceScope, ServiceSummary};

use crate::endpoint::merging::shown;
use crate::reading::Reading;
use crate::writing::Writing;

fn node_right(name: &NodeName, level: Level) -> Right<'_> {
    Right::named(Labelled::Node, name.as_str(), level)
}

fn service_right(name: &ServiceName, level: Level) -> Right<'_> {
    Right::named(Labelled::Service, name.as_str(), level)
}

fn has_meta(node: &Node, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| node.meta.get(key) == Some(value))
}

fn has_tags(service: &ServiceInstance, wanted: &[String]) -> bool {
    wanted.iter().all(|tag| service.tags.iter().any(|own| own.eq_ignore_ascii_case(tag)))
}

pub(crate) fn list_datacenters(
    reading: &mut Reading<'_>,
    _: &ListDatacenters,
) -> Result<Vec<Datacenter>, RpcError> {
    Ok(vec![reading.config.datacenter.clone()])
}

pub(crate) fn list_nodes(reading: &mut Reading<'_>, request: &ListNodes) -> Result<Vec<Node>, RpcError> {
    let nodes = reading.reader.nodes(&NodeScope::default());
    let seen = reading.keep(nodes, |node| reading.caller.sees().node(&node.name));
    let wanted = seen.iter().filter(|node| has_meta(node, &request.node_meta));
    Ok(wanted.map(|node| (**node).clone()).collect())
}

pub(crate) fn list_services(
    reading: &mut Reading<'_>,
    request: &ListServices,
) -> Result<BTreeMap<ServiceName, Vec<String>>, RpcError> {
    let seen = seen_services(reading, &request.node_meta);
    Ok(seen.into_iter().map(|(name, tags)| (name, tags.into_iter().collect())).collect())
}

pub(crate) fn list_instances(
    reading: &mut Reading<'_>,
    request: &ListInstances,
) -> Result<Vec<InstanceOnNode>, RpcError> {
    Ok(seen_instances(reading, &request.node_meta).iter().map(|placed| on_node(placed)).collect())
}

pub(crate) fn service_instances(
    reading: &mut Reading<'_>,
    request: &ServiceInstances,
) -> Result<Vec<InstanceOnNode>, RpcError> {
    let select = &request.select;
    let all = selected_instances(reading, select);
    let selected = reading
        .keep(all, |placed| reading.caller.sees().selected(select, &placed.node.name, &placed.service));
    let wanted = selected.iter().filter(|placed| wants(select, &placed.node, &placed.service));
    let shown = wanted.map(|placed| InstanceOnNode {
        node: (*placed.node).clone(),
        service: shown(reading, &placed.node.scope, &placed.service, select.merged),
    });
    Ok(shown.collect())
}

pub(crate) fn service_health(
    reading: &mut Reading<'_>,
    request: &ServiceHealth,
) -> Result<Vec<InstanceHealth>, RpcError> {
    let select = &request.select;
    let all = selected_health(reading, select);
    let selected =
        reading.keep(all, |row| reading.caller.sees().selected(select, &row.node.name, &row.service));
    let wanted = selected.iter().filter(|row| wants(select, &row.node, &row.service));
    let worst = request.worst.unwrap_or(CheckStatus::Critical);
    let wanted = wanted.map(|row| health(row)).filter(|instance| instance.status() <= worst);
    let shown = wanted.map(|one| InstanceHealth {
        service: shown(reading, &one.node.scope, &one.service, select.merged),
        ..one
    });
    Ok(shown.collect())
}

fn selected_instances(reading: &mut Reading<'_>, select: &InstanceSelection) -> Vec<Arc<Placed>> {
    let reader = &mut reading.reader;
    match (select.connect, select.ingress) {
        (true, _) => {
            let gateways =
                if select.gateways { reader.terminating_gateways(&select.service) } else { Vec::new() };
            let mut all = reader.connect_instances(&select.service);
            all.extend(gateways.iter().flat_map(|gateway| reader.service_instances(gateway)));
            all
        }
        (false, true) => {
            let gateways = reader.ingress_gateways(&select.service);
            gateways.iter().flat_map(|gateway| reader.service_instances(gateway)).collect()
        }
        (false, false) => reader.service_instances(&select.service),
    }
}

fn selected_health(reading: &mut Reading<'_>, select: &InstanceSelection) -> Vec<Arc<HealthRow>> {
    let reader = &mut reading.reader;
    match (select.connect, select.ingress) {
        (true, _) => {
            let gateways =
                if select.gateways { reader.terminating_gateways(&select.service) } else { Vec::new() };
            let mut all = reader.health_connect(&select.service);
            all.extend(gateways.iter().flat_map(|gateway| reader.health_service(gateway)));
            all
        }
        (false, true) => {
            let gateways = reader.ingress_gateways(&select.service);
            gateways.iter().flat_map(|gateway| reader.health_service(gateway)).collect()
        }
        (false, false) => reader.health_service(&select.service),
    }
}

pub(crate) fn node_dump(
    reading: &mut Reading<'_>,
    request: &NodeDump,
) -> Result<Option<NodeRecords>, RpcError> {
    let scope = NodeScope::default();
    let Some(node) = reading.reader.node(&scope, &request.node) else { return Ok(None) };
    let sees = reading.caller.sees();
    if !sees.node(&node.name) {
        reading.hide();
        return Ok(None);
    }
    let services = reading.reader.node_services(&scope, &node.name);
    let services = reading.keep(services, |service| sees.instance(&node.name, service));
    let checks = reading.reader.checks_of_node(&scope, &node.name);
    let checks = reading.keep(checks, |check| sees.check(&node.name, check));
    Ok(Some(NodeRecords {
        node: (*node).clone(),
        services: services.iter().map(|one| shown(reading, &scope, one, request.merged)).collect(),
        checks: checks.iter().map(|check| (**check).clone()).collect(),
    }))
}

pub(crate) fn node_checks(reading: &mut Reading<'_>, request: &NodeChecks) -> Result<Vec<Check>, RpcError> {
    let checks = reading.reader.checks_of_node(&NodeScope::default(), &request.node);
    let seen = reading.keep(checks, |check| reading.caller.sees().check(&request.node, check));
    Ok(seen.iter().map(|check| (**check).clone()).collect())
}

pub(crate) fn service_checks(
    reading: &mut Reading<'_>,
    request: &ServiceChecks,
) -> Result<Vec<NodeCheck>, RpcError> {
    let checks = reading.reader.checks_of_service(&request.service);
    let seen = reading.keep(checks, |row| reading.caller.sees().check(&row.node.name, &row.check));
    let wanted = seen.iter().filter(|row| has_meta(&row.node, &request.node_meta));
    Ok(wanted.map(|row| NodeCheck { node: row.node.name.clone(), check: (*row.check).clone() }).collect())
}

pub(crate) fn checks_in_state(
    reading: &mut Reading<'_>,
    request: &ChecksInState,
) -> Result<Vec<NodeCheck>, RpcError> {
    let scope = NodeScope::default();
    let mut checks = match request.state {
        CheckState::Any => reading.reader.checks_in_state(&scope, None),
        CheckState::Is(status) => reading.reader.checks_in_state(&scope, Some(status)),
        CheckState::Never => Vec::new(),
    };
    // The table has them in the order of their states.
    checks.sort_by(|a, b| (&a.node.name, &a.check.id).cmp(&(&b.node.name, &b.check.id)));
    let seen = reading.keep(checks, |row| reading.caller.sees().check(&row.node.name, &row.check));
    let wanted = seen.iter().filter(|row| has_meta(&row.node, &request.node_meta));
    Ok(wanted.map(|row| NodeCheck { node: row.node.name.clone(), check: (*row.check).clone() }).collect())
}

/// Writes a registration. It needs `node:write` if the node changes, `service:write` on the new service and on the
/// one it replaces, and the write right to the owner of each of its checks.
pub(crate) async fn register(writing: Writing<'_>, request: Register) -> Result<Answer<()>, RpcError> {
    let registration = normal(request.0, &writing.config.datacenter)?;
    let (_turn, caller) = writing.turn(registration.node.name.as_str()).await?;
    may_register(&caller, &mut writing.log.view().read(), &registration)?;
    let (_, index) = writing.log.write(registration).await?;
    Ok(writing.log.written((), index))
}

pub(crate) async fn deregister(writing: Writing<'_>, request: Deregister) -> Result<Answer<()>, RpcError> {
    let Deregister(deregistration) = request;
    let namespace = match &deregistration.what {
        Registered::Service { namespace, .. } => Some(namespace),
        Registered::Node | Registered::Check { .. } => None,
    };
    is_built(&deregistration.scope, namespace)?;
    let (_turn, caller) = writing.turn(deregistration.node.as_str()).await?;
    may_deregister(&caller, &mut writing.log.view().read(), &deregistration)?;
    let (_, index) = writing.log.write(deregistration).await?;
    Ok(writing.log.written((), index))
}

/// The services with at least one instance that the caller may see, with the tags of these instances. Only nodes with
/// that metadata count.
pub(super) fn seen_services(
    reading: &mut Reading<'_>,
    node_meta: &BTreeMap<String, String>,
) -> BTreeMap<ServiceName, BTreeSet<String>> {
    let sees = reading.caller.sees();
    // A caller that may see every node needs none of the instances here. Service names change less often than
    // instances, so the query wakes less often.
    if node_meta.is_empty() && sees.every_node() {
        let all = reading.reader.services(&ServiceScope::default());
        let seen = reading.keep(all, |row| sees.service(&row.service.name));
        let tags = |row: &ServiceSummary| row.tags().map(ToOwned::to_owned).collect();
        return seen.iter().map(|row| (row.service.name.clone(), tags(row))).collect();
    }
    let mut seen: BTreeMap<ServiceName, BTreeSet<String>> = BTreeMap::new();
    for placed in seen_instances(reading, node_meta) {
        let tags = seen.entry(placed.service.service.clone()).or_default();
        tags.extend(placed.service.tags.iter().cloned());
    }
    seen
}

/// All instances of all services that the caller may see, on nodes with that metadata.
fn seen_instances(reading: &mut Reading<'_>, node_meta: &BTreeMap<String, String>) -> Vec<Arc<Placed>> {
    let all = reading.reader.instances(&ServiceScope::default());
    // Filter by rights before filtering by metadata. Otherwise the `filtered` flag would reveal whether a hidden node
    // has the metadata.
    let seen = reading.keep(all, |placed| reading.caller.sees().instance(&placed.node.name, &placed.service));
    seen.into_iter().filter(|placed| has_meta(&placed.node, node_meta)).collect()
}

fn wants(select: &InstanceSelection, node: &Node, service: &ServiceInstance) -> bool {
    has_meta(node, &select.node_meta) && has_tags(service, &select.tags)
}

fn on_node(placed: &Placed) -> InstanceOnNode {
    InstanceOnNode { node: (*placed.node).clone(), service: (*placed.service).clone() }
}

pub(super) fn health(row: &HealthRow) -> InstanceHealth {
    InstanceHealth {
        node: (*row.node).clone(),
        service: (*row.service).clone(),
        checks: row.checks.iter().map(|check| (**check).clone()).collect(),
    }
}

/// Normalises a registration and checks that it is for our own datacenter.
fn normal(registration: Registration, datacenter: &Datacenter) -> Result<Registration, RpcError> {
    let Registration { mut node, skip_node_update, service, checks } = registration;
    let namespaces = service.iter().map(|service| &service.namespace);
    is_built(&node.scope, namespaces.chain(checks.iter().map(|check| &check.namespace)))?;
    node.datacenter = datacenter.clone();
    Ok(Registration { node, skip_node_update, service, checks })
}

/// Refuses any partition, peer or namespace but our own.
fn is_built<'a>(
    scope: &NodeScope,
    namespaces: impl IntoIterator<Item = &'a Namespace>,
) -> Result<(), RpcError> {
    if *scope != NodeScope::default() {
        return Err(RpcError::NotAvailable("nodes in partitions and of peers".to_owned()));
    }
    if !namespaces.into_iter().all(Namespace::is_default) {
        return Err(RpcError::NotAvailable("namespaces".to_owned()));
    }
    Ok(())
}

/// Whether the registration changes the node itself.
fn changes_node(existing: Option<&Node>, request: &Registration) -> bool {
    let Some(existing) = existing else { return true };
    let wanted = &request.node;
    !request.skip_node_update
        && (existing.address != wanted.address
            || existing.tagged_addresses != wanted.tagged_addresses
            || existing.meta != wanted.meta
            || existing.locality != wanted.locality
            || (wanted.id.is_some() && existing.id != wanted.id))
}

fn may_register(caller: &Caller, reader: &mut Reader, request: &Registration) -> Result<(), RpcError> {
    let node = &request.node;
    if changes_node(reader.node(&node.scope, &node.name).as_deref(), request) {
        caller.require(&node_right(&node.name, Level::Write))?;
    }
    let services = reader.node_services(&node.scope, &node.name);
    let existing = |id: &InstanceId| services.iter().find(|service| service.id == *id);
    if let Some(service) = &request.service {
        caller.require(&service_right(&service.service, Level::Write))?;
        // N-62: a proxy receives the calls of its destination service.
        if let Some(proxy) = &service.proxy
            && let Some(destination) = &proxy.destination_service
        {
            caller.require(&service_right(destination, Level::Write))?;
        }
        // N-62: taking over an instance id needs the right to the service that has it.
        if let Some(existing) = existing(&service.id) {
            caller.require(&service_right(&existing.service, Level::Write))?;
        }
    }
    let checks = reader.checks_of_node(&node.scope, &node.name);
    for check in &request.checks {
        let own = request.service.as_ref().filter(|service| Some(&service.id) == check.service_id.as_ref());
        let target = match (&check.service_id, own) {
            (None, _) => None,
            (Some(_), Some(service)) => Some(service.service.clone()),
            (Some(id), None) => {
                Some(existing(id).map(|service| service.service.clone()).ok_or_else(|| {
                    RpcError::Invalid(format!(
                        "Check {:?}: there is no service {id:?} on node {}",
                        check.id, node.name
                    ))
                })?)
            }
        };
        require_check(caller, &node.name, target.as_ref())?;
        // N-62: taking over a check id needs the right to the check's owner.
        if let Some(before) = checks.iter().find(|before| before.id == check.id) {
            require_check(caller, &node.name, owner(before))?;
        }
    }
    Ok(())
}

/// The service that owns a check. A check of the node may name a service that does not own it.
fn owner(check: &Check) -> Option<&ServiceName> {
    check.service_id.as_ref().and(check.service_name.as_ref())
}

fn require_check(caller: &Caller, node: &NodeName, service: Option<&ServiceName>) -> Result<(), RpcError> {
    match service {
        Some(service) => caller.require(&service_right(service, Level::Write)),
        None => caller.require(&node_right(node, Level::Write)),
    }
}

/// The right to write the node allows to remove anything on it. Otherwise the right to the service decides.
fn may_deregister(caller: &Caller, reader: &mut Reader, request: &Deregistration) -> Result<(), RpcError> {
    let Deregistration { scope, node: name, what } = request;
    let node = node_right(name, Level::Write);
    if caller.may(&node) {
        return Ok(());
    }
    let service = match what {
        Registered::Node => None,
        Registered::Service { id, .. } => {
            let services = reader.node_services(scope, name);
            services.iter().find(|service| service.id == *id).map(|service| service.service.clone())
        }
        Registered::Check { id } => {
            let checks = reader.checks_of_node(scope, name);
            checks.iter().find(|check| check.id == *id).and_then(|check| owner(check).cloned())
        }
    };
    match service {
        Some(service) => caller.require(&service_right(&service, Level::Write)),
        None => caller.require(&node),
    }
}
