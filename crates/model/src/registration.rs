//! Services and checks as they are registered with an agent, before they reach the catalog.
//!
//! These types contain tokens and therefore have no serde form as a whole. The code that stores them chooses the form.

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
    /// The token with which the agent registers it in the catalog. `None` means the agent's token.
    pub token: Option<Secret>,
    /// The instance whose definition contained this sidecar. The sidecar is removed together with it.
    pub sidecar_of: Option<InstanceId>,
}

/// A check that an agent runs or keeps.
#[derive(Clone, Debug)]
pub struct CheckSpec {
    /// Its id, unique on the agent.
    pub id: CheckId,
    /// Its display name.
    pub name: String,
    /// Notes for people.
    pub notes: String,
    /// The checked instance. `None` if the node is checked.
    pub service_id: Option<InstanceId>,
    /// The service of this instance, if the definition names it.
    pub service_name: Option<ServiceName>,
    /// Its state before the first run.
    pub initial: CheckStatus,
    /// How it is run.
    pub probe: Probe,
    /// Successes in a row until it passes. 0 and 1 mean at once.
    pub success_before_passing: u32,
    /// Failures in a row until it is in warning state. 0 means the value of `failures_before_critical`.
    pub failures_before_warning: u32,
    /// Failures in a row until it is critical. 0 means at once.
    pub failures_before_critical: u32,
    /// Deregister the service after the check was critical for this time. `None` means never.
    pub deregister_after: Option<Duration>,
    /// Maximum number of bytes of output that are kept. `None` means the agent's limit.
    pub output_bytes_max: Option<usize>,
    /// The token with which the agent registers it in the catalog. `None` means the service's or the agent's token.
    pub token: Option<Secret>,
}

/// How a check determines its state.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// The service reports its state. Without a report for this time the check is critical.
    Ttl(Duration),
    /// The worst state of the checks of another service or node.
    Alias {
        /// The node. `None` means this node.
        node: Option<NodeName>,
        /// The instance. `None` means the node itself.
        service: Option<InstanceId>,
    },
    /// An operator has put the service or the node into maintenance mode.
    Maintenance,
    /// A TCP connection to `address`.
    Tcp {
        /// `host:port`.
        address: String,
        /// Also do a TLS handshake.
        #[serde(default)]
        tls: Option<CheckTls>,
        /// How often.
        #[serde(flatten)]
        every: Every,
    },
    /// A datagram to `address`. The check fails if it is rejected.
    Udp {
        /// `host:port`.
        address: String,
        /// How often.
        #[serde(flatten)]
        every: Every,
    },
    /// An HTTP request. A 2xx answer passes, 429 is a warning.
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
        /// The service in the health request. Empty means the whole server.
        service: String,
        /// The TLS settings, if TLS is used.
        tls: Option<CheckTls>,
        /// How often.
        #[serde(flatten)]
        every: Every,
    },
    /// A ping on an HTTP/2 connection.
    H2ping {
        /// `host:port`.
        address: String,
        /// The TLS settings, if TLS is used.
        tls: Option<CheckTls>,
        /// How often.
        #[serde(flatten)]
        every: Every,
    },
    /// A service of the operating system.
    OsService {
        /// Its name in the operating system.
        name: String,
        /// How often.
        #[serde(flatten)]
        every: Every,
    },
    /// A program, run without a shell. Exit code 0 passes, 1 is a warning.
    Script {
        /// Program and arguments; at least the program.
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
        /// The shell that Consul runs the program with.
        shell: String,
        /// How often.
        #[serde(flatten)]
        every: Every,
    },
}

/// The schedule of a check.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Every {
    /// Time between runs, as configured.
    pub interval: Duration,
    /// Maximum time of a run, as configured. Zero means the default for this type of check.
    #[serde(default)]
    pub timeout: Duration,
}

/// How the TLS of a check's target is verified.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct CheckTls {
    /// The expected name in the certificate. Empty means the host in the address.
    pub server_name: String,
    /// Accept any certificate.
    pub skip_verify: bool,
}

/// The request of an HTTP check.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct CheckRequest {
    /// The URL.
    pub url: String,
    /// The method. Empty means GET.
    pub method: String,
    /// Additional headers. They may contain secrets.
    pub header: BTreeMap<String, Vec<String>>,
    /// The body of the request.
    pub body: String,
    /// Evaluate a redirect instead of following it.
    pub disable_redirects: bool,
    /// The TLS settings for `https`.
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
    /// The text in the API's `Type`.
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

    /// The schedule on which the agent runs it. `None` if the agent does not run anything.
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

    /// Whether the check runs a program that the registration names.
    pub fn is_program(&self) -> bool {
        matches!(self, Self::Script { .. } | Self::Docker { .. })
    }
}
