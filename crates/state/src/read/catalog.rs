//! Queries about nodes, services and checks. Answers are in the order of their keys: by node,
//! then by id.

use std::sync::Arc;

use concord_model::catalog::{Check, CheckStatus, Node, NodeScope, ServiceInstance};
use concord_model::{InstanceId, Namespace, NodeName, ServiceRef};

use crate::key::Key;
use crate::keys;
use crate::read::Reader;
use crate::row::{NodeCheck, Placed, ServiceHealth, ServiceScope, ServiceSummary};
use crate::table::Table;
use crate::tables::{TableId, Tables};

impl Reader {
    /// One node.
    pub fn node(&mut self, scope: &NodeScope, name: &NodeName) -> Option<Arc<Node>> {
        let key = keys::node(scope, name);
        let found = self.tables().nodes.get(&key).cloned();
        self.note(TableId::Nodes, key);
        found
    }

    /// All nodes of a scope.
    pub fn nodes(&mut self, scope: &NodeScope) -> Vec<Arc<Node>> {
        self.scan(|tables| &tables.nodes, TableId::Nodes, keys::nodes_of(scope))
    }

    /// All services of a scope, with their tags.
    pub fn services(&mut self, scope: &ServiceScope) -> Vec<Arc<ServiceSummary>> {
        self.scan(|tables| &tables.service_names, TableId::ServiceNames, keys::services_of(scope))
    }

    /// Whether a service has instances, and how they are tagged.
    pub fn service(&mut self, service: &ServiceRef) -> Option<Arc<ServiceSummary>> {
        let key = keys::service(service);
        let found = self.tables().service_names.get(&key).cloned();
        self.note(TableId::ServiceNames, key);
        found
    }

    /// All instances of all services of a scope.
    pub fn instances(&mut self, scope: &ServiceScope) -> Vec<Arc<Placed>> {
        self.scan(|tables| &tables.placed, TableId::Placed, keys::services_of(scope))
    }

    /// The instances of a service.
    pub fn service_instances(&mut self, service: &ServiceRef) -> Vec<Arc<Placed>> {
        self.scan(|tables| &tables.placed, TableId::Placed, keys::service(service))
    }

    /// The instances that take mesh traffic for a service: its sidecars, and its own instances
    /// where they speak the mesh's TLS themselves.
    pub fn connect_instances(&mut self, service: &ServiceRef) -> Vec<Arc<Placed>> {
        self.scan(|tables| &tables.connect_placed, TableId::ConnectPlaced, keys::service(service))
    }

    /// The instances of a service with the checks that speak for them.
    pub fn health_service(&mut self, service: &ServiceRef) -> Vec<Arc<ServiceHealth>> {
        self.scan(|tables| &tables.health, TableId::Health, keys::service(service))
    }

    /// The instances that take mesh traffic for a service, with the checks that speak for them.
    pub fn health_connect(&mut self, service: &ServiceRef) -> Vec<Arc<ServiceHealth>> {
        self.scan(|tables| &tables.connect_health, TableId::ConnectHealth, keys::service(service))
    }

    /// One instance on a node.
    pub fn node_service(
        &mut self,
        scope: &NodeScope,
        node: &NodeName,
        namespace: &Namespace,
        id: &InstanceId,
    ) -> Option<Arc<ServiceInstance>> {
        let key = keys::instance(scope, node, namespace, id);
        let found = self.tables().instances.get(&key).cloned();
        self.note(TableId::Instances, key);
        found
    }

    /// All instances on a node.
    pub fn node_services(&mut self, scope: &NodeScope, node: &NodeName) -> Vec<Arc<ServiceInstance>> {
        self.scan(|tables| &tables.instances, TableId::Instances, keys::node(scope, node))
    }

    /// All checks on a node, those of its instances among them.
    pub fn checks_of_node(&mut self, scope: &NodeScope, node: &NodeName) -> Vec<Arc<Check>> {
        self.scan(|tables| &tables.checks, TableId::Checks, keys::node(scope, node))
    }

    /// The checks of the instances of a service.
    pub fn checks_of_service(&mut self, service: &ServiceRef) -> Vec<Arc<NodeCheck>> {
        self.scan(|tables| &tables.service_checks, TableId::ServiceChecks, keys::service(service))
    }

    /// The checks in one state, or in any.
    pub fn checks_in_state(&mut self, scope: &NodeScope, status: Option<CheckStatus>) -> Vec<Arc<NodeCheck>> {
        let class = match status {
            Some(status) => keys::checks_in_state(scope, status),
            None => keys::nodes_of(scope),
        };
        self.scan(|tables| &tables.check_states, TableId::CheckStates, class)
    }

    pub(super) fn scan<R: PartialEq>(
        &mut self,
        table: impl FnOnce(&Tables) -> &Table<R>,
        id: TableId,
        class: Key,
    ) -> Vec<Arc<R>> {
        let rows = table(self.tables()).scan(&class).map(|(_, row)| Arc::clone(row)).collect();
        self.note(id, class);
        rows
    }
}
