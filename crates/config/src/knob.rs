//! The table of knobs: each key's meaning, its default, and how to read its current value.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use concord_api::definition::{CheckDefinition, ServiceDefinition};
use concord_api::fingerprint::hash64;
use concord_model::Secret;
use concord_model::intention::Action;
use concord_syntax::duration;

use crate::section::{Archives, CLUSTER_ID, Config, LOG_ROTATE_AFTER, TlsFile};

/// One knob.
#[derive(Clone, Copy, Debug)]
pub struct Knob {
    /// The key with the blocks around it, joined by dots.
    pub key: &'static str,
    /// The default as [`Shown`] prints it; `-dev` changes some, see [`DEV_DEFAULTS`].
    pub default: &'static str,
    /// Its meaning.
    pub doc: &'static str,
    /// Its current value.
    pub value: fn(&Config) -> Shown,
}

/// A current value: it can be compared, and printed without revealing a secret.
#[derive(Clone)]
pub enum Shown {
    /// Printed as it is.
    Plain(String),
    /// Compared but never printed.
    Hidden(Option<Secret>),
    /// Too long to print; compared by its fingerprint.
    Content {
        /// The number of elements.
        count: usize,
        /// Fingerprint of all of them.
        hash: u64,
    },
}

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
        /// All knobs, by key.
        pub const KNOBS: &[Knob] = &[
            $(Knob { key: $key, default: $default, doc: $doc, value: |$config| $value },)*
        ];
    };
}

