//! `Definition` of a check in the catalog: how an external program should run it. It is stored and returned, and
//! never run here.

use std::collections::BTreeMap;
use std::time::Duration;

use concord_model::proxy::Settings;
use concord_syntax::duration::serde_go;
use serde::{Deserialize, Serialize, Serializer};

use crate::shape::{is_default, null_default};

/// Empty fields are left out, as in Consul. Durations are texts, except `TTL`.
#[derive(Clone, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CheckDefinition {
    #[serde(with = "serde_go", skip_serializing_if = "is_default")]
    interval: Duration,
    #[serde(skip_serializing_if = "is_default")]
    output_max_size: u64,
    #[serde(with = "serde_go", skip_serializing_if = "is_default")]
    timeout: Duration,
    #[serde(with = "serde_go", skip_serializing_if = "is_default")]
    deregister_critical_service_after: Duration,
    #[serde(rename = "HTTP", skip_serializing_if = "is_default")]
    http: String,
    #[serde(rename = "TLSServerName", skip_serializing_if = "is_default")]
    tls_server_name: String,
    #[serde(rename = "TLSSkipVerify", skip_serializing_if = "is_default")]
    tls_skip_verify: bool,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "is_default")]
    header: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "is_default")]
    method: String,
    #[serde(skip_serializing_if = "is_default")]
    body: String,
    #[serde(skip_serializing_if = "is_default")]
    disable_redirects: bool,
    #[serde(rename = "TCP", skip_serializing_if = "is_default")]
    tcp: String,
    #[serde(rename = "TCPUseTLS", skip_serializing_if = "is_default")]
    tcp_use_tls: bool,
    #[serde(rename = "UDP", skip_serializing_if = "is_default")]
    udp: String,
    #[serde(rename = "H2PING", skip_serializing_if = "is_default")]
    h2ping: String,
    #[serde(rename = "OSService", skip_serializing_if = "is_default")]
    os_service: String,
    #[serde(rename = "H2PingUseTLS", skip_serializing_if = "is_default")]
    h2ping_use_tls: bool,
    #[serde(deserialize_with = "null_default", skip_serializing_if = "is_default")]
    script_args: Vec<String>,
    #[serde(rename = "DockerContainerID", skip_serializing_if = "is_default")]
    docker_container_id: String,
    #[serde(skip_serializing_if = "is_default")]
    shell: String,
    #[serde(rename = "GRPC", skip_serializing_if = "is_default")]
    grpc: String,
    #[serde(rename = "GRPCUseTLS", skip_serializing_if = "is_default")]
    grpc_use_tls: bool,
    #[serde(skip_serializing_if = "is_default")]
    alias_node: String,
    #[serde(skip_serializing_if = "is_default")]
    alias_service: String,
    #[serde(rename = "TTL", deserialize_with = "serde_go::deserialize", serialize_with = "nanos")]
    #[serde(skip_serializing_if = "is_default")]
    ttl: Duration,
}

/// The request in it may contain secrets.
impl std::fmt::Debug for CheckDefinition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckDefinition").finish_non_exhaustive()
    }
}

impl CheckDefinition {
    /// The form that the catalog stores; empty for an empty definition.
    pub(crate) fn to_model(&self) -> Settings {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(members)) => members.into_iter().collect(),
            _ => unreachable!("the shape is an object with text keys"),
        }
    }

    /// The kind of check in an agent's words; empty if the definition is incomplete.
    pub(crate) fn kind(&self) -> &'static str {
        let every = !self.interval.is_zero();
        let in_container = !self.docker_container_id.is_empty();
        // The order matters: Consul uses the first that applies.
        let ways = [
            ("grpc", every && !self.grpc.is_empty()),
            ("http", every && !self.http.is_empty()),
            ("ttl", !self.ttl.is_zero()),
            ("tcp", every && !self.tcp.is_empty()),
            ("udp", every && !self.udp.is_empty()),
            ("alias", !self.alias_node.is_empty() || !self.alias_service.is_empty()),
            ("docker", every && in_container && !self.script_args.is_empty()),
            ("script", !self.script_args.is_empty()),
            ("h2ping", every && !self.h2ping.is_empty()),
            ("os_service", every && !self.os_service.is_empty()),
        ];
        ways.iter().find(|(_, said)| *said).map_or("", |(kind, _)| kind)
    }

    /// Restores what [`Self::to_model`] has stored.
    pub(crate) fn from_model(kept: &Settings) -> Self {
        let members = kept.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        serde_json::from_value(serde_json::Value::Object(members)).unwrap_or_default()
    }
}

