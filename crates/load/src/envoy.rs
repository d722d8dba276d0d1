//! Bootstrap configurations for an Envoy that does the work of one half of a pair: a TCP proxy with mutual TLS. They
//! are static, so that no control plane is measured.
//!
//! Settings that could differ from the built-in proxy are the same: no session resumption, the hybrid key exchange
//! first, TLS 1.3, no delay of small packets. Unlike the built-in proxy, Envoy decides no intentions and writes no log
//! line for each connection.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};

/// Key exchanges, in the order of the built-in proxy.
const CURVES: [&str; 3] = ["X25519MLKEM768", "X25519", "P-256"];
const TLS: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";
const TCP_PROXY: &str = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";

/// The files of one identity: chain, key and trusted roots.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) roots: PathBuf,
}

/// Accepts plain TCP and connects with TLS to a server whose identity must be `uri`.
pub(crate) fn egress(listen: SocketAddr, connect: SocketAddr, files: &Files, uri: &str) -> Value {
    let mut context = common(files);
    context["validation_context"]["match_typed_subject_alt_names"] =
        json!([{ "san_type": "URI", "matcher": { "exact": uri } }]);
    let socket = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": format!("{TLS}.UpstreamTlsContext"),
            "common_tls_context": context,
            "sni": "api",
            "max_session_keys": 0,
        },
    });
    bootstrap("egress", listen, None, connect, Some(socket))
}

/// Accepts TLS from any client with a chain to our roots and connects with plain TCP.
pub(crate) fn ingress(listen: SocketAddr, connect: SocketAddr, files: &Files) -> Value {
    let socket = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": format!("{TLS}.DownstreamTlsContext"),
            "common_tls_context": common(files),
            "require_client_certificate": true,
            "disable_stateless_session_resumption": true,
            "disable_stateful_session_resumption": true,
        },
    });
    bootstrap("ingress", listen, Some(socket), connect, None)
}

fn common(files: &Files) -> Value {
    json!({
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_3",
            "tls_maximum_protocol_version": "TLSv1_3",
            "ecdh_curves": CURVES,
        },
        "tls_certificates": [{
            "certificate_chain": { "filename": files.chain },
            "private_key": { "filename": files.key },
        }],
        "validation_context": { "trusted_ca": { "filename": files.roots } },
    })
}

fn bootstrap(
    name: &str,
    listen: SocketAddr,
    downstream: Option<Value>,
    connect: SocketAddr,
    upstream: Option<Value>,
) -> Value {
    let proxy = json!({
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": { "@type": TCP_PROXY, "stat_prefix": name, "cluster": "next" },
    });
    let mut chain = json!({ "filters": [proxy] });
    if let Some(socket) = downstream {
        chain["transport_socket"] = socket;
    }
    let endpoint = json!({ "endpoint": { "address": address(connect) } });
    let mut cluster = json!({
        "name": "next",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": { "cluster_name": "next", "endpoints": [{ "lb_endpoints": [endpoint] }] },
        "circuit_breakers": { "thresholds": [{ "max_connections": 65536, "max_pending_requests": 65536 }] },
    });
    if let Some(socket) = upstream {
        cluster["transport_socket"] = socket;
    }
    let listener = json!({ "name": name, "address": address(listen), "filter_chains": [chain] });
    json!({
        "node": { "id": name, "cluster": "load" },
        "static_resources": { "listeners": [listener], "clusters": [cluster] },
    })
}

fn address(socket: SocketAddr) -> Value {
    json!({ "socket_address": { "address": socket.ip().to_string(), "port_value": socket.port() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        Files { chain: "/w/leaf.pem".into(), key: "/w/key.pem".into(), roots: "/w/roots.pem".into() }
    }

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn egress_is_plain_in_and_pinned_tls_out() {
        let all = egress(at(1), at(2), &files(), "spiffe://d/ns/default/dc/dc1/svc/api");
        let listener = &all["static_resources"]["listeners"][0];
        assert_eq!(listener["address"]["socket_address"]["port_value"], 1);
        assert!(listener["filter_chains"][0]["transport_socket"].is_null());
        let cluster = &all["static_resources"]["clusters"][0];
        let endpoint = &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
        assert_eq!(endpoint["address"]["socket_address"]["port_value"], 2);
        let tls = &cluster["transport_socket"]["typed_config"];
        assert_eq!(tls["max_session_keys"], 0);
        let names = &tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"];
        assert_eq!(names[0]["matcher"]["exact"], "spiffe://d/ns/default/dc/dc1/svc/api");
    }

    #[test]
    fn ingress_asks_for_a_certificate_and_resumes_nothing() {
        let all = ingress(at(3), at(4), &files());
        assert!(all["static_resources"]["clusters"][0]["transport_socket"].is_null());
        let chain = &all["static_resources"]["listeners"][0]["filter_chains"][0];
        assert_eq!(chain["filters"][0]["typed_config"]["cluster"], "next");
        let tls = &chain["transport_socket"]["typed_config"];
        for key in [
            "require_client_certificate",
            "disable_stateless_session_resumption",
            "disable_stateful_session_resumption",
        ] {
            assert_eq!(tls[key], true, "{key}");
        }
        let context = &tls["common_tls_context"];
        assert_eq!(context["tls_params"]["tls_minimum_protocol_version"], "TLSv1_3");
        assert_eq!(context["tls_certificates"][0]["private_key"]["filename"], "/w/key.pem");
        assert_eq!(context["validation_context"]["trusted_ca"]["filename"], "/w/roots.pem");
    }
}
