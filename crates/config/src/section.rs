//! Configuration in the form that components use: checked, complete and typed.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
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
use crate::plain::section;
pub use crate::role::Role;

/// The setting of the certificate authority that fixes the trust domain.
pub(crate) const CLUSTER_ID: &str = "cluster_id";

/// How many bytes of a check's output are kept by default, as in Consul.
pub(crate) const CHECK_OUTPUT_BYTES_MAX: usize = 4096;
/// Default limit of connections per client, as in Consul.
pub(crate) const CONNECTIONS_PER_CLIENT: usize = 200;

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
    /// DNS.
    pub dns: DnsSection,
    /// The TLS settings of each kind of listener.
    pub tls: TlsSections,
    /// What clients may make the process hold.
    pub clients: ClientSection,
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
    /// Checks.
    pub checks: CheckSection,
    /// Proxies registered here.
    pub proxies: ProxySection,
    /// What proxies are told.
    pub xds: XdsSection,
    /// Ports for sidecars without a port of their own. `None`: no ports are assigned.
    pub sidecar_ports: Option<RangeInclusive<u16>>,
    /// Ports at which proxies expose the checks of their services. `None`: none is exposed.
    pub expose_ports: Option<RangeInclusive<u16>>,
    /// File that holds the process id.
    pub pid_file: Option<String>,
}

section! {
    /// Checks.
    #[derive(Clone, Copy, Debug)]
    pub struct CheckSection, keys CheckKeys, at agent.checks, "";

    /// How long changes of a check's output alone may wait.
    update_interval: Duration = check_update_interval, "5m0s";
    /// How often services are looked for that were critical for too long; at least 1s.
    reap_interval: Duration = check_reap_interval, "30s";
    /// Keep no output of checks.
    discard_output: bool = discard_check_output, "false";
    /// Checks may run programs, those registered over the API too.
    script_checks: bool = enable_script_checks, "false";

    own {
        /// Bytes of a check's output that are kept.
        output_bytes_max: usize = CHECK_OUTPUT_BYTES_MAX;
        /// Whether checks from files may run programs.
        local_script_checks: bool = false;
    }
}

impl Default for CheckSection {
    fn default() -> Self {
        Self::plain(&CheckKeys::default())
    }
}

section! {
    /// Proxies registered here.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub struct ProxySection, keys ProxyKeys, at agent.proxies, "";

    /// Whether proxies get the settings of configuration entries.
    use_entries: bool = enable_central_service_config, "true";
}

section! {
    /// What proxies are told.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub struct XdsSection, keys XdsKeys, at agent.xds, "xds.";

    /// How many changes of proxies' configurations go out in a second, over all proxies; further ones wait, and become one.
    updates_per_second: u64 = update_max_per_second, "250";
}

section! {
    /// What clients may make the process hold.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub struct ClientSection, keys ClientKeys, at clients, "limits.";

    /// Mebibytes that all clients together may make the process hold, 16 to 1536. An Envoy counts 76 KiB; half of it is the most of one address.
    memory_mib: u64 = client_memory_mib, "96";
}

impl Default for XdsSection {
    fn default() -> Self {
        Self::plain(&XdsKeys::default())
    }
}

impl Default for ProxySection {
    fn default() -> Self {
        Self::plain(&ProxyKeys::default())
    }
}

section! {
    /// How long blocking queries wait.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub struct QuerySection, keys QueryKeys, at server.queries, "";

    /// How long a blocking query waits where it does not say.
    default_query_time: Duration = default_query_time, "5m0s";
    /// How long a blocking query may wait.
    max_query_time: Duration = max_query_time, "10m0s";
}

impl Default for QuerySection {
    fn default() -> Self {
        Self::plain(&QueryKeys::default())
    }
}

/// The server.
#[derive(Clone, Debug)]
pub struct ServerSection {
    /// What the agent is.
    pub role: Role,
    /// Port for internal RPC.
    pub port: Port,
    /// Consensus.
    pub raft: RaftSection,
    /// Entries written at the start if they do not exist.
    pub entries: Vec<Entry>,
    /// Blocking queries.
    pub queries: QuerySection,
}

section! {
    /// Consensus.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub struct RaftSection, keys RaftKeys, at server.raft, "";

    /// Log entries after which a snapshot is made.
    snapshot_threshold: u64 = raft_snapshot_threshold, "16384";
    /// Log entries kept behind a snapshot.
    trailing_logs: u64 = raft_trailing_logs, "10240";

    own {
        /// How long a follower waits for a heartbeat before it becomes a candidate.
        heartbeat_timeout: Duration = Duration::ZERO;
        /// How long an election may take.
        election_timeout: Duration = Duration::ZERO;
        /// How long a leader may be without a majority before it steps down.
        leader_lease: Duration = Duration::ZERO;
        /// How often it is looked whether a snapshot is due.
        snapshot_interval: Duration = Duration::ZERO;
    }
}

