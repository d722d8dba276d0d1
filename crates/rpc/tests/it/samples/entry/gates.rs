//! Samples of the kinds that are about gateways, tokens and exports, as the log writes them.

use concord_model::entry::{DiscoveryType, ListenerProtocol, TlsVersion};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::word;

pub(super) fn said<T: DeserializeOwned>(written: Value) -> T {
    serde_json::from_value(written).unwrap()
}

pub(super) fn jwt_provider(number: usize) -> Value {
    json!({
        "json_web_key_set": {
            "local": { "jwks": "e30=", "filename": "/keys.json" },
            "remote": {
                "uri": "https://issuer.example.com/keys",
                "request_timeout_ms": 5,
                "cache_duration": 6,
                "fetch_asynchronously": true,
                "retry_policy": {
                    "num_retries": 7,
                    "retry_policy_back_off": { "base_interval": 8, "max_interval": 9 },
                },
                "jwks_cluster": {
                    "discovery_type": word(DiscoveryType::ALL, number),
                    "tls_certificates": {
                        "CaCertificateProviderInstance": { "instance_name": "i", "certificate_name": "c" },
                        "trusted_ca": {
                            "filename": "/ca.pem",
                            "environment_variable": "CA",
                            "inline_string": "PEM",
                            "inline_bytes": "e30=",
                        },
                    },
                    "connect_timeout": 10,
                },
            },
        },
        "issuer": "issuer",
        "audiences": ["shop"],
        "locations": [{
            "header": { "name": "x-token", "value_prefix": "Token ", "forward": true },
            "query_param": { "name": "token" },
            "cookie": { "name": "session" },
        }],
        "forwarding": { "header_name": "x-payload", "pad_forward_payload_header": true },
        "clock_skew_seconds": 11,
        "cache_config": { "size": 12 },
    })
}

pub(super) fn ingress_gateway(number: usize) -> Value {
    let health = json!({
        "interval": 1, "max_failures": 2, "enforcing_consecutive_5xx": 3, "max_ejection_percent": 4,
        "base_ejection_time": 5,
    });
    let sds = json!({ "cluster_name": "sds", "cert_resource": "edge" });
    let tls = json!({
        "enabled": true,
        "sds": sds,
        "tls_min_version": word(TlsVersion::ALL, number),
        "tls_max_version": word(TlsVersion::ALL, number + 1),
        "cipher_suites": ["TLS_RSA_WITH_AES_128_GCM_SHA256"],
    });
    let headers = json!({ "add": { "a": "b" }, "set": { "c": "d" }, "remove": ["e"] });
    json!({
        "tls": tls,
        "listeners": [{
            "port": 8080,
            "protocol": word(ListenerProtocol::ALL, number),
            "tls": tls,
            "services": [{
                "name": "web",
                "partition": "part",
                "namespace": "space",
                "hosts": ["web.example.com"],
                "tls": { "sds": sds },
                "request_headers": headers,
                "response_headers": headers,
                "max_connections": 6,
                "max_pending_requests": 7,
                "max_concurrent_requests": 8,
                "passive_health_check": health,
                "meta": { "team": "shop" },
            }],
        }],
        "defaults": {
            "max_connections": 9,
            "max_pending_requests": 10,
            "max_concurrent_requests": 11,
            "passive_health_check": health,
        },
    })
}

pub(super) fn terminating_gateway() -> Value {
    json!({ "services": [{
        "name": "db",
        "partition": "part",
        "namespace": "space",
        "ca_file": "/ca",
        "cert_file": "/cert",
        "key_file": "/key",
        "sni": "db.example.com",
        "disable_auto_host_rewrite": true,
    }] })
}

pub(super) fn exported_services() -> Value {
    json!({ "services": [{
        "name": "web",
        "namespace": "space",
        "consumers": [{ "partition": "part", "peer": "east", "sameness_group": "group" }],
    }] })
}
