//! Requests about intentions, configuration entries and certificates.

use serde_json::{Value, json};

use super::names::{self, at, escape};
use super::request::Request;
use super::vary;
use crate::chance::Chance;

const PLAIN: &[&str] = &["web", "db", "web", "*"];
const SOURCES: &[&str] =
    &["default/web", "default/default/web", "a/b", "team/web", "", "Web", "peer:p/web", "*/web", "a b"];
const DESTINATIONS: &[&str] = &["default/db", "default/default/db", "a/b", "team/db", "", "*/*", "*/db"];

/// A name, which is usually one of a few shared names.
fn of(odd: &[&'static str], chance: &mut Chance) -> &'static str {
    let names = if chance.percent(80) { PLAIN } else { odd };
    names[chance.index(names.len())]
}

pub(super) fn any(chance: &mut Chance) -> Request {
    match chance.below(100) {
        0..14 => upsert(chance),
        14..18 => pair("GET", chance),
        18..22 => pair("DELETE", chance),
        22..28 => create(chance),
        28..31 => by_id("GET", chance),
        31..35 => {
            let intention = intention(chance);
            let members = odd_members(&intention);
            let (body, odd) = vary::body(intention, chance);
            by_id("PUT", chance).with_body(body).with_odd(members).with_odd(odd)
        }
        35..37 => by_id("DELETE", chance),
        37..43 => {
            let request = Request::new("GET", "/v1/connect/intentions", "/v1/connect/intentions");
            if chance.percent(50) { names::with_filter(request, names::INTENTION, chance) } else { request }
        }
        43..50 => matching(chance),
        50..57 => check(chance),
        57..65 => entry(chance),
        65..71 => defaults(chance),
        71..78 => of_entry(chance),
        78..80 => certificates(chance),
        80..88 => at("GET", "/v1/agent/connect/ca/leaf/:service", chance),
        88..92 => configuration(chance),
        _ => authorize(chance),
    }
}

fn pair(method: &'static str, chance: &mut Chance) -> Request {
    let (source, destination) = (of(SOURCES, chance), of(DESTINATIONS, chance));
    let query = format!("source={}&destination={}", escape(source), escape(destination));
    let request = Request::new(method, "/v1/connect/intentions/exact", "/v1/connect/intentions/exact");
    if chance.percent(4) {
        return request.with_query(&format!("source={}", escape(source))).with_odd("without destination");
    }
    request.with_query(&query).with_odd(odd_pair(source, destination))
}

fn odd_pair(source: &str, destination: &str) -> String {
    let odd = |name: &str| !PLAIN.contains(&name);
    match (odd(source), odd(destination)) {
        (false, false) => String::new(),
        (true, false) => format!("from {source:?}"),
        (false, true) => format!("to {destination:?}"),
        (true, true) => format!("{source:?} to {destination:?}"),
    }
}

fn permissions() -> Value {
    json!([{ "Action": "allow", "HTTP": { "PathPrefix": "/a", "Methods": ["GET"], "Header": [{ "Name": "x", "Exact": "y" }] } }])
}

/// Describes a body which has permissions or which names a namespace or a partition.
fn odd_members(body: &Value) -> String {
    let text = body.to_string();
    let has = |keys: &[&str]| keys.iter().any(|key| text.contains(&format!("\"{key}\"")));
    let permits = has(&["Permissions"]).then_some("with permissions");
    let tenancy = has(&["Namespace", "Partition", "SourceNS", "DestinationNS"]).then_some("with a tenancy");
    permits.into_iter().chain(tenancy).collect::<Vec<_>>().join(", ")
}

fn upsert(chance: &mut Chance) -> Request {
    let mut body = json!({ "Action": chance.one(&["allow", "deny", "allow", "deny", "allow", "nope"]), "Description": "d" });
    match chance.below(10) {
        0 => body["SourceType"] = json!("consul"),
        1 => body["Meta"] = json!({ "k": "v" }),
        2 => {
            body["Permissions"] = permissions();
            if chance.percent(70) {
                body.as_object_mut().expect("an object").remove("Action");
            }
        }
        3 => body["SourceName"] = json!("web"),
        4 => body["Precedence"] = json!(3),
        _ => {}
    }
    let members = odd_members(&body);
    let (body, odd) = vary::body(body, chance);
    pair("PUT", chance).with_body(body).with_odd(members).with_odd(odd)
}

fn intention(chance: &mut Chance) -> Value {
    let mut body = json!({
        "SourceName": of(SOURCES, chance), "DestinationName": of(DESTINATIONS, chance), "SourceType": "consul",
        "Action": chance.one(&["allow", "deny"]), "Description": "d",
    });
    match chance.below(6) {
        0 => body["Meta"] = json!({ "k": "v" }),
        1 => body["SourceNS"] = json!(chance.one(&["default", "other", "*"])),
        2 => body["Permissions"] = permissions(),
        3 => body["DestinationNS"] = json!("default"),
        _ => {}
    }
    body
}

fn create(chance: &mut Chance) -> Request {
    let intention = intention(chance);
    let odd_names = odd_pair(
        intention["SourceName"].as_str().unwrap_or_default(),
        intention["DestinationName"].as_str().unwrap_or_default(),
    );
    let members = odd_members(&intention);
    let (body, odd) = vary::body(intention, chance);
    Request::new("POST", "/v1/connect/intentions", "/v1/connect/intentions")
        .with_body(body)
        .with_odd(odd_names)
        .with_odd(members)
        .with_odd(odd)
}

fn by_id(method: &'static str, chance: &mut Chance) -> Request {
    let id = match chance.below(6) {
        0 => "x".to_owned(),
        1 => super::side::NO_ID.to_owned(),
        n => format!("{{intention:{n}}}"),
    };
    Request::new(method, "/v1/connect/intentions/:id", format!("/v1/connect/intentions/{id}"))
}

fn matching(chance: &mut Chance) -> Request {
    let by = *chance.one(&["source", "destination", "destination", "nope", ""]);
    let name = of(SOURCES, chance);
    let mut query = format!("by={by}&name={}", escape(name));
    if chance.percent(20) {
        query += "&name=db";
    }
    let odd = if ["source", "destination"].contains(&by) { String::new() } else { format!("by {by:?}") };
    Request::new("GET", "/v1/connect/intentions/match", "/v1/connect/intentions/match")
        .with_query(&query)
        .with_odd(odd)
        .with_odd(odd_pair(name, "*"))
}

fn check(chance: &mut Chance) -> Request {
    let (source, destination) = (of(SOURCES, chance), of(DESTINATIONS, chance));
    let query = format!("source={}&destination={}", escape(source), escape(destination));
    let request = Request::new("GET", "/v1/connect/intentions/check", "/v1/connect/intentions/check");
    let request = request.with_query(&query).with_odd(odd_pair(source, destination));
    if chance.percent(10) {
        request.with_query("source-type=nope").with_odd("source-type=nope")
    } else {
        request
    }
}

fn entry(chance: &mut Chance) -> Request {
    let source = |chance: &mut Chance| {
        let mut source = json!({ "Name": of(SOURCES, chance), "Action": chance.one(&["allow", "deny"]) });
        match chance.below(24) {
            0 => source["Type"] = json!("consul"),
            1 => source["Description"] = json!("d"),
            2 => source["Namespace"] = json!(chance.one(&["default", "other", "*"])),
            3 => source["Precedence"] = json!(9),
            4 => source["Partition"] = json!(chance.one(&["default", "other"])),
            5 => source["Peer"] = json!("p"),
            6 => {
                source["Permissions"] = permissions();
                source.as_object_mut().expect("an object").remove("Action");
            }
            _ => {}
        }
        source
    };
    let sources: Vec<Value> = (0..*chance.one(&[0, 1, 1, 1, 2, 2, 3])).map(|_| source(chance)).collect();
    let mut body = json!({
        "Kind": "service-intentions", "Name": chance.one(&["db", "web", "*", "a/b", "db", "db", "api"]), "Sources": sources,
    });
    match chance.below(20) {
        0 => body["Meta"] = json!({ "k": "v" }),
        1 => body["Namespace"] = json!(chance.one(&["default", "other"])),
        2 => body["Partition"] = json!(chance.one(&["default", "other"])),
        3 => body["Kind"] = json!("nope"),
        4 => body["JWT"] = json!({ "Providers": [{ "Name": "okta" }] }),
        _ => {}
    }
    let members = odd_members(&body);
    let (body, odd) = vary::body(body, chance);
    let request =
        Request::new("PUT", "/v1/config", "/v1/config").with_body(body).with_odd(members).with_odd(odd);
    match chance.below(20) {
        0 => request.with_query("cas=0").with_odd("cas=0"),
        1 => request.with_query("cas=999999").with_odd("cas=999999"),
        _ => request,
    }
}

/// An entry with defaults for a service, for all proxies, or for the whole mesh.
fn defaults(chance: &mut Chance) -> Request {
    let mut body = match chance.below(10) {
        0..6 => json!({ "Kind": "service-defaults", "Name": chance.one(&["db", "web", "api", "*", "a/b"]) }),
        6..8 => {
            json!({ "Kind": "proxy-defaults", "Name": chance.one(&["global", "global", "global", "other"]) })
        }
        _ => json!({ "Kind": "mesh" }),
    };
    let all = if body["Kind"] == "mesh" { MESH } else { DEFAULTS };
    for _ in 0..*chance.one(&[0, 1, 1, 2, 3]) {
        let (key, value) = chance.one(all);
        body[*key] = serde_json::from_str(value).expect("the table holds JSON");
    }
    match body["Kind"].as_str() {
        Some("service-defaults") if chance.percent(70) => {
            body["Protocol"] = json!(chance.one(&["http", "tcp", "grpc", "HTTP2", "", "udp"]));
        }
        Some("proxy-defaults") if chance.percent(50) => {
            body["Config"] =
                json!({ "protocol": chance.one(&["http", "tcp", "grpc"]), "x": { "b": 1, "a": [2] } });
        }
        _ => {}
    }
    let members = odd_members(&body);
    let (body, odd) = vary::body(body, chance);
    Request::new("PUT", "/v1/config", "/v1/config")
        .with_body(body)
        .with_odd("defaults")
        .with_odd(members)
        .with_odd(odd)
}

/// Fields of service and proxy defaults, with valid and invalid values.
const DEFAULTS: &[(&str, &str)] = &[
    ("Mode", r#""transparent""#),
    ("Mode", r#""nope""#),
    ("TransparentProxy", r#"{ "OutboundListenerPort": 15001, "DialedDirectly": true }"#),
    ("MutualTLSMode", r#""strict""#),
    ("MutualTLSMode", r#""permissive""#),
    ("MeshGateway", r#"{ "Mode": "local" }"#),
    (
        "Expose",
        r#"{ "Paths": [{ "Path": "/m", "ListenerPort": 21500, "LocalPathPort": 80, "Protocol": "http" }] }"#,
    ),
    ("Meta", r#"{ "k": "v" }"#),
    ("ExternalSNI", r#""x.example.com""#),
    ("LocalConnectTimeoutMs", "100"),
    ("LocalRequestTimeoutMs", "200"),
    ("BalanceInboundConnections", r#""exact_balance""#),
    ("BalanceInboundConnections", r#""nope""#),
    ("Destination", r#"{ "Addresses": ["192.0.2.1", "x.example.com"], "Port": 443 }"#),
    ("Destination", r#"{ "Addresses": ["*.example.com"], "Port": 443 }"#),
    ("UpstreamConfig", r#"{ "Defaults": { "ConnectTimeoutMs": 5, "MeshGateway": { "Mode": "remote" } } }"#),
    (
        "UpstreamConfig",
        r#"{ "Overrides": [{ "Name": "db", "Protocol": "http", "Limits": { "MaxConnections": 3 } }] }"#,
    ),
    ("UpstreamConfig", r#"{ "Overrides": [{ "Protocol": "http" }] }"#),
    (
        "UpstreamConfig",
        r#"{ "Defaults": { "PassiveHealthCheck": { "Interval": "10s", "MaxFailures": 3 } } }"#,
    ),
    ("UpstreamConfig", r#"{ "Defaults": { "PassiveHealthCheck": { "MaxEjectionPercent": 101 } } }"#),
    ("AccessLogs", r#"{ "Enabled": true, "Type": "file", "Path": "/x" }"#),
    ("AccessLogs", r#"{ "Enabled": true, "Path": "/x" }"#),
    ("AccessLogs", r#"{ "JSONFormat": "{}", "TextFormat": "x" }"#),
    ("Namespace", r#""default""#),
];

/// Fields of the mesh entry, with valid and invalid values.
const MESH: &[(&str, &str)] = &[
    ("AllowEnablingPermissiveMutualTLS", "true"),
    ("AllowEnablingPermissiveMutualTLS", "false"),
    ("ValidateClusters", "true"),
    ("TransparentProxy", r#"{ "MeshDestinationsOnly": false }"#),
    ("TLS", r#"{ "Incoming": { "TLSMinVersion": "TLSv1_1", "TLSMaxVersion": "TLSv1_2" } }"#),
    ("TLS", r#"{ "Outgoing": { "TLSMinVersion": "TLSv1_2", "TLSMaxVersion": "TLSv1_1" } }"#),
    ("TLS", r#"{ "Incoming": { "CipherSuites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"] } }"#),
    ("TLS", r#"{ "Incoming": { "CipherSuites": ["nope"] } }"#),
    ("HTTP", r#"{ "SanitizeXForwardedClientCert": false }"#),
    ("HTTP", r#"{ "Incoming": { "RequestNormalization": { "MergeSlashes": true } } }"#),
    ("HTTP", r#"{ "Incoming": { "RequestNormalization": { "PathWithEscapedSlashesAction": "nope" } } }"#),
    ("Peering", r#"{ "PeerThroughMeshGateways": true }"#),
    ("Meta", r#"{ "k": "v" }"#),
];

fn of_entry(chance: &mut Chance) -> Request {
    let kind = *chance.one(&[
        "service-intentions",
        "service-intentions",
        "service-intentions",
        "service-defaults",
        "service-defaults",
        "proxy-defaults",
        "mesh",
        "nope",
    ]);
    let usual = match kind {
        "proxy-defaults" => "global",
        "mesh" => "mesh",
        _ => "db",
    };
    let (name, odd) =
        if chance.percent(70) { (usual.to_owned(), String::new()) } else { names::segment(chance) };
    let request = match chance.below(6) {
        0 => Request::new("GET", "/v1/config/:kind", format!("/v1/config/{kind}")),
        1 => Request::new("DELETE", "/v1/config/:kind", format!("/v1/config/{kind}")),
        2 | 3 => Request::new("DELETE", "/v1/config/:kind/:name", format!("/v1/config/{kind}/{name}"))
            .with_odd(odd),
        _ => Request::new("GET", "/v1/config/:kind/:name", format!("/v1/config/{kind}/{name}")).with_odd(odd),
    };
    request.with_odd(if kind == "nope" { "kind nope" } else { "" })
}

fn certificates(chance: &mut Chance) -> Request {
    let path = *chance.one(&["/v1/connect/ca/roots", "/v1/agent/connect/ca/roots"]);
    let query = *chance.one(&["", "", "pem", "pem=true", "pem=x"]);
    let request = Request::new("GET", path, path).with_odd(query);
    if query.is_empty() { request } else { request.with_query(query) }
}

fn configuration(chance: &mut Chance) -> Request {
    let path = "/v1/connect/ca/configuration";
    if chance.percent(50) {
        return Request::new("GET", path, path);
    }
    // None of these changes the root.
    let body = json!({ "Provider": chance.one(&["consul", "consul", "nope", ""]), "Config": {
        "LeafCertTTL": chance.one(&["72h", "1h", "1s", "x"]), "IntermediateCertTTL": "8760h",
    } });
    let (body, odd) = vary::body(body, chance);
    Request::new("PUT", path, path).with_body(body).with_odd(odd)
}

fn authorize(chance: &mut Chance) -> Request {
    let path = "/v1/agent/connect/authorize";
    let uri = *chance.one(&[
        "spiffe://11111111-2222-3333-4444-555555555555.consul/ns/default/dc/dc1/svc/web",
        "spiffe://other.consul/ns/default/dc/dc1/svc/web",
        "spiffe://11111111-2222-3333-4444-555555555555.consul/ns/default/dc/dc2/svc/db",
        "spiffe://x/agent/client/dc/dc1/id/n1",
        "nope",
        "",
        "http://x/ns/default/dc/dc1/svc/web",
    ]);
    let body = json!({ "Target": chance.one(&["db", "web", "*", "", "a b"]), "ClientCertURI": uri, "ClientCertSerial": "1" });
    let (body, odd) = vary::body(body, chance);
    Request::new("POST", path, path).with_body(body).with_odd(uri).with_odd(odd)
}
