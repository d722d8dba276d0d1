//! Where requests go: routers, splitters, resolvers.

use serde_json::{Value, json};

use crate::oracle::scenario::{Call, Scenario, chain, entry, protocol};

pub(super) fn all() -> Vec<Scenario> {
    [plain(), routers(), splitters(), resolvers(), failovers(), balancers()].into_iter().flatten().collect()
}

fn resolver(rest: Value) -> Call {
    entry("service-resolver", "api", rest)
}

fn subsets() -> Value {
    json!({ "v1": { "Filter": "Service.Meta.v == 1" }, "v2": { "Filter": "Service.Meta.v == 2", "OnlyPassing": true } })
}

fn plain() -> Vec<Scenario> {
    vec![
        chain("upstream, tcp", "tcp", []),
        chain("upstream, http", "http", []),
        chain("upstream, http2", "http2", []),
        chain("upstream, grpc", "grpc", []),
    ]
}

fn routers() -> Vec<Scenario> {
    let route = |http: Value, to: Value| json!({ "Match": { "HTTP": http }, "Destination": to });
    let with = |name: &'static str, routes: Value| {
        chain(name, "http", [entry("service-router", "api", json!({ "Routes": routes }))])
    };
    let db = || json!({ "Service": "db" });
    let header = |rest: Value| json!({ "PathPrefix": "/", "Header": [rest] });
    vec![
        with(
            "router, paths",
            json!([
                route(json!({ "PathExact": "/exact" }), db()),
                route(json!({ "PathPrefix": "/prefix" }), db()),
                route(json!({ "PathRegex": "/re.*" }), db()),
                route(json!({ "PathPrefix": "/Fold", "CaseInsensitive": true }), db())
            ]),
        ),
        with(
            "router, headers",
            json!([
                route(header(json!({ "Name": "x", "Present": true })), db()),
                route(header(json!({ "Name": "x", "Exact": "a" })), db()),
                route(header(json!({ "Name": "x", "Prefix": "a" })), db()),
                route(header(json!({ "Name": "x", "Suffix": "a", "Invert": true })), db()),
                route(header(json!({ "Name": "x", "Regex": "a.*" })), db())
            ]),
        ),
        with(
            "router, parameters and methods",
            json!([
                route(json!({ "QueryParam": [{ "Name": "p", "Present": true }] }), db()),
                route(json!({ "QueryParam": [{ "Name": "p", "Exact": "1" }] }), db()),
                route(json!({ "QueryParam": [{ "Name": "p", "Regex": "1.*" }] }), db()),
                route(json!({ "Methods": ["GET", "PUT"] }), db())
            ]),
        ),
        with(
            "router, rewrites",
            json!([
                route(json!({ "PathPrefix": "/a" }), json!({ "Service": "db", "PrefixRewrite": "/b" })),
                route(json!({ "PathPrefix": "/c/" }), json!({ "Service": "db", "PrefixRewrite": "/" })),
                route(json!({ "PathPrefix": "/d" }), json!({ "Service": "db", "PrefixRewrite": "/" })),
                route(json!({ "PathExact": "/e" }), json!({ "Service": "db", "PrefixRewrite": "/f" }))
            ]),
        ),
        with(
            "router, time and retries",
            json!([
                route(
                    json!({ "PathPrefix": "/t" }),
                    json!({ "Service": "db", "RequestTimeout": "3s", "IdleTimeout": "4s" })
                ),
                route(
                    json!({ "PathPrefix": "/none" }),
                    json!({ "Service": "db", "RequestTimeout": "-1s", "IdleTimeout": "-1s" })
                ),
                route(
                    json!({ "PathPrefix": "/r" }),
                    json!({ "Service": "db", "NumRetries": 4, "RetryOnConnectFailure": true })
                ),
                route(
                    json!({ "PathPrefix": "/s" }),
                    json!({ "Service": "db", "RetryOnStatusCodes": [502, 503] })
                ),
                route(
                    json!({ "PathPrefix": "/o" }),
                    json!({ "Service": "db", "RetryOn": ["5xx", "reset"], "NumRetries": 2,
                "RetryOnConnectFailure": true, "RetryOnStatusCodes": [500] })
                )
            ]),
        ),
        with(
            "router, changed headers",
            json!([route(
                json!({ "PathPrefix": "/h" }),
                json!({ "Service": "db",
            "RequestHeaders": { "Add": { "x-a": "1" }, "Set": { "x-b": "2" }, "Remove": ["x-c"] },
            "ResponseHeaders": { "Add": { "x-d": "1" }, "Set": { "x-e": "2" }, "Remove": ["x-f"] } })
            )]),
        ),
        chain(
            "router to a subset",
            "http",
            [
                resolver(json!({ "Subsets": subsets() })),
                entry(
                    "service-router",
                    "api",
                    json!({ "Routes": [route(json!({ "PathPrefix": "/v2" }), json!({ "ServiceSubset": "v2" }))] }),
                ),
            ],
        ),
    ]
}

