//! Instances of a target: where they are, who they must prove to be, how well they are.

use concord_model::catalog::{Check, CheckStatus, Locality, Node, NodeScope, ServiceInstance, Weights};
use concord_model::{Datacenter, InstanceId, Namespace, NodeName, ServiceIdentity, ServiceRef, TrustDomain};
use serde::{Deserialize, Serialize};

use crate::limits::ENDPOINTS_MAX;

/// The instances of a target, in the order of scope, node, namespace and instance.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Endpoints {
    /// The instances, good and bad.
    pub list: Vec<Endpoint>,
    /// How many more there are than a snapshot holds.
    #[serde(default)]
    pub left_out: usize,
}

impl Endpoints {
    /// Puts instances in order, each once, and keeps at most [`ENDPOINTS_MAX`]. Those in use come
    /// before critical ones when some have to be left out.
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

/// One instance that takes mesh connections for a service: its sidecar, or itself if it is native.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Endpoint {
    /// Where its node is known from.
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
    /// Who it must prove to be.
    pub identity: ExpectedIdentity,
    /// The worst of its checks and its node's.
    pub status: CheckStatus,
    /// Its weight in that status; 0 means it takes no connections.
    pub weight: u32,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locality: Option<Locality>,
}

/// Who an instance must prove to be, but for the trust domain.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ExpectedIdentity {
    /// The service.
    pub service: ServiceRef,
    /// The datacenter.
    pub datacenter: Datacenter,
}

impl ExpectedIdentity {
    /// Whether a certificate that has been verified speaks for it.
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
    /// An instance out of the catalog; `None` if it takes no mesh connections at an address.
    ///
    /// `checks` are those of the instance and of its node. `local` is the datacenter of the caller:
    /// instances of another one are reached at their `wan` addresses.
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

    /// Whether connections may be made to it.
    pub fn takes_connections(&self) -> bool {
        self.status != CheckStatus::Critical && self.weight > 0
    }

    fn key(&self) -> (&NodeScope, &NodeName, &Namespace, &InstanceId) {
        (&self.scope, &self.node, &self.namespace, &self.instance)
    }
}

/// From afar the wan addresses first, as far as there are any.
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
