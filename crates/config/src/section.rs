//! Configuration in the form that components use: checked, complete and typed.

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

/// How long a log file is used by default, as in Consul.
pub(crate) const LOG_ROTATE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The agent itself.
    pub agent: AgentSection,
    /// The server.
    pub server: ServerSection,
    /// The HTTP interface.
    pub http: HttpSection,
    /// The gRPC interface, xDS included.
    pub grpc: GrpcSection,
    /// The HTTP interface over TLS.
    pub https: TlsListenerSection,
    /// The gRPC interface over TLS.
    pub grpc_tls: TlsListenerSection,
    /// The TLS settings of each kind of listener.
    pub tls: TlsSections,
    /// Who may connect to unix sockets.
    pub unix_sockets: UnixSocketSection,
    /// ACLs.
    pub acl: AclSection,
    /// The mesh and its certificate authority.
    pub connect: ConnectSection,
    /// The keys that encrypt the CA's private keys.
    pub sealing: SealingSection,
    /// Metrics.
    pub telemetry: TelemetrySection,
    /// Logs.
    pub log: LogSection,
    /// Services and checks from files.
    pub definitions: Definitions,
}

/// The agent itself.
#[derive(Clone, Debug)]
pub struct AgentSection {
    /// Started with `-dev`: data in memory, short timings, indented answers.
    pub dev: bool,
    /// Its datacenter.
    pub datacenter: Datacenter,
    /// The datacenter that decides about intentions, entries and tokens. So far always our own.
    pub primary_datacenter: Datacenter,
    /// Domain of DNS names.
    pub domain: String,
    /// A second domain.
    pub alt_domain: Option<String>,
    /// Its node's name.
    pub node_name: NodeName,
    /// Its node's id. `None`: created at the first start and kept in the data directory.
    pub node_id: Option<Uuid>,
    /// Its node's metadata.
    pub node_meta: BTreeMap<String, String>,
    /// The directory for persistent data. `None`: nothing is stored.
    pub data_dir: Option<String>,
    /// Address of the ports between agents.
    pub bind: IpAddr,
    /// The address that others are told. `None`: determined from the system.
    pub advertise: Option<IpAddr>,
    /// The key that encrypts gossip between agents.
    pub encrypt: Option<Secret>,
    /// Port of the LAN gossip pool, as told to others.
    pub serf_lan: Port,
    /// How long a change of output alone may be missing in the catalog.
    pub check_update_interval: Duration,
    /// Bytes of a check's output that are kept.
    pub check_output_bytes_max: usize,
    /// Keep no output of checks.
    pub discard_check_output: bool,
    /// Whether checks may run programs, also if they are registered over the API.
    pub script_checks: bool,
    /// Whether checks from files may run programs.
    pub local_script_checks: bool,
    /// Ports for sidecars without a port of their own. `None`: no ports are assigned.
    pub sidecar_ports: Option<RangeInclusive<u16>>,
    /// File that holds the process id.
    pub pid_file: Option<String>,
}

/// The server.
#[derive(Clone, Debug)]
pub struct ServerSection {
    /// Whether the agent is a server.
    pub enabled: bool,
    /// Whether it may form a new cluster alone.
    pub bootstrap: bool,
    /// Port for internal RPC.
    pub port: Port,
    /// Consensus.
    pub raft: RaftSection,
    /// Entries written at the start if they do not exist.
    pub entries: Vec<Entry>,
    /// How long a blocking query waits by default.
    pub default_query_time: Duration,
    /// How long a blocking query may wait.
    pub max_query_time: Duration,
}

