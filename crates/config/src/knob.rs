//! The table of knobs: each key's meaning, its default, and how to read its current value.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use concord_api::definition::{CheckDefinition, ServiceDefinition};
use concord_api::fingerprint::hash64;
use concord_model::Secret;
use concord_model::intention::Action;
use concord_syntax::duration;

use crate::section::{
    AclSection, Archives, CLUSTER_ID, CheckSection, ClientSection, Config, ConnectSection, DnsSection,
    FilterSection, HttpSection, LOG_ROTATE_AFTER, LogSection, ProxySection, QuerySection, RaftSection,
    SealingSection, TlsFile, TokensSection, UnixSocketSection, XdsSection,
};
use crate::shown::{Shown, content_of};

/// One knob of the configuration.
pub type Knob = crate::shown::Knob<Config>;

/// The defaults that `-dev` changes.
pub const DEV_DEFAULTS: &[(&str, &str)] = &[
    ("advertise_addr", "127.0.0.1"),
    ("bind_addr", "127.0.0.1"),
    ("log_level", "DEBUG"),
    ("performance.raft_multiplier", "1"),
    ("server", "true"),
    ("bootstrap", "true"),
    ("bootstrap_expect", "1"),
];

macro_rules! knobs {
    ($($key:literal, $default:literal, $doc:literal, |$config:pat_param| $value:expr;)*) => {
        /// Those that need more than their type to be understood.
        const OWN: &[Knob] = &[
            $(Knob { key: $key, default: $default, doc: $doc, value: |$config| $value },)*
        ];
    };
}