section! {
    /// The HTTP interface.
    #[derive(Clone, Debug)]
    pub struct HttpSection, keys HttpKeys, at http, "http_config.";

    /// Headers added to every answer.
    response_headers: BTreeMap<String, String> = response_headers, "0";
    /// Prefixes of paths that are answered with 403.
    block_endpoints: Vec<String> = block_endpoints, "";
    /// Longest head of a request.
    header_bytes_max: usize = max_header_bytes, "65536";
    /// Whether ?cached counts.
    use_cache: bool = use_cache, "true";

    own {
        /// Where to listen.
        addresses: Vec<ListenHost> = Vec::new();
        /// The port.
        port: Port = Port::Off;
        /// Networks that may send write requests. Empty: all.
        allow_write_from: Vec<Network> = Vec::new();
        /// Origins of web pages, besides our own, that may send write requests.
        allow_origins: Vec<String> = Vec::new();
        /// Further names of the agent for `Host`. If there are any, all listeners check the name.
        allowed_hosts: Vec<String> = Vec::new();
        /// Connections per client address.
        connections_per_client_max: usize = CONNECTIONS_PER_CLIENT;
    }
}

impl Default for HttpSection {
    fn default() -> Self {
        Self::plain(&HttpKeys::default())
    }
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

section! {
    /// DNS.
    #[derive(Clone, Debug, Eq, PartialEq)]
    pub struct DnsSection, keys DnsKeys, at dns, "dns_config.";

    /// Whether servers that do not lead may answer.
    allow_stale: bool = allow_stale, "true";
    /// How old such an answer may be before the leader is asked.
    max_stale: Duration = max_stale, "87600h0m0s";
    /// How long answers about nodes and addresses may be kept.
    node_ttl: Duration = node_ttl, "0s";
    /// Whether an answer from which records are left out says so (TC).
    enable_truncate: bool = enable_truncate, "false";
    /// Leave out instances with a warning, too.
    only_passing: bool = only_passing, "false";
    /// Write names out in full.
    disable_compression: bool = disable_compression, "false";
    /// Add the metadata of nodes to answers as TXT.
    node_meta_txt: bool = enable_additional_node_meta_txt, "true";
    /// How long another DNS server may take.
    recursor_timeout: Duration = recursor_timeout, "2s";

    own {
        /// Where to listen.
        addresses: Vec<IpAddr> = Vec::new();
        /// The port.
        port: Port = Port::Off;
        /// Whether the operator asked for it. If not, the agent starts even if the port is in use.
        asked_for: bool = false;
        /// Answers over UDP to clients without EDNS, at most.
        udp_answer_limit: usize = 3;
        /// Addresses in one answer, at most. 0: no limit.
        a_record_limit: usize = 0;
        /// How long answers about services may be kept, by name, or by the beginning of names before a `*`.
        service_ttl: BTreeMap<String, Duration> = BTreeMap::new();
        /// Numbers of the SOA record.
        soa: SoaSection = SoaSection::default();
        /// Which of the recursors is asked first.
        recursor_strategy: RecursorStrategy = RecursorStrategy::Sequential;
        /// DNS servers that are asked about other domains.
        recursors: Vec<SocketAddr> = Vec::new();
    }
}

impl Default for DnsSection {
    fn default() -> Self {
        Self::plain(&DnsKeys::default())
    }
}

/// Numbers of the SOA record (RFC 1035 §3.3.13), in seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SoaSection {
    /// How often secondary servers look for changes.
    pub refresh: u32,
    /// How soon they try again.
    pub retry: u32,
    /// After which time without success they give up.
    pub expire: u32,
    /// How long it may be kept that there is no such name (RFC 2308).
    pub min_ttl: u32,
}

impl Default for SoaSection {
    fn default() -> Self {
        Self { refresh: 3600, retry: 600, expire: 86_400, min_ttl: 0 }
    }
}

/// Which of the recursors is asked first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecursorStrategy {
    /// They are asked in the order in which they are written.
    Sequential,
    /// They are asked in a random order.
    Random,
}

impl RecursorStrategy {
    /// As written in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Random => "random",
        }
    }
}

