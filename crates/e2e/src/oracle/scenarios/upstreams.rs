//! Upstreams and their settings, and the instances that they lead to.

use serde_json::{Value, json};

use crate::oracle::scenario::{
    Call, Scenario, all_speak, calling, calling_api, checked, entry, instance, scenario, two_of_api, upstream,
};

pub(super) fn all() -> Vec<Scenario> {
    [settings(), several(), instances()].into_iter().flatten().collect()
}

fn with(name: &'static str, speaks: &str, config: Value) -> Scenario {
    let api = calling(json!([upstream("api", 9191, config)]));
    scenario(name, [all_speak(speaks)].into_iter().chain(two_of_api()).chain([api]))
}

fn settings() -> Vec<Scenario> {
    let limits = json!({ "limits": { "max_connections": 5, "max_pending_requests": 6, "max_concurrent_requests": 7 } });
    let passive = json!({ "passive_health_check": { "interval": "22s", "max_failures": 4, "enforcing_consecutive_5xx": 99,
        "max_ejection_percent": 50, "base_ejection_time": "60s" } });
    let of_entry = entry(
        "service-defaults",
        "web",
        json!({ "UpstreamConfig": {
        "Defaults": { "ConnectTimeoutMs": 4000, "Limits": { "MaxConnections": 11 },
            "PassiveHealthCheck": { "Interval": 3_000_000_000u64, "MaxFailures": 9 } },
        "Overrides": [{ "Name": "api", "ConnectTimeoutMs": 3000, "Limits": { "MaxPendingRequests": 12 },
            "BalanceOutboundConnections": "exact_balance" }] } }),
    );
    let overrides = entry(
        "service-defaults",
        "web",
        json!({ "UpstreamConfig": {
        "Overrides": [{ "Name": "api", "Protocol": "http" }] } }),
    );
    vec![
        with("upstream, limits", "http", limits.clone()),
        with("upstream, limits, tcp", "tcp", limits),
        with("upstream, no limits at all", "http", json!({ "limits": { "max_connections": 0 } })),
        with("upstream, passive health checks", "http", passive),
        with("upstream, time to connect", "http", json!({ "connect_timeout_ms": 2500 })),
        with("upstream, balance", "http", json!({ "balance_outbound_connections": "exact_balance" })),
        with("upstream, another protocol", "tcp", json!({ "protocol": "http" })),
        scenario(
            "upstream, settings of entries",
            [of_entry].into_iter().chain(two_of_api()).chain([calling_api()]),
        ),
        scenario(
            "upstream, protocol of an entry",
            [overrides].into_iter().chain(two_of_api()).chain([calling_api()]),
        ),
        scenario(
            "upstream, mesh gateways",
            [
                all_speak("http"),
                entry(
                    "service-defaults",
                    "api",
                    json!({ "Protocol": "http",
            "MeshGateway": { "Mode": "local" } }),
                ),
            ]
            .into_iter()
            .chain(two_of_api())
            .chain([calling_api()]),
        ),
    ]
}

fn several() -> Vec<Scenario> {
    let several = |name: &'static str, upstreams: Value| {
        let more = [instance("db", 3, json!({})), calling(upstreams)];
        scenario(name, [all_speak("http")].into_iter().chain(two_of_api()).chain(more))
    };
    let socket = json!({ "DestinationName": "api", "LocalBindSocketPath": "/tmp/concord-oracle.sock", "LocalBindSocketMode": "0600" });
    let elsewhere =
        json!({ "DestinationName": "api", "LocalBindPort": 9191, "LocalBindAddress": "127.0.0.5" });
    let remote = json!({ "DestinationName": "api", "LocalBindPort": 9191, "Datacenter": "dc1" });
    vec![
        several("two upstreams", json!([upstream("api", 9191, json!({})), upstream("db", 9192, json!({}))])),
        several("an upstream nobody serves", json!([upstream("none", 9191, json!({}))])),
        several("upstream at a socket", json!([socket])),
        several("upstream at another address", json!([elsewhere])),
        several("upstream with its datacenter", json!([remote])),
    ]
}

fn instances() -> Vec<Scenario> {
    let of = |name: &'static str, all: Vec<Call>| {
        scenario(name, [all_speak("tcp")].into_iter().chain(all).chain([calling_api()]))
    };
    let weights = json!({ "Passing": 10, "Warning": 3 });
    let heavy = json!({ "Passing": 1000, "Warning": 1 });
    let light = json!({ "Passing": 1, "Warning": 0 });
    vec![
        of(
            "instances by health",
            vec![
                instance("api", 1, json!({})),
                checked("api", 2, json!({}), "warning", json!({})),
                checked("api", 3, json!({}), "critical", json!({})),
            ],
        ),
        of(
            "instances by weight",
            vec![
                checked("api", 1, json!({}), "passing", weights.clone()),
                checked("api", 2, json!({}), "warning", weights),
                checked("api", 3, json!({}), "passing", heavy),
                checked("api", 4, json!({}), "warning", light),
            ],
        ),
        of(
            "instances, only those that pass",
            vec![
                entry(
                    "service-resolver",
                    "api",
                    json!({ "DefaultSubset": "s", "Subsets": { "s": { "OnlyPassing": true } } }),
                ),
                instance("api", 1, json!({})),
                checked("api", 2, json!({}), "warning", json!({})),
            ],
        ),
    ]
}
