//! The JSON of the catalog: nodes, and the bodies of register and deregister. Instances stand in `service`.

use std::collections::BTreeMap;

use concord_model::catalog::{self, NodeScope};
use concord_model::{Namespace, Partition, PeerName};
use serde::{Deserialize, Serialize};

use crate::proxy::text;
use crate::shape::{is_default, null_default, null_if_empty};

mod register;

pub use register::{DeregisterBody, RegisterBody};

#[cfg(test)]
mod tests;

/// Where a node or instance runs.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Locality {
    /// The region.
    pub region: String,
    /// The zone within the region.
    pub zone: String,
}

/// A node.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Node {
    /// Its permanent id, or empty.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name.
    pub node: String,
    /// Its address.
    pub address: String,
    /// Its datacenter.
    pub datacenter: String,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub partition: String,
    /// The peered cluster it is imported from.
    #[serde(skip_serializing_if = "is_default")]
    pub peer_name: String,
    /// Further addresses.
    #[serde(deserialize_with = "null_default", serialize_with = "null_if_empty")]
    pub tagged_addresses: BTreeMap<String, String>,
    /// Metadata.
    #[serde(deserialize_with = "null_default", serialize_with = "null_if_empty")]
    pub meta: BTreeMap<String, String>,
    /// The locality.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<Locality>,
    /// Index of its creation.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

// === conversions ===

impl Locality {
    pub(crate) fn from_model(locality: Option<&catalog::Locality>) -> Option<Self> {
        locality.map(|catalog::Locality { region, zone }| Self { region: region.clone(), zone: zone.clone() })
    }
}

pub(crate) fn shown_partition(partition: &Partition) -> String {
    text((!partition.is_default()).then_some(partition.as_str()))
}

pub(crate) fn shown_namespace(namespace: &Namespace) -> String {
    text((!namespace.is_default()).then_some(namespace.as_str()))
}

pub(crate) fn shown_peer(scope: &NodeScope) -> String {
    text(scope.peer.as_ref().map(PeerName::as_str))
}

impl Node {
    /// The JSON of a node.
    pub fn from_model(node: &catalog::Node) -> Self {
        let catalog::Node { scope, name, id, address, datacenter, tagged_addresses, meta, locality, stamp } =
            node;
        Self {
            id: id.map(|id| id.to_string()).unwrap_or_default(),
            node: name.to_string(),
            address: address.clone(),
            datacenter: datacenter.to_string(),
            partition: shown_partition(&scope.partition),
            peer_name: shown_peer(scope),
            tagged_addresses: tagged_addresses.clone(),
            meta: meta.clone(),
            locality: Locality::from_model(locality.as_ref()),
            create_index: stamp.create,
            modify_index: stamp.modify,
        }
    }
}
