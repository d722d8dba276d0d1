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
use concord_rpc::{Answer, Caller, Head, Request, RpcError};
use concord_state::{Placed, Reader, ServiceHealth as HealthRow, ServiceScope, ServiceSummary};

use crate::paths::{Core, Eval};

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

impl Core {
    pub(crate) async fn list_datacenters(
        &self,
        head: &Head,
        request: ListDatacenters,
    ) -> Result<Answer<Vec<Datacenter>>, RpcError> {
        self.read(head, &request.need(), |_| Ok(vec![self.config.datacenter.clone()])).await
    }

    pub(crate) async fn list_nodes(
        &self,
        head: &Head,
        request: ListNodes,
    ) -> Result<Answer<Vec<Node>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            let nodes = eval.reader.nodes(&NodeScope::default());
            let seen = eval.keep(nodes, |node| eval.caller.sees().node(&node.name));
            let wanted = seen.iter().filter(|node| has_meta(node, &request.node_meta));
            Ok(wanted.map(|node| (**node).clone()).collect())
        })
        .await
    }

    pub(crate) async fn list_services(
        &self,
        head: &Head,
        request: ListServices,
    ) -> Result<Answer<BTreeMap<ServiceName, Vec<String>>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            let seen = seen_services(eval, &request.node_meta);
            Ok(seen.into_iter().map(|(name, tags)| (name, tags.into_iter().collect())).collect())
        })
        .await
    }

    pub(crate) async fn list_instances(
        &self,
        head: &Head,
        request: ListInstances,
    ) -> Result<Answer<Vec<InstanceOnNode>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            Ok(seen_instances(eval, &request.node_meta).iter().map(|placed| on_node(placed)).collect())
        })
        .await
    }

    pub(crate) async fn service_instances(
        &self,
        head: &Head,
        request: ServiceInstances,
    ) -> Result<Answer<Vec<InstanceOnNode>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            let select = &request.select;
            let all = match select.connect {
                true => eval.reader.connect_instances(&select.service),
                false => eval.reader.service_instances(&select.service),
            };
            let selected = eval
                .keep(all, |placed| eval.caller.sees().selected(select, &placed.node.name, &placed.service));
            let wanted = selected.iter().filter(|placed| wants(select, &placed.node, &placed.service));
            Ok(wanted.map(|placed| on_node(placed)).collect())
        })
        .await
    }

    pub(crate) async fn service_health(
        &self,
        head: &Head,
        request: ServiceHealth,
    ) -> Result<Answer<Vec<InstanceHealth>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            let select = &request.select;
            let all = match select.connect {
                true => eval.reader.health_connect(&select.service),
                false => eval.reader.health_service(&select.service),
            };
            let selected =
                eval.keep(all, |row| eval.caller.sees().selected(select, &row.node.name, &row.service));
            let wanted = selected.iter().filter(|row| wants(select, &row.node, &row.service));
            let worst = request.worst.unwrap_or(CheckStatus::Critical);
            let health = wanted.map(|row| health(row));
            Ok(health.filter(|instance| instance.status() <= worst).collect())
        })
        .await
    }

    pub(crate) async fn node_dump(
        &self,
        head: &Head,
        request: NodeDump,
    ) -> Result<Answer<Option<NodeRecords>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            let scope = NodeScope::default();
            let Some(node) = eval.reader.node(&scope, &request.node) else { return Ok(None) };
            let sees = eval.caller.sees();
            if !sees.node(&node.name) {
                eval.hide();
                return Ok(None);
            }
            let services = eval.reader.node_services(&scope, &node.name);
            let services = eval.keep(services, |service| sees.instance(&node.name, service));
            let checks = eval.reader.checks_of_node(&scope, &node.name);
            let checks = eval.keep(checks, |check| sees.check(&node.name, check));
            Ok(Some(NodeRecords {
                node: (*node).clone(),
                services: services.iter().map(|service| (**service).clone()).collect(),
                checks: checks.iter().map(|check| (**check).clone()).collect(),
            }))
        })
        .await
    }

    pub(crate) async fn node_checks(
        &self,
        head: &Head,
        request: NodeChecks,
    ) -> Result<Answer<Vec<Check>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            let checks = eval.reader.checks_of_node(&NodeScope::default(), &request.node);
            let seen = eval.keep(checks, |check| eval.caller.sees().check(&request.node, check));
            Ok(seen.iter().map(|check| (**check).clone()).collect())
        })
        .await
    }

    pub(crate) async fn service_checks(
        &self,
        head: &Head,
        request: ServiceChecks,
    ) -> Result<Answer<Vec<NodeCheck>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            let checks = eval.reader.checks_of_service(&request.service);
            let seen = eval.keep(checks, |row| eval.caller.sees().check(&row.node.name, &row.check));
            let wanted = seen.iter().filter(|row| has_meta(&row.node, &request.node_meta));
            Ok(wanted
                .map(|row| NodeCheck { node: row.node.name.clone(), check: (*row.check).clone() })
                .collect())
        })
        .await
    }

    pub(crate) async fn checks_in_state(
        &self,
        head: &Head,
        request: ChecksInState,
    ) -> Result<Answer<Vec<NodeCheck>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            let scope = NodeScope::default();
            let mut checks = match request.state {
                CheckState::Any => eval.reader.checks_in_state(&scope, None),
                CheckState::Is(status) => eval.reader.checks_in_state(&scope, Some(status)),
                CheckState::Never => Vec::new(),
            };
            // The table has them by state first.
            checks.sort_by(|a, b| (&a.node.name, &a.check.id).cmp(&(&b.node.name, &b.check.id)));
            let seen = eval.keep(checks, |row| eval.caller.sees().check(&row.node.name, &row.check));
            let wanted = seen.iter().filter(|row| has_meta(&row.node, &request.node_meta));
            Ok(wanted
                .map(|row| NodeCheck { node: row.node.name.clone(), check: (*row.check).clone() })
                .collect())
        })
        .await
    }

    /// Writes a registration: `node:write` where the node changes, `service:write` on the service
    /// registered and on that which it replaces, and the right to whatever its checks belong to.
    pub(crate) async fn register(&self, head: &Head, request: Register) -> Result<Answer<()>, RpcError> {
        let need = request.need();
        let registration = normal(request.0, &self.config.datacenter)?;
        self.authorise(head, &need).await?;
        let _turn = self.turns.take(registration.node.name.as_str()).await;
        let caller = self.caller(head.token.as_ref())?;
        may_register(&caller, &mut self.view().read(), &registration)?;
        let (_, index) = self.write(registration).await?;
        Ok(self.written((), index))
    }

    pub(crate) async fn deregister(&self, head: &Head, request: Deregister) -> Result<Answer<()>, RpcError> {
        let need = request.need();
        let Deregister(deregistration) = request;
        let namespace = match &deregistration.what {
            Registered::Service { namespace, .. } => Some(namespace),
            Registered::Node | Registered::Check { .. } => None,
        };
        is_built(&deregistration.scope, namespace)?;
        self.authorise(head, &need).await?;
        let _turn = self.turns.take(deregistration.node.as_str()).await;
        let caller = self.caller(head.token.as_ref())?;
        may_deregister(&caller, &mut self.view().read(), &deregistration)?;
        let (_, index) = self.write(deregistration).await?;
        Ok(self.written((), index))
    }
}

