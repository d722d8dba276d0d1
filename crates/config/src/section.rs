//! Configuration as components take it: checked, complete, typed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use concord_api::connect::CaSettings;
use concord_api::definition::{CheckDefinition, CheckOwner, LocalRegistration, ServiceDefinition};
use concord_model::entry::Entry;
use concord_model::intention::Action;
use concord_model::registration::CheckSpec;
use concord_model::{Datacenter, NodeName, Secret, Uuid};

use crate::address::{ListenHost, Network, Port};
use crate::diagnostic::Origin;

/// The setting of the certificate authority that fixes the trust domain.
pub(crate) const CLUSTER_ID: &str = "cluster_id";

/// How long a log file is written to where nothing is said, as in Consul.
pub(crate) const LOG_ROTATE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// All of it.
#[derive(Clone, Debug)]
pub struct Config {
    /// What makes the agent itself.
    pub agent: AgentSection,
    /// What makes it a server.
    pub server: ServerSection,
    /// The HTTP interface.
    pub http: HttpSection,
    /// The gRPC interface, xDS included.
    pub grpc: GrpcSection,
    /// The HTTP interface over TLS.
    pub https: TlsListenerSection,
    /// The gRPC interface over TLS.
    pub grpc_tls: TlsListenerSection,
    /// What is presented and asked for over TLS.
    pub tls: TlsSections,
    /// Who may connect to unix sockets.
    pub unix_sockets: UnixSocketSection,
    /// Rights.
    pub acl: AclSection,
    /// The mesh and its certificate authority.
    pub connect: ConnectSection,
    /// How keys of the certificate authority are sealed.
    pub sealing: SealingSection,
    /// Metrics.
    pub telemetry: TelemetrySection,
    /// Logs.
    pub log: LogSection,
    /// Services and checks from files.
    pub definitions: Definitions,
}

/// What makes the agent itself.
#[derive(Clone, Debug)]
pub struct AgentSection {
    /// Started with `-dev`: in memory, short timings, answers always indented.
    pub dev: bool,
    /// Its datacenter.
    pub datacenter: Datacenter,
    /// The datacenter that decides on intentions, entries and tokens. Ours, so far.
    pub primary_datacenter: Datacenter,
    /// Domain of DNS names.
    pub domain: String,
    /// A second one.
    pub alt_domain: Option<String>,
    /// Its node's name.
    pub node_name: NodeName,
    /// Its node's id; none: kept in the data directory, made at first start.
    pub node_id: Option<Uuid>,
    /// Its node's metadata.
    pub node_meta: BTreeMap<String, String>,
    /// Where it keeps what lasts; none: nothing lasts.
    pub data_dir: Option<String>,
    /// Address of the ports between agents.
    pub bind: IpAddr,
    /// Address others are told; none: to be found out from the system.
    pub advertise: Option<IpAddr>,
    /// Key of what agents tell each other of their membership.
    pub encrypt: Option<Secret>,
    /// Port of the LAN pool, told to others.
    pub serf_lan: Port,
    /// How long changes of a check's output alone may wait.
    pub check_update_interval: Duration,
    /// Bytes of a check's output that are kept.
    pub check_output_bytes_max: usize,
    /// Keep no output of checks.
    pub discard_check_output: bool,
    /// Whether checks may run programs, wherever they were registered.
    pub script_checks: bool,
    /// Whether checks of files may run programs.
    pub local_script_checks: bool,
    /// Ports given to sidecars that have none; none: no port is given.
    pub sidecar_ports: Option<RangeInclusive<u16>>,
    /// File that holds the process id.
    pub pid_file: Option<String>,
}

/// What makes it a server.
#[derive(Clone, Debug)]
pub struct ServerSection {
    /// Whether it is one.
    pub enabled: bool,
    /// Whether it may make a cluster of its own where there is none.
    pub bootstrap: bool,
    /// Port of internal calls.
    pub port: Port,
    /// Consensus.
    pub raft: RaftSection,
    /// Entries written at start if they are not there.
    pub entries: Vec<Entry>,
    /// How long a blocking query waits where it does not say.
    pub default_query_time: Duration,
    /// How long a blocking query may wait.
    pub max_query_time: Duration,
}