knobs! {
    "acl.default_policy", "allow", "What holds where no rule says anything: allow or deny.",
        |c| plain(c.acl.default_policy.as_str());
    "acl.down_policy", "extend-cache", "What holds while tokens cannot be resolved.",
        |c| plain(c.acl.down_policy.as_str());
    "acl.tokens.initial_management", "", "Secret of the first management token, made at the first start.",
        |c| Shown::Hidden(c.acl.initial_management.clone());
    "addresses.dns", "127.0.0.1", "Addresses of DNS; client_addr where nothing is said.",
        |c| list(&c.dns.addresses);
    "addresses.grpc", "127.0.0.1", "Addresses of gRPC, and unix sockets (unix:///path); client_addr where nothing is said.",
        |c| list(&c.grpc.addresses);
    "addresses.grpc_tls", "127.0.0.1", "Addresses of gRPC over TLS, and unix sockets; client_addr where nothing is said.",
        |c| list(&c.grpc_tls.addresses);
    "addresses.https", "127.0.0.1", "Addresses of HTTP over TLS, and unix sockets; client_addr where nothing is said.",
        |c| list(&c.https.addresses);
    "addresses.http", "127.0.0.1", "Addresses of HTTP, and unix sockets (unix:///path); client_addr where nothing is said.",
        |c| list(&c.http.addresses);
    "advertise_addr", "", "Address others are told; empty: to be found out from the system.",
        |c| optional(c.agent.advertise);
    "alt_domain", "", "Second domain: its names are answered, and ours in Host, as those below domain.",
        |c| plain(c.agent.alt_domain.as_deref().unwrap_or_default());
    "bind_addr", "0.0.0.0", "Address of the agent, told to others where it is a particular one.", |c| plain(c.agent.bind);
    "bootstrap", "false", "Whether a server makes a cluster of its own.", |c| plain(c.server.role.may_bootstrap());
    "bootstrap_expect", "0", "How many servers make a cluster. Only 1 so far.",
        |c| plain(u8::from(c.server.role.may_bootstrap()));
    "check_output_max_size", "4096", "Bytes of a check's output that are kept.",
        |c| plain(c.agent.checks.output_bytes_max);
    "enable_local_script_checks", "false", "Checks of files may run programs.",
        |c| plain(c.agent.checks.local_script_checks);
    "enable_syslog", "false", "Whether the log goes to syslog as well.", |c| plain(c.log.syslog.is_some());
    "checks", "0", "Checks on their own.", |c| content(&c.definitions.checks, check_tokens(&c.definitions.checks));
    "client_addr", "127.0.0.1", "Addresses of the interfaces for clients, separated by blanks.",
        |c| list(&c.http.addresses);
    "config_entries.bootstrap", "0", "Entries written by the leader if they are not there.",
        |c| content(&c.server.entries, 0);
    "connect.ca_config", "{}", "The CA provider's settings at the first start.",
        |c| ca_config(c);
    "connect.ca_provider", "consul", "The CA provider at the first start.",
        |c| plain(&c.connect.ca_provider);
    "data_dir", "", "Where the agent keeps what lasts. Required without -dev.",
        |c| plain(c.agent.data_dir.as_deref().unwrap_or_default());
    "datacenter", "dc1", "The agent's datacenter.", |c| plain(&c.agent.datacenter);
    "default_intention_policy", "", "What holds where no intention matches; empty: as acl.default_policy.",
        |c| plain(c.acl.default_intention_policy.map_or("", Action::as_str));
    "dns_config.a_record_limit", "0", "Addresses in one answer; 0: all.", |c| plain(c.dns.a_record_limit);
    "dns_config.recursor_strategy", "sequential", "In which order recursors are asked: sequential or random.",
        |c| plain(c.dns.recursor_strategy.as_str());
    "dns_config.service_ttl", "0", "How long answers about services may be kept, by name, or by its beginning and *.",
        |c| content_of(c.dns.service_ttl.len(), &c.dns.service_ttl);
    "dns_config.soa.expire", "86400", "Expiry in the SOA record, in seconds.", |c| plain(c.dns.soa.expire);
    "dns_config.soa.min_ttl", "0", "How many seconds it may be kept that a name does not exist.", |c| plain(c.dns.soa.min_ttl);
    "dns_config.soa.refresh", "3600", "Refresh in the SOA record, in seconds.", |c| plain(c.dns.soa.refresh);
    "dns_config.soa.retry", "600", "Retry in the SOA record, in seconds.", |c| plain(c.dns.soa.retry);
    "dns_config.udp_answer_limit", "3", "Records in an answer over UDP to a client without EDNS, at most 8.",
        |c| plain(c.dns.udp_answer_limit);
    "domain", "consul.", "Domain of DNS names; names below it are ours in Host.", |c| plain(&c.agent.domain);
    "encrypt", "", "Key of what agents tell each other of their membership, base64 of 16, 24 or 32 bytes; checked and kept. Not available yet.",
        |c| Shown::Hidden(c.agent.encrypt.clone());
    "http_config.allow_origins", "", "Origins of web pages that may write, besides our own: scheme://host[:port].",
        |c| list(&c.http.allow_origins);
    "http_config.allow_write_http_from", "", "Networks that may write; empty: all.",
        |c| list(&c.http.allow_write_from);
    "http_config.allowed_hosts", "",
        "Names of the agent in Host, besides its own. With any, all listeners are particular, not only those on loopback.",
        |c| list(&c.http.allowed_hosts);
    "limits.http_max_conns_per_client", "200", "Connections one client may have open.",
        |c| plain(c.http.connections_per_client_max);
    "limits.https_handshake_timeout", "5s", "How long a caller has for its handshake over TLS.",
        |c| time(c.https.handshake_timeout);
    "log_file", "", "File that the log is written to besides standard error; in a directory (ends in /) consul.log.",
        |c| plain(c.log.file.as_ref().map_or("", |file| file.path.as_str()));
    "log_level", "INFO", "The least that is logged.", |c| plain(c.log.level.as_str());
    "log_rotate_bytes", "0", "Bytes after which another log file is begun; 0: however long it gets.",
        |c| plain(c.log.file.as_ref().and_then(|file| file.rotate_bytes).unwrap_or(0));
    "log_rotate_duration", "24h0m0s", "Time after which another log file is begun.",
        |c| time(c.log.file.as_ref().map_or(LOG_ROTATE_AFTER, |file| file.rotate_after));
    "log_rotate_max_files", "0", "Earlier log files that are kept; 0: all, -1: none.",
        |c| plain(c.log.file.as_ref().map_or(Archives::All, |file| file.keep));
    "node_id", "", "The node's id; empty: kept in the data directory, made at the first start.",
        |c| optional(c.agent.node_id);
    "node_meta", "0", "The node's metadata.", |c| content_of(c.agent.node_meta.len(), &c.agent.node_meta);
    "node_name", "host", "The node's name; the machine's where nothing is said.",
        |c| plain(&c.agent.node_name);
    "performance.raft_multiplier", "5", "Factor of consensus timings, 1 to 10.",
        |c| plain(c.server.raft.heartbeat_timeout.as_secs());
    "pid_file", "", "File that holds the process id.",
        |c| plain(c.agent.pid_file.as_deref().unwrap_or_default());
    "ports.dns", "8600", "Port of DNS, over UDP and TCP; 0 or less is off.", |c| plain(c.dns.port);
    "ports.expose_max_port", "21755", "Highest port at which proxies expose checks; 0: none is exposed.",
        |c| plain(c.agent.expose_ports.as_ref().map_or(0, |range| *range.end()));
    "ports.expose_min_port", "21500", "Lowest port at which proxies expose checks; 0: none is exposed.",
        |c| plain(c.agent.expose_ports.as_ref().map_or(0, |range: &RangeInclusive<u16>| *range.start()));
    "ports.grpc", "8502", "Port of gRPC in clear; where nothing is said only servers with connect listen, on this machine, and not beside a certificate for gRPC.", |c| plain(c.grpc.port);
    "ports.grpc_tls", "8503", "Port of gRPC over TLS; 8503 on servers with a mesh or with a certificate for it.", |c| plain(c.grpc_tls.port);
    "ports.http", "8500", "Port of HTTP.", |c| plain(c.http.port);
    "ports.https", "-1", "Port of HTTP over TLS.", |c| plain(c.https.port);
    "ports.serf_lan", "8301", "Port of the LAN pool, as it is told; nothing listens at it yet.", |c| plain(c.agent.serf_lan);
    "ports.server", "8300", "Port of internal calls, as it is told; nothing listens at it yet.", |c| plain(c.server.port);
    "ports.sidecar_max_port", "21255", "Highest port given to sidecars that have none; 0: none is given.",
        |c| plain(c.agent.sidecar_ports.as_ref().map_or(0, |range| *range.end()));
    "ports.sidecar_min_port", "21000", "Lowest port given to sidecars that have none; 0: none is given.",
        |c| plain(c.agent.sidecar_ports.as_ref().map_or(0, |range: &RangeInclusive<u16>| *range.start()));
    "primary_datacenter", "dc1", "The datacenter that decides on intentions, entries and tokens.",
        |c| plain(&c.agent.primary_datacenter);
    "raft_snapshot_interval", "30s", "How often it is looked whether a snapshot is due.",
        |c| time(c.server.raft.snapshot_interval);
    "recursors", "", "DNS servers that are asked about other domains.", |c| list(&c.dns.recursors);
    "server", "false", "Whether the agent is a server.", |c| plain(c.server.role.is_server());
    "services", "0", "Services.",
        |c| content(&c.definitions.services, service_tokens(&c.definitions.services));
    "syslog_facility", "LOCAL0", "Facility of what goes to syslog.",
        |c| plain(c.log.syslog.unwrap_or_default().name());
    "telemetry.metrics_prefix", "consul", "What names of Consul's metrics begin with; our own begin with concord.",
        |c| plain(&c.telemetry.metrics_prefix);
    "telemetry.prefix_filter", "",
        "Metrics to keep (+) or not (-), by how their names begin; the longest beginning that fits decides.",
        |c| list(&c.telemetry.filter.written());
    "unix_sockets.mode", "", "Mode of unix sockets, in octal; empty: what the process's mask leaves.",
        |c| plain(c.unix_sockets.mode.map(|mode| format!("{mode:04o}")).unwrap_or_default());
}