/// The services of which the caller may see an instance, with the tags of those they may see, on nodes with
/// that metadata.
pub(super) fn seen_services(
    eval: &mut Eval<'_>,
    node_meta: &BTreeMap<String, String>,
) -> BTreeMap<ServiceName, BTreeSet<String>> {
    let sees = eval.caller.sees();
    // Who may see every node needs none of them: the names change less often than the instances.
    if node_meta.is_empty() && sees.every_node() {
        let all = eval.reader.services(&ServiceScope::default());
        let seen = eval.keep(all, |row| sees.service(&row.service.name));
        let tags = |row: &ServiceSummary| row.tags().map(ToOwned::to_owned).collect();
        return seen.iter().map(|row| (row.service.name.clone(), tags(row))).collect();
    }
    let mut seen: BTreeMap<ServiceName, BTreeSet<String>> = BTreeMap::new();
    for placed in seen_instances(eval, node_meta) {
        let tags = seen.entry(placed.service.service.clone()).or_default();
        tags.extend(placed.service.tags.iter().cloned());
    }
    seen
}

/// All instances of all services that the caller may see, on nodes with that metadata.
fn seen_instances(eval: &mut Eval<'_>, node_meta: &BTreeMap<String, String>) -> Vec<Arc<Placed>> {
    let all = eval.reader.instances(&ServiceScope::default());
    // What is hidden is told of whatever was asked for: else the answer would say what a hidden node has.
    let seen = eval.keep(all, |placed| eval.caller.sees().instance(&placed.node.name, &placed.service));
    seen.into_iter().filter(|placed| has_meta(&placed.node, node_meta)).collect()
}

fn wants(select: &InstanceSelection, node: &Node, service: &ServiceInstance) -> bool {
    has_meta(node, &select.node_meta) && has_tags(service, &select.tags)
}

fn on_node(placed: &Placed) -> InstanceOnNode {
    InstanceOnNode { node: (*placed.node).clone(), service: (*placed.service).clone() }
}

fn health(row: &HealthRow) -> InstanceHealth {
    InstanceHealth {
        node: (*row.node).clone(),
        service: (*row.service).clone(),
        checks: row.checks.iter().map(|check| (**check).clone()).collect(),
    }
}

/// A registration as it is judged and written: in our own datacenter.
fn normal(registration: Registration, datacenter: &Datacenter) -> Result<Registration, RpcError> {
    let Registration { mut node, skip_node_update, service, checks } = registration;
    let namespaces = service.iter().map(|service| &service.namespace);
    is_built(&node.scope, namespaces.chain(checks.iter().map(|check| &check.namespace)))?;
    node.datacenter = datacenter.clone();
    Ok(Registration { node, skip_node_update, service, checks })
}

/// Refuses what lies outside our own partition, cluster and namespace.
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

/// Whether the node itself would become another one.
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
        // N-62: who stands for a service takes its calls.
        if let Some(proxy) = &service.proxy
            && let Some(destination) = &proxy.destination_service
        {
            caller.require(&service_right(destination, Level::Write))?;
        }
        // N-62: taking over an id needs the right to whose it was.
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
        // N-62: and so does taking over a check.
        if let Some(before) = checks.iter().find(|before| before.id == check.id) {
            require_check(caller, &node.name, owner(before))?;
        }
    }
    Ok(())
}

/// The service whose a check is. One of a node may name a service without being its.
fn owner(check: &Check) -> Option<&ServiceName> {
    check.service_id.as_ref().and(check.service_name.as_ref())
}

fn require_check(caller: &Caller, node: &NodeName, service: Option<&ServiceName>) -> Result<(), RpcError> {
    match service {
        Some(service) => caller.require(&service_right(service, Level::Write)),
        None => caller.require(&node_right(node, Level::Write)),
    }
}

/// Who may change a node may remove anything of it; else the right to the service decides.
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