/// Consensus.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RaftSection {
    /// A follower that hears nothing for so long asks for votes.
    pub heartbeat_timeout: Duration,
    /// An election takes no longer than this.
    pub election_timeout: Duration,
    /// A leader without a majority for so long steps down.
    pub leader_lease: Duration,
    /// Log entries after which a snapshot is made.
    pub snapshot_threshold: u64,
    /// How often that is looked at.
    pub snapshot_interval: Duration,
    /// Log entries kept behind a snapshot for followers that lag.
    pub trailing_logs: u64,
}

/// The HTTP interface.
#[derive(Clone, Debug)]
pub struct HttpSection {
    /// Where to listen.
    pub addresses: Vec<ListenHost>,
    /// The port.
    pub port: Port,
    /// Headers added to every answer.
    pub response_headers: BTreeMap<String, String>,
    /// Networks that may write; empty: all.
    pub allow_write_from: Vec<Network>,
    /// Origins of web pages that may write, besides our own.
    pub allow_origins: Vec<String>,
    /// What the agent is called in `Host`, besides by its own names. With any, all listeners are particular.
    pub allowed_hosts: Vec<String>,
    /// Prefixes of paths that are answered with 403.
    pub block_endpoints: Vec<String>,
    /// Longest header of a request.
    pub header_bytes_max: usize,
    /// Whether `?cached` counts.
    pub use_cache: bool,
    /// Connections one client may have open.
    pub connections_per_client_max: usize,
}

/// The gRPC interface, xDS included.
#[derive(Clone, Debug)]
pub struct GrpcSection {
    /// Where to listen.
    pub addresses: Vec<ListenHost>,
    /// The port.
    pub port: Port,
    /// Whether somebody asked for it. Without that an agent starts where the port is taken, too.
    pub asked_for: bool,
}

/// An interface over TLS.
#[derive(Clone, Debug)]
pub struct TlsListenerSection {
    /// Where to listen.
    pub addresses: Vec<ListenHost>,
    /// The port.
    pub port: Port,
    /// How long a caller has for its handshake.
    pub handshake_timeout: Duration,
}

/// TLS, by the kind of listener; each complete in itself.
#[derive(Clone, Debug)]
pub struct TlsSections {
    /// What holds where a block says nothing.
    pub defaults: TlsSection,
    /// RPC between servers; has no effect yet.
    pub internal_rpc: TlsSection,
    /// HTTP.
    pub https: TlsSection,
    /// gRPC.
    pub grpc: TlsSection,
}

/// TLS of one kind of listener.
#[derive(Clone, Debug)]
pub struct TlsSection {
    /// The authorities whose certificates are believed.
    pub ca_file: Option<TlsFile>,
    /// A directory of such files; used if there is no file.
    pub ca_path: Option<TlsFile>,
    /// The certificate that is presented, with its intermediates.
    pub cert_file: Option<TlsFile>,
    /// The key to it.
    pub key_file: Option<TlsFile>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Suites of TLS 1.2; empty: all that are known.
    pub cipher_suites: Vec<&'static str>,
    /// Whether callers must show a certificate.
    pub verify_incoming: bool,
    /// Whether servers that are called must show one; has no effect yet.
    pub verify_outgoing: bool,
    /// Whether its name must be a server's; has no effect yet.
    pub verify_server_hostname: bool,
}

/// A file that a key names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsFile {
    /// Where it is.
    pub path: String,
    /// The key that names it, `tls.defaults.cert_file`.
    pub key: String,
    /// Where that was written.
    pub origin: Origin,
}

/// Versions of TLS.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TlsVersion {
    /// 1.2.
    V1_2,
    /// 1.3.
    V1_3,
}

