//! What an agent is asked to run itself: services with their checks, before they reach the catalog.
//!
//! They hold tokens and are therefore not serialisable as a whole; whoever persists them chooses the form.

use std::collections::BTreeMap;
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
    /// As well as all checks of another service or node.
    Alias {
        /// The node; `None`: this one.
        node: Option<NodeName>,
        /// The instance; `None`: the node itself.
        service: Option<InstanceId>,
    },
    /// Somebody has taken the service or the node out of use.
    Maintenance,
    /// A TCP connection to `address`.
    Tcp {
        /// `host:port`.
        address: String,
        /// Shake hands on it too.
        #[serde(default)]
        tls: Option<CheckTls>,
        /// How often.
        #[serde(flatten)]
        every: Every,
    },
    /// A datagram to `address`, which nobody refuses.
    Udp {
        /// `host:port`.
        address: String,
        /// How often.
        #[serde(flatten)]
        every: Every,
    },
    /// A request that is answered with 2xx; 429 is a warning.
    Http {
        /// The request.
        request: Box<CheckRequest>,
        /// How often.
        #[serde(flatten)]
        every: Every,
    },
    /// The health protocol of gRPC.
    Grpc {
        /// `host:port`.
        address: String,
        /// The service that is asked about; empty: the server as a whole.
        service: String,
        /// Over TLS.
        tls: Option<CheckTls>,
        /// How often.
        #[serde(flatten)]
        every: Every,
    },
    /// A ping on an HTTP/2 connection.
    H2ping {
        /// `host:port`.
        address: String,
        /// Over TLS.
        tls: Option<CheckTls>,
        /// How often.
        #[serde(flatten)]
        every: Every,
    },
    /// A service of the operating system.
    OsService {
        /// Its name there.
        name: String,
        /// How often.
        #[serde(flatten)]
        every: Every,
    },
    /// A program, without a shell. Its exit code decides: 0 passes, 1 warns.
    Script {
        /// Program and arguments; at least the first.
        args: Vec<String>,
        /// How often.
        #[serde(flatten)]
        every: Every,
    },
    /// A program in a container.
    Docker {
        /// The container.
        container: String,
        /// Program and arguments.
        args: Vec<String>,
        /// Runs what is written, in Consul.
        shell: String,
        /// How often.
        #[serde(flatten)]
        every: Every,
    },
}

/// How often a check is made.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Every {
    /// Time between runs, as written.
    pub interval: Duration,
    /// How long one run may take, as written; zero: as is usual for its kind.
    #[serde(default)]
    pub timeout: Duration,
}

/// How the TLS of a check's target is verified.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct CheckTls {
    /// The name its certificate must have; empty: the host that is connected to.
    pub server_name: String,
    /// Take any certificate.
    pub skip_verify: bool,
}

/// The request of an HTTP check.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct CheckRequest {
    /// Where to.
    pub url: String,
    /// Empty: GET.
    pub method: String,
    /// Fields beside the usual ones. They may hold secrets.
    pub header: BTreeMap<String, Vec<String>>,
    /// What is sent along.
    pub body: String,
    /// Judge by a redirect instead of following it.
    pub disable_redirects: bool,
    /// For `https`.
    pub tls: CheckTls,
}

impl std::fmt::Debug for CheckRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields = self.header.keys().collect::<Vec<_>>();
        f.debug_struct("CheckRequest")
            .field("method", &self.method)
            .field("header", &fields)
            .finish_non_exhaustive()
    }
}

impl Probe {
    /// As shown in the API's `Type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ttl(_) => "ttl",
            Self::Alias { .. } => "alias",
            Self::Maintenance => "maintenance",
            Self::Tcp { .. } => "tcp",
            Self::Udp { .. } => "udp",
            Self::Http { .. } => "http",
            Self::Grpc { .. } => "grpc",
            Self::H2ping { .. } => "h2ping",
            Self::OsService { .. } => "os_service",
            Self::Script { .. } => "script",
            Self::Docker { .. } => "docker",
        }
    }

    /// How often it is made from here; `None` for what is told or taken over.
    pub fn every(&self) -> Option<Every> {
        match self {
            Self::Ttl(_) | Self::Alias { .. } | Self::Maintenance => None,
            Self::Tcp { every, .. }
            | Self::Udp { every, .. }
            | Self::Http { every, .. }
            | Self::Grpc { every, .. }
            | Self::H2ping { every, .. }
            | Self::OsService { every, .. }
            | Self::Script { every, .. }
            | Self::Docker { every, .. } => Some(*every),
        }
    }

    /// Whether a program that a registration names would run.
    pub fn is_program(&self) -> bool {
        matches!(self, Self::Script { .. } | Self::Docker { .. })
    }
}
