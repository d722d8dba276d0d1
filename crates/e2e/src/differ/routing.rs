//! Requests about how traffic is routed: routers, splitters, resolvers, gateways, and the chains that follow from them.
//!
//! Few names and few subsets occur, so that the entries of an episode refer to each other.

use serde_json::{Map, Value, json};

use super::names;
use super::request::Request;
use super::vary;
use crate::chance::Chance;

const SERVICES: [&str; 5] = ["web", "db", "api", "old", "new"];
const SUBSETS: [&str; 3] = ["v1", "v2", "v3"];
/// Probability, in percent, that a body is changed in one place.
const ODD: u64 = 15;

/// Kinds of entries and the names that they usually have.
const KINDS: &[(&str, &[&str])] = &[
    ("service-defaults", &SERVICES),
    ("proxy-defaults", &["global"]),
    ("service-router", &SERVICES),
    ("service-splitter", &SERVICES),
    ("service-resolver", &SERVICES),
    ("service-resolver", &SERVICES),
    ("ingress-gateway", &["entrance"]),
    ("terminating-gateway", &["exit"]),
    ("http-route", &["route"]),
    ("tcp-route", &["route"]),
    ("api-gateway", &["front"]),
    ("exported-services", &["default"]),
    ("jwt-provider", &["login"]),
    ("file-system-certificate", &["front"]),
];

pub(super) fn any(chance: &mut Chance) -> Request {
    match chance.below(100) {
        0..14 => write(protocol(chance), chance),
        14..26 => write(router(chance), chance),
        26..38 => write(splitter(chance), chance),
        38..56 => write(resolver(chance), chance),
        56..62 => write(gateway(chance), chance),
        62..70 => remove(chance),
        70..78 => read(chance),
        _ => chain(chance),
    }
}

fn write(entry: Value, chance: &mut Chance) -> Request {
    let kind = entry["Kind"].as_str().unwrap_or_default().to_owned();
    let (body, odd) =
        if chance.percent(ODD) { vary::body(entry, chance) } else { (entry.to_string(), String::new()) };
    let odd = if odd.is_empty() { odd } else { format!("{kind}: {odd}") };
    Request::new("PUT", "/v1/config", "/v1/config").with_body(body).with_odd(odd)
}

fn name(chance: &mut Chance) -> &'static str {
    SERVICES[chance.index(SERVICES.len())]
}

fn subset(chance: &mut Chance) -> &'static str {
    SUBSETS[chance.index(SUBSETS.len())]
}

/// Adds a member in this many of a hundred cases.
fn maybe(
    to: &mut Map<String, Value>,
    key: &str,
    percent: u64,
    value: impl FnOnce(&mut Chance) -> Value,
    chance: &mut Chance,
) {
    if chance.percent(percent) {
        let value = value(chance);
        to.insert(key.to_owned(), value);
    }
}

fn object(entry: Value) -> Map<String, Value> {
    match entry {
        Value::Object(map) => map,
        _ => unreachable!("every entry here is an object"),
    }
}

/// Defaults that mostly agree on one protocol.
fn protocol(chance: &mut Chance) -> Value {
    let said = *chance.one(&["http", "http", "http", "http", "grpc", "tcp", ""]);
    if chance.percent(40) {
        return json!({ "Kind": "proxy-defaults", "Name": "global", "Config": { "protocol": said } });
    }
    let mut own = object(json!({ "Kind": "service-defaults", "Name": name(chance), "Protocol": said }));
    maybe(
        &mut own,
        "MeshGateway",
        20,
        |chance| json!({ "Mode": chance.one(&["local", "remote", "none"]) }),
        chance,
    );
    maybe(&mut own, "ExternalSNI", 5, |_| json!("x.example.com"), chance);
    maybe(&mut own, "TransparentProxy", 10, |_| json!({ "DialedDirectly": true }), chance);
    Value::Object(own)
}

