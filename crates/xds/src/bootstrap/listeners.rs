//! Envoy's own listeners: what it serves about itself, to whoever may not reach its admin interface.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use super::error::BootstrapError;
use super::input::{Authorities, Bootstrap, PrometheusTls};
use super::pieces::{host_address, socket_address, static_cluster};
use super::settings::{PROMETHEUS_BIND, STATS_BIND};

/// Static resources besides the cluster of the agent.
#[derive(Debug)]
pub(super) struct Resources {
    pub(super) clusters: Vec<Value>,
    pub(super) listeners: Vec<Value>,
    pub(super) secrets: Vec<Value>,
}

const SELF_ADMIN: &str = "self_admin";
const BACKEND: &str = "prometheus_backend";
const CERTIFICATE: &str = "prometheus_cert";
const VALIDATION: &str = "prometheus_validation_context";

/// One listener: which requests it passes on, and to what.
struct Passing<'a> {
    /// What its name and its metrics begin with.
    name: &'a str,
    bind: SocketAddr,
    /// `path` or `prefix`, and its value.
    matching: (&'a str, &'a str),
    /// The path that the request has then.
    rewrite: &'a str,
    cluster: &'a str,
    tls: bool,
}

/// The listeners that are asked for, with their clusters and secrets, behind those of the settings.
pub(super) fn resources(own: &Bootstrap) -> Result<Resources, BootstrapError> {
    let settings = &own.settings;
    let (clusters, listeners) = (settings.static_clusters.clone(), settings.static_listeners.clone());
    let mut all = Resources { clusters, listeners, secrets: Vec::new() };
    if let Some(bind) = bound(PROMETHEUS_BIND, settings.prometheus_bind.as_deref())? {
        let tls = own.prometheus.tls.as_ref();
        let cluster = match own.prometheus.backend_port {
            Some(port) => backend(&mut all, own, port),
            None => self_admin(&mut all, own),
        };
        let matching = ("path", own.prometheus.scrape_path.as_str());
        let (name, rewrite) = ("envoy_prometheus_metrics", "/stats/prometheus");
        all.listeners.push(listener(&Passing { name, bind, matching, rewrite, cluster, tls: tls.is_some() }));
        all.secrets.extend(tls.map(secrets).into_iter().flatten());
    }
    let stats = bound(STATS_BIND, settings.stats_bind.as_deref())?;
    for (name, bind, matching) in
        [("envoy_metrics", stats, ("prefix", "/stats")), ("envoy_ready", own.ready, ("path", "/ready"))]
    {
        let Some(bind) = bind else { continue };
        let (cluster, rewrite) = (self_admin(&mut all, own), matching.1);
        all.listeners.push(listener(&Passing { name, bind, matching, rewrite, cluster, tls: false }));
    }
    Ok(all)
}

fn bound(key: &'static str, text: Option<&str>) -> Result<Option<SocketAddr>, BootstrapError> {
    let wrong = |text: &str| {
        BootstrapError::setting(key, format!("{text:?} is not <ip>:<port>, such as 0.0.0.0:20200"))
    };
    text.map(|text| text.parse().map_err(|_| wrong(text))).transpose()
}

fn self_admin(all: &mut Resources, own: &Bootstrap) -> &'static str {
    // An interface that is bound to all addresses is reached at loopback.
    let ip = own.admin.bind.ip();
    let ip = if ip.is_unspecified() { loopback(ip) } else { ip };
    cluster(all, SELF_ADMIN, host_address(ip, own.admin.bind.port()))
}

fn loopback(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
    }
}

fn backend(all: &mut Resources, own: &Bootstrap, port: u16) -> &'static str {
    let ip = own.admin.bind.ip();
    let ip = if ip.is_unspecified() { loopback(ip) } else { ip };
    cluster(all, BACKEND, host_address(ip, port))
}

/// Adds a cluster, unless there is one of that name: Envoy refuses a second one.
fn cluster(all: &mut Resources, name: &'static str, address: Value) -> &'static str {
    if !all.clusters.iter().any(|cluster| cluster["name"] == name) {
        all.clusters.push(Value::Object(static_cluster(name, "5s", "http_protocol_options", address)));
    }
    name
}

fn listener(own: &Passing<'_>) -> Value {
    let (kind, value) = own.matching;
    let routes = json!([
        { "match": { kind: value }, "route": { "cluster": own.cluster, "prefix_rewrite": own.rewrite } },
        { "match": { "prefix": "/" }, "direct_response": { "status": 404 } },
    ]);
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": own.name,
        "codec_type": "HTTP1",
        "route_config": {
            "name": "self_admin_route",
            "virtual_hosts": [{ "name": SELF_ADMIN, "domains": ["*"], "routes": routes }],
        },
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
        }],
    });
    let mut chain = json!({
        "filters": [{ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager }],
    });
    if own.tls {
        chain["transport_socket"] = downstream_tls();
    }
    json!({
        "name": format!("{}_listener", own.name),
        "address": socket_address(own.bind),
        "filter_chains": [chain],
    })
}

/// TLS by the secrets below. As in Consul, a caller's certificate is checked if it shows one.
fn downstream_tls() -> Value {
    json!({
        "name": "tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": false,
            "common_tls_context": {
                "tls_certificate_sds_secret_configs": [{ "name": CERTIFICATE }],
                "validation_context_sds_secret_config": { "name": VALIDATION },
            },
        },
    })
}

fn secrets(tls: &PrometheusTls) -> [Value; 2] {
    let trusted = match &tls.authorities {
        Authorities::File(path) => json!({ "filename": path }),
        Authorities::Inline(pem) => json!({ "inline_string": pem }),
    };
    let file = |path: &str| json!({ "filename": path });
    [
        json!({
            "name": CERTIFICATE,
            "tls_certificate": {
                "certificate_chain": file(&tls.cert_file),
                "private_key": file(&tls.key_file),
            },
        }),
        json!({ "name": VALIDATION, "validation_context": { "trusted_ca": trusted } }),
    ]
}
