//! The keys as written: everything is optional, and only types are checked.
//!
//! Services, checks and `config_entries` are not here: they are taken out of the tree first, so that their errors
//! keep their positions. [`crate::knob::KNOBS`] has the meaning of each key.

use std::collections::BTreeMap;
use std::time::Duration;

use concord_model::Secret;
use concord_model::proxy::Settings;
use serde::{Deserialize, Deserializer};

use crate::block::{Written, keys};
use crate::section::{
    AclKeys, CheckKeys, ClientKeys, ConnectKeys, DnsKeys, FilterKeys, HttpKeys, LogKeys, ProxyKeys,
    QueryKeys, RaftKeys, SealingKeys, TokenKeys, UnixSocketKeys, XdsKeys,
};

keys! {
    /// All keys of a source.
    struct Raw {
        ..checks: CheckKeys,
        ..log: LogKeys,
        ..proxies: ProxyKeys,
        ..queries: QueryKeys,
        ..raft: RaftKeys,
        datacenter: Option<String>,
        primary_datacenter: Option<String>,
        domain: Option<String>,
        alt_domain: Option<String>,
        node_name: Option<String>,
        node_id: Option<String>,
        node_meta: BTreeMap<String, String>,
        data_dir: Option<String>,
        server: Option<bool>,
        bootstrap: Option<bool>,
        bootstrap_expect: Option<i64>,
        bind_addr: Option<String>,
        client_addr: Option<String>,
        advertise_addr: Option<String>,
        addresses: Addresses,
        ports: Ports,
        log_level: Option<String>,
        log_file: Option<String>,
        log_rotate_bytes: Option<i64>,
        log_rotate_duration: Option<Duration>,
        log_rotate_max_files: Option<i64>,
        enable_syslog: Option<bool>,
        syslog_facility: Option<String>,
        acl: Acl,
        connect: Connect,
        dns_config: DnsConfig,
        recursors: Vec<String>,
        sealing: SealingKeys,
        default_intention_policy: Option<String>,
        http_config: HttpConfig,
        limits: Limits,
        performance: Performance,
        raft_snapshot_interval: Option<Duration>,
        check_output_max_size: Option<i64>,
        enable_local_script_checks: Option<bool>,
        telemetry: Telemetry,
        auto_encrypt: Unbuilt,
        rpc: Unbuilt,
        pid_file: Option<String>,
        encrypt: Option<Secret>,
        unix_sockets: UnixSockets,
        tls: Tls,
        xds: XdsKeys,
    }
}

keys! {
    struct Addresses {
        ..api: ApiAddresses,
        dns: Option<String>,
    }
}

keys! {
    struct ApiAddresses {
        http: Option<String>,
        https: Option<String>,
        grpc: Option<String>,
        grpc_tls: Option<String>,
    }
}

keys! {
    struct Ports {
        dns: Option<i64>,
        http: Option<i64>,
        https: Option<i64>,
        grpc: Option<i64>,
        grpc_tls: Option<i64>,
        serf_lan: Option<i64>,
        server: Option<i64>,
        sidecar_min_port: Option<i64>,
        sidecar_max_port: Option<i64>,
        expose_min_port: Option<i64>,
        expose_max_port: Option<i64>,
    }
}

keys! {
    struct Tls {
        defaults: TlsProtocol,
        internal_rpc: TlsProtocol,
        https: TlsProtocol,
        grpc: TlsProtocol,
    }
}

keys! {
    struct TlsProtocol {
        ca_file: Option<String>,
        ca_path: Option<String>,
        cert_file: Option<String>,
        key_file: Option<String>,
        tls_min_version: Option<String>,
        tls_cipher_suites: Option<String>,
        verify_incoming: Option<bool>,
        verify_outgoing: Option<bool>,
        verify_server_hostname: Option<bool>,
        use_auto_cert: Option<bool>,
    }
}

keys! {
    struct UnixSockets {
        ..plain: UnixSocketKeys,
        mode: Option<String>,
    }
}

keys! {
    struct Acl {
        ..plain: AclKeys,
        default_policy: Option<String>,
        down_policy: Option<String>,
        tokens: Tokens,
    }
}

keys! {
    struct Tokens {
        ..plain: TokenKeys,
        initial_management: Option<Secret>,
    }
}

keys! {
    struct Connect {
        ..plain: ConnectKeys,
        ca_provider: Option<String>,
        ca_config: Settings,
    }
}

keys! {
    struct DnsConfig {
        ..plain: DnsKeys,
        udp_answer_limit: Option<i64>,
        a_record_limit: Option<i64>,
        service_ttl: BTreeMap<String, String>,
        soa: Soa,
        recursor_strategy: Option<String>,
    }
}

keys! {
    struct Soa {
        refresh: Option<i64>,
        retry: Option<i64>,
        expire: Option<i64>,
        min_ttl: Option<i64>,
    }
}

keys! {
    struct HttpConfig {
        ..plain: HttpKeys,
        allow_write_http_from: Vec<String>,
        allow_origins: Vec<String>,
        allowed_hosts: Vec<String>,
    }
}

keys! {
    struct Limits {
        ..plain: ClientKeys,
        http_max_conns_per_client: Option<i64>,
        https_handshake_timeout: Option<Duration>,
    }
}

keys! {
    struct Performance {
        raft_multiplier: Option<i64>,
    }
}

keys! {
    struct Telemetry {
        ..plain: FilterKeys,
        metrics_prefix: Option<String>,
        prefix_filter: Vec<String>,
    }
}

keys! {
    /// A block that is not built at all, so that its keys are reported as such and not as unknown.
    struct Unbuilt {}
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Written::read(deserializer)
    }
}

#[cfg(test)]
impl serde::Serialize for Raw {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.printed().serialize(serializer)
    }
}

impl Raw {
    /// Whether checks from files may run programs.
    pub(crate) fn runs_local_scripts(&self) -> bool {
        self.enable_local_script_checks.unwrap_or(false) || self.checks.enable_script_checks.unwrap_or(false)
    }
}