fn headers(chance: &mut Chance) -> Value {
    let value = *chance.one(&["a", "b"]);
    match chance.below(4) {
        0 => json!({ "Add": { "x-a": value } }),
        1 => json!({ "Set": { "x-a": value, "x-b": "c" } }),
        2 => json!({ "Remove": ["x-c"] }),
        _ => json!({ "Add": { "x-a": value }, "Set": { "x-s": value }, "Remove": ["x-r", "x-a"] }),
    }
}

fn router(chance: &mut Chance) -> Value {
    let routes: Vec<Value> = (0..chance.below(4)).map(|_| route(chance)).collect();
    json!({ "Kind": "service-router", "Name": name(chance), "Routes": routes })
}

fn route(chance: &mut Chance) -> Value {
    let mut http = Map::new();
    match chance.below(6) {
        0 => drop(http.insert("PathExact".to_owned(), json!("/a"))),
        1 | 2 => drop(http.insert("PathPrefix".to_owned(), json!(chance.one(&["/b", "/", "b"])))),
        3 => drop(http.insert("PathRegex".to_owned(), json!("/c.*"))),
        _ => {}
    }
    maybe(&mut http, "Header", 25, header, chance);
    maybe(&mut http, "QueryParam", 15, |_| json!([{ "Name": "q", "Exact": "1" }]), chance);
    maybe(&mut http, "Methods", 20, |chance| json!(chance.one(&[["GET", "PUT"], ["GET", "get"]])), chance);
    maybe(&mut http, "CaseInsensitive", 10, |_| json!(true), chance);
    let mut own = Map::new();
    maybe(&mut own, "Match", 90, |_| json!({ "HTTP": http }), chance);
    maybe(&mut own, "Destination", 85, destination, chance);
    Value::Object(own)
}

fn header(chance: &mut Chance) -> Value {
    let key = *chance.one(&["Exact", "Present", "Prefix", "Suffix", "Regex"]);
    let value = if key == "Present" { json!(true) } else { json!("v") };
    let mut own = Map::from_iter([("Name".to_owned(), json!("x-h")), (key.to_owned(), value)]);
    maybe(&mut own, "Invert", 20, |_| json!(true), chance);
    maybe(&mut own, "Exact", 8, |_| json!("2"), chance);
    json!([own])
}

fn destination(chance: &mut Chance) -> Value {
    let mut own = Map::new();
    maybe(&mut own, "Service", 70, |chance| json!(name(chance)), chance);
    maybe(&mut own, "ServiceSubset", 20, |chance| json!(subset(chance)), chance);
    maybe(&mut own, "PrefixRewrite", 15, |_| json!("/r"), chance);
    maybe(&mut own, "RequestTimeout", 15, |chance| json!(chance.one(&["3s", "1m0s"])), chance);
    maybe(&mut own, "IdleTimeout", 10, |_| json!("10s"), chance);
    maybe(&mut own, "NumRetries", 15, |_| json!(3), chance);
    maybe(&mut own, "RetryOnConnectFailure", 10, |_| json!(true), chance);
    maybe(&mut own, "RetryOn", 10, |chance| json!([chance.one(&["5xx", "reset", "nope"])]), chance);
    maybe(&mut own, "RetryOnStatusCodes", 10, |_| json!([503, 502]), chance);
    maybe(&mut own, "RequestHeaders", 15, headers, chance);
    maybe(&mut own, "ResponseHeaders", 10, headers, chance);
    Value::Object(own)
}

/// Weights of splits; some of them do not add up to 100.
const WEIGHTS: [&[f64]; 8] = [
    &[100.0],
    &[50.0, 50.0],
    &[90.5, 9.5],
    &[33.33, 33.33, 33.34],
    &[33.33, 33.33, 33.33],
    &[60.0, 30.0],
    &[99.996, 0.004],
    &[0.0, 100.0],
];