/// An interface over TLS.
#[derive(Clone, Debug)]
pub struct TlsListenerSection {
    /// Where to listen.
    pub addresses: Vec<ListenHost>,
    /// The port.
    pub port: Port,
    /// Whether the operator asked for it. If not, the agent starts even if the port is in use.
    pub asked_for: bool,
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
    /// Whether clients are told to come under TLS though the certificate is the server's own. Only for gRPC.
    pub auto_cert: bool,
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

section! {
    /// Who may connect to unix sockets: their files belong to a user and a group.
    #[derive(Clone, Debug, Eq, PartialEq)]
    pub struct UnixSocketSection, keys UnixSocketKeys, at unix_sockets, "unix_sockets.";

    /// Owner of unix sockets, by name or number.
    user: Option<String> = user, "";
    /// Group of unix sockets, by name or number.
    group: Option<String> = group, "";

    own {
        /// The files' mode. `None`: what the process's umask leaves.
        mode: Option<u32> = None;
    }
}

section! {
    /// ACLs.
    #[derive(Clone, Debug)]
    pub struct AclSection, keys AclKeys, at acl, "acl.";

    /// Whether rights are enforced.
    enabled: bool = enabled, "false";
    /// How long a resolved token is kept.
    token_ttl: Duration = token_ttl, "30s";
    /// How long a resolved policy is kept: tokens are kept no longer than their policies.
    policy_ttl: Duration = policy_ttl, "30s";
    /// How long a resolved role is kept: tokens are kept no longer than their roles.
    role_ttl: Duration = role_ttl, "30s";
    /// Whether tokens set through the API outlive a restart.
    token_persistence: bool = enable_token_persistence, "false";

    own {
        /// The policy where no rule matches.
        default_policy: Action = Action::Allow;
        /// The policy while tokens cannot be resolved.
        down_policy: DownPolicy = DownPolicy::default();
        /// Secret of the first management token, which is created at the start.
        initial_management: Option<Secret> = None;
        /// The agent's own tokens.
        tokens: TokensSection = TokensSection::default();
        /// The policy where no intention matches. `None`: `default_policy`.
        default_intention_policy: Option<Action> = None;
    }
}

impl Default for AclSection {
    fn default() -> Self {
        Self::plain(&AclKeys::default())
    }
}

section! {
    /// The agent's own tokens.
    #[derive(Clone, Debug, Default)]
    pub struct TokensSection, keys TokenKeys, at acl.tokens, "acl.tokens.";

    /// Token of requests that have none.
    default: Option<Secret> = default, "";
    /// Token of the agent's own work.
    agent: Option<Secret> = agent, "";
    /// Token of services from files that have none of their own.
    config_file_service_registration: Option<Secret> = config_file_service_registration, "";
    /// Token of answers to DNS; the default one where there is none.
    dns: Option<Secret> = dns, "";
}

/// The policy while tokens cannot be resolved.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DownPolicy {
    /// Deny everything.
    Deny,
    /// Use the last known rights.
    #[default]
    ExtendCache,
    /// The same, and resolve in the background.
    AsyncCache,
}

section! {
    /// The mesh and its certificate authority.
    #[derive(Clone, Debug)]
    pub struct ConnectSection, keys ConnectKeys, at connect, "connect.";

    /// Whether there is a mesh.
    enabled: bool = enabled, "true";

    own {
        /// The CA provider at the first start.
        ca_provider: String = String::new();
        /// Its settings at the first start.
        ca_settings: CaSettings = CaSettings::default();
        /// The cluster id at the first start; it determines the trust domain. `None`: random.
        cluster_id: Option<Uuid> = None;
    }
}

section! {
    /// The source of the key that encrypts the CA's private keys; one of these.
    #[derive(Clone, Debug, Default, Eq, PartialEq)]
    pub struct SealingSection, keys SealingKeys, at sealing, "sealing.";

    /// File, outside of data_dir, that holds the key for sealing CA keys and tokens.
    key_file: Option<String> = key_file, "";
    /// Variable of the environment that holds the key for sealing CA keys and tokens.
    key_env: Option<String> = key_env, "";
}

/// Metrics.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TelemetrySection {
    /// The prefix of Consul's metric names, instead of `consul`.
    pub metrics_prefix: String,
    /// Which metrics are recorded.
    pub filter: FilterSection,
}

section! {
    /// Which metrics are recorded, by the prefix of their names. The longest matching prefix decides.
    #[derive(Clone, Debug, Eq, PartialEq)]
    pub struct FilterSection, keys FilterKeys, at telemetry.filter, "telemetry.";

    /// Whether metrics are kept that no prefix_filter is about.
    others: bool = filter_default, "true";

    own {
        /// Prefixes, and whether metrics with this prefix are recorded.
        beginnings: BTreeMap<String, bool> = BTreeMap::new();
    }
}

section! {
    /// Logs.
    #[derive(Clone, Debug, Eq, PartialEq)]
    pub struct LogSection, keys LogKeys, at log, "";

    /// Whether log lines are JSON.
    json: bool = log_json, "false";

    own {
        /// The lowest level that is written.
        level: Level = Level::Info;
        /// A log file, in addition to standard error.
        file: Option<LogFileSection> = None;
        /// The syslog facility, if lines are also sent to syslog.
        syslog: Option<Facility> = None;
    }
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
