//! Tests of what gateways serve, held against a second evaluator that goes from the services instead of the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concord_mesh::gateway::{
    GatewayService, Known, ServedBy, ServedKind, Traits, ingress_serves, services, terminating_serves,
};
use concord_model::ServiceRef;
use concord_model::entry::{Entry, EntryKind, EntryName};
use concord_model::proxy::ServiceKind;
use serde_json::{Value, json};

use crate::kinds::entry;
use crate::random::Random;
use crate::random_request::seed_and_cases;

const NAMES: [&str; 6] = ["web", "api", "db", "ext", "gw", "consul"];

fn target(name: &str) -> ServiceRef {
    ServiceRef::local(name.parse().unwrap())
}

/// A catalog with the entries beside it.
#[derive(Clone, Debug, Default)]
struct World {
    traits: BTreeMap<ServiceRef, Traits>,
    defaults: BTreeMap<ServiceRef, Entry>,
    all: Option<Entry>,
    /// Which questions were asked.
    read: BTreeSet<String>,
}

impl Known for World {
    fn traits(&mut self, service: &ServiceRef) -> Option<Traits> {
        self.read.insert(format!("traits {}", service.name));
        self.traits.get(service).cloned()
    }

    fn services(&mut self) -> Vec<(ServiceRef, Traits)> {
        self.read.insert("all services".to_owned());
        self.traits.clone().into_iter().collect()
    }

    fn destinations(&mut self) -> Vec<ServiceRef> {
        self.read.insert("all destinations".to_owned());
        let outside = self.defaults.iter().filter(|(_, own)| is_destination(own));
        outside.map(|(service, _)| service.clone()).collect()
    }

    fn entry(&mut self, name: &EntryName) -> Option<Arc<Entry>> {
        self.read.insert(name.to_string());
        match name.kind {
            EntryKind::ProxyDefaults => self.all.clone(),
            _ => self.defaults.get(&name.scope.service()?).cloned(),
        }
        .map(Arc::new)
    }
}

fn is_destination(own: &Entry) -> bool {
    matches!(own, Entry::ServiceDefaults(own) if own.said.destination.is_some())
}

fn defaults(name: &str, protocol: &str, outside: bool) -> Entry {
    let destination = json!({ "addresses": ["example.com"], "port": 443 });
    let destination = if outside { destination } else { Value::Null };
    entry("service-defaults", name, json!({ "protocol": protocol, "destination": destination }))
}

impl World {
    fn with(mut self, name: &str, kind: ServiceKind, plain: bool, connected: bool) -> Self {
        self.traits.insert(target(name), Traits { kinds: [kind].into(), plain, connected });
        self
    }

    fn speaking(mut self, name: &str, protocol: &str, outside: bool) -> Self {
        self.defaults.insert(target(name), defaults(name, protocol, outside));
        self
    }
}

/// `service[:port] [wild] [kind]` of each.
fn lines(all: &[GatewayService]) -> Vec<String> {
    let line = |own: &GatewayService| {
        let port = match &own.by {
            ServedBy::Listener { port, .. } => format!(":{port}"),
            ServedBy::Link(_) => String::new(),
        };
        let wild = if own.from_wildcard { " wild" } else { "" };
        format!("{}{port}{wild} {:?}", own.service.name, own.kind)
    };
    all.iter().map(line).collect()
}

fn world() -> World {
    World::default()
        .with("web", ServiceKind::Typical, true, true)
        .with("api", ServiceKind::Typical, false, true)
        .with("db", ServiceKind::Typical, true, false)
        .with("gw", ServiceKind::IngressGateway, true, false)
        .with("consul", ServiceKind::Typical, true, true)
        .speaking("web", "http", false)
        .speaking("api", "grpc", false)
        .speaking("ext", "http", true)
}

fn listener(port: u16, protocol: &str, services: &[&str]) -> Value {
    let services: Vec<_> = services.iter().map(|name| json!({ "name": name })).collect();
    json!({ "port": port, "protocol": protocol, "services": services })
}

fn ingress(listeners: Value) -> Entry {
    entry("ingress-gateway", "gw", json!({ "listeners": listeners }))
}

