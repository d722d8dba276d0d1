//! Check definitions, inline in a service or separate.

use std::collections::BTreeMap;
use std::time::Duration;

use concord_model::catalog::CheckStatus;
use concord_model::registration::{CheckRequest, CheckSpec, CheckTls, Every, Probe};
use concord_model::{CheckId, InstanceId, Secret, ServiceName};
use concord_syntax::{Node, duration::serde_go};
use serde::{Deserialize, Serialize};

use super::field;
use crate::decode::{self, REQUEST_DECODE_FAILED};
use crate::fault::{Fault, Faults};
use crate::limits::DEREGISTER_AFTER_MIN;
use crate::shape::{exposed, null_default, secret};

/// A check as a user writes it. It uses exactly one way to run.
///
/// `Args` is also known as `ScriptArgs`, `ID` as `CheckID`.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CheckDefinition {
    /// The check's id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Another name for the id.
    #[serde(rename = "CheckID")]
    pub check_id: String,
    /// Its name.
    pub name: String,
    /// Notes for people.
    pub notes: String,
    /// The instance it belongs to; only for separate checks.
    #[serde(rename = "ServiceID")]
    pub service_id: String,
    /// Token of a separate check.
    #[serde(deserialize_with = "secret", serialize_with = "exposed::optional")]
    pub token: Option<Secret>,
    /// Status before the first run; the default is critical.
    pub status: String,
    /// The longest time between two reports of the service.
    #[serde(rename = "TTL", with = "serde_go")]
    pub ttl: Duration,
    /// `host:port` to connect to.
    #[serde(rename = "TCP")]
    pub tcp: String,
    /// The instance whose health it copies.
    pub alias_service: String,
    /// The node whose health it copies.
    pub alias_node: String,
    /// Time between runs.
    #[serde(with = "serde_go")]
    pub interval: Duration,
    /// How long one run may take.
    #[serde(with = "serde_go")]
    pub timeout: Duration,
    /// Successes in a row until it is passing.
    pub success_before_passing: u32,
    /// Failures in a row until it is warning.
    pub failures_before_warning: u32,
    /// Failures in a row until it is critical.
    pub failures_before_critical: u32,
    /// Deregister the service after it was critical for this long.
    #[serde(with = "serde_go")]
    pub deregister_critical_service_after: Duration,
    /// Bytes of output to keep.
    pub output_max_size: i64,
    /// Another namespace than `default` is refused.
    pub namespace: String,
    /// Another partition than `default` is refused.
    pub partition: String,

    /// Program and arguments, run without a shell.
    #[serde(alias = "ScriptArgs", deserialize_with = "null_default")]
    pub args: Vec<String>,
    /// URL to ask.
    #[serde(rename = "HTTP")]
    pub http: String,
    /// Headers of the request.
    #[serde(deserialize_with = "null_default")]
    pub header: BTreeMap<String, Vec<String>>,
    /// Method of the request; the default is GET.
    pub method: String,
    /// Body of the request.
    pub body: String,
    /// Let the redirect itself decide, instead of following it.
    pub disable_redirects: bool,
    /// Perform a TLS handshake on the TCP connection.
    #[serde(rename = "TCPUseTLS")]
    pub tcp_use_tls: bool,
    /// `host:port` to send a datagram to.
    #[serde(rename = "UDP")]
    pub udp: String,
    /// `host:port` or `host:port/service` to ask for its health.
    #[serde(rename = "GRPC")]
    pub grpc: String,
    /// Use TLS for gRPC.
    #[serde(rename = "GRPCUseTLS")]
    pub grpc_use_tls: bool,
    /// `host:port` to ping over HTTP/2.
    #[serde(rename = "H2PING")]
    pub h2ping: String,
    /// Use TLS for the ping; the default is yes.
    #[serde(rename = "H2PingUseTLS")]
    pub h2ping_use_tls: Option<bool>,
    /// Container to run `Args` in.
    #[serde(rename = "DockerContainerID")]
    pub docker_container_id: String,
    /// Shell in the container.
    pub shell: String,
    /// Service of the operating system.
    #[serde(rename = "OSService")]
    pub os_service: String,
    /// The name that the certificate must have.
    #[serde(rename = "TLSServerName")]
    pub tls_server_name: String,
    /// Accept any certificate.
    #[serde(rename = "TLSSkipVerify")]
    pub tls_skip_verify: bool,
}

/// The request in it may contain secrets.
impl std::fmt::Debug for CheckDefinition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ways: Vec<&str> = self.ways().iter().map(|(way, ..)| *way).collect();
        f.debug_struct("CheckDefinition")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("ways", &ways)
            .finish_non_exhaustive()
    }
}

