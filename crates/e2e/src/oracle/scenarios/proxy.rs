//! The proxy itself: its bootstrap, its logs, and what replaces what it is given.

use serde_json::{Value, json};

use crate::oracle::scenario::{
    Scenario, all_speak, calling, calling_api, configured, entry, instance, protocol, scenario, upstream, web,
};

pub(super) fn all() -> Vec<Scenario> {
    [bootstrap(), logs(), exposed(), hatches()].into_iter().flatten().collect()
}

fn bootstrap() -> Vec<Scenario> {
    vec![
        scenario("bootstrap", [calling(json!([]))]),
        scenario("bootstrap without old tags", [calling(json!([]))]).with(&["-omit-deprecated-tags"]),
        scenario(
            "bootstrap, statistics",
            [configured(json!({ "envoy_stats_tags": ["a=b", "c"], "envoy_stats_flush_interval": "10s",
            "envoy_statsd_url": "udp://127.0.0.1:8125", "envoy_prometheus_bind_addr": "127.0.0.1:20201",
            "envoy_stats_bind_addr": "127.0.0.1:20200" }))],
        ),
        scenario(
            "bootstrap, dogstatsd",
            [configured(json!({ "envoy_dogstatsd_url": "udp://127.0.0.1:8126" }))],
        ),
        scenario(
            "bootstrap, more of everything",
            [configured(json!({
            "envoy_extra_static_clusters_json": json!({ "name": "more", "type": "STATIC", "connect_timeout": "1s" }).to_string(),
            "envoy_stats_config_json": json!({ "use_all_default_tags": false }).to_string() }))],
        ),
        scenario("bootstrap, ready", [calling(json!([]))]).with(&[
            "-envoy-ready-bind-address",
            "127.0.0.1",
            "-envoy-ready-bind-port",
            "20202",
        ]),
        scenario(
            "bootstrap of the defaults",
            [
                entry(
                    "proxy-defaults",
                    "global",
                    json!({ "Config": { "envoy_stats_tags": ["of=defaults"] } }),
                ),
                calling(json!([])),
            ],
        ),
    ]
}

fn logs() -> Vec<Scenario> {
    let with = |name: &'static str, logs: Value| {
        scenario(
            name,
            [
                entry(
                    "proxy-defaults",
                    "global",
                    json!({ "Config": { "protocol": "http" }, "AccessLogs": logs }),
                ),
                instance("api", 1, json!({})),
                calling_api(),
            ],
        )
    };
    vec![
        with("access logs", json!({ "Enabled": true })),
        with(
            "access logs in a file",
            json!({ "Enabled": true, "Type": "file", "Path": "/dev/null",
            "DisableListenerLogs": true, "TextFormat": "%START_TIME%" }),
        ),
        with(
            "access logs on stderr",
            json!({ "Enabled": true, "Type": "stderr", "JSONFormat": "{\"a\":\"%PROTOCOL%\"}" }),
        ),
    ]
}

fn exposed() -> Vec<Scenario> {
    let paths = json!([{ "Path": "/health", "LocalPathPort": 8080, "ListenerPort": 21500 },
        { "Path": "/grpc", "LocalPathPort": 8081, "ListenerPort": 21501, "Protocol": "http2" }]);
    vec![scenario(
        "exposed paths",
        [protocol("web", "http"), web(json!({ "Port": 21000, "Proxy": { "Expose": { "Paths": paths } } }))],
    )]
}

fn hatches() -> Vec<Scenario> {
    let cluster = json!({ "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": "api.default.dc1.internal.11111111-2222-3333-4444-555555555555.consul",
        "connect_timeout": "3s", "type": "STATIC" })
    .to_string();
    let local = json!({ "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "local_app",
        "connect_timeout": "3s", "type": "STATIC" })
    .to_string();
    let tracing = json!({ "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing",
        "random_sampling": { "value": 10.0 } }).to_string();
    let carry = |port: u16| {
        json!({ "@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": "mine",
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
        "filter_chains": [{ "filters": [{ "name": "envoy.filters.network.tcp_proxy", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": "mine", "cluster": "local_app" } }] }] })
        .to_string()
    };
    let sni = entry("service-defaults", "api", json!({ "Protocol": "tcp", "ExternalSNI": "other.example" }));
    vec![
        scenario(
            "hatch, cluster of an upstream",
            [
                instance("api", 1, json!({})),
                calling(json!([upstream("api", 9191, json!({ "envoy_cluster_json": cluster }))])),
            ],
        ),
        scenario(
            "hatch, listener of an upstream",
            [
                instance("api", 1, json!({})),
                calling(json!([upstream("api", 9191, json!({ "envoy_listener_json": carry(9191) }))])),
            ],
        ),
        scenario("hatch, local cluster", [configured(json!({ "envoy_local_cluster_json": local }))]),
        scenario(
            "hatch, public listener",
            [configured(json!({ "envoy_public_listener_json": carry(21000) }))],
        ),
        scenario(
            "hatch, tracing",
            [
                all_speak("http"),
                instance("api", 1, json!({})),
                web(json!({ "Port": 21000, "Proxy": {
            "Config": { "envoy_listener_tracing_json": tracing }, "Upstreams": [upstream("api", 9191, json!({}))] } })),
            ],
        ),
        scenario("external SNI", [sni, instance("api", 1, json!({})), calling_api()]),
    ]
}
