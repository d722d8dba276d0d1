//! Tests of what follows from the entries about API gateways: conditions, and what each listener uses.

use std::collections::{BTreeMap, BTreeSet};

use concord_mesh::gateway::{GatewayEntries, Settled, dated, settle};
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol, Status, Transition};
use concord_model::{ServiceRef, Timestamp};
use serde_json::{Value, json};

use crate::kinds::entry;

/// Services whose names begin so speak HTTP or gRPC, or have no chain; all others TCP.
fn protocol(service: &ServiceRef) -> Result<Protocol, String> {
    match service.name.as_str() {
        name if name.starts_with("web") => Ok(Protocol::Http),
        name if name.starts_with("rpc") => Ok(Protocol::Grpc),
        name if name.starts_with("lost") => Err("no chain".to_owned()),
        _ => Ok(Protocol::Tcp),
    }
}

fn settled(entries: &[Entry]) -> Settled {
    let mut all = GatewayEntries::default();
    for entry in entries {
        match entry {
            Entry::ApiGateway(own) => all.gateways.push(own),
            Entry::HttpRoute(own) => all.http_routes.push(own),
            Entry::TcpRoute(own) => all.tcp_routes.push(own),
            other => _ = all.certificates.insert(other.name()),
        }
    }
    settle(&all, protocol)
}

fn gateway(name: &str, listeners: Value) -> Entry {
    entry("api-gateway", name, json!({ "listeners": listeners }))
}

fn listener(name: &str, protocol: &str, host: &str) -> Value {
    json!({ "name": name, "port": 80, "protocol": protocol, "hostname": host })
}

fn route(kind: &str, name: &str, services: &[&str], parents: Value, hosts: &[&str]) -> Entry {
    let services: Vec<_> = services.iter().map(|name| json!({ "name": name })).collect();
    let said = match kind {
        "http-route" => {
            json!({ "parents": parents, "rules": [{ "services": services }], "hostnames": hosts })
        }
        _ => json!({ "parents": parents, "services": services }),
    };
    entry(kind, name, said)
}

fn to(gateway: &str) -> Value {
    json!([{ "name": gateway }])
}