macro_rules! tls_knob {
    ($block:ident, $of:literal, $key:literal, $default:literal, $doc:literal, $value:expr) => {
        Knob {
            key: concat!("tls.", stringify!($block), ".", $key),
            default: $default,
            doc: concat!($doc, ", ", $of),
            value: $value,
        }
    };
}

/// The knobs of one block of `tls`.
macro_rules! tls_knobs {
    ($block:ident, $of:literal) => {
        &[
            tls_knob!(
                $block,
                $of,
                "ca_file",
                "",
                "File with the authorities whose certificates of callers are believed",
                |c| file(c.tls.$block.ca_file.as_ref())
            ),
            tls_knob!(
                $block,
                $of,
                "ca_path",
                "",
                "Directory of such files, used if there is no ca_file",
                |c| file(c.tls.$block.ca_path.as_ref())
            ),
            tls_knob!(
                $block,
                $of,
                "cert_file",
                "",
                "File with the certificate that is presented, and its intermediates",
                |c| file(c.tls.$block.cert_file.as_ref())
            ),
            tls_knob!($block, $of, "key_file", "", "File with the key to cert_file", |c| file(
                c.tls.$block.key_file.as_ref()
            )),
            tls_knob!(
                $block,
                $of,
                "tls_cipher_suites",
                "",
                "Suites of TLS 1.2, separated by commas; empty: all",
                |c| plain(c.tls.$block.cipher_suites.join(","))
            ),
            tls_knob!(
                $block,
                $of,
                "tls_min_version",
                "TLSv1_2",
                "The oldest version that is spoken, TLSv1_2 or TLSv1_3",
                |c| plain(c.tls.$block.min_version.as_str())
            ),
            tls_knob!(
                $block,
                $of,
                "use_auto_cert",
                "false",
                "Whether clients are told to come under TLS to the server's own certificate; only valid in tls.grpc",
                |c| plain(c.tls.$block.auto_cert)
            ),
            tls_knob!(
                $block,
                $of,
                "verify_incoming",
                "false",
                "Whether callers must show a certificate",
                |c| plain(c.tls.$block.verify_incoming)
            ),
            tls_knob!(
                $block,
                $of,
                "verify_outgoing",
                "false",
                "Whether servers that are called must show one; has no effect yet",
                |c| plain(c.tls.$block.verify_outgoing)
            ),
            tls_knob!(
                $block,
                $of,
                "verify_server_hostname",
                "false",
                "Whether the name in it must be a server's; has no effect yet",
                |c| plain(c.tls.$block.verify_server_hostname)
            ),
        ]
    };
}