/// Consensus.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RaftSection {
    /// How long a follower waits for a heartbeat before it becomes a candidate.
    pub heartbeat_timeout: Duration,
    /// How long an election may take.
    pub election_timeout: Duration,
    /// How long a leader may be without a majority before it steps down.
    pub leader_lease: Duration,
    /// Log entries after which a snapshot is taken.
    pub snapshot_threshold: u64,
    /// How often this is checked.
    pub snapshot_interval: Duration,
    /// Log entries kept before a snapshot, for late followers.
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
    /// Networks that may send write requests. Empty: all.
    pub allow_write_from: Vec<Network>,
    /// Origins of web pages, besides our own, that may send write requests.
    pub allow_origins: Vec<String>,
    /// Further names of the agent for `Host`. If there are any, all listeners check the name.
    pub allowed_hosts: Vec<String>,
    /// Prefixes of paths that answer 403.
    pub block_endpoints: Vec<String>,
    /// The most bytes of a request's head.
    pub header_bytes_max: usize,
    /// Whether `?cached` has an effect.
    pub use_cache: bool,
    /// Connections per client address.
    pub connections_per_client_max: usize,
}

/// The gRPC interface, xDS included.
#[derive(Clone, Debug)]
pub struct GrpcSection {
    /// Where to listen.
    pub addresses: Vec<ListenHost>,
    /// The port.
    pub port: Port,
    /// Whether the operator asked for it. If not, the agent starts even if the port is in use.
    pub asked_for: bool,
}

/// An interface over TLS.
#[derive(Clone, Debug)]
pub struct TlsListenerSection {
    /// Where to listen.
    pub addresses: Vec<ListenHost>,
    /// The port.
    pub port: Port,
    /// Time limit of a client's handshake.
    pub handshake_timeout: Duration,
}

/// TLS, by kind of listener; each section is complete.
#[derive(Clone, Debug)]
pub struct TlsSections {
    /// The values for keys that a block leaves out.
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
    /// The trusted authorities.
    pub ca_file: Option<TlsFile>,
    /// A directory of such files; used if `ca_file` is not set.
    pub ca_path: Option<TlsFile>,
    /// The certificate to present, with its intermediates.
    pub cert_file: Option<TlsFile>,
    /// The private key of the certificate.
    pub key_file: Option<TlsFile>,
    /// The oldest accepted TLS version.
    pub min_version: TlsVersion,
    /// Cipher suites for TLS 1.2. Empty: all supported ones.
    pub cipher_suites: Vec<&'static str>,
    /// Whether clients must present a certificate.
    pub verify_incoming: bool,
    /// Whether called servers must present a certificate; has no effect yet.
    pub verify_outgoing: bool,
    /// Whether a server's certificate must have a server's name; has no effect yet.
    pub verify_server_hostname: bool,
}

/// A file that a key names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsFile {
    /// Its path.
    pub path: String,
    /// The key that names it, such as `tls.defaults.cert_file`.
    pub key: String,
    /// Where the key was written.
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
    /// As written in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_2 => "TLSv1_2",
            Self::V1_3 => "TLSv1_3",
        }
    }
}

/// Owner and mode of the files of unix sockets, which decide who may connect.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UnixSocketSection {
    /// The user, by name or number. `None`: the user of the process.
    pub user: Option<String>,
    /// The group, by name or number. `None`: the group of the process.
    pub group: Option<String>,
    /// The files' mode. `None`: what the process's umask leaves.
    pub mode: Option<u32>,
}

/// ACLs.
#[derive(Clone, Debug)]
pub struct AclSection {
    /// Whether ACLs are enforced.
    pub enabled: bool,
    /// The policy where no rule matches.
    pub default_policy: Action,
    /// The policy while tokens cannot be resolved.
    pub down_policy: DownPolicy,
    /// How long a resolved token is cached.
    pub token_ttl: Duration,
    /// How long a resolved policy is cached.
    pub policy_ttl: Duration,
    /// How long a resolved role is cached.
    pub role_ttl: Duration,
    /// Secret of the first management token, which is created at the start.
    pub initial_management: Option<Secret>,
    /// The agent's own tokens.
    pub tokens: TokensSection,
    /// Whether tokens set through the API survive a restart.
    pub token_persistence: bool,
    /// The policy where no intention matches. `None`: `default_policy`.
    pub default_intention_policy: Option<Action>,
}

