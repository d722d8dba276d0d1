//! Checks, and instances by their health.

use std::collections::BTreeMap;

use concord_model::catalog::{Check, CheckStatus, Node, ServiceInstance};
use concord_model::{NodeName, ServiceRef};
use serde::{Deserialize, Serialize};

use super::catalog::InstanceSelection;

/// Checks of a node and of its services.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct NodeChecks {
    /// The node.
    pub node: NodeName,
}

/// Checks of a service's instances.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ServiceChecks {
    /// The service.
    pub service: ServiceRef,
    /// Only on nodes whose metadata has all of these.
    #[serde(default)]
    pub node_meta: BTreeMap<String, String>,
}

/// Checks in one state, or in any, on all nodes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ChecksInState {
    /// The state.
    pub state: CheckState,
    /// Only on nodes whose metadata has all of these.
    #[serde(default)]
    pub node_meta: BTreeMap<String, String>,
}

/// Which states are requested.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// All states.
    Any,
    /// This state.
    Is(CheckStatus),
    /// A state that no check ever has: the answer is always empty.
    Never,
}

/// A check with the name of its node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NodeCheck {
    /// The node.
    pub node: NodeName,
    /// The check.
    pub check: Check,
}

/// Instances of a service with their health.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ServiceHealth {
    /// Which.
    pub select: InstanceSelection,
    /// Leave out instances that are critical or worse than this; `None`: all.
    #[serde(default)]
    pub worst: Option<CheckStatus>,
}

/// An instance with its node and all checks that count for it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct InstanceHealth {
    /// The node.
    pub node: Node,
    /// The instance.
    pub service: ServiceInstance,
    /// Checks of the node and of the instance.
    pub checks: Vec<Check>,
}

impl InstanceHealth {
    /// The worst status of its checks.
    pub fn status(&self) -> CheckStatus {
        self.checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Passing)
    }
}
