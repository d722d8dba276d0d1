//! The keys as written: everything is optional, and only types are checked.
//!
//! Services, checks and `config_entries` are not here: they are taken out of the tree first, so that their errors
//! keep their positions. [`crate::knob::KNOBS`] has the meaning of each key.

#![allow(missing_docs, reason = "a knob is documented once, in the table of knobs")]

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use concord_model::Secret;
use concord_model::proxy::Settings;
use concord_syntax::duration;
#[cfg(test)]
use concord_syntax::duration::serde_go;
#[cfg(test)]
use serde::Serialize;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

macro_rules! keys {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[cfg_attr(test, derive(Serialize))]
        #[serde(default)]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }

        impl crate::merge::Merge for $name {
            fn merge(&mut self, later: Self) {
                let Self { $($field,)* } = later;
                $(crate::merge::Merge::merge(&mut self.$field, $field);)*
            }
        }
    };
}

keys! {
    /// All keys of a source.
    pub struct Raw {
        pub datacenter: Option<String>,
        pub primary_datacenter: Option<String>,
        pub domain: Option<String>,
        pub alt_domain: Option<String>,
        pub node_name: Option<String>,
        pub node_id: Option<String>,
        pub node_meta: BTreeMap<String, String>,
        pub data_dir: Option<String>,
        pub server: Option<bool>,
        pub bootstrap: Option<bool>,
        pub bootstrap_expect: Option<i64>,
        pub bind_addr: Option<String>,
        pub client_addr: Option<String>,
        pub advertise_addr: Option<String>,
        pub addresses: Addresses,
        pub ports: Ports,
        pub log_level: Option<String>,
        pub log_json: Option<bool>,
        pub log_file: Option<String>,
        pub log_rotate_bytes: Option<i64>,
        #[serde(deserialize_with = "duration", serialize_with = "serde_go::option::serialize")]
        pub log_rotate_duration: Option<Duration>,
        pub log_rotate_max_files: Option<i64>,
        pub enable_syslog: Option<bool>,
        pub syslog_facility: Option<String>,
        pub acl: Acl,
        pub connect: Connect,
        pub sealing: Sealing,
        pub default_intention_policy: Option<String>,
        pub http_config: HttpConfig,
        pub limits: Limits,
        pub performance: Performance,
        pub raft_snapshot_threshold: Option<i64>,
        #[serde(deserialize_with = "duration", serialize_with = "serde_go::option::serialize")]
        pub raft_snapshot_interval: Option<Duration>,
        pub raft_trailing_logs: Option<i64>,
        #[serde(deserialize_with = "duration", serialize_with = "serde_go::option::serialize")]
        pub default_query_time: Option<Duration>,
        #[serde(deserialize_with = "duration", serialize_with = "serde_go::option::serialize")]
        pub max_query_time: Option<Duration>,
        #[serde(deserialize_with = "duration", serialize_with = "serde_go::option::serialize")]
        pub check_update_interval: Option<Duration>,
        pub check_output_max_size: Option<i64>,
        pub discard_check_output: Option<bool>,
        pub enable_script_checks: Option<bool>,
        pub enable_local_script_checks: Option<bool>,
        pub telemetry: Telemetry,
        pub auto_encrypt: Unbuilt,
        pub rpc: Unbuilt,
        pub pid_file: Option<String>,
        #[serde(deserialize_with = "secret", serialize_with = "nothing")]
        pub encrypt: Option<Secret>,
        pub unix_sockets: UnixSockets,
        pub tls: Tls,
    }
}

keys! {
    pub struct Addresses {
        pub http: Option<String>,
        pub https: Option<String>,
        pub grpc: Option<String>,
        pub grpc_tls: Option<String>,
    }
}

keys! {
    pub struct Ports {
        pub http: Option<i64>,
        pub https: Option<i64>,
        pub grpc: Option<i64>,
        pub grpc_tls: Option<i64>,
        pub serf_lan: Option<i64>,
        pub server: Option<i64>,
        pub sidecar_min_port: Option<i64>,
        pub sidecar_max_port: Option<i64>,
    }
}

keys! {
    pub struct Tls {
        pub defaults: TlsProtocol,
        pub internal_rpc: TlsProtocol,
        pub https: TlsProtocol,
        pub grpc: TlsProtocol,
    }
}