impl TlsSection {
    /// The files of certificate and key, if both are named.
    pub fn certificate(&self) -> Option<(&TlsFile, &TlsFile)> {
        self.cert_file.as_ref().zip(self.key_file.as_ref())
    }
}

impl TlsVersion {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_2 => "TLSv1_2",
            Self::V1_3 => "TLSv1_3",
        }
    }
}

/// Who may connect to unix sockets: their files belong to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UnixSocketSection {
    /// A user, by name or number; none: whoever runs the agent.
    pub user: Option<String>,
    /// A group, by name or number; none: that of whoever runs the agent.
    pub group: Option<String>,
    /// The files' mode; none: what the process's mask leaves.
    pub mode: Option<u32>,
}

/// Rights.
#[derive(Clone, Debug)]
pub struct AclSection {
    /// Whether they are enforced.
    pub enabled: bool,
    /// What holds where no rule says anything.
    pub default_policy: Action,
    /// What holds while tokens cannot be resolved.
    pub down_policy: DownPolicy,
    /// How long a resolved token is kept.
    pub token_ttl: Duration,
    /// How long a resolved policy is kept.
    pub policy_ttl: Duration,
    /// How long a resolved role is kept.
    pub role_ttl: Duration,
    /// Secret of the first management token, made at start.
    pub initial_management: Option<Secret>,
    /// The tokens the agent uses itself.
    pub tokens: TokensSection,
    /// Whether tokens set through the API outlive a restart.
    pub token_persistence: bool,
    /// What holds where no intention matches; none: as `default_policy`.
    pub default_intention_policy: Option<Action>,
}

/// The tokens the agent uses itself.
#[derive(Clone, Debug, Default)]
pub struct TokensSection {
    /// For requests that have none.
    pub default: Option<Secret>,
    /// For the agent's own work.
    pub agent: Option<Secret>,
    /// For services from files that have none of their own.
    pub config_file_service_registration: Option<Secret>,
}

/// What holds while tokens cannot be resolved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DownPolicy {
    /// Nothing is allowed.
    Deny,
    /// What was resolved last holds on.
    ExtendCache,
    /// The same, resolving in the background.
    AsyncCache,
}

/// The mesh and its certificate authority.
#[derive(Clone, Debug)]
pub struct ConnectSection {
    /// Whether there is one.
    pub enabled: bool,
    /// The provider of certificates at the first start.
    pub ca_provider: String,
    /// Its settings at the first start.
    pub ca_settings: CaSettings,
    /// The cluster's id, which makes its trust domain, at the first start; none: made at random.
    pub cluster_id: Option<Uuid>,
}

/// How keys of the certificate authority are sealed: the key-encryption key comes from one of these.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SealingSection {
    /// A file, outside of the data directory.
    pub key_file: Option<String>,
    /// A variable of the environment.
    pub key_env: Option<String>,
}

/// Metrics.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TelemetrySection {
    /// What names of Consul's metrics begin with, instead of `consul`.
    pub metrics_prefix: String,
    /// Which metrics are kept.
    pub filter: FilterSection,
}

/// Which metrics are kept, by how their names begin: the longest beginning that fits decides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FilterSection {
    /// Beginnings, and whether what begins so is kept.
    pub beginnings: BTreeMap<String, bool>,
    /// Whether what begins otherwise is kept.
    pub others: bool,
}

/// Logs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogSection {
    /// The least that is written.
    pub level: Level,
    /// Whether lines are JSON.
    pub json: bool,
    /// The file they go to besides standard error.
    pub file: Option<LogFileSection>,
    /// Whether they go to syslog as well, and as what.
    pub syslog: Option<Facility>,
}

/// A log file, and when another one is begun.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogFileSection {
    /// The file, or a directory if it ends in a slash.
    pub path: String,
    /// Bytes after which another one is begun.
    pub rotate_bytes: Option<u64>,
    /// Time after which another one is begun.
    pub rotate_after: Duration,
    /// What is kept of earlier ones.
    pub keep: Archives,
}