fn splitters() -> Vec<Scenario> {
    let with = |name: &'static str, splits: Value| {
        chain(
            name,
            "http",
            [
                resolver(json!({ "DefaultSubset": "v1", "Subsets": subsets() })),
                entry("service-splitter", "api", json!({ "Splits": splits })),
            ],
        )
    };
    vec![
        with(
            "splitter",
            json!([{ "Weight": 90.5, "ServiceSubset": "v1" }, { "Weight": 9.5, "ServiceSubset": "v2" }]),
        ),
        with(
            "splitter, services and headers",
            json!([
            { "Weight": 50, "Service": "db", "RequestHeaders": { "Set": { "x-a": "1" } }, "ResponseHeaders": { "Remove": ["x-b"] } },
            { "Weight": 50, "ServiceSubset": "v2", "RequestHeaders": { "Add": { "x-a": "2" } } }]),
        ),
        chain(
            "router to a splitter",
            "http",
            [
                entry(
                    "service-splitter",
                    "db",
                    json!({ "Splits": [{ "Weight": 70, "Service": "db" }, { "Weight": 30, "Service": "cache" }] }),
                ),
                entry(
                    "service-router",
                    "api",
                    json!({ "Routes": [{ "Match": { "HTTP": { "PathPrefix": "/db" } },
                "Destination": { "Service": "db", "RequestTimeout": "3s" } }] }),
                ),
            ],
        ),
    ]
}

fn resolvers() -> Vec<Scenario> {
    let with = |name: &'static str, speaks: &str, rest: Value| chain(name, speaks, [resolver(rest)]);
    vec![
        with("resolver, default subset", "http", json!({ "DefaultSubset": "v1", "Subsets": subsets() })),
        with("resolver, default subset, tcp", "tcp", json!({ "DefaultSubset": "v2", "Subsets": subsets() })),
        with("resolver, times", "http", json!({ "ConnectTimeout": "8s", "RequestTimeout": "33s" })),
        with("resolver, time, tcp", "tcp", json!({ "ConnectTimeout": "8s" })),
        with("resolver, redirect", "http", json!({ "Redirect": { "Service": "db" } })),
        with("resolver, redirect, tcp", "tcp", json!({ "Redirect": { "Service": "db" } })),
        chain(
            "resolver, redirect to a subset",
            "http",
            [
                entry("service-resolver", "db", json!({ "Subsets": { "s": { "Filter": "" } } })),
                resolver(json!({ "Redirect": { "Service": "db", "ServiceSubset": "s" } })),
            ],
        ),
    ]
}

fn failovers() -> Vec<Scenario> {
    let with = |name: &'static str, speaks: &str, rest: Value| chain(name, speaks, [resolver(rest)]);
    vec![
        with("failover to a service", "http", json!({ "Failover": { "*": { "Service": "db" } } })),
        with("failover to a service, tcp", "tcp", json!({ "Failover": { "*": { "Service": "db" } } })),
        with(
            "failover to a subset",
            "http",
            json!({ "DefaultSubset": "v1", "Subsets": subsets(),
            "Failover": { "v1": { "ServiceSubset": "v2" } } }),
        ),
        with(
            "failover to targets",
            "http",
            json!({ "Failover": { "*": { "Targets": [{ "Service": "db" }, { "Service": "cache" }] } } }),
        ),
        chain(
            "failover in a split",
            "http",
            [
                entry("service-resolver", "db", json!({ "Failover": { "*": { "Service": "cache" } } })),
                entry(
                    "service-splitter",
                    "api",
                    json!({ "Splits": [{ "Weight": 50, "Service": "db" }, { "Weight": 50 }] }),
                ),
            ],
        ),
    ]
}

fn balancers() -> Vec<Scenario> {
    let with =
        |name: &'static str, rest: Value| chain(name, "http", [resolver(json!({ "LoadBalancer": rest }))]);
    vec![
        with(
            "balancer, least request",
            json!({ "Policy": "least_request", "LeastRequestConfig": { "ChoiceCount": 5 } }),
        ),
        with("balancer, round robin", json!({ "Policy": "round_robin" })),
        with("balancer, random", json!({ "Policy": "random" })),
        with(
            "balancer, maglev",
            json!({ "Policy": "maglev", "HashPolicies": [
            { "Field": "header", "FieldValue": "x-user", "Terminal": true }, { "SourceIP": true },
            { "Field": "query_parameter", "FieldValue": "u" }] }),
        ),
        with(
            "balancer, ring",
            json!({ "Policy": "ring_hash", "RingHashConfig": { "MinimumRingSize": 64, "MaximumRingSize": 256 },
            "HashPolicies": [
                { "Field": "cookie", "FieldValue": "c", "CookieConfig": { "TTL": "30s", "Path": "/p" } },
                { "Field": "cookie", "FieldValue": "d", "CookieConfig": { "Session": true } },
                { "Field": "cookie", "FieldValue": "e" }] }),
        ),
        chain(
            "balancer with a router",
            "http",
            [
                resolver(
                    json!({ "LoadBalancer": { "Policy": "maglev", "HashPolicies": [{ "Field": "header", "FieldValue": "x" }] } }),
                ),
                protocol("db", "http"),
                entry(
                    "service-router",
                    "api",
                    json!({ "Routes": [{ "Match": { "HTTP": { "PathPrefix": "/db" } }, "Destination": { "Service": "db" } }] }),
                ),
            ],
        ),
    ]
}
