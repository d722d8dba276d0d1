//! Check definitions, inline in a service or on their own.

use std::time::Duration;

use concord_model::catalog::CheckStatus;
use concord_model::registration::{CheckSpec, Probe};
use concord_model::{CheckId, InstanceId, Secret, ServiceName};
use concord_syntax::{Node, duration::serde_go};
use serde::{Deserialize, Serialize};

use super::field;
use crate::decode::{self, REQUEST_DECODE_FAILED};
use crate::fault::{Fault, Faults};
use crate::limits::{CHECK_INTERVAL_MIN, CHECK_TIMEOUT_DEFAULT, DEREGISTER_AFTER_MIN};
use crate::shape::{exposed, secret};

/// A check as a user writes it; exactly one of the ways to make it is used.
///
/// `Args` is also known as `ScriptArgs`, `ID` as `CheckID`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CheckDefinition {
    /// The check's id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Another name for the id.
    #[serde(rename = "CheckID")]
    pub check_id: String,
    /// What people call it.
    pub name: String,
    /// What people note about it.
    pub notes: String,
    /// The instance it is about; only where the check stands on its own.
    #[serde(rename = "ServiceID")]
    pub service_id: String,
    /// Token of a check on its own.
    #[serde(deserialize_with = "secret", serialize_with = "exposed::optional")]
    pub token: Option<Secret>,
    /// Verdict before the first run; critical if not said.
    pub status: String,
    /// How long a service may stay silent.
    #[serde(rename = "TTL", with = "serde_go")]
    pub ttl: Duration,
    /// `host:port` to connect to.
    #[serde(rename = "TCP")]
    pub tcp: String,
    /// The instance whose health it takes over.
    pub alias_service: String,
    /// The node whose health it takes over.
    pub alias_node: String,
    /// Time between runs.
    #[serde(with = "serde_go")]
    pub interval: Duration,
    /// How long one run may take.
    #[serde(with = "serde_go")]
    pub timeout: Duration,
    /// Successes in a row before it passes.
    pub success_before_passing: u32,
    /// Failures in a row before it warns.
    pub failures_before_warning: u32,
    /// Failures in a row before it is critical.
    pub failures_before_critical: u32,
    /// Deregister the service after it was critical for so long.
    #[serde(with = "serde_go")]
    pub deregister_critical_service_after: Duration,
    /// Bytes of output to keep.
    pub output_max_size: i64,
    /// Another namespace than `default` is refused.
    pub namespace: String,
    /// Another partition than `default` is refused.
    pub partition: String,

    // Ways that are not available yet, known so that they can be named.
    #[serde(alias = "ScriptArgs")]
    args: Vec<String>,
    #[serde(rename = "HTTP")]
    http: String,
    header: Option<Node>,
    method: String,
    body: String,
    disable_redirects: bool,
    #[serde(rename = "TCPUseTLS")]
    tcp_use_tls: bool,
    #[serde(rename = "UDP")]
    udp: String,
    #[serde(rename = "GRPC")]
    grpc: String,
    #[serde(rename = "GRPCUseTLS")]
    grpc_use_tls: bool,
    #[serde(rename = "H2PING")]
    h2ping: String,
    #[serde(rename = "H2PingUseTLS")]
    h2ping_use_tls: Option<bool>,
    #[serde(rename = "DockerContainerID")]
    docker_container_id: String,
    shell: String,
    #[serde(rename = "OSService")]
    os_service: String,
    #[serde(rename = "TLSServerName")]
    tls_server_name: String,
    #[serde(rename = "TLSSkipVerify")]
    tls_skip_verify: bool,
}

/// What a check belongs to, and where its id comes from if it has none.
#[derive(Clone, Copy, Debug)]
pub enum CheckOwner<'a> {
    /// It stands on its own; the id is its name.
    Itself,
    /// It is inline in a service; the id is `service:<id>` or, among several, `service:<id>:<n>` from 1.
    Service {
        /// The instance.
        id: &'a InstanceId,
        /// Its service.
        name: &'a ServiceName,
        /// Which of how many, counted from 0.
        place: (usize, usize),
    },
}

impl CheckDefinition {
    /// Reads the body of `agent/check/register`, which needs a name even beside an id.
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

    /// Reads a block of a file; `source` names the file in faults.
    pub fn from_node(node: &Node, source: &str) -> Result<Self, Faults> {
        decode::strict(node, source, "")
    }

    /// Whether nothing at all was written.
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

    /// Validates the check and gives its defaults.
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

    /// The ways to make it that are written down, as named in messages, and whether each is available.
    fn ways(&self) -> Vec<(&'static str, bool)> {
        [
            ("TTL", !self.ttl.is_zero(), true),
            ("TCP", !self.tcp.is_empty(), !self.tcp_use_tls),
            ("alias", !(self.alias_service.is_empty() && self.alias_node.is_empty()), true),
            ("HTTP", !self.http.is_empty(), false),
            ("UDP", !self.udp.is_empty(), false),
            ("gRPC", !self.grpc.is_empty(), false),
            ("H2PING", !self.h2ping.is_empty(), false),
            ("Docker", !self.docker_container_id.is_empty(), false),
            ("script", !self.args.is_empty() && self.docker_container_id.is_empty(), false),
            ("OSService", !self.os_service.is_empty(), false),
        ]
        .into_iter()
        .filter(|(_, used, _)| *used)
        .map(|(way, _, available)| (way, available))
        .collect()
    }

    fn probe(&self, faults: &mut Vec<Fault>) -> Option<Probe> {
        let ways = self.ways();
        let rule = |text: String| Fault::rule("Check", text);
        if !self.interval.is_zero() && !self.ttl.is_zero() {
            faults.push(rule("Interval and TTL cannot both be specified".to_owned()));
            return None;
        }
        let way = match ways.as_slice() {
            [] => {
                faults.push(rule("TTL must be > 0 for TTL checks".to_owned()));
                return None;
            }
            [(way, available)] => {
                let what =
                    if *way == "TCP" { "TCP checks with TLS".to_owned() } else { format!("{way} checks") };
                field::not_available(way, !available, &what, faults);
                *way
            }
            [(first, _), (second, _), ..] => {
                let text =
                    format!("a check is made in exactly one way, not by {first} and {second}; keep one");
                faults.push(rule(text));
                return None;
            }
        };
        match way {
            "TTL" => Some(Probe::Ttl(self.ttl)),
            "alias" => Some(Probe::Alias {
                node: field::optional_name("AliasNode", &self.alias_node, faults),
                service: field::optional_name("AliasService", &self.alias_service, faults),
            }),
            "TCP" => Some(self.tcp_probe(faults)),
            _ => None,
        }
    }

    fn tcp_probe(&self, faults: &mut Vec<Fault>) -> Probe {
        if self.interval.is_zero() {
            let text = "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks";
            faults.push(Fault::rule("Interval", text));
        }
        if !has_port(&self.tcp) {
            let text = format!("TCP: {:?} is not host:port", self.tcp.chars().take(128).collect::<String>());
            faults.push(Fault::rule("TCP", text));
        }
        let timeout = if self.timeout.is_zero() { CHECK_TIMEOUT_DEFAULT } else { self.timeout };
        Probe::Tcp { address: self.tcp.clone(), interval: self.interval.max(CHECK_INTERVAL_MIN), timeout }
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