fn splitter(chance: &mut Chance) -> Value {
    let weights: &[f64] = WEIGHTS[chance.index(WEIGHTS.len())];
    let splits: Vec<Value> = weights.iter().map(|weight| split(json!(weight), chance)).collect();
    json!({ "Kind": "service-splitter", "Name": name(chance), "Splits": splits })
}

fn split(weight: Value, chance: &mut Chance) -> Value {
    let mut own = Map::from_iter([("Weight".to_owned(), weight)]);
    maybe(&mut own, "Service", 65, |chance| json!(name(chance)), chance);
    maybe(&mut own, "ServiceSubset", 40, |chance| json!(subset(chance)), chance);
    maybe(&mut own, "RequestHeaders", 15, headers, chance);
    maybe(&mut own, "ResponseHeaders", 15, headers, chance);
    Value::Object(own)
}

fn resolver(chance: &mut Chance) -> Value {
    let mut own = object(json!({ "Kind": "service-resolver", "Name": name(chance) }));
    maybe(&mut own, "Subsets", 60, subsets, chance);
    maybe(&mut own, "DefaultSubset", 25, |chance| json!(subset(chance)), chance);
    match chance.below(10) {
        0..2 => drop(own.insert("Redirect".to_owned(), redirect(chance))),
        2..6 => drop(own.insert("Failover".to_owned(), failover(chance))),
        _ => {}
    }
    maybe(&mut own, "ConnectTimeout", 20, |chance| json!(chance.one(&["1s", "150ms", "-1s"])), chance);
    maybe(&mut own, "RequestTimeout", 10, |_| json!("7s"), chance);
    maybe(&mut own, "LoadBalancer", 20, balancer, chance);
    Value::Object(own)
}

fn subsets(chance: &mut Chance) -> Value {
    let mut all = Map::new();
    for subset in SUBSETS {
        let filter =
            *chance.one(&["", "Service.Meta.version == v1", "\"a\" in Service.Tags", "Service.Nope == 1"]);
        let own = json!({ "Filter": filter, "OnlyPassing": chance.percent(30) });
        maybe(&mut all, subset, 60, |_| own, chance);
    }
    Value::Object(all)
}

fn redirect(chance: &mut Chance) -> Value {
    let mut own = Map::new();
    maybe(&mut own, "Service", 80, |chance| json!(name(chance)), chance);
    maybe(&mut own, "ServiceSubset", 25, |chance| json!(subset(chance)), chance);
    maybe(&mut own, "Datacenter", 15, |chance| json!(chance.one(&["dc1", "dc2"])), chance);
    maybe(&mut own, "Peer", 10, |_| json!("east"), chance);
    Value::Object(own)
}

fn failover(chance: &mut Chance) -> Value {
    let key = *chance.one(&["*", "*", "*", "v1", "v2"]);
    let mut own = Map::new();
    match chance.below(4) {
        0 => drop(own.insert("Datacenters".to_owned(), json!(chance.one(&[["dc2", "dc3"], ["dc1", "dc2"]])))),
        1 => {
            let targets: Vec<Value> = (0..1 + chance.below(3)).map(|_| redirect(chance)).collect();
            own.insert("Targets".to_owned(), json!(targets));
        }
        _ => {
            maybe(&mut own, "Service", 80, |chance| json!(name(chance)), chance);
            maybe(&mut own, "ServiceSubset", 30, |chance| json!(subset(chance)), chance);
        }
    }
    json!({ key: own })
}

