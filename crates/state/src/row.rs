//! Rows of derived tables, and of those that hold no record of `model`.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_model::catalog::{Check, Node, ServiceInstance};
use concord_model::{Namespace, Partition, PeerName, ServiceRef};
use serde::{Deserialize, Serialize};

/// Where services have unlike names: partition, namespace and peer.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServiceScope {
    /// The admin partition.
    pub partition: Partition,
    /// The namespace.
    pub namespace: Namespace,
    /// The peered cluster; `None` for our own.
    pub peer: Option<PeerName>,
}

/// An instance of a service with the node it runs on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Placed {
    /// The node.
    pub node: Arc<Node>,
    /// The instance.
    pub service: Arc<ServiceInstance>,
}

/// An instance of a service with its node and the checks that speak for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceHealth {
    /// The node.
    pub node: Arc<Node>,
    /// The instance.
    pub service: Arc<ServiceInstance>,
    /// Checks of the node, then those of the instance, each by id.
    pub checks: Vec<Arc<Check>>,
}

/// A check with the node it is registered on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeCheck {
    /// The node.
    pub node: Arc<Node>,
    /// The check.
    pub check: Arc<Check>,
}

/// A service that has instances, with what they are tagged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceSummary {
    /// The service.
    pub service: ServiceRef,
    /// How many instances carry each tag.
    pub(crate) tags: BTreeMap<String, u64>,
    /// How many instances there are.
    pub(crate) instances: u64,
}

impl ServiceSummary {
    pub(crate) fn new(service: ServiceRef) -> Self {
        Self { service, tags: BTreeMap::new(), instances: 0 }
    }

    /// The tags of all instances, each once, sorted.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.keys().map(String::as_str)
    }

    /// Whether a query cannot tell the two apart: numbers are not shown.
    pub(crate) fn looks_like(&self, other: &Self) -> bool {
        self.tags.keys().eq(other.tags.keys())
    }

    pub(crate) fn add(&mut self, instance: &ServiceInstance) {
        self.instances += 1;
        for tag in &instance.tags {
            *self.tags.entry(tag.clone()).or_default() += 1;
        }
    }

    pub(crate) fn subtract(&mut self, instance: &ServiceInstance) {
        self.instances = self.instances.saturating_sub(1);
        for tag in &instance.tags {
            if let Some(count) = self.tags.get_mut(tag) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.tags.remove(tag);
                }
            }
        }
    }
}

/// That the ACL system was bootstrapped.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AclBootstrap {
    /// Index of the command that did it. Whoever names it may bootstrap once more.
    pub reset_index: u64,
}