fn nanos<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(written: Value, told: Value) {
        let read: CheckDefinition = serde_json::from_value(written).unwrap();
        let kept = read.to_model();
        assert_eq!(serde_json::to_value(CheckDefinition::from_model(&kept)).unwrap(), told);
    }

    #[test]
    fn what_is_said_is_told_and_what_is_not_is_left_out() {
        let all = json!({
            "Interval": "1s", "OutputMaxSize": 9, "Timeout": "2s", "DeregisterCriticalServiceAfter": "1m0s",
            "HTTP": "http://a/", "TLSServerName": "n", "TLSSkipVerify": true, "Header": {"A": ["b", "c"]},
            "Method": "PUT", "Body": "b", "DisableRedirects": true, "TCP": "a:1", "TCPUseTLS": true, "UDP": "a:2",
            "H2PING": "a:3", "OSService": "s", "H2PingUseTLS": true, "ScriptArgs": ["x"],
            "DockerContainerID": "d", "Shell": "sh", "GRPC": "a:4", "GRPCUseTLS": true, "AliasNode": "n",
            "AliasService": "s", "TTL": 1_000_000_000_u64
        });
        check(all.clone(), all);
        let numbers = json!({"TTL": "1s", "Interval": 1_000_000_000_u64});
        check(numbers, json!({"TTL": 1_000_000_000_u64, "Interval": "1s"}));
        // Go's clients print every field.
        let zeros =
            json!({"HTTP": "", "Header": null, "Interval": "0s", "Timeout": "0s", "TLSSkipVerify": false});
        check(zeros.clone(), json!({}));
        let read: CheckDefinition = serde_json::from_value(zeros).unwrap();
        assert!(read.to_model().is_empty());
    }

    #[test]
    fn the_kind_is_the_first_way_that_is_said_whole() {
        for (written, kind) in [
            (json!({}), ""),
            (json!({"HTTP": "http://a/"}), ""),
            (json!({"HTTP": "http://a/", "Interval": "1s"}), "http"),
            (json!({"HTTP": "http://a/", "TCP": "a:1", "GRPC": "a:2", "Interval": "1s"}), "grpc"),
            (json!({"TTL": "1s", "TCP": "a:1", "Interval": "1s"}), "ttl"),
            (json!({"TCP": "a:1", "UDP": "a:2", "Interval": "1s"}), "tcp"),
            (json!({"UDP": "a:2", "AliasNode": "n", "Interval": "1s"}), "udp"),
            (json!({"UDP": "a:2", "AliasNode": "n"}), "alias"),
            (json!({"AliasService": "s", "ScriptArgs": ["x"]}), "alias"),
            (json!({"ScriptArgs": ["x"], "DockerContainerID": "d", "Interval": "1s"}), "docker"),
            (json!({"ScriptArgs": ["x"], "H2PING": "a:3", "Interval": "1s"}), "script"),
            (json!({"H2PING": "a:3", "OSService": "s", "Interval": "1s"}), "h2ping"),
            (json!({"OSService": "s", "Interval": "1s"}), "os_service"),
        ] {
            let read: CheckDefinition = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(read.kind(), kind, "{written}");
        }
    }

    #[test]
    fn an_odd_duration_is_refused() {
        assert!(serde_json::from_value::<CheckDefinition>(json!({"Interval": "soon"})).is_err());
    }
}