fn balancer(chance: &mut Chance) -> Value {
    let policy = *chance.one(&["", "random", "round_robin", "least_request", "ring_hash", "maglev", "nope"]);
    let mut own = object(json!({ "Policy": policy }));
    maybe(
        &mut own,
        "RingHashConfig",
        20,
        |_| json!({ "MinimumRingSize": 10, "MaximumRingSize": 20 }),
        chance,
    );
    maybe(&mut own, "LeastRequestConfig", 20, |_| json!({ "ChoiceCount": 3 }), chance);
    let policies = [
        json!([{ "Field": "header", "FieldValue": "x-h", "Terminal": true }]),
        json!([{ "SourceIP": true }]),
        json!([{ "Field": "cookie", "FieldValue": "c", "CookieConfig": { "TTL": "5s", "Path": "/" } }]),
        json!([{ "Field": "nope", "FieldValue": "x" }]),
    ];
    maybe(&mut own, "HashPolicies", 40, |chance| chance.one(&policies).clone(), chance);
    Value::Object(own)
}

fn gateway(chance: &mut Chance) -> Value {
    let service = name(chance);
    let protocol = *chance.one(&["http", "tcp", "grpc", ""]);
    let named = *chance.one(&["entrance", "exit"]);
    match chance.below(8) {
        0..3 => {
            let name = *chance.one(&[service, service, "*"]);
            json!({ "Kind": "ingress-gateway", "Name": named, "Listeners": [
                { "Port": chance.one(&[80, 81, 0]), "Protocol": protocol, "Services": [{ "Name": name }] }] })
        }
        3 => json!({ "Kind": "terminating-gateway", "Name": named, "Services": [
            { "Name": chance.one(&[service, "*"]), "CAFile": "/ca", "SNI": "x" }] }),
        4 => json!({ "Kind": "api-gateway", "Name": "front", "Listeners": [
            { "Name": "l", "Port": 80, "Protocol": protocol }] }),
        5 => {
            json!({ "Kind": "http-route", "Name": "route", "Parents": [{ "Kind": "api-gateway", "Name": "front" }],
            "Rules": [{ "Services": [{ "Name": service }] }] })
        }
        6 => json!({ "Kind": "tcp-route", "Name": "route", "Parents": [{ "Name": "front" }],
            "Services": [{ "Name": service }] }),
        _ => json!({ "Kind": "exported-services", "Name": "default", "Services": [
            { "Name": service, "Consumers": [{ "Peer": "east" }] }] }),
    }
}

/// A kind and the name of one of its entries.
fn named(chance: &mut Chance) -> (&'static str, &'static str) {
    let (kind, names) = *chance.one(KINDS);
    (kind, names[chance.index(names.len())])
}

fn remove(chance: &mut Chance) -> Request {
    let (kind, name) = named(chance);
    Request::new("DELETE", "/v1/config/:kind/:name", format!("/v1/config/{kind}/{name}"))
}

fn read(chance: &mut Chance) -> Request {
    let (kind, name) = named(chance);
    if chance.percent(25) {
        return Request::new("GET", "/v1/config/:kind", format!("/v1/config/{kind}"));
    }
    Request::new("GET", "/v1/config/:kind/:name", format!("/v1/config/{kind}/{name}"))
}

fn chain(chance: &mut Chance) -> Request {
    let path = "/v1/discovery-chain/:service";
    let service = if chance.percent(95) { name(chance).to_owned() } else { names::segment(chance).0 };
    let shown = format!("/v1/discovery-chain/{service}");
    if chance.percent(60) {
        let request = Request::new("GET", path, shown);
        return if chance.percent(10) {
            request.with_query("compile-dc=dc2").with_odd("compile-dc=dc2")
        } else {
            request
        };
    }
    let mut own = Map::new();
    maybe(&mut own, "OverrideConnectTimeout", 40, |chance| json!(chance.one(&["7s", "33ms"])), chance);
    maybe(&mut own, "OverrideProtocol", 40, |chance| json!(chance.one(&["http", "tcp", "grpc"])), chance);
    maybe(
        &mut own,
        "OverrideMeshGateway",
        40,
        |chance| json!({ "Mode": chance.one(&["local", "none"]) }),
        chance,
    );
    Request::new("POST", path, shown).with_body(Value::Object(own).to_string()).with_odd("overrides")
}