keys! {
    pub struct TlsProtocol {
        pub ca_file: Option<String>,
        pub ca_path: Option<String>,
        pub cert_file: Option<String>,
        pub key_file: Option<String>,
        pub tls_min_version: Option<String>,
        pub tls_cipher_suites: Option<String>,
        pub verify_incoming: Option<bool>,
        pub verify_outgoing: Option<bool>,
        pub verify_server_hostname: Option<bool>,
        pub use_auto_cert: Option<bool>,
    }
}

keys! {
    pub struct UnixSockets {
        pub user: Option<String>,
        pub group: Option<String>,
        pub mode: Option<String>,
    }
}

keys! {
    pub struct Acl {
        pub enabled: Option<bool>,
        pub default_policy: Option<String>,
        pub down_policy: Option<String>,
        #[serde(deserialize_with = "duration", serialize_with = "serde_go::option::serialize")]
        pub token_ttl: Option<Duration>,
        #[serde(deserialize_with = "duration", serialize_with = "serde_go::option::serialize")]
        pub policy_ttl: Option<Duration>,
        #[serde(deserialize_with = "duration", serialize_with = "serde_go::option::serialize")]
        pub role_ttl: Option<Duration>,
        pub tokens: Tokens,
        pub enable_token_persistence: Option<bool>,
    }
}

keys! {
    pub struct Tokens {
        #[serde(deserialize_with = "secret", serialize_with = "nothing")]
        pub initial_management: Option<Secret>,
        #[serde(deserialize_with = "secret", serialize_with = "nothing")]
        pub default: Option<Secret>,
        #[serde(deserialize_with = "secret", serialize_with = "nothing")]
        pub agent: Option<Secret>,
        #[serde(deserialize_with = "secret", serialize_with = "nothing")]
        pub config_file_service_registration: Option<Secret>,
    }
}

keys! {
    pub struct Connect {
        pub enabled: Option<bool>,
        pub ca_provider: Option<String>,
        pub ca_config: Settings,
    }
}

keys! {
    pub struct Sealing {
        pub key_file: Option<String>,
        pub key_env: Option<String>,
    }
}

keys! {
    pub struct HttpConfig {
        pub response_headers: BTreeMap<String, String>,
        pub allow_write_http_from: Vec<String>,
        pub allow_origins: Vec<String>,
        pub allowed_hosts: Vec<String>,
        pub block_endpoints: Vec<String>,
        pub max_header_bytes: Option<i64>,
        pub use_cache: Option<bool>,
    }
}

keys! {
    pub struct Limits {
        pub http_max_conns_per_client: Option<i64>,
        #[serde(deserialize_with = "duration", serialize_with = "serde_go::option::serialize")]
        pub https_handshake_timeout: Option<Duration>,
    }
}

keys! {
    pub struct Performance {
        pub raft_multiplier: Option<i64>,
    }
}

keys! {
    pub struct Telemetry {
        pub metrics_prefix: Option<String>,
        pub prefix_filter: Vec<String>,
        pub filter_default: Option<bool>,
    }
}

/// A block that is not built at all, so that its keys are reported as such and not as unknown.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(Serialize))]
#[serde(default)]
pub struct Unbuilt {}

impl crate::merge::Merge for Unbuilt {
    fn merge(&mut self, _: Self) {}
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()).map(Secret::new))
}

/// A duration with a unit. A bare number is refused, because its unit is unclear.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    deserializer.deserialize_any(Written)
}

struct Written;

impl Visitor<'_> for Written {
    type Value = Option<Duration>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as \"10s\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if text.is_empty() {
            return Ok(None);
        }
        duration::parse(text).map(Some).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Err(E::custom(format_args!("{number} has no unit; write a duration such as \"{number}s\"")))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A secret is never printed.
#[cfg(test)]
fn nothing<S: serde::Serializer>(_: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_none()
}

impl Raw {
    /// Whether checks from files may run programs.
    pub(crate) fn runs_local_scripts(&self) -> bool {
        self.enable_local_script_checks.unwrap_or(false) || self.enable_script_checks.unwrap_or(false)
    }
}
