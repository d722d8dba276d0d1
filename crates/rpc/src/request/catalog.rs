//! Nodes and services in the catalog: reading, writing and removing them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use concord_model::catalog::{Check, Deregistration, Node, Registration, ServiceInstance};
use concord_model::{NodeName, ServiceRef};
use serde::{Deserialize, Serialize};

/// Names of all known datacenters, our own first.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ListDatacenters {}

/// All nodes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ListNodes {
    /// Only nodes whose metadata has all of these.
    #[serde(default)]
    pub node_meta: BTreeMap<String, String>,
}

/// Names of all services with the tags of their instances.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ListServices {
    /// Only on nodes whose metadata has all of these.
    #[serde(default)]
    pub node_meta: BTreeMap<String, String>,
}

/// All instances of all services.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ListInstances {
    /// Only on nodes whose metadata has all of these.
    #[serde(default)]
    pub node_meta: BTreeMap<String, String>,
}

/// Which instances of a service.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct InstanceSelection {
    /// The service.
    pub service: ServiceRef,
    /// Instead of its own instances, those that accept mesh traffic for it.
    #[serde(default)]
    pub connect: bool,
    /// Beside these, those of the terminating gateways that serve it. Proxies do not ask for them, as they cannot use
    /// them yet.
    #[serde(default, skip_serializing_if = "is_false")]
    pub gateways: bool,
    /// Instead of its own instances, those of the ingress gateways that serve it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ingress: bool,
    /// Only instances with all of these tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Only on nodes whose metadata has all of these.
    #[serde(default)]
    pub node_meta: BTreeMap<String, String>,
    /// Proxies with the settings that configuration entries give them, instead of as registered.
    #[serde(default, skip_serializing_if = "is_false")]
    pub merged: bool,
}

impl InstanceSelection {
    /// All instances of a service.
    pub fn of(service: ServiceRef) -> Self {
        Self {
            service,
            connect: false,
            gateways: false,
            ingress: false,
            tags: Vec::new(),
            node_meta: BTreeMap::new(),
            merged: false,
        }
    }

    /// All instances that accept mesh traffic for a service.
    pub fn connect(service: ServiceRef) -> Self {
        Self { connect: true, ..Self::of(service) }
    }

    /// The same, and the instances of the terminating gateways that serve it.
    pub fn connect_or_gateway(service: ServiceRef) -> Self {
        Self { gateways: true, ..Self::connect(service) }
    }

    /// All instances of the ingress gateways that serve a service.
    pub fn ingress(service: ServiceRef) -> Self {
        Self { ingress: true, ..Self::of(service) }
    }

    /// Whether the instances are others than those of the service itself.
    pub fn is_indirect(&self) -> bool {
        self.connect || self.ingress
    }
}

/// Instances of a service.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ServiceInstances {
    /// Which.
    pub select: InstanceSelection,
}

/// An instance with the node it runs on.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct InstanceOnNode {
    /// The node.
    pub node: Node,
    /// The instance.
    pub service: ServiceInstance,
}

/// Everything registered for a node. An agent compares its own registrations with it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct NodeDump {
    /// The node, in the default partition of this cluster.
    pub node: NodeName,
    /// Proxies with the settings that configuration entries give them, instead of as registered.
    #[serde(default, skip_serializing_if = "is_false")]
    pub merged: bool,
}

impl NodeDump {
    /// Everything registered for a node, as registered.
    pub fn of(node: NodeName) -> Self {
        Self { node, merged: false }
    }
}

/// Fields that are false are left out, so that servers that do not know them are asked as before.
fn is_false(value: &bool) -> bool {
    !value
}

/// A node with everything registered for it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NodeRecords {
    /// The node.
    pub node: Node,
    /// Its services, by id.
    pub services: Vec<ServiceInstance>,
    /// Its checks, by id.
    pub checks: Vec<Check>,
}

/// Sets the virtual addresses that an operator gives a service, besides its own, and takes them from other services.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SetServiceAddresses {
    /// The service.
    pub service: ServiceRef,
    /// All of these addresses from now on.
    pub addresses: Vec<Ipv4Addr>,
}

/// The result of [`SetServiceAddresses`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServiceAddresses {
    /// Whether the service has a virtual address. If not, nothing was changed.
    pub found: bool,
    /// The services that have lost an address.
    #[serde(default)]
    pub taken_from: Vec<ServiceRef>,
}

/// Adds to the catalog, as one change.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Register(pub Registration);

/// Removes from the catalog, with everything that depends on it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Deregister(pub Deregistration);
