//! Queries about nodes, services and checks. Answers are in key order: by node, then by id.

use std::sync::Arc;

use concord_model::catalog::{Check, CheckStatus, Node, NodeScope, ServiceInstance};
use concord_model::{InstanceId, Namespace, NodeName, ServiceRef};

use crate::keys::{self, Class};
use crate::read::Reader;
use crate::row::{
    NodeCheck, Placed, ServiceHealth, ServiceScope, ServiceSummary, ServiceTraits, UpstreamUse,
    VirtualAddress,
};

impl Reader {
    /// One node.
    pub fn node(&mut self, scope: &NodeScope, name: &NodeName) -> Option<Arc<Node>> {
        self.row(keys::nodes::row(scope, name))
    }

    /// All nodes of a scope.
    pub fn nodes(&mut self, scope: &NodeScope) -> Vec<Arc<Node>> {
        self.rows(keys::nodes::of_scope(scope))
    }

    /// All services of a scope, with their tags.
    pub fn services(&mut self, scope: &ServiceScope) -> Vec<Arc<ServiceSummary>> {
        self.rows(keys::service_names::of_scope(scope))
    }

    /// A service's summary with its tags, if it has instances.
    pub fn service(&mut self, service: &ServiceRef) -> Option<Arc<ServiceSummary>> {
        self.row(keys::service_names::row(service))
    }

    /// What is known of a service, if it has instances or something takes mesh traffic for it.
    pub fn service_traits(&mut self, service: &ServiceRef) -> Option<Arc<ServiceTraits>> {
        self.row(keys::service_traits::row(service))
    }

    /// What is known of all services of a scope.
    pub fn all_traits(&mut self, scope: &ServiceScope) -> Vec<Arc<ServiceTraits>> {
        self.rows(keys::service_traits::of_scope(scope))
    }

    /// The proxies that have a service among their upstreams.
    pub fn upstream_uses(&mut self, upstream: &ServiceRef) -> Vec<Arc<UpstreamUse>> {
        self.rows(keys::upstream_uses::of_upstream(upstream))
    }

    /// The virtual addresses of all services.
    pub fn virtual_addresses(&mut self) -> Vec<Arc<VirtualAddress>> {
        self.rows(Class::<keys::virtual_addresses::Rows>::all())
    }

    /// The virtual addresses of a service.
    pub fn virtual_address(&mut self, service: &ServiceRef) -> Option<Arc<VirtualAddress>> {
        self.row(keys::virtual_addresses::row(service))
    }

    /// All instances of all services of a scope.
    pub fn instances(&mut self, scope: &ServiceScope) -> Vec<Arc<Placed>> {
        self.rows(keys::placed::of_scope(scope))
    }

    /// The instances of a service.
    pub fn service_instances(&mut self, service: &ServiceRef) -> Vec<Arc<Placed>> {
        self.rows(keys::placed::of_service(service))
    }

    /// The instances that accept mesh traffic for a service: its sidecars, and its own instances that speak the
    /// mesh's TLS themselves.
    pub fn connect_instances(&mut self, service: &ServiceRef) -> Vec<Arc<Placed>> {
        self.rows(keys::connect_placed::of_service(service))
    }

    /// The instances of a service with the checks that count for them.
    pub fn health_service(&mut self, service: &ServiceRef) -> Vec<Arc<ServiceHealth>> {
        self.rows(keys::health::of_service(service))
    }

    /// The instances that accept mesh traffic for a service, with the checks that count for them.
    pub fn health_connect(&mut self, service: &ServiceRef) -> Vec<Arc<ServiceHealth>> {
        self.rows(keys::connect_health::of_service(service))
    }

    /// One instance on a node.
    pub fn node_service(
        &mut self,
        scope: &NodeScope,
        node: &NodeName,
        namespace: &Namespace,
        id: &InstanceId,
    ) -> Option<Arc<ServiceInstance>> {
        self.row(keys::instances::row(scope, node, namespace, id))
    }

    /// All instances on a node.
    pub fn node_services(&mut self, scope: &NodeScope, node: &NodeName) -> Vec<Arc<ServiceInstance>> {
        self.rows(keys::instances::on_node(scope, node))
    }

    /// All checks on a node, including those of its instances.
    pub fn checks_of_node(&mut self, scope: &NodeScope, node: &NodeName) -> Vec<Arc<Check>> {
        self.rows(keys::checks::on_node(scope, node))
    }

    /// The checks of the instances of a service.
    pub fn checks_of_service(&mut self, service: &ServiceRef) -> Vec<Arc<NodeCheck>> {
        self.rows(keys::service_checks::of_service(service))
    }

    /// The checks with this status; `None`: with any.
    pub fn checks_in_state(&mut self, scope: &NodeScope, status: Option<CheckStatus>) -> Vec<Arc<NodeCheck>> {
        let class = match status {
            Some(status) => keys::check_states::in_state(scope, status),
            None => keys::check_states::of_scope(scope),
        };
        self.rows(class)
    }
}
