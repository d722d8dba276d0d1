//! What comes from the mesh: protocols, intentions, tokens, the `mesh` entry.

use serde_json::{Value, json};

use crate::oracle::scenario::{
    Call, Scenario, calling, configured, entry, intentions, protocol, scenario, web,
};

pub(super) fn all() -> Vec<Scenario> {
    [connections(), requests(), tokens(), mesh()].into_iter().flatten().collect()
}

fn plain() -> Call {
    calling(json!([]))
}

fn connections() -> Vec<Scenario> {
    let source = |name: &str, action: &str| json!({ "Name": name, "Action": action });
    let with = |name: &'static str, sources: Value| scenario(name, [intentions(sources), plain()]);
    vec![
        scenario("tcp, nothing said", [plain()]),
        scenario("tcp, nothing said, default deny", [plain()]).denying(),
        with("tcp, deny", json!([source("api", "deny")])),
        with("tcp, allow", json!([source("api", "allow")])),
        with("tcp, allow, default deny", json!([source("api", "allow")])).denying(),
        with("tcp, deny all but one", json!([source("api", "allow"), source("*", "deny")])),
        with("tcp, deny all but one, default deny", json!([source("api", "allow"), source("*", "deny")]))
            .denying(),
        with(
            "tcp, allow all but two, default deny",
            json!([source("a.b", "deny"), source("c", "deny"), source("*", "allow")]),
        )
        .denying(),
        scenario(
            "tcp, wildcard destination",
            [
                entry("service-intentions", "*", json!({ "Sources": [source("*", "deny")] })),
                intentions(json!([source("api", "allow")])),
                plain(),
            ],
        ),
    ]
}

fn speaking(name: &'static str, speaks: &str, sources: Value) -> Scenario {
    let said = sources.as_array().is_some_and(|all| !all.is_empty());
    let mut calls = vec![protocol("web", speaks)];
    calls.extend(said.then(|| intentions(sources)));
    calls.push(plain());
    scenario(name, calls)
}

fn requests() -> Vec<Scenario> {
    let allow = |http: Value| json!({ "Action": "allow", "HTTP": http });
    let deny = |http: Value| json!({ "Action": "deny", "HTTP": http });
    let of = |name: &str, permissions: Value| json!([{ "Name": name, "Permissions": permissions }]);
    let header = |rest: Value| json!({ "Header": [rest] });
    vec![
        speaking("http, nothing said", "http", json!([])),
        speaking("http, nothing said, default deny", "http", json!([])).denying(),
        speaking("http2, nothing said", "http2", json!([])),
        speaking("grpc, nothing said", "grpc", json!([])),
        speaking("http, deny", "http", json!([{ "Name": "api", "Action": "deny" }])),
        speaking("http, allow, default deny", "http", json!([{ "Name": "api", "Action": "allow" }]))
            .denying(),
        speaking(
            "http, paths",
            "http",
            of(
                "api",
                json!([
                    deny(json!({ "PathExact": "/secret" })),
                    allow(json!({ "PathPrefix": "/public" })),
                    allow(json!({ "PathRegex": "/v[0-9]/.*", "Methods": ["GET", "HEAD"] })),
                    deny(json!({ "PathPrefix": "/" })),
                ]),
            ),
        ),
        speaking(
            "http, headers",
            "http",
            of(
                "api",
                json!([
                    allow(header(json!({ "Name": "x-a", "Present": true }))),
                    allow(header(json!({ "Name": "x-b", "Exact": "1" }))),
                    deny(header(json!({ "Name": "x-c", "Prefix": "p" }))),
                    deny(header(json!({ "Name": "x-d", "Suffix": "s" }))),
                    allow(header(json!({ "Name": "x-e", "Regex": "r.*", "Invert": true }))),
                ]),
            ),
        ),
        speaking(
            "http, paths, default deny",
            "http",
            of("*", json!([allow(json!({ "PathPrefix": "/public" }))])),
        )
        .denying(),
        speaking(
            "grpc, paths, default deny",
            "grpc",
            of("api", json!([allow(json!({ "PathExact": "/p.S/M" }))])),
        )
        .denying(),
    ]
}