/// A way to run a check: its name in messages, whether the definition uses it, and how to resolve it.
type Way = (&'static str, fn(&CheckDefinition) -> bool, fn(&CheckDefinition, &mut Vec<Fault>) -> Probe);

/// All ways to run a check. A check uses exactly one.
const WAYS: &[Way] = &[
    ("TTL", |own| !own.ttl.is_zero(), |own, _| Probe::Ttl(own.ttl)),
    ("TCP", |own| !own.tcp.is_empty(), CheckDefinition::tcp_probe),
    (
        "alias",
        |own| !(own.alias_service.is_empty() && own.alias_node.is_empty()),
        |own, faults| Probe::Alias {
            node: field::optional_name("AliasNode", &own.alias_node, faults),
            service: field::optional_name("AliasService", &own.alias_service, faults),
        },
    ),
    (
        "HTTP",
        |own| !own.http.is_empty(),
        |own, faults| Probe::Http { request: Box::new(own.request()), every: own.every(faults) },
    ),
    (
        "UDP",
        |own| !own.udp.is_empty(),
        |own, faults| Probe::Udp { address: own.udp.clone(), every: own.every(faults) },
    ),
    ("gRPC", |own| !own.grpc.is_empty(), CheckDefinition::grpc_probe),
    (
        "H2PING",
        |own| !own.h2ping.is_empty(),
        |own, faults| Probe::H2ping {
            address: own.h2ping.clone(),
            tls: own.h2ping_use_tls.unwrap_or(true).then(|| own.tls()),
            every: own.every(faults),
        },
    ),
    (
        "Docker",
        |own| !own.docker_container_id.is_empty(),
        |own, faults| Probe::Docker {
            container: own.docker_container_id.clone(),
            args: own.args.clone(),
            shell: own.shell.clone(),
            every: own.every(faults),
        },
    ),
    (
        "script",
        |own| !own.args.is_empty() && own.docker_container_id.is_empty(),
        |own, faults| Probe::Script { args: own.args.clone(), every: own.every(faults) },
    ),
    (
        "OSService",
        |own| !own.os_service.is_empty(),
        |own, faults| Probe::OsService { name: own.os_service.clone(), every: own.every(faults) },
    ),
];

/// The owner of a check, and the source of its id if it has none.
#[derive(Clone, Copy, Debug)]
pub enum CheckOwner<'a> {
    /// A separate check; its name becomes the id.
    Itself,
    /// A check inline in a service; the id is `service:<id>`, or `service:<id>:<n>` from 1 if there are several.
    Service {
        /// The instance.
        id: &'a InstanceId,
        /// Its service.
        name: &'a ServiceName,
        /// Its position, counted from 0, and the number of checks.
        place: (usize, usize),
    },
}

impl CheckDefinition {
    /// Parses the body of `agent/check/register`, which needs a name even if it has an id.
    pub fn decode(body: &[u8]) -> Result<Self, Faults> {
        let check: Self = decode::body(body, REQUEST_DECODE_FAILED)?;
        let fault = if check.name.is_empty() {
            Fault::rule("Name", "Missing check name")
        } else if !check.status.is_empty() && CheckStatus::parse(&check.status).is_none() {
            Fault::rule("Status", "Bad check status")
        } else {
            return Ok(check);
        };
        Err(Faults::one(fault))
    }

    /// Decodes a block of a file; `source` names the file in errors.
    pub fn from_node(node: &Node, source: &str) -> Result<Self, Faults> {
        decode::strict(node, source, "")
    }

    /// Whether the definition is empty.
    pub fn is_empty(&self) -> bool {
        self.id.is_empty()
            && self.check_id.is_empty()
            && self.name.is_empty()
            && self.notes.is_empty()
            && self.status.is_empty()
            && self.interval.is_zero()
            && self.timeout.is_zero()
            && self.ways().is_empty()
    }

    /// Validates the check and applies defaults.
    pub fn resolve(&self, owner: CheckOwner<'_>) -> Result<CheckSpec, Faults> {
        let mut faults = Vec::new();
        field::tenancy(&self.namespace, &self.partition, &mut faults);
        let probe = self.probe(&mut faults);
        let id = self.own_id(owner, &mut faults);
        let (service_id, service_name) = match owner {
            CheckOwner::Itself => (field::optional_name("ServiceID", &self.service_id, &mut faults), None),
            CheckOwner::Service { id, name, .. } => (Some(id.clone()), Some(name.clone())),
        };
        self.check_counts(&mut faults);
        let spec = CheckSpec {
            id: id.unwrap_or_else(|| CheckId::parse("check").expect("a plain word is an id")),
            name: self.own_name(owner),
            notes: self.notes.clone(),
            service_id,
            service_name,
            initial: self.initial(&mut faults),
            probe: probe.unwrap_or(Probe::Ttl(self.ttl)),
            success_before_passing: self.success_before_passing,
            failures_before_warning: self.failures_before_warning,
            failures_before_critical: self.failures_before_critical,
            deregister_after: (!self.deregister_critical_service_after.is_zero())
                .then(|| self.deregister_critical_service_after.max(DEREGISTER_AFTER_MIN)),
            output_bytes_max: usize::try_from(self.output_max_size).ok().filter(|size| *size > 0),
            token: self.token.clone(),
        };
        Faults::or("Invalid check", faults, spec)
    }

