//! Requests about what is registered with the agent, and about the agent itself.

use serde_json::{Value, json};

use super::names::{self, at, name};
use super::request::Request;
use super::vary;
use crate::chance::Chance;

/// Few ids, so that requests often read or replace what an earlier request registered.
const IDS: &[&str] = &["web", "web-1", "db", "web-1-sidecar-proxy", "p1", "a/b"];
const CHECKS: &[&str] = &["c1", "c2", "c1", "service:web", "service:web-1", "a/b"];

/// Ids of checks which may belong to the node.
pub(super) const NODE_CHECKS: &[&str] = &["c1", "c2", "a/b", "check"];

pub(super) fn any(chance: &mut Chance) -> Request {
    match chance.below(100) {
        0..28 => register_service(chance),
        28..44 => register_check(chance),
        44..50 => by_id("PUT", "/v1/agent/service/deregister/:id", chance),
        50..54 => by_id("PUT", "/v1/agent/check/deregister/:id", chance),
        54..62 => {
            let kind = *chance.one(&["pass", "warn", "fail"]);
            let request = by_id("PUT", &format!("/v1/agent/check/{kind}/:id"), chance);
            if chance.percent(30) { request.with_query("note=seen") } else { request }
        }
        62..66 => {
            let status = *chance.one(&["passing", "warning", "critical", "Passing", "nope", ""]);
            let (body, odd) = vary::body(json!({ "Status": status, "Output": "seen" }), chance);
            by_id("PUT", "/v1/agent/check/update/:id", chance).with_body(body).with_odd(odd)
        }
        66..72 => listed("/v1/agent/services", names::SERVICE, chance),
        72..78 => listed("/v1/agent/checks", names::CHECK, chance),
        78..84 => by_id("GET", "/v1/agent/service/:id", chance),
        84..88 => formatted(by_id("GET", "/v1/agent/health/service/id/:id", chance), chance),
        88..92 => formatted(at("GET", "/v1/agent/health/service/name/:name", chance), chance),
        92..95 => {
            let enable = *chance.one(&[
                "enable=true",
                "enable=false",
                "",
                "enable=x",
                "enable",
                "enable=true&reason=r",
            ]);
            by_id("PUT", "/v1/agent/service/maintenance/:id", chance).with_query(enable).with_odd(enable)
        }
        95..97 => {
            let enable = *chance.one(&["enable=true", "enable=false", "", "enable=x", "enable=1&reason=r"]);
            Request::new("PUT", "/v1/agent/maintenance", "/v1/agent/maintenance")
                .with_query(enable)
                .with_odd(enable)
        }
        _ => itself(chance),
    }
}

fn itself(chance: &mut Chance) -> Request {
    match chance.below(4) {
        0 => listed("/v1/agent/members", names::MEMBER, chance),
        1 => Request::new("GET", "/v1/agent/self", "/v1/agent/self"),
        2 => Request::new("GET", "/v1/agent/version", "/v1/agent/version"),
        _ => {
            // No kind which would change the token that the agent uses.
            let kind = *chance.one(&["nope", "", "config_file_service_registration"]);
            let (body, odd) = vary::body(json!({ "Token": "" }), chance);
            Request::new("PUT", "/v1/agent/token/:kind", format!("/v1/agent/token/{kind}"))
                .with_body(body)
                .with_odd(kind)
                .with_odd(odd)
        }
    }
}

fn by_id(method: &'static str, pattern: &str, chance: &mut Chance) -> Request {
    if chance.percent(20) {
        return at(method, pattern, chance);
    }
    let (path, _) = pattern.rsplit_once('/').expect("a pattern is a path");
    let ids = if pattern.contains("/check/") { CHECKS } else { IDS };
    let id = *chance.one(ids);
    Request::new(method, pattern, format!("{path}/{id}"))
}

fn listed(path: &str, selectors: &[&str], chance: &mut Chance) -> Request {
    let request = Request::new("GET", path, path);
    if chance.percent(60) { names::with_filter(request, selectors, chance) } else { request }
}

fn formatted(request: Request, chance: &mut Chance) -> Request {
    if chance.percent(30) { request.with_query("format=text").with_odd("format=text") } else { request }
}

