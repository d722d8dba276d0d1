//! Endpoints of the catalog and of health.

use std::collections::BTreeMap;

use concord_api::catalog::Node;
use concord_api::health::{HealthCheck, ServiceEntry};
use concord_api::service::{NodeServiceList, NodeServices, ServiceNode};
use serde::Serialize;

use crate::Client;
use crate::error::Error;
use crate::query::{Answer, QueryOptions};

impl Client {
    /// Writes a node with services and checks directly to the catalog.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn catalog_register(
        &self,
        registration: &(impl Serialize + ?Sized),
        options: &QueryOptions,
    ) -> Result<(), Error> {
        self.put(&["catalog", "register"], options).json(registration).done().await
    }

    /// Removes a node, a service or a check from the catalog.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn catalog_deregister(
        &self,
        deregistration: &(impl Serialize + ?Sized),
        options: &QueryOptions,
    ) -> Result<(), Error> {
        self.put(&["catalog", "deregister"], options).json(deregistration).done().await
    }

    /// Names of the datacenters, nearest first.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn catalog_datacenters(&self, options: &QueryOptions) -> Result<Answer<Vec<String>>, Error> {
        self.get(&["catalog", "datacenters"], options).fetch().await
    }

    /// The nodes.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn catalog_nodes(&self, options: &QueryOptions) -> Result<Answer<Vec<Node>>, Error> {
        self.get(&["catalog", "nodes"], options).fetch().await
    }

    /// Names of the services with all their tags.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn catalog_services(
        &self,
        options: &QueryOptions,
    ) -> Result<Answer<BTreeMap<String, Vec<String>>>, Error> {
        self.get(&["catalog", "services"], options).fetch().await
    }

    /// Instances of a service.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn catalog_service(
        &self,
        name: &str,
        options: &QueryOptions,
    ) -> Result<Answer<Vec<ServiceNode>>, Error> {
        self.get(&["catalog", "service", name], options).fetch().await
    }

    /// The instances that accept mesh traffic for a service: its proxies, or its own native instances.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn catalog_connect(
        &self,
        name: &str,
        options: &QueryOptions,
    ) -> Result<Answer<Vec<ServiceNode>>, Error> {
        self.get(&["catalog", "connect", name], options).fetch().await
    }

    /// A node with its services by id; `None` if there is no such node.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn catalog_node(
        &self,
        node: &str,
        options: &QueryOptions,
    ) -> Result<Answer<Option<NodeServices>>, Error> {
        self.get(&["catalog", "node", node], options).fetch().await
    }

    /// A node with the list of its services.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn catalog_node_services(
        &self,
        node: &str,
        options: &QueryOptions,
    ) -> Result<Answer<Option<NodeServiceList>>, Error> {
        self.get(&["catalog", "node-services", node], options).fetch().await
    }

    /// Checks of a node.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn health_node(
        &self,
        node: &str,
        options: &QueryOptions,
    ) -> Result<Answer<Vec<HealthCheck>>, Error> {
        self.get(&["health", "node", node], options).fetch().await
    }

    /// Checks of a service.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn health_checks(
        &self,
        name: &str,
        options: &QueryOptions,
    ) -> Result<Answer<Vec<HealthCheck>>, Error> {
        self.get(&["health", "checks", name], options).fetch().await
    }

    /// Checks in a state: `any`, `passing`, `warning` or `critical`.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn health_state(
        &self,
        state: &str,
        options: &QueryOptions,
    ) -> Result<Answer<Vec<HealthCheck>>, Error> {
        self.get(&["health", "state", state], options).fetch().await
    }

    /// Instances of a service with their nodes and checks.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn health_service(
        &self,
        name: &str,
        options: &QueryOptions,
    ) -> Result<Answer<Vec<ServiceEntry>>, Error> {
        self.get(&["health", "service", name], options).fetch().await
    }

    /// The instances that accept mesh traffic for a service, with nodes and checks.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn health_connect(
        &self,
        name: &str,
        options: &QueryOptions,
    ) -> Result<Answer<Vec<ServiceEntry>>, Error> {
        self.get(&["health", "connect", name], options).fetch().await
    }
}