fn terminating(services: &[&str]) -> Entry {
    let services: Vec<_> = services.iter().map(|name| json!({ "name": name })).collect();
    entry("terminating-gateway", "gw", json!({ "services": services }))
}

#[track_caller]
fn check(gateway: &Entry, expected: &[&str]) {
    assert_eq!(lines(&services(gateway, &mut world())), expected);
}

#[test]
fn a_named_service_is_served_whether_it_is_there_or_not() {
    check(&ingress(json!([listener(80, "tcp", &["lost"])])), &["lost:80 Unknown"]);
    check(&terminating(&["ext", "lost", "web"]), &["ext Destination", "lost Unknown", "web Service"]);
    check(&entry("mesh", "mesh", json!({})), &[]);
}

#[test]
fn a_wildcard_stands_for_what_the_gateway_can_serve() {
    let both =
        json!([listener(80, "http", &["*"]), listener(81, "grpc", &["*"]), listener(82, "http2", &["*"])]);
    check(&ingress(both), &["api:81 wild Service", "ext:80 wild Destination", "web:80 wild Service"]);
    check(&terminating(&["*"]), &["db wild Service", "ext wild Destination", "web wild Service"]);
}

#[test]
fn a_row_of_its_own_wins_over_the_wildcard_wherever_it_stands() {
    for rows in [["*", "db"], ["db", "*"]] {
        check(&terminating(&rows), &["db Service", "ext wild Destination", "web wild Service"]);
    }
    // Only at the same port.
    let both = json!([listener(80, "http", &["*", "web"]), listener(81, "http", &["*"])]);
    let expected =
        ["ext:80 wild Destination", "ext:81 wild Destination", "web:80 Service", "web:81 wild Service"];
    check(&ingress(both), &expected);
}

#[test]
fn without_a_wildcard_only_the_named_services_are_read() {
    let mut known = world();
    services(&ingress(json!([listener(80, "tcp", &["web"])])), &mut known);
    assert_eq!(known.read, ["traits web".to_owned()].into());
    let mut known = world();
    let Entry::IngressGateway(gateway) = ingress(json!([listener(80, "tcp", &["web"])])) else {
        unreachable!()
    };
    assert!(ingress_serves(&gateway, &target("web"), &mut known));
    assert!(!ingress_serves(&gateway, &target("db"), &mut known));
    assert!(known.read.is_empty(), "{:?}", known.read);
}

#[test]
fn a_service_of_a_peer_is_served_by_nobody() {
    let Entry::IngressGateway(gateway) = ingress(json!([listener(80, "http", &["web", "*"])])) else {
        unreachable!()
    };
    let there = ServiceRef { peer: Some("east".parse().unwrap()), ..target("web") };
    assert!(!ingress_serves(&gateway, &there, &mut world()));
    let Entry::TerminatingGateway(gateway) = terminating(&["web", "*"]) else { unreachable!() };
    assert!(!terminating_serves(&gateway, &there, &mut world()));
    assert!(terminating_serves(&gateway, &target("web"), &mut world()));
}

// === At random ===

fn any_world(random: &mut Random) -> World {
    let kinds = [ServiceKind::Typical, ServiceKind::Typical, ServiceKind::ConnectProxy];
    let mut world = World::default();
    for name in NAMES {
        if !random.one_in(5) {
            world = world.with(name, random.pick(&kinds), random.one_in(2), random.one_in(2));
        }
        if random.one_in(2) {
            world = world.speaking(name, random.pick(&["", "tcp", "http", "grpc"]), random.one_in(2));
        }
    }
    let config = json!({ "config": { "protocol": random.pick(&["http", "grpc"]) } });
    world.all = random.one_in(2).then(|| entry("proxy-defaults", "global", config));
    world
}

fn any_rows(random: &mut Random) -> Vec<&'static str> {
    let mut left = vec!["web", "api", "ext", "lost", "*"];
    (0..random.below(4)).map(|_| left.swap_remove(random.below(left.len()))).collect()
}

fn any_gateway(random: &mut Random) -> Entry {
    if random.one_in(2) {
        return terminating(&any_rows(random));
    }
    let listeners = (80..80 + random.below(3)).map(|port| {
        let (protocol, rows) = (random.pick(&["http", "grpc"]), any_rows(random));
        listener(u16::try_from(port).unwrap(), protocol, &rows)
    });
    let listeners: Vec<_> = listeners.collect();
    ingress(json!(listeners))
}