    /// The ways to run it that the definition uses.
    fn ways(&self) -> Vec<&'static Way> {
        WAYS.iter().filter(|(_, used, _)| used(self)).collect()
    }

    fn probe(&self, faults: &mut Vec<Fault>) -> Option<Probe> {
        let rule = |text: String| Fault::rule("Check", text);
        if !self.interval.is_zero() && !self.ttl.is_zero() {
            faults.push(rule("Interval and TTL cannot both be specified".to_owned()));
            return None;
        }
        match self.ways().as_slice() {
            [] => {
                faults.push(rule("TTL must be > 0 for TTL checks".to_owned()));
                None
            }
            [(_, _, probe)] => Some(probe(self, faults)),
            [(first, ..), (second, ..), ..] => {
                let text =
                    format!("a check is made in exactly one way, not by {first} and {second}; keep one");
                faults.push(rule(text));
                None
            }
        }
    }

    fn every(&self, faults: &mut Vec<Fault>) -> Every {
        if self.interval.is_zero() {
            let text = "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks";
            faults.push(Fault::rule("Interval", text));
        }
        Every { interval: self.interval, timeout: self.timeout }
    }

    fn tls(&self) -> CheckTls {
        CheckTls { server_name: self.tls_server_name.clone(), skip_verify: self.tls_skip_verify }
    }

    fn tcp_probe(&self, faults: &mut Vec<Fault>) -> Probe {
        let every = self.every(faults);
        if !has_port(&self.tcp) {
            let text = format!("TCP: {:?} is not host:port", self.tcp.chars().take(128).collect::<String>());
            faults.push(Fault::rule("TCP", text));
        }
        Probe::Tcp { address: self.tcp.clone(), tls: self.tcp_use_tls.then(|| self.tls()), every }
    }

    fn grpc_probe(&self, faults: &mut Vec<Fault>) -> Probe {
        let (address, service) = self.grpc.split_once('/').unwrap_or((&self.grpc, ""));
        Probe::Grpc {
            address: address.to_owned(),
            service: service.to_owned(),
            tls: self.grpc_use_tls.then(|| self.tls()),
            every: self.every(faults),
        }
    }

    fn request(&self) -> CheckRequest {
        CheckRequest {
            url: self.http.clone(),
            method: self.method.clone(),
            header: self.header.clone(),
            body: self.body.clone(),
            disable_redirects: self.disable_redirects,
            tls: self.tls(),
        }
    }

    fn own_id(&self, owner: CheckOwner<'_>, faults: &mut Vec<Fault>) -> Option<CheckId> {
        let written = if self.id.is_empty() { &self.check_id } else { &self.id };
        if !written.is_empty() {
            return field::name("CheckID", written, faults);
        }
        match owner {
            CheckOwner::Itself if self.name.is_empty() => {
                faults.push(Fault::rule("Name", "Missing check name"));
                None
            }
            CheckOwner::Itself => field::name("Name", &self.name, faults),
            CheckOwner::Service { id, place: (_, 1), .. } => {
                field::name("CheckID", &format!("service:{id}"), faults)
            }
            CheckOwner::Service { id, place: (at, _), .. } => {
                field::name("CheckID", &format!("service:{id}:{}", at + 1), faults)
            }
        }
    }

    fn own_name(&self, owner: CheckOwner<'_>) -> String {
        match owner {
            CheckOwner::Service { name, .. } if self.name.is_empty() => format!("Service '{name}' check"),
            CheckOwner::Service { .. } | CheckOwner::Itself => self.name.clone(),
        }
    }

    fn initial(&self, faults: &mut Vec<Fault>) -> CheckStatus {
        if self.status.is_empty() {
            return CheckStatus::Critical;
        }
        CheckStatus::parse(&self.status).unwrap_or_else(|| {
            faults.push(Fault::rule("Status", "Status for checks must 'passing', 'warning', 'critical'"));
            CheckStatus::Critical
        })
    }

    fn check_counts(&self, faults: &mut Vec<Fault>) {
        if self.output_max_size < 0 {
            faults.push(Fault::rule("OutputMaxSize", "MaxOutputMaxSize must be positive"));
        }
        if self.failures_before_warning > self.failures_before_critical {
            let text = "FailuresBeforeWarning can't be higher than FailuresBeforeCritical";
            faults.push(Fault::rule("FailuresBeforeWarning", text));
        }
    }
}

fn has_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| {
        let host_ok = !host.is_empty() && (!host.contains(':') || host.starts_with('['));
        host_ok && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}
