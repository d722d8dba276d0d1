//! Pieces of Envoy's configuration that several places need.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Map, Value, json};

pub(super) fn socket_address(address: SocketAddr) -> Value {
    host_address(address.ip(), address.port())
}

pub(super) fn host_address(ip: IpAddr, port: u16) -> Value {
    json!({ "socket_address": { "address": ip.to_string(), "port_value": port } })
}

/// A cluster with one fixed endpoint.
pub(super) fn static_cluster(
    name: &str,
    timeout: &str,
    protocol: &str,
    address: Value,
) -> Map<String, Value> {
    const PROTOCOLS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let endpoint = json!({ "endpoint": { "address": address } });
    let cluster = json!({
        "name": name,
        "ignore_health_on_host_removal": false,
        "connect_timeout": timeout,
        "type": "STATIC",
        "typed_extension_protocol_options": {
            PROTOCOLS: {
                "@type": format!("type.googleapis.com/{PROTOCOLS}"),
                "explicit_http_config": { protocol: {} },
            },
        },
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint] }] },
    });
    match cluster {
        Value::Object(cluster) => cluster,
        _ => Map::new(),
    }
}
