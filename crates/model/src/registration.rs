//! What an agent is asked to run itself: services with their checks, before they reach the catalog.
//!
//! They hold tokens and are therefore not serialisable as a whole; whoever persists them chooses the form.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Secret;
use crate::catalog::{CheckStatus, ServiceInstance};
use crate::name::{CheckId, InstanceId, NodeName, ServiceName};

/// A service registered with its agent.
#[derive(Clone, Debug)]
pub struct LocalService {
    /// The service.
    pub service: ServiceInstance,
    /// Its checks.
    pub checks: Vec<CheckSpec>,
    /// The token it is brought to the catalog with; `None`: the agent's.
    pub token: Option<Secret>,
    /// The instance whose definition it was expanded from; it goes when that one goes.
    pub sidecar_of: Option<InstanceId>,
}

/// A check an agent makes or keeps.
#[derive(Clone, Debug)]
pub struct CheckSpec {
    /// Its id, unique on the agent.
    pub id: CheckId,
    /// What people call it.
    pub name: String,
    /// What people noted about it.
    pub notes: String,
    /// The instance it is about; `None` for the node.
    pub service_id: Option<InstanceId>,
    /// The service of that instance, where the definition tells.
    pub service_name: Option<ServiceName>,
    /// Its verdict before the first run.
    pub initial: CheckStatus,
    /// How it is made.
    pub probe: Probe,
    /// Successes in a row before it passes; 0 and 1 mean at once.
    pub success_before_passing: u32,
    /// Failures in a row before it warns; 0 means as `failures_before_critical`.
    pub failures_before_warning: u32,
    /// Failures in a row before it is critical; 0 means at once.
    pub failures_before_critical: u32,
    /// Deregister the service after it was critical for so long; `None`: never.
    pub deregister_after: Option<Duration>,
    /// Keep at most so many bytes of output; `None`: the agent's bound.
    pub output_bytes_max: Option<usize>,
    /// The token it is brought to the catalog with; `None`: the service's or the agent's.
    pub token: Option<Secret>,
}

/// How a check comes to its verdict.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// The service reports; silence for longer than this is critical.
    Ttl(Duration),
    /// A TCP connection to `address`, made every `interval`.
    Tcp {
        /// `host:port`.
        address: String,
        /// Time between runs.
        interval: Duration,
        /// How long one run may take.
        timeout: Duration,
    },
    /// As well as all checks of another service or node.
    Alias {
        /// The node; `None`: this one.
        node: Option<NodeName>,
        /// The instance; `None`: the node itself.
        service: Option<InstanceId>,
    },
}

impl Probe {
    /// As shown in the API's `Type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ttl(_) => "ttl",
            Self::Tcp { .. } => "tcp",
            Self::Alias { .. } => "alias",
        }
    }
}
