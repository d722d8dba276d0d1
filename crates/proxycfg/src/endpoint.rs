//! Instances of a target: their address, the identity they must prove, and their health.

use concord_model::catalog::{Check, CheckStatus, Locality, Node, NodeScope, ServiceInstance, Weights};
use concord_model::entry::ResolverSubset;
use concord_model::{Datacenter, InstanceId, Namespace, NodeName, ServiceIdentity, ServiceRef, TrustDomain};
use serde::{Deserialize, Serialize};

use crate::limits::ENDPOINTS_MAX;

/// The instances of a target, in the order of scope, node, namespace and instance.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Endpoints {
    /// The instances, whatever their health.
    pub list: Vec<Endpoint>,
    /// How many more there are than a snapshot contains.
    #[serde(default)]
    pub left_out: usize,
}

impl Endpoints {
    /// Sorts instances, removes duplicates, and keeps at most [`ENDPOINTS_MAX`]. If some have to be left out,
    /// critical ones are left out first.
    pub fn from_unordered(mut list: Vec<Endpoint>) -> Self {
        list.sort_by(|a, b| a.key().cmp(&b.key()));
        list.dedup_by(|b, a| a.key() == b.key());
        let left_out = list.len().saturating_sub(ENDPOINTS_MAX);
        if left_out > 0 {
            list.sort_by_key(|one| one.status == CheckStatus::Critical);
            list.truncate(ENDPOINTS_MAX);
            list.sort_by(|a, b| a.key().cmp(&b.key()));
        }
        Self { list, left_out }
    }
}

/// One instance that accepts mesh connections for a service: its sidecar, or the instance itself if it is native.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Endpoint {
    /// The scope of its node.
    #[serde(default)]
    pub scope: NodeScope,
    /// Its node.
    pub node: NodeName,
    /// Its namespace.
    #[serde(default)]
    pub namespace: Namespace,
    /// Its id on the node.
    pub instance: InstanceId,
    /// Host or IP address.
    pub address: String,
    /// Port.
    pub port: u16,
    /// The identity that it must prove.
    pub identity: ExpectedIdentity,
    /// The worst status of its checks and its node's checks.
    pub status: CheckStatus,
    /// Its weight in this status; 0: it gets no connections.
    pub weight: u32,
    /// The locality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locality: Option<Locality>,
}

/// The identity that an instance must prove, without the trust domain.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ExpectedIdentity {
    /// The service.
    pub service: ServiceRef,
    /// The datacenter.
    pub datacenter: Datacenter,
}

impl ExpectedIdentity {
    /// Whether a verified certificate has this identity.
    pub fn is_proved_by(&self, presented: &ServiceIdentity, trust_domain: &TrustDomain) -> bool {
        self.service.peer.is_none()
            && presented.trust_domain == *trust_domain
            && presented.partition == self.service.partition
            && presented.namespace == self.service.namespace
            && presented.service == self.service.name
            && presented.datacenter == self.datacenter
    }
}

impl Endpoint {
    /// An instance from the catalog; `None` if it has no address for mesh connections.
    ///
    /// `checks` are those of the instance and of its node. `local` is the datacenter of the caller: instances of
    /// other datacenters are reached at their `wan` addresses.
    pub fn of_catalog(
        node: &Node,
        service: &ServiceInstance,
        checks: &[Check],
        local: &Datacenter,
    ) -> Option<Self> {
        let target = service.connect_target(&node.scope)?;
        let (address, port) = address(node, service, node.datacenter != *local)?;
        let status = checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Passing);
        let Weights { passing, warning } = service.weights;
        Some(Self {
            scope: node.scope.clone(),
            node: node.name.clone(),
            namespace: service.namespace.clone(),
            instance: service.id.clone(),
            address,
            port,
            identity: ExpectedIdentity { service: target, datacenter: node.datacenter.clone() },
            status,
            weight: match status {
                CheckStatus::Passing => passing,
                CheckStatus::Warning => warning,
                CheckStatus::Critical => 0,
            },
            locality: service.locality.clone().or_else(|| node.locality.clone()),
        })
    }

    /// Whether it may get connections as one of these instances.
    pub fn takes_connections(&self, of: &ResolverSubset) -> bool {
        let worst = if of.only_passing { CheckStatus::Passing } else { CheckStatus::Warning };
        self.status <= worst && self.weight > 0
    }

    fn key(&self) -> (&NodeScope, &NodeName, &Namespace, &InstanceId) {
        (&self.scope, &self.node, &self.namespace, &self.instance)
    }
}

/// The address. From another datacenter the wan addresses come first, if there are any.
fn address(node: &Node, service: &ServiceInstance, from_afar: bool) -> Option<(String, u16)> {
    let found = if from_afar && let Some(wan) = service.tagged_addresses.get("wan") {
        (wan.address.clone(), if wan.port == 0 { service.port } else { wan.port })
    } else if !service.address.is_empty() {
        (service.address.clone(), service.port)
    } else if from_afar && let Some(wan) = node.tagged_addresses.get("wan") {
        (wan.clone(), service.port)
    } else {
        (node.address.clone(), service.port)
    };
    (!found.0.is_empty() && found.1 != 0).then_some(found)
}
