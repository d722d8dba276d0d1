//! The JSON of health: checks, and instances with their node and checks.

use concord_model::catalog::{self, Check, NodeScope, ServiceInstance};
use concord_model::{InstanceId, NodeName, ServiceName};
use serde::{Deserialize, Serialize};

use crate::catalog::{Node, shown_namespace, shown_partition, shown_peer};
use crate::proxy::text;
use crate::service::NodeService;
use crate::shape::{is_default, null_default};

mod definition;

pub use definition::CheckDefinition;

/// A check, in the catalog or at the agent.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HealthCheck {
    /// Its node.
    pub node: String,
    /// Its id.
    #[serde(rename = "CheckID")]
    pub check_id: String,
    /// Its name.
    pub name: String,
    /// `passing`, `warning` or `critical`.
    pub status: String,
    /// Notes for people.
    pub notes: String,
    /// Its last output.
    pub output: String,
    /// The instance that it belongs to, or empty.
    #[serde(rename = "ServiceID")]
    pub service_id: String,
    /// That instance's service, or empty.
    pub service_name: String,
    /// That instance's tags.
    #[serde(deserialize_with = "null_default")]
    pub service_tags: Vec<String>,
    /// The kind of check.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Its interval.
    pub interval: String,
    /// Its timeout.
    pub timeout: String,
    /// Always 0: exposing checks is not available yet.
    pub exposed_port: u16,
    /// The peered cluster it is imported from.
    #[serde(skip_serializing_if = "is_default")]
    pub peer_name: String,
    /// How an external program should run it.
    pub definition: CheckDefinition,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub namespace: String,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub partition: String,
    /// Index of its creation.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

/// An instance with its node and the checks of both: `health/service` and `health/connect`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServiceEntry {
    /// The node.
    pub node: Node,
    /// The instance.
    pub service: NodeService,
    /// Checks of the node and of the instance.
    #[serde(deserialize_with = "null_default")]
    pub checks: Vec<HealthCheck>,
}

impl HealthCheck {
    /// The JSON of a check on a node in `scope`.
    pub fn from_model(scope: &NodeScope, node: &NodeName, check: &Check) -> Self {
        let Check {
            id,
            name,
            status,
            notes,
            output,
            service_id,
            service_name,
            namespace,
            service_tags,
            kind,
            interval,
            timeout,
            definition,
            stamp,
        } = check;
        Self {
            node: node.to_string(),
            check_id: id.to_string(),
            name: name.clone(),
            status: status.as_str().to_owned(),
            notes: notes.clone(),
            output: output.clone(),
            service_id: text(service_id.as_ref().map(InstanceId::as_str)),
            service_name: text(service_name.as_ref().map(ServiceName::as_str)),
            service_tags: service_tags.clone(),
            kind: kind.clone(),
            interval: interval.clone(),
            timeout: timeout.clone(),
            exposed_port: 0,
            peer_name: shown_peer(scope),
            definition: CheckDefinition::from_model(definition),
            namespace: shown_namespace(namespace),
            partition: shown_partition(&scope.partition),
            create_index: stamp.create,
            modify_index: stamp.modify,
        }
    }
}

impl ServiceEntry {
    /// The JSON of an instance with its node and the checks of both.
    pub fn from_model<'a>(
        node: &catalog::Node,
        service: &ServiceInstance,
        checks: impl IntoIterator<Item = &'a Check>,
    ) -> Self {
        let shape = |check| HealthCheck::from_model(&node.scope, &node.name, check);
        Self {
            node: Node::from_model(node),
            service: NodeService::from_model(&node.scope, service),
            checks: checks.into_iter().map(shape).collect(),
        }
    }
}