/// The definition of a check. Its first run comes at random within its interval, so that none runs during a test.
pub(super) fn check(chance: &mut Chance) -> Value {
    match chance.below(12) {
        0..4 => json!({ "TTL": "1h" }),
        4 => json!({ "TTL": "1h", "Status": "passing", "Notes": "n", "SuccessBeforePassing": 2 }),
        5 => json!({
            "HTTP": "http://127.0.0.1:1/health", "Interval": "1000h", "Timeout": "2s", "Method": "POST",
            "Header": { "X-A": ["b"] }, "Body": "x", "TLSSkipVerify": true, "TLSServerName": "s",
            "FailuresBeforeCritical": 3, "FailuresBeforeWarning": 1, "DeregisterCriticalServiceAfter": "90h",
            "DisableRedirects": true,
        }),
        6 => json!({ "TCP": "127.0.0.1:1", "Interval": "1000h", "Timeout": "1s", "TCPUseTLS": false }),
        7 => json!({ "GRPC": "127.0.0.1:1/web", "Interval": "1000h", "GRPCUseTLS": true }),
        // In -dev our agent runs this check within half a second, the other within 1000 hours. This must not matter.
        8 => json!({ "UDP": "127.0.0.1:1", "Interval": "1000h", "Status": "critical" }),
        9 => json!({ "H2PING": "127.0.0.1:1", "Interval": "1000h", "H2PingUseTLS": false }),
        10 => json!({ "AliasService": "db" }),
        _ => json!({ "Args": ["true"], "Interval": "1000h", "OutputMaxSize": 100 }),
    }
}

fn register_check(chance: &mut Chance) -> Request {
    let mut check = check(chance);
    let id = *chance.one(&["c1", "c2", "c1", "a/b"]);
    let body = check.as_object_mut().expect("an object");
    body.insert("Name".to_owned(), json!("check"));
    if chance.percent(70) {
        body.insert("ID".to_owned(), json!(id));
    }
    if chance.percent(30) {
        body.insert("ServiceID".to_owned(), json!(chance.one(&["web", "web-1", "nope", ""])));
    }
    // Rare, because an agent may take a minute to remove such a check.
    if chance.percent(2) {
        body.insert("AliasNode".to_owned(), json!("n1"));
    }
    let (body, odd) = vary::body(check, chance);
    Request::new("PUT", "/v1/agent/check/register", "/v1/agent/check/register").with_body(body).with_odd(odd)
}

fn register_service(chance: &mut Chance) -> Request {
    let (name, odd_name) = name(chance);
    let mut body = match chance.below(8) {
        0 | 1 => json!({ "Name": name, "Port": 80 }),
        2 => json!({
            "Name": name, "ID": "web-1", "Port": 80, "Address": "10.0.0.1", "Tags": ["blue", "red"],
            "Meta": { "v": "1" }, "EnableTagOverride": true, "Weights": { "Passing": 10, "Warning": 1 },
            "TaggedAddresses": { "lan": { "Address": "10.0.0.2", "Port": 81 }, "wan": { "Address": "1.2.3.4", "Port": 0 } },
            "Locality": { "Region": "r", "Zone": "z" },
        }),
        3 => json!({ "Name": name, "ID": "web-1", "Port": 80, "Connect": { "SidecarService": {} } }),
        4 => json!({
            "Name": name, "ID": "web-1", "Port": 80, "Connect": { "SidecarService": {
                "Port": 20000, "Tags": ["t"], "Proxy": {
                    "Upstreams": [{ "DestinationName": "db", "LocalBindPort": 9001, "Config": { "protocol": "tcp" } }],
                    "Config": { "a": 1 }, "LocalServiceAddress": "127.0.0.1",
                },
                "Checks": [{ "Name": "side", "TTL": "1h" }],
            } },
        }),
        5 => json!({ "Name": name, "Port": 80, "Connect": { "Native": true } }),
        6 => json!({
            "Name": name, "ID": "p1", "Kind": "connect-proxy", "Port": 21000, "Proxy": {
                "DestinationServiceName": "web", "DestinationServiceID": "web-1", "LocalServiceAddress": "127.0.0.1",
                "LocalServicePort": 80, "Mode": "direct", "MeshGateway": { "Mode": "local" },
                "Upstreams": [{ "DestinationType": "service", "DestinationName": "db",
                    "LocalBindAddress": "127.0.0.1",
                    "LocalBindPort": 9002, "MeshGateway": { "Mode": "remote" } }],
                "Expose": { "Checks": true, "Paths": [{ "Path": "/h", "LocalPathPort": 8080, "ListenerPort": 21500, "Protocol": "http" }] },
            },
        }),
        _ => {
            json!({ "Name": name, "ID": "g1", "Kind": chance.one(&["mesh-gateway", "terminating-gateway", "ingress-gateway", "api-gateway", "nope", "typical"]), "Port": 8443 })
        }
    };
    let fields = body.as_object_mut().expect("an object");
    match chance.below(10) {
        0..3 => drop(fields.insert("Check".to_owned(), check(chance))),
        3 => drop(fields.insert("Checks".to_owned(), json!([check(chance), check(chance)]))),
        4 => drop(fields.insert("Check".to_owned(), json!({ "CheckID": "c1", "Name": "own", "TTL": "1h" }))),
        _ => {}
    }
    let (body, odd) = vary::body(body, chance);
    let request = Request::new("PUT", "/v1/agent/service/register", "/v1/agent/service/register");
    request.with_body(body).with_odd(odd_name).with_odd(odd)
}