const PARTS: &[&[Knob]] = &[
    OWN,
    AclSection::KNOBS,
    CheckSection::KNOBS,
    ConnectSection::KNOBS,
    DnsSection::KNOBS,
    FilterSection::KNOBS,
    HttpSection::KNOBS,
    LogSection::KNOBS,
    ProxySection::KNOBS,
    QuerySection::KNOBS,
    RaftSection::KNOBS,
    SealingSection::KNOBS,
    TokensSection::KNOBS,
    UnixSocketSection::KNOBS,
    ClientSection::KNOBS,
    XdsSection::KNOBS,
    tls_knobs!(defaults, "where a block of tls says nothing."),
    tls_knobs!(grpc, "of gRPC."),
    tls_knobs!(https, "of HTTP."),
    tls_knobs!(internal_rpc, "of RPC between servers, which is not there yet."),
];

/// All knobs, by key.
pub const KNOBS: &[Knob] = &by_key::<{ count(PARTS) }>(PARTS);

const fn count(parts: &[&[Knob]]) -> usize {
    let (mut at, mut all) = (0, 0);
    while at < parts.len() {
        all += parts[at].len();
        at += 1;
    }
    all
}

/// The knobs of all parts, in the order of their keys. While the program is compiled there are no iterators.
const fn by_key<const COUNT: usize>(parts: &[&[Knob]]) -> [Knob; COUNT] {
    let mut all = [parts[0][0]; COUNT];
    let (mut part, mut filled) = (0, 0);
    while part < parts.len() {
        let mut row = 0;
        while row < parts[part].len() {
            let mut at = filled;
            while at > 0 && is_before(parts[part][row].key, all[at - 1].key) {
                all[at] = all[at - 1];
                at -= 1;
            }
            all[at] = parts[part][row];
            filled += 1;
            row += 1;
        }
        part += 1;
    }
    all
}

const fn is_before(one: &str, two: &str) -> bool {
    let (one, two) = (one.as_bytes(), two.as_bytes());
    let mut at = 0;
    while at < one.len() && at < two.len() {
        if one[at] != two[at] {
            return one[at] < two[at];
        }
        at += 1;
    }
    one.len() < two.len()
}

fn ca_config(config: &Config) -> Shown {
    let mut all = config.connect.ca_settings.plain.clone();
    if let Some(id) = config.connect.cluster_id {
        all.insert(CLUSTER_ID.to_owned(), id.to_string().into());
    }
    plain(serde_json::to_string(&all).unwrap_or_default())
}

fn plain(value: impl fmt::Display) -> Shown {
    Shown::Plain(value.to_string())
}

fn file(file: Option<&TlsFile>) -> Shown {
    Shown::Plain(file.map(|file| file.path.clone()).unwrap_or_default())
}

fn optional<T: fmt::Display>(value: Option<T>) -> Shown {
    Shown::Plain(value.map(|value| value.to_string()).unwrap_or_default())
}

fn time(value: Duration) -> Shown {
    Shown::Plain(duration::format(value))
}

fn list<T: fmt::Display>(values: &[T]) -> Shown {
    Shown::Plain(values.iter().map(T::to_string).collect::<Vec<_>>().join(" "))
}

/// Definitions have no printed form. Their debug form contains everything but secrets, which are added to the
/// fingerprint. The result is compared and not printed.
fn content<T: fmt::Debug>(values: &[T], secrets: u64) -> Shown {
    content_of(values.len(), &(values, secrets))
}

fn service_tokens(services: &[ServiceDefinition]) -> u64 {
    services.iter().fold(0, |hash, service| {
        let hash = chained(hash, service.token.as_ref());
        let checks = service.check.iter().chain(&service.checks);
        let hash = checks.fold(hash, |hash, check| chained(hash, check.token.as_ref()));
        let sidecar = service.connect.as_ref().and_then(|connect| connect.sidecar_service.as_deref());
        sidecar.map_or(hash, |sidecar| hash ^ service_tokens(std::slice::from_ref(sidecar)))
    })
}

fn check_tokens(checks: &[CheckDefinition]) -> u64 {
    checks.iter().fold(0, |hash, check| chained(hash, check.token.as_ref()))
}

fn chained(hash: u64, token: Option<&Secret>) -> u64 {
    let own = token.map_or(0, |token| hash64(token.expose().as_bytes()));
    hash64(&[hash.to_be_bytes(), own.to_be_bytes()].concat())
}