/// The agent's own tokens.
#[derive(Clone, Debug, Default)]
pub struct TokensSection {
    /// For requests without a token.
    pub default: Option<Secret>,
    /// For the agent's own requests.
    pub agent: Option<Secret>,
    /// For services from files without a token of their own.
    pub config_file_service_registration: Option<Secret>,
}

/// The policy while tokens cannot be resolved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DownPolicy {
    /// Deny everything.
    Deny,
    /// Use the last known rights.
    ExtendCache,
    /// The same, and resolve in the background.
    AsyncCache,
}

/// The mesh and its certificate authority.
#[derive(Clone, Debug)]
pub struct ConnectSection {
    /// Whether the mesh is enabled.
    pub enabled: bool,
    /// The CA provider at the first start.
    pub ca_provider: String,
    /// Its settings at the first start.
    pub ca_settings: CaSettings,
    /// The cluster id at the first start; it determines the trust domain. `None`: random.
    pub cluster_id: Option<Uuid>,
}

/// The source of the key that encrypts the CA's private keys; one of these.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SealingSection {
    /// A file outside of the data directory.
    pub key_file: Option<String>,
    /// An environment variable.
    pub key_env: Option<String>,
}

/// Metrics.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TelemetrySection {
    /// The prefix of Consul's metric names, instead of `consul`.
    pub metrics_prefix: String,
    /// Which metrics are recorded.
    pub filter: FilterSection,
}

/// Which metrics are recorded, by the prefix of their names. The longest matching prefix decides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FilterSection {
    /// Prefixes, and whether metrics with this prefix are recorded.
    pub beginnings: BTreeMap<String, bool>,
    /// Whether all other metrics are recorded.
    pub others: bool,
}

/// Logs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogSection {
    /// The lowest level that is written.
    pub level: Level,
    /// Whether lines are JSON.
    pub json: bool,
    /// A log file, in addition to standard error.
    pub file: Option<LogFileSection>,
    /// The syslog facility, if lines are also sent to syslog.
    pub syslog: Option<Facility>,
}

/// A log file and its rotation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogFileSection {
    /// The file, or a directory if it ends in a slash.
    pub path: String,
    /// Bytes after which a new file is begun.
    pub rotate_bytes: Option<u64>,
    /// Time after which a new file is begun.
    pub rotate_after: Duration,
    /// Which earlier files are kept.
    pub keep: Archives,
}

/// Which earlier log files are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Archives {
    /// All of them.
    All,
    /// The newest ones, this many.
    Newest(usize),
    /// None of them.
    None,
}

/// A facility of syslog (RFC 3164 §4.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Facility(u8);

/// The facilities by the names that Consul accepts.
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
    /// An operator should look.
    Error,
}

/// Services and checks from files, in order of appearance. All of them have been validated.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    /// Services.
    pub services: Vec<ServiceDefinition>,
    /// Separate checks.
    pub checks: Vec<CheckDefinition>,
}

impl Definitions {
    /// The services, complete except for missing ports of sidecars.
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
    /// The number for `log_rotate_max_files`.
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
    /// Finds a facility by its name, ignoring case.
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
    /// The rules as written: `+` or `-` and a prefix.
    pub fn written(&self) -> Vec<String> {
        let rule = |(begin, kept): (&String, &bool)| format!("{}{begin}", if *kept { '+' } else { '-' });
        self.beginnings.iter().map(rule).collect()
    }
}

impl Level {
    /// Parses a level, ignoring case.
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

    /// In capitals, as Consul writes levels.
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
    /// Parses the text used in configuration.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "deny" => Some(Self::Deny),
            "extend-cache" => Some(Self::ExtendCache),
            "async-cache" => Some(Self::AsyncCache),
            _ => None,
        }
    }

    /// The text used in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::ExtendCache => "extend-cache",
            Self::AsyncCache => "async-cache",
        }
    }
}
