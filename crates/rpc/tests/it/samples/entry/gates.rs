//! Samples of the kinds that are about gateways, tokens and exports, as the log writes them.

use concord_model::entry::{
    DiscoveryType, GatewayProtocol, HeaderComparison, ListenerProtocol, PathComparison, QueryComparison,
    TlsVersion,
};
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

fn reference(kind: &str) -> Value {
    json!({ "kind": kind, "name": "one", "section_name": "web", "partition": "part", "namespace": "space" })
}

fn status() -> Value {
    json!({ "conditions": [{
        "type": "Accepted",
        "status": "True",
        "reason": "Accepted",
        "message": "it can be used",
        "resource": reference("api-gateway"),
        "last_transition_time": 1_700_000_000_000_000_000_u64,
    }] })
}

pub(super) fn api_gateway(number: usize) -> Value {
    json!({
        "listeners": [{
            "name": "web",
            "hostname": "*.example.com",
            "port": 8443,
            "protocol": word(GatewayProtocol::ALL, number),
            "tls": {
                "certificates": [reference("inline-certificate")],
                "max_version": word(TlsVersion::ALL, number),
                "min_version": word(TlsVersion::ALL, number + 1),
                "cipher_suites": ["TLS_RSA_WITH_AES_128_GCM_SHA256"],
            },
            "override": { "JWT": 1 },
            "default": { "JWT": 1 },
        }],
        "status": status(),
    })
}

pub(super) fn bound_api_gateway() -> Value {
    json!({
        "listeners": [{
            "name": "web",
            "routes": [reference("http-route")],
            "certificates": [reference("inline-certificate")],
        }],
        "services": { "web": [reference("http-route")] },
    })
}

pub(super) fn http_route(number: usize) -> Value {
    let headers = json!([{ "add": { "a": "b" }, "set": { "c": "d" }, "remove": ["e"] }]);
    let filters = json!({
        "headers": headers,
        "url_rewrite": { "path": "/new" },
        "retry_filter": {
            "num_retries": 3, "retry_on": ["5xx"], "retry_on_status_codes": [503], "retry_on_connect_failure": true,
        },
        "timeout_filter": { "request_timeout": 4, "idle_timeout": 5 },
        "jwt": { "Providers": 1 },
    });
    json!({
        "parents": [reference("api-gateway")],
        "rules": [{
            "filters": filters,
            "response_filters": { "headers": headers },
            "matches": [{
                "headers": [{ "match": word(HeaderComparison::ALL, number), "name": "x", "value": "y" }],
                "method": "GET",
                "path": { "match": word(PathComparison::ALL, number), "value": "/a" },
                "query": [{ "match": word(QueryComparison::ALL, number), "name": "q", "value": "1" }],
            }],
            "services": [{
                "name": "web",
                "weight": 7,
                "filters": filters,
                "response_filters": { "headers": headers },
                "partition": "part",
                "namespace": "space",
            }],
        }],
        "hostnames": ["web.example.com"],
        "status": status(),
    })
}

pub(super) fn tcp_route() -> Value {
    json!({
        "parents": [reference("api-gateway")],
        "services": [{ "name": "db", "partition": "part", "namespace": "space" }],
        "status": status(),
    })
}

pub(super) fn certificate() -> Value {
    json!({ "certificate": "a certificate", "private_key": "its key" })
}