/// `Type=Status Reason [resource]` of each condition.
fn lines(status: &Status) -> Vec<String> {
    let line = |own: &concord_model::entry::Condition| {
        let about = format!("{}/{}", own.resource.name, own.resource.section_name);
        let about = if about == "/" { String::new() } else { format!(" {about}") };
        format!("{}={} {}{about}", own.r#type, own.status, own.reason)
    };
    status.conditions.iter().map(line).collect()
}

#[track_caller]
fn says(settled: &Settled, kind: EntryKind, name: &str, expected: &[&str]) {
    let status = &settled.statuses[&EntryName::parse(kind, name).unwrap()];
    assert_eq!(lines(status), expected);
}

/// The routes of each listener: `listener: kind/name …`.
#[track_caller]
fn uses(settled: &Settled, gateway: &str, expected: &[&str]) {
    let bound = &settled.bound[&EntryName::parse(EntryKind::BoundApiGateway, gateway).unwrap()];
    let line = |own: &concord_model::entry::BoundListener| {
        let routes = own.routes.iter().map(|route| format!("{}/{}", route.kind, route.name));
        format!("{}: {}", own.name, routes.collect::<Vec<_>>().join(" "))
    };
    assert_eq!(bound.listeners.iter().map(line).collect::<Vec<_>>(), expected);
}

const HTTP: EntryKind = EntryKind::HttpRoute;
const TCP: EntryKind = EntryKind::TcpRoute;
const GATEWAY: EntryKind = EntryKind::ApiGateway;

#[test]
fn a_route_is_used_by_the_listeners_of_its_protocol() {
    let entries = [
        gateway("edge", json!([listener("web", "http", ""), listener("db", "tcp", "")])),
        route("http-route", "shop", &["web"], to("edge"), &[]),
        route("tcp-route", "data", &["db"], to("edge"), &[]),
    ];
    let settled = settled(&entries);
    says(
        &settled,
        GATEWAY,
        "edge",
        &[
            "Accepted=True Accepted",
            "Conflicted=False NoConflict edge/db",
            "Conflicted=False NoConflict edge/web",
            "ResolvedRefs=True ResolvedRefs edge/db",
            "ResolvedRefs=True ResolvedRefs edge/web",
        ],
    );
    says(&settled, HTTP, "shop", &["Accepted=True Accepted", "Bound=True Bound edge/"]);
    says(&settled, TCP, "data", &["Accepted=True Accepted", "Bound=True Bound edge/"]);
    uses(&settled, "edge", &["web: http-route/shop", "db: tcp-route/data"]);
    let bound = &settled.bound[&EntryName::parse(EntryKind::BoundApiGateway, "edge").unwrap()];
    assert_eq!(bound.services.keys().collect::<Vec<_>>(), ["db", "web"]);
    assert_eq!(bound.services["web"][0].name, "shop");
}

#[test]
fn n_194_a_route_that_cannot_be_used_is_used_by_nobody_and_says_why() {
    let only = |listener: Value, route: Entry| settled(&[gateway("edge", json!([listener])), route]);
    let web = || listener("web", "http", "");
    // Without a service, or to one of another protocol, a route is not accepted.
    let none = only(web(), route("http-route", "shop", &[], to("edge"), &[]));
    let unused = "Bound=False FailedToBind edge/";
    says(&none, HTTP, "shop", &["Accepted=False NoUpstreamServicesTargeted", unused]);
    for service in ["db", "rpc", "lost"] {
        let other = only(web(), route("http-route", "shop", &["web", service], to("edge"), &[]));
        says(&other, HTTP, "shop", &["Accepted=False InvalidDiscoveryChain", unused]);
        uses(&other, "edge", &["web: "]);
    }
    let other = only(listener("db", "tcp", ""), route("tcp-route", "data", &["web"], to("edge"), &[]));
    says(&other, TCP, "data", &["Accepted=False InvalidDiscoveryChain", unused]);
    // A gateway, a listener or a host that is not there.
    let parents = json!([{ "name": "other" }, { "name": "edge", "section_name": "x" }]);
    let lost = only(web(), route("http-route", "shop", &["web"], parents, &[]));
    let accepted = "Accepted=True Accepted";
    says(
        &lost,
        HTTP,
        "shop",
        &[accepted, "Bound=False FailedToBind edge/x", "Bound=False GatewayNotFound other/"],
    );
    for (host, used) in [
        ("a.example.com", true),
        ("*.example.com", true),
        ("*", true),
        ("", true),
        ("b.example.com", false),
        ("*.example.org", false),
        ("*.xample.com", false),
    ] {
        let asked = only(
            listener("web", "http", host),
            route("http-route", "a", &["web"], to("edge"), &["a.example.com"]),
        );
        uses(&asked, "edge", &[if used { "web: http-route/a" } else { "web: " }]);
        says(&asked, HTTP, "a", &[accepted, if used { "Bound=True Bound edge/" } else { unused }]);
    }
    // A listener of the other protocol, whether it is named or not.
    for section in ["", "web"] {
        let parents = json!([{ "name": "edge", "section_name": section }]);
        let other = only(web(), route("tcp-route", "data", &["db"], parents, &[]));
        uses(&other, "edge", &["web: "]);
        let text = format!("Bound=False FailedToBind edge/{section}");
        says(&other, TCP, "data", &[accepted, &text]);
    }
}

#[test]
fn a_gateway_without_its_certificate_takes_no_route() {
    let with = |certificates: Value| {
        let mut web = listener("web", "http", "");
        web["tls"] = json!({ "certificates": certificates });
        gateway("edge", json!([web]))
    };
    let own = entry("inline-certificate", "own", json!({ "certificate": "c", "private_key": "k" }));
    let shop = || route("http-route", "shop", &["web"], to("edge"), &[]);
    let missing = settled(&[with(json!([{ "name": "own" }, { "name": "other" }])), own.clone(), shop()]);
    let text = "ResolvedRefs=False InvalidCertificateRef edge/web";
    let free = "Conflicted=False NoConflict edge/web";
    says(&missing, GATEWAY, "edge", &["Accepted=False InvalidCertificates", free, text]);
    says(&missing, HTTP, "shop", &["Accepted=True Accepted", "Bound=False FailedToBind edge/"]);
    uses(&missing, "edge", &["web: "]);
    let kind = settled(&[with(json!([{ "kind": "file-system-certificate", "name": "own" }])), own.clone()]);
    says(&kind, GATEWAY, "edge", &["Accepted=False InvalidCertificates", free, text]);
    let there = settled(&[with(json!([{ "name": "own" }])), own, shop()]);
    uses(&there, "edge", &["web: http-route/shop"]);
    let bound = &there.bound[&EntryName::parse(EntryKind::BoundApiGateway, "edge").unwrap()];
    assert_eq!(bound.listeners[0].certificates[0].name, "own");
}

#[test]
fn a_listener_for_connections_has_a_conflict_with_two_routes() {
    let two = ["a", "b"].map(|name| route("tcp-route", name, &["db"], to("edge"), &[]));
    let [a, b] = two;
    let settled = settled(&[gateway("edge", json!([listener("db", "tcp", "")])), a, b]);
    uses(&settled, "edge", &["db: tcp-route/a tcp-route/b"]);
    let status = &settled.statuses[&EntryName::parse(GATEWAY, "edge").unwrap()];
    assert!(lines(status).contains(&"Conflicted=True RouteConflict edge/db".to_owned()));
}

#[test]
fn a_condition_keeps_its_time_until_it_says_something_else() {
    let entries = |services: &[&str]| [route("tcp-route", "a", services, to("edge"), &[])];
    let name = EntryName::parse(TCP, "a").unwrap();
    let at = |services: &[&str], before: &Status, secs: i64| {
        let status = settled(&entries(services)).statuses.remove(&name).unwrap();
        dated(status, before, Timestamp::from_secs(secs))
    };
    let times = |status: &Status| -> BTreeMap<String, i64> {
        let time = |own: &concord_model::entry::Condition| {
            let Transition(at) = own.last_transition_time;
            (own.r#type.clone(), at.secs())
        };
        status.conditions.iter().map(time).collect()
    };
    let first = at(&["db"], &Status::default(), 10);
    assert_eq!(times(&first).into_values().collect::<BTreeSet<_>>(), BTreeSet::from([10]));
    assert_eq!(at(&["db"], &first, 20), first);
    let next = at(&["web"], &first, 30);
    assert_eq!(times(&next), BTreeMap::from([("Accepted".to_owned(), 30), ("Bound".to_owned(), 10)]));
}
