//! What proxies without an agent of their own ask the servers.

use std::sync::Arc;

use concord_model::catalog::{NodeScope, ServiceInstance};
use concord_model::entry::EntryName;
use concord_model::{InstanceId, NodeName, ServiceName, Uuid};
use serde::{Deserialize, Serialize};

/// The servers that are ready, for clients that choose one themselves.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ListServers {}

/// A server that is ready.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReadyServer {
    /// Id of its node.
    pub id: Uuid,
    /// Its address, without a port.
    pub address: String,
    /// Its address for other datacenters; the same if it has no other.
    pub wan_address: String,
    /// The version of Consul that it is compatible with; empty: unknown.
    pub version: String,
}

/// A proxy or gateway in the catalog, with the settings that entries give it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadProxy {
    /// Its node.
    pub node: NodeChoice,
    /// Its id there.
    pub proxy: InstanceId,
}

/// How a node is named.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeChoice {
    /// By its permanent id.
    Id(Uuid),
    /// By its name.
    Name(NodeName),
}

/// The registration of a proxy that attaches to a server because its node has no agent, with the settings that entries
/// give it. `None`: nothing is registered there.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct FollowProxy {
    /// Its node.
    pub node: NodeName,
    /// Its id there.
    pub proxy: InstanceId,
}

/// The registration of a proxy, and from what it is merged.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FollowedProxy {
    /// With the settings that entries give it. In a message its fields stand beside the others, because older versions
    /// tell it alone.
    #[serde(flatten)]
    pub instance: Arc<ServiceInstance>,
    /// The entries that exist, of those that are merged with it. `None` if entries do not concern it, or if the servers
    /// do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Arc<[EntryName]>>,
}

impl FollowProxy {
    /// The service that one has to be allowed to write to be the proxy: the one it stands before, or a gateway's own.
    pub fn right(instance: &ServiceInstance) -> ServiceName {
        let target = instance.connect_target(&NodeScope::default());
        target.map_or_else(|| instance.service.clone(), |target| target.name)
    }
}
