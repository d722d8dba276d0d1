//! Requests about the catalog and health.

use serde_json::{Value, json};

use super::names::{self, at, name};
use super::request::Request;
use super::vary;
use crate::chance::Chance;

pub(super) fn any(chance: &mut Chance) -> Request {
    match chance.below(100) {
        0..24 => register(chance),
        24..32 => deregister(chance),
        32..38 => filtered("/v1/catalog/nodes", names::NODE, chance),
        38..44 => filtered("/v1/catalog/services", names::INSTANCE, chance),
        44..52 => named("/v1/catalog/service/:name", names::INSTANCE, chance),
        52..55 => named("/v1/catalog/connect/:name", names::INSTANCE, chance),
        55..59 => of_node("/v1/catalog/node/:node", names::SERVICE, chance),
        59..63 => of_node("/v1/catalog/node-services/:node", names::SERVICE, chance),
        63..65 => Request::new("GET", "/v1/catalog/datacenters", "/v1/catalog/datacenters"),
        65..75 => {
            let request = named("/v1/health/service/:service", names::ENTRY, chance);
            if chance.percent(20) { request.with_query("passing") } else { request }
        }
        75..79 => named("/v1/health/connect/:service", names::ENTRY, chance),
        79..85 => named("/v1/health/checks/:service", names::CHECK, chance),
        85..90 => of_node("/v1/health/node/:node", names::CHECK, chance),
        90..97 => {
            let state = *chance.one(&["any", "passing", "warning", "critical", "nope", "Any", "unknown"]);
            let request = Request::new("GET", "/v1/health/state/:state", format!("/v1/health/state/{state}"));
            with_filter(request, names::CHECK, chance)
        }
        97 => Request::new("GET", "/v1/status/leader", "/v1/status/leader"),
        _ => Request::new("GET", "/v1/status/peers", "/v1/status/peers"),
    }
}

fn with_filter(request: Request, selectors: &[&str], chance: &mut Chance) -> Request {
    if chance.percent(45) { names::with_filter(request, selectors, chance) } else { request }
}

fn filtered(path: &str, selectors: &[&str], chance: &mut Chance) -> Request {
    with_filter(Request::new("GET", path, path), selectors, chance)
}

fn named(pattern: &str, selectors: &[&str], chance: &mut Chance) -> Request {
    let request = at("GET", pattern, chance);
    let request = with_filter(request, selectors, chance);
    if chance.percent(10) { request.with_query("tag=blue") } else { request }
}

fn of_node(pattern: &str, selectors: &[&str], chance: &mut Chance) -> Request {
    let (path, _) = pattern.rsplit_once('/').expect("a pattern is a path");
    let node = *chance.one(&["n1", "n2", "n2", "n3", "N2", "nope", "a/b", "a%20b"]);
    with_filter(Request::new("GET", pattern, format!("{path}/{node}")).with_odd(node), selectors, chance)
}

fn check(chance: &mut Chance, service: Option<&str>) -> Value {
    let mut check = json!({
        "Node": "n2", "CheckID": chance.one(&["k1", "k2"]), "Name": "check", "Notes": "n", "Output": "o",
        "Status": chance.one(&["passing", "warning", "critical", "passing"]),
    });
    if let Some(service) = service {
        check["ServiceID"] = json!(service);
    }
    if chance.percent(30) {
        check["Definition"] = json!({
            "HTTP": "http://127.0.0.1:1", "Interval": "10s", "Timeout": "1s", "DeregisterCriticalServiceAfter": "1h",
            "TLSSkipVerify": true, "TCP": "127.0.0.1:1",
        });
    }
    if chance.percent(10) {
        check["Type"] = json!("ttl");
    }
    check
}

fn register(chance: &mut Chance) -> Request {
    let node = *chance.one(&["n2", "n2", "n2", "n3", "a b", "N2", ""]);
    let mut body = json!({ "Node": node, "Address": "10.0.0.7" });
    if chance.percent(20) {
        body["ID"] = json!(chance.one(&[
            "11111111-1111-1111-1111-111111111111",
            "x",
            "22222222-2222-2222-2222-222222222222"
        ]));
    }
    if chance.percent(20) {
        body["NodeMeta"] = json!({ "rack": "1" });
        body["TaggedAddresses"] = json!({ "lan": "10.0.0.7", "wan": "1.2.3.4" });
    }
    if chance.percent(10) {
        body["Datacenter"] = json!(chance.one(&["dc1", "nope", ""]));
    }
    if chance.percent(10) {
        body["SkipNodeUpdate"] = json!(true);
    }
    if chance.percent(5) {
        body["Locality"] = json!({ "Region": "r", "Zone": "z" });
    }
    let mut odd_name = String::new();
    let with_service = chance.percent(75);
    if with_service {
        let (name, odd) = name(chance);
        odd_name = odd;
        let mut service = match chance.below(6) {
            0..3 => json!({ "Service": name, "Port": 80 }),
            3 => json!({
                "ID": "web-1", "Service": name, "Tags": ["blue", "red"], "Meta": { "v": "1" }, "Address": "10.0.0.8",
                "Port": 81, "Weights": { "Passing": 3, "Warning": 2 }, "EnableTagOverride": true,
                "TaggedAddresses": { "lan": { "Address": "10.0.0.2", "Port": 81 } },
            }),
            4 => json!({
                "ID": "p1", "Service": name, "Kind": "connect-proxy", "Port": 21000,
                "Proxy": { "DestinationServiceName": "web", "Upstreams": [{ "DestinationName": "db", "LocalBindPort": 9001 }], "Config": { "a": 1 } },
            }),
            _ => json!({ "ID": "web-1", "Service": name, "Port": 80, "Connect": { "Native": true } }),
        };
        if chance.percent(5) {
            service["Locality"] = json!({ "Region": "r", "Zone": "z" });
        }
        body["Service"] = service;
    }
    match chance.below(10) {
        0..3 => body["Check"] = check(chance, None),
        3 => body["Checks"] = json!([check(chance, Some("web-1")), check(chance, None)]),
        4 => body["Check"] = check(chance, Some("web-1")),
        _ => {}
    }
    let (body, odd) = vary::body(body, chance);
    Request::new("PUT", "/v1/catalog/register", "/v1/catalog/register")
        .with_body(body)
        .with_odd(if node.starts_with('n') { "" } else { node })
        .with_odd(odd_name)
        .with_odd(odd)
}

fn deregister(chance: &mut Chance) -> Request {
    let mut body = json!({ "Node": chance.one(&["n2", "n2", "n3", "nope"]) });
    match chance.below(4) {
        0 => body["ServiceID"] = json!(chance.one(&["web", "web-1", "nope"])),
        1 => body["CheckID"] = json!(chance.one(&["k1", "k2"])),
        2 => body["Datacenter"] = json!(chance.one(&["dc1", "nope"])),
        _ => {}
    }
    let (body, odd) = vary::body(body, chance);
    Request::new("PUT", "/v1/catalog/deregister", "/v1/catalog/deregister").with_body(body).with_odd(odd)
}