knobs! {
    "acl.default_policy", "allow", "What holds where no rule says anything: allow or deny.",
        |c| plain(c.acl.default_policy.as_str());
    "acl.down_policy", "extend-cache", "What holds while tokens cannot be resolved.",
        |c| plain(c.acl.down_policy.as_str());
    "acl.enable_token_persistence", "false", "Whether tokens set through the API outlive a restart.",
        |c| plain(c.acl.token_persistence);
    "acl.enabled", "false", "Whether rights are enforced.", |c| plain(c.acl.enabled);
    "acl.policy_ttl", "30s", "How long a resolved policy is kept: tokens are kept no longer than their policies.", |c| time(c.acl.policy_ttl);
    "acl.role_ttl", "30s", "How long a resolved role is kept: tokens are kept no longer than their roles.", |c| time(c.acl.role_ttl);
    "acl.token_ttl", "30s", "How long a resolved token is kept.", |c| time(c.acl.token_ttl);
    "acl.tokens.agent", "", "Token of the agent's own work.",
        |c| Shown::Hidden(c.acl.tokens.agent.clone());
    "acl.tokens.config_file_service_registration", "", "Token of services from files that have none of their own.",
        |c| Shown::Hidden(c.acl.tokens.config_file_service_registration.clone());
    "acl.tokens.default", "", "Token of requests that have none.",
        |c| Shown::Hidden(c.acl.tokens.default.clone());
    "acl.tokens.initial_management", "", "Secret of the first management token, made at the first start.",
        |c| Shown::Hidden(c.acl.initial_management.clone());
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
    "alt_domain", "", "Second domain: names below it are ours in Host, as those below domain.",
        |c| plain(c.agent.alt_domain.as_deref().unwrap_or_default());
    "bind_addr", "0.0.0.0", "Address of the agent, told to others where it is a particular one.", |c| plain(c.agent.bind);
    "bootstrap", "false", "Whether a server makes a cluster of its own.", |c| plain(c.server.bootstrap);
    "bootstrap_expect", "0", "How many servers make a cluster. Only 1 so far.",
        |c| plain(u8::from(c.server.bootstrap));
    "check_output_max_size", "4096", "Bytes of a check's output that are kept.",
        |c| plain(c.agent.check_output_bytes_max);
    "check_update_interval", "5m0s", "How long changes of a check's output alone may wait.",
        |c| time(c.agent.check_update_interval);
    "discard_check_output", "false", "Keep no output of checks.", |c| plain(c.agent.discard_check_output);
    "enable_local_script_checks", "false", "Checks of files may run programs.",
        |c| plain(c.agent.local_script_checks);
    "enable_syslog", "false", "Whether the log goes to syslog as well.", |c| plain(c.log.syslog.is_some());
    "enable_script_checks", "false", "Checks may run programs, those registered over the API too.",
        |c| plain(c.agent.script_checks);
    "checks", "0", "Checks on their own.", |c| content(&c.definitions.checks, check_tokens(&c.definitions.checks));
    "client_addr", "127.0.0.1", "Addresses of the interfaces for clients, separated by blanks.",
        |c| list(&c.http.addresses);
    "config_entries.bootstrap", "0", "Entries written by the leader if they are not there.",
        |c| content(&c.server.entries, 0);
    "connect.ca_config", "{}", "The CA provider's settings at the first start.",
        |c| ca_config(c);
    "connect.ca_provider", "consul", "The CA provider at the first start.",
        |c| plain(&c.connect.ca_provider);
    "connect.enabled", "true", "Whether there is a mesh.", |c| plain(c.connect.enabled);
    "data_dir", "", "Where the agent keeps what lasts. Required without -dev.",
        |c| plain(c.agent.data_dir.as_deref().unwrap_or_default());
    "datacenter", "dc1", "The agent's datacenter.", |c| plain(&c.agent.datacenter);
    "default_intention_policy", "", "What holds where no intention matches; empty: as acl.default_policy.",
        |c| plain(c.acl.default_intention_policy.map_or("", Action::as_str));
    "default_query_time", "5m0s", "How long a blocking query waits where it does not say.",
        |c| time(c.server.default_query_time);
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
    "http_config.block_endpoints", "", "Prefixes of paths that are answered with 403.",
        |c| list(&c.http.block_endpoints);
    "http_config.max_header_bytes", "65536", "Longest head of a request.",
        |c| plain(c.http.header_bytes_max);
    "http_config.response_headers", "0", "Headers added to every answer.",
        |c| content_of(c.http.response_headers.len(), &c.http.response_headers);
    "http_config.use_cache", "true", "Whether ?cached counts.", |c| plain(c.http.use_cache);
    "limits.http_max_conns_per_client", "200", "Connections one client may have open.",
        |c| plain(c.http.connections_per_client_max);
    "limits.https_handshake_timeout", "5s", "How long a caller has for its handshake over TLS.",
        |c| time(c.https.handshake_timeout);
    "log_file", "", "File that the log is written to besides standard error; in a directory (ends in /) consul.log.",
        |c| plain(c.log.file.as_ref().map_or("", |file| file.path.as_str()));
    "log_json", "false", "Whether log lines are JSON.", |c| plain(c.log.json);
    "log_level", "INFO", "The least that is logged.", |c| plain(c.log.level.as_str());
    "log_rotate_bytes", "0", "Bytes after which another log file is begun; 0: however long it gets.",
        |c| plain(c.log.file.as_ref().and_then(|file| file.rotate_bytes).unwrap_or(0));
    "log_rotate_duration", "24h0m0s", "Time after which another log file is begun.",
        |c| time(c.log.file.as_ref().map_or(LOG_ROTATE_AFTER, |file| file.rotate_after));
    "log_rotate_max_files", "0", "Earlier log files that are kept; 0: all, -1: none.",
        |c| plain(c.log.file.as_ref().map_or(Archives::All, |file| file.keep));
    "max_query_time", "10m0s", "How long a blocking query may wait.", |c| time(c.server.max_query_time);
    "node_id", "", "The node's id; empty: kept in the data directory, made at the first start.",
        |c| optional(c.agent.node_id);
    "node_meta", "0", "The node's metadata.", |c| content_of(c.agent.node_meta.len(), &c.agent.node_meta);
    "node_name", "host", "The node's name; the machine's where nothing is said.",
        |c| plain(&c.agent.node_name);
    "performance.raft_multiplier", "5", "Factor of consensus timings, 1 to 10.",
        |c| plain(c.server.raft.heartbeat_timeout.as_secs());
    "pid_file", "", "File that holds the process id.",
        |c| plain(c.agent.pid_file.as_deref().unwrap_or_default());
    "ports.grpc", "8502", "Port of gRPC in clear; where nothing is said only servers with connect listen, on this machine, and not beside a certificate for gRPC.", |c| plain(c.grpc.port);
    "ports.grpc_tls", "-1", "Port of gRPC over TLS; 8503 on servers with a certificate for it.", |c| plain(c.grpc_tls.port);
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
    "raft_snapshot_threshold", "16384", "Log entries after which a snapshot is made.",
        |c| plain(c.server.raft.snapshot_threshold);
    "raft_trailing_logs", "10240", "Log entries kept behind a snapshot.",
        |c| plain(c.server.raft.trailing_logs);
    "sealing.key_env", "", "Variable of the environment that holds the key for sealing CA keys and tokens.",
        |c| plain(c.sealing.key_env.as_deref().unwrap_or_default());
    "sealing.key_file", "", "File, outside of data_dir, that holds the key for sealing CA keys and tokens.",
        |c| plain(c.sealing.key_file.as_deref().unwrap_or_default());
    "server", "false", "Whether the agent is a server.", |c| plain(c.server.enabled);
    "services", "0", "Services.",
        |c| content(&c.definitions.services, service_tokens(&c.definitions.services));
    "syslog_facility", "LOCAL0", "Facility of what goes to syslog.",
        |c| plain(c.log.syslog.unwrap_or_default().name());
    "telemetry.filter_default", "true", "Whether metrics are kept that no prefix_filter is about.",
        |c| plain(c.telemetry.filter.others);
    "telemetry.metrics_prefix", "consul", "What names of Consul's metrics begin with; our own begin with concord.",
        |c| plain(&c.telemetry.metrics_prefix);
    "telemetry.prefix_filter", "",
        "Metrics to keep (+) or not (-), by how their names begin; the longest beginning that fits decides.",
        |c| list(&c.telemetry.filter.written());
    "tls.defaults.ca_file", "", "File with the authorities whose certificates of callers are believed, where a block of tls says nothing.",
        |c| file(c.tls.defaults.ca_file.as_ref());
    "tls.defaults.ca_path", "", "Directory of such files, used if there is no ca_file, where a block of tls says nothing.",
        |c| file(c.tls.defaults.ca_path.as_ref());
    "tls.defaults.cert_file", "", "File with the certificate that is presented, and its intermediates, where a block of tls says nothing.",
        |c| file(c.tls.defaults.cert_file.as_ref());
    "tls.defaults.key_file", "", "File with the key to cert_file, where a block of tls says nothing.",
        |c| file(c.tls.defaults.key_file.as_ref());
    "tls.defaults.tls_cipher_suites", "", "Suites of TLS 1.2, separated by commas; empty: all, where a block of tls says nothing.",
        |c| plain(c.tls.defaults.cipher_suites.join(","));
    "tls.defaults.tls_min_version", "TLSv1_2", "The oldest version that is spoken, TLSv1_2 or TLSv1_3, where a block of tls says nothing.",
        |c| plain(c.tls.defaults.min_version.as_str());
    "tls.defaults.use_auto_cert", "false", "Whether the agent's own certificate is presented; not available yet, where a block of tls says nothing.",
        |_| plain(false);
    "tls.defaults.verify_incoming", "false", "Whether callers must show a certificate, where a block of tls says nothing.",
        |c| plain(c.tls.defaults.verify_incoming);
    "tls.defaults.verify_outgoing", "false", "Whether servers that are called must show one; has no effect yet, where a block of tls says nothing.",
        |c| plain(c.tls.defaults.verify_outgoing);
    "tls.defaults.verify_server_hostname", "false", "Whether the name in it must be a server's; has no effect yet, where a block of tls says nothing.",
        |c| plain(c.tls.defaults.verify_server_hostname);
    "tls.grpc.ca_file", "", "File with the authorities whose certificates of callers are believed, of gRPC.",
        |c| file(c.tls.grpc.ca_file.as_ref());
    "tls.grpc.ca_path", "", "Directory of such files, used if there is no ca_file, of gRPC.",
        |c| file(c.tls.grpc.ca_path.as_ref());
    "tls.grpc.cert_file", "", "File with the certificate that is presented, and its intermediates, of gRPC.",
        |c| file(c.tls.grpc.cert_file.as_ref());
    "tls.grpc.key_file", "", "File with the key to cert_file, of gRPC.",
        |c| file(c.tls.grpc.key_file.as_ref());
    "tls.grpc.tls_cipher_suites", "", "Suites of TLS 1.2, separated by commas; empty: all, of gRPC.",
        |c| plain(c.tls.grpc.cipher_suites.join(","));
    "tls.grpc.tls_min_version", "TLSv1_2", "The oldest version that is spoken, TLSv1_2 or TLSv1_3, of gRPC.",
        |c| plain(c.tls.grpc.min_version.as_str());
    "tls.grpc.use_auto_cert", "false", "Whether the agent's own certificate is presented; not available yet, of gRPC.",
        |_| plain(false);
    "tls.grpc.verify_incoming", "false", "Whether callers must show a certificate, of gRPC.",
        |c| plain(c.tls.grpc.verify_incoming);
    "tls.grpc.verify_outgoing", "false", "Whether servers that are called must show one; has no effect yet, of gRPC.",
        |c| plain(c.tls.grpc.verify_outgoing);
    "tls.grpc.verify_server_hostname", "false", "Whether the name in it must be a server's; has no effect yet, of gRPC.",
        |c| plain(c.tls.grpc.verify_server_hostname);
    "tls.https.ca_file", "", "File with the authorities whose certificates of callers are believed, of HTTP.",
        |c| file(c.tls.https.ca_file.as_ref());
    "tls.https.ca_path", "", "Directory of such files, used if there is no ca_file, of HTTP.",
        |c| file(c.tls.https.ca_path.as_ref());
    "tls.https.cert_file", "", "File with the certificate that is presented, and its intermediates, of HTTP.",
        |c| file(c.tls.https.cert_file.as_ref());
    "tls.https.key_file", "", "File with the key to cert_file, of HTTP.",
        |c| file(c.tls.https.key_file.as_ref());
    "tls.https.tls_cipher_suites", "", "Suites of TLS 1.2, separated by commas; empty: all, of HTTP.",
        |c| plain(c.tls.https.cipher_suites.join(","));
    "tls.https.tls_min_version", "TLSv1_2", "The oldest version that is spoken, TLSv1_2 or TLSv1_3, of HTTP.",
        |c| plain(c.tls.https.min_version.as_str());
    "tls.https.use_auto_cert", "false", "Whether the agent's own certificate is presented; not available yet, of HTTP.",
        |_| plain(false);
    "tls.https.verify_incoming", "false", "Whether callers must show a certificate, of HTTP.",
        |c| plain(c.tls.https.verify_incoming);
    "tls.https.verify_outgoing", "false", "Whether servers that are called must show one; has no effect yet, of HTTP.",
        |c| plain(c.tls.https.verify_outgoing);
    "tls.https.verify_server_hostname", "false", "Whether the name in it must be a server's; has no effect yet, of HTTP.",
        |c| plain(c.tls.https.verify_server_hostname);
    "tls.internal_rpc.ca_file", "", "File with the authorities whose certificates of callers are believed, of RPC between servers, which is not there yet.",
        |c| file(c.tls.internal_rpc.ca_file.as_ref());
    "tls.internal_rpc.ca_path", "", "Directory of such files, used if there is no ca_file, of RPC between servers, which is not there yet.",
        |c| file(c.tls.internal_rpc.ca_path.as_ref());
    "tls.internal_rpc.cert_file", "", "File with the certificate that is presented, and its intermediates, of RPC between servers, which is not there yet.",
        |c| file(c.tls.internal_rpc.cert_file.as_ref());
    "tls.internal_rpc.key_file", "", "File with the key to cert_file, of RPC between servers, which is not there yet.",
        |c| file(c.tls.internal_rpc.key_file.as_ref());
    "tls.internal_rpc.tls_cipher_suites", "", "Suites of TLS 1.2, separated by commas; empty: all, of RPC between servers, which is not there yet.",
        |c| plain(c.tls.internal_rpc.cipher_suites.join(","));
    "tls.internal_rpc.tls_min_version", "TLSv1_2", "The oldest version that is spoken, TLSv1_2 or TLSv1_3, of RPC between servers, which is not there yet.",
        |c| plain(c.tls.internal_rpc.min_version.as_str());
    "tls.internal_rpc.use_auto_cert", "false", "Whether the agent's own certificate is presented; not available yet, of RPC between servers, which is not there yet.",
        |_| plain(false);
    "tls.internal_rpc.verify_incoming", "false", "Whether callers must show a certificate, of RPC between servers, which is not there yet.",
        |c| plain(c.tls.internal_rpc.verify_incoming);
    "tls.internal_rpc.verify_outgoing", "false", "Whether servers that are called must show one; has no effect yet, of RPC between servers, which is not there yet.",
        |c| plain(c.tls.internal_rpc.verify_outgoing);
    "tls.internal_rpc.verify_server_hostname", "false", "Whether the name in it must be a server's; has no effect yet, of RPC between servers, which is not there yet.",
        |c| plain(c.tls.internal_rpc.verify_server_hostname);
    "unix_sockets.group", "", "Group of unix sockets, by name or number.",
        |c| plain(c.unix_sockets.group.as_deref().unwrap_or_default());
    "unix_sockets.mode", "", "Mode of unix sockets, in octal; empty: what the process's mask leaves.",
        |c| plain(c.unix_sockets.mode.map(|mode| format!("{mode:04o}")).unwrap_or_default());
    "unix_sockets.user", "", "Owner of unix sockets, by name or number.",
        |c| plain(c.unix_sockets.user.as_deref().unwrap_or_default());
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

fn content_of(count: usize, value: &impl fmt::Debug) -> Shown {
    Shown::Content { count, hash: hash64(format!("{value:?}").as_bytes()) }
}

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(one), Self::Plain(two)) => one == two,
            (Self::Hidden(None), Self::Hidden(None)) => true,
            (Self::Hidden(Some(one)), Self::Hidden(Some(two))) => one.matches(two.expose()),
            (Self::Content { count: _, hash: one }, Self::Content { count: _, hash: two }) => one == two,
            (Self::Plain(_) | Self::Hidden(_) | Self::Content { .. }, _) => false,
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Hidden(None) => Ok(()),
            Self::Hidden(Some(_)) => f.write_str("<hidden>"),
            Self::Content { count, hash: _ } => count.fmt(f),
        }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