/// Whether `*` of a listener with this protocol, or of a terminating gateway, means a service.
fn wild(world: &World, name: &str, listener: Option<&str>) -> Option<ServedKind> {
    let own = world.traits.get(&target(name));
    let ordinary = own.is_some_and(|own| own.kinds.contains(&ServiceKind::Typical)) && name != "consul";
    let able = own.is_some_and(|own| if listener.is_some() { own.connected } else { own.plain });
    let said = world.defaults.get(&target(name));
    let spoken = match (said, &world.all) {
        (Some(Entry::ServiceDefaults(own)), _) if own.said.protocol.as_str().is_empty() => "tcp".to_owned(),
        (Some(Entry::ServiceDefaults(own)), _) => own.said.protocol.as_str().to_owned(),
        (_, Some(Entry::ProxyDefaults(all))) => all.said.config["protocol"].as_str().unwrap().to_owned(),
        _ => "tcp".to_owned(),
    };
    if listener.is_some_and(|listener| listener != spoken) {
        None
    } else if ordinary && able {
        Some(ServedKind::Service)
    } else {
        said.is_some_and(is_destination).then_some(ServedKind::Destination)
    }
}

fn named(world: &World, name: &str) -> ServedKind {
    if world.traits.contains_key(&target(name)) {
        ServedKind::Service
    } else if world.defaults.get(&target(name)).is_some_and(is_destination) {
        ServedKind::Destination
    } else {
        ServedKind::Unknown
    }
}

/// What a gateway serves, service by service.
fn expected(world: &World, gateway: &Entry) -> Vec<String> {
    let ports: Vec<(String, Option<&str>, Vec<&str>)> = match gateway {
        Entry::IngressGateway(own) => {
            let names = |rows: &'_ [concord_model::entry::IngressService]| -> Vec<String> {
                rows.iter().map(|row| row.name.as_ref().unwrap().to_string()).collect()
            };
            let listeners = own.said.listeners.iter();
            return sorted(listeners.flat_map(|own| {
                let names = names(&own.services);
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                at(world, &format!(":{}", own.port), Some(own.protocol.as_str()), &names)
            }));
        }
        Entry::TerminatingGateway(own) => {
            let names = own.said.services.iter().map(|row| row.name.as_ref().unwrap().as_str());
            vec![(String::new(), None, names.collect())]
        }
        _ => Vec::new(),
    };
    sorted(ports.iter().flat_map(|(port, protocol, names)| at(world, port, *protocol, names)))
}

fn at(world: &World, port: &str, protocol: Option<&str>, rows: &[&str]) -> Vec<String> {
    let each = NAMES.iter().chain(&["lost"]).filter_map(|name| {
        if rows.contains(name) {
            return Some(format!("{name}{port} {:?}", named(world, name)));
        }
        let kind = wild(world, name, protocol).filter(|_| rows.contains(&"*"))?;
        Some(format!("{name}{port} wild {kind:?}"))
    });
    each.collect()
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<_> = lines.collect();
    all.sort();
    all
}

#[test]
fn gateways_serve_what_the_second_evaluator_says() {
    let random = &mut Random::new(seed_and_cases().0 + 3);
    let mut wild = 0;
    for _ in 0..5_000 {
        let (world, gateway) = (any_world(random), any_gateway(random));
        let served = services(&gateway, &mut world.clone());
        wild += served.iter().filter(|own| own.from_wildcard).count();
        assert_eq!(sorted(lines(&served).into_iter()), expected(&world, &gateway), "{world:?} {gateway:?}");
        for name in NAMES.iter().chain(&["lost"]) {
            let serves = served.iter().any(|one| one.service.name.as_str() == *name);
            let said = match &gateway {
                Entry::IngressGateway(own) => ingress_serves(own, &target(name), &mut world.clone()),
                Entry::TerminatingGateway(own) => terminating_serves(own, &target(name), &mut world.clone()),
                _ => unreachable!(),
            };
            assert_eq!(said, serves, "{name} {world:?}");
        }
    }
    assert!(wild > 1_000, "{wild}");
}
