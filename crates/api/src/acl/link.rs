//! What a token refers to: policies, and services and nodes whose identity it has.

use concord_model::Datacenter;
use concord_model::token::{NodeLink, ServiceLink};
use serde::{Deserialize, Serialize};

use crate::shape::null_default;

/// A reference to a policy.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PolicyLink {
    /// The policy's id.
    #[serde(rename = "ID")]
    pub id: String,
    /// The policy's name.
    pub name: String,
}

/// A service whose identity a token has.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServiceIdentity {
    /// The service's name.
    pub service_name: String,
    /// Datacenters for which it holds; left out if all.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub datacenters: Vec<String>,
}

/// A node whose identity a token has.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct NodeIdentity {
    /// The node's name.
    pub node_name: String,
    /// Its datacenter.
    pub datacenter: String,
}

impl ServiceIdentity {
    pub(super) fn from_model(link: &ServiceLink) -> Self {
        let ServiceLink { service, datacenters } = link;
        let datacenters = datacenters.iter().map(Datacenter::to_string).collect();
        Self { service_name: service.to_string(), datacenters }
    }
}

impl NodeIdentity {
    pub(super) fn from_model(link: &NodeLink) -> Self {
        let NodeLink { node, datacenter } = link;
        Self { node_name: node.to_string(), datacenter: datacenter.to_string() }
    }
}