fn tokens() -> Vec<Scenario> {
    // One symmetric key: without any that it can use, Envoy refuses the listener.
    let keys = "eyJrZXlzIjpbeyJrdHkiOiJvY3QiLCJhbGciOiJIUzI1NiIsImtpZCI6ImsiLCJrIjoiTURFeU16UTFOamM0T1dGaVkyUmxaakF4TWpNME5UWTNPRGxoWW1Oa1pXWSJ9XX0=";
    let provider = |name: &str, rest: Value| {
        let mut own = json!({ "Issuer": format!("https://{name}.example") });
        own.as_object_mut()
            .into_iter()
            .for_each(|map| map.extend(rest.as_object().cloned().unwrap_or_default()));
        entry("jwt-provider", name, own)
    };
    let local = json!({ "JSONWebKeySet": { "Local": { "JWKS": keys } } });
    let remote = json!({ "Audiences": ["mesh"], "ClockSkewSeconds": 20, "CacheConfig": { "Size": 20 },
        "Locations": [{ "Header": { "Name": "x-token", "ValuePrefix": "Token ", "Forward": true } },
            { "QueryParam": { "Name": "t" } }, { "Cookie": { "Name": "c" } }],
        "Forwarding": { "HeaderName": "x-payload", "PadForwardPayloadHeader": true },
        "JSONWebKeySet": { "Remote": { "URI": "http://localhost:9/jwks", "RequestTimeoutMs": 1500, 
            "FetchAsynchronously": true, "RetryPolicy": { "NumRetries": 3 },
            "JWKSCluster": { "DiscoveryType": "STRICT_DNS", "ConnectTimeout": "7s" } } } });
    let claims =
        json!({ "Providers": [{ "Name": "one", "VerifyClaims": [{ "Path": ["a", "b"], "Value": "c" }] }] });
    let demanded = entry(
        "service-intentions",
        "web",
        json!({ "JWT": { "Providers": [{ "Name": "one" }] },
        "Sources": [{ "Name": "api", "Action": "allow" }] }),
    );
    let permitted = intentions(json!([{ "Name": "api", "Permissions": [
        { "Action": "allow", "HTTP": { "PathPrefix": "/" }, "JWT": claims }] }]));
    vec![
        scenario(
            "jwt of an entry",
            [protocol("web", "http"), provider("one", local.clone()), demanded.clone(), plain()],
        )
        .denying(),
        scenario(
            "jwt of a permission",
            [protocol("web", "http"), provider("one", local), permitted, plain()],
        )
        .denying(),
        scenario(
            "jwt, keys from a server",
            [protocol("web", "http"), provider("one", remote), demanded, plain()],
        )
        .denying(),
    ]
}

fn mesh() -> Vec<Scenario> {
    let with = |name: &'static str, said: Value| {
        scenario(name, [protocol("web", "http"), entry("mesh", "mesh", said), plain()])
    };
    let incoming = |said: Value| json!({ "HTTP": { "Incoming": { "RequestNormalization": said } } });
    vec![
        with(
            "mesh, TLS",
            json!({ "TLS": { "Incoming": { "TLSMinVersion": "TLSv1_2", "TLSMaxVersion": "TLSv1_2",
                "CipherSuites": ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"] },
            "Outgoing": { "TLSMaxVersion": "TLSv1_2" } } }),
        ),
        with(
            "mesh, no certificates for services",
            json!({ "HTTP": { "SanitizeXForwardedClientCert": true } }),
        ),
        with(
            "mesh, all normal",
            incoming(json!({ "MergeSlashes": true, "PathWithEscapedSlashesAction": "UNESCAPE_AND_FORWARD",
            "HeadersWithUnderscoresAction": "DROP_HEADER" })),
        ),
        with(
            "mesh, nothing normal",
            incoming(json!({ "InsecureDisablePathNormalization": true,
            "PathWithEscapedSlashesAction": "REJECT_REQUEST", "HeadersWithUnderscoresAction": "REJECT_REQUEST" })),
        ),
        scenario(
            "mesh, TLS to upstreams",
            [
                entry(
                    "mesh",
                    "mesh",
                    json!({ "TLS": { "Outgoing": { "TLSMinVersion": "TLSv1_2", "TLSMaxVersion": "TLSv1_2",
                "CipherSuites": ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"] } } }),
                ),
                super::super::scenario::instance("api", 1, json!({})),
                super::super::scenario::calling_api(),
            ],
        ),
        scenario(
            "limits of the proxy, http",
            [
                protocol("web", "http"),
                configured(json!({
            "local_connect_timeout_ms": 7000, "local_request_timeout_ms": 9000, "local_idle_timeout_ms": 11000,
            "max_inbound_connections": 55, "balance_inbound_connections": "exact_balance" })),
            ],
        ),
        scenario(
            "limits of the proxy, tcp",
            [configured(json!({
            "local_connect_timeout_ms": 7000, "max_inbound_connections": 55, "local_idle_timeout_ms": 11000 }))],
        ),
        scenario(
            "limits of the service's entry",
            [
                entry(
                    "service-defaults",
                    "web",
                    json!({ "Protocol": "http",
            "MaxInboundConnections": 12, "LocalConnectTimeoutMs": 1000, "LocalRequestTimeoutMs": 2000,
            "BalanceInboundConnections": "exact_balance", "MutualTLSMode": "" }),
                ),
                plain(),
            ],
        ),
        scenario(
            "service at another address",
            [web(json!({ "Port": 21000, "Address": "127.0.0.2",
            "Proxy": { "LocalServiceAddress": "127.0.0.3", "LocalServicePort": 99 } }))],
        ),
        scenario(
            "service at a socket",
            [web(json!({ "Port": 21000, "Proxy": { "LocalServiceSocketPath": "/tmp/none.sock" } }))],
        ),
        scenario(
            "bind address",
            [web(json!({ "Port": 21000,
            "Proxy": { "Config": { "bind_address": "127.0.0.4", "bind_port": 21001 } } }))],
        ),
    ]
}