/// Which earlier log files are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Archives {
    /// However many there are.
    All,
    /// So many, the newest.
    Newest(usize),
    /// None of them.
    None,
}

/// A facility of syslog (RFC 3164 §4.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Facility(u8);

/// Facilities by their names, which are those Consul takes.
const FACILITIES: [(&str, u8); 20] = [
    ("KERN", 0),
    ("USER", 1),
    ("MAIL", 2),
    ("DAEMON", 3),
    ("AUTH", 4),
    ("SYSLOG", 5),
    ("LPR", 6),
    ("NEWS", 7),
    ("UUCP", 8),
    ("CRON", 9),
    ("AUTHPRIV", 10),
    ("FTP", 11),
    ("LOCAL0", 16),
    ("LOCAL1", 17),
    ("LOCAL2", 18),
    ("LOCAL3", 19),
    ("LOCAL4", 20),
    ("LOCAL5", 21),
    ("LOCAL6", 22),
    ("LOCAL7", 23),
];

/// Levels of log lines.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// Data.
    Trace,
    /// Decisions.
    Debug,
    /// Changes of state.
    Info,
    /// Degraded, will retry.
    Warn,
    /// A person should look.
    Error,
}

/// Services and checks from files, in order of appearance; all of them have been resolved once.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    /// Services.
    pub services: Vec<ServiceDefinition>,
    /// Checks on their own.
    pub checks: Vec<CheckDefinition>,
}

impl Definitions {
    /// The services, complete but for ports of sidecars that have none.
    pub fn registrations(&self) -> impl Iterator<Item = LocalRegistration> {
        self.services.iter().map(|one| one.resolve().expect("definitions are resolved when they are loaded"))
    }

    /// The checks, complete.
    pub fn check_specs(&self) -> impl Iterator<Item = CheckSpec> {
        let resolve = |one: &CheckDefinition| one.resolve(CheckOwner::Itself);
        self.checks
            .iter()
            .map(move |one| resolve(one).expect("definitions are resolved when they are loaded"))
    }
}

impl std::fmt::Display for Archives {
    /// As `log_rotate_max_files` says it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("0"),
            Self::Newest(most) => most.fmt(f),
            Self::None => f.write_str("-1"),
        }
    }
}

impl Default for Facility {
    /// `LOCAL0`, as in Consul.
    fn default() -> Self {
        Self(16)
    }
}

impl Facility {
    /// By its name, in whatever case.
    pub fn parse(text: &str) -> Option<Self> {
        let found = FACILITIES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, number)| Self(*number))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let found = FACILITIES.iter().find(|(_, number)| *number == self.0);
        found.map_or("LOCAL0", |(name, _)| name)
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// All names, for messages.
    pub(crate) fn names() -> String {
        FACILITIES.map(|(name, _)| name).join(", ")
    }
}

impl FilterSection {
    /// The rules as they are written: `+` or `-` and a beginning.
    pub fn written(&self) -> Vec<String> {
        let rule = |(begin, kept): (&String, &bool)| format!("{}{begin}", if *kept { '+' } else { '-' });
        self.beginnings.iter().map(rule).collect()
    }
}

impl Level {
    /// Reads a level, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "trace" => Some(Self::Trace),
            "debug" => Some(Self::Debug),
            "info" => Some(Self::Info),
            "warn" => Some(Self::Warn),
            "error" | "err" => Some(Self::Error),
            _ => None,
        }
    }

    /// In capitals, as Consul writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

impl DownPolicy {
    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "deny" => Some(Self::Deny),
            "extend-cache" => Some(Self::ExtendCache),
            "async-cache" => Some(Self::AsyncCache),
            _ => None,
        }
    }

    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::ExtendCache => "extend-cache",
            Self::AsyncCache => "async-cache",
        }
    }
}
