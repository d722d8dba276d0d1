//! Proxies that nobody registered: what they may say, and what they are told.

use std::net::SocketAddr;
use std::sync::Arc;

use concord_model::intention::Action;
use concord_proxycfg::{
    BindAddress, DescribedInbound, DescribedProxy, DescribedUpstream, DescriptionFault, Effect, Event,
    LeafFrom, LocalTarget, Proxy, UPSTREAMS_MAX, WatchKey,
};

use crate::world::{DENY, World, dc, endpoint, entry, name, roots, service, sidecar, target, upstream};

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn inbound(bind: &str) -> DescribedInbound {
    let local = LocalTarget::Tcp { host: "127.0.0.1".to_owned(), port: 8080 };
    DescribedInbound { bind: at(bind), local }
}

fn to(service: &str, bind: &str) -> DescribedUpstream {
    DescribedUpstream { service: name(service), bind: at(bind) }
}

fn described(inbound: Option<DescribedInbound>, upstreams: Vec<DescribedUpstream>) -> DescribedProxy {
    DescribedProxy::try_new(name("web"), inbound, upstreams).unwrap()
}

#[track_caller]
fn refused(inbound: Option<DescribedInbound>, upstreams: Vec<DescribedUpstream>, expected: &str) {
    let refused = DescribedProxy::try_new(name("web"), inbound, upstreams).expect_err("must be refused");
    assert_eq!(refused.to_string(), expected);
}

/// A proxy that says what it is and is told everything it watches but endpoints.
fn told(proxy: DescribedProxy) -> World {
    let mut world = World::new();
    world.on(Event::ProxyDescribed(Arc::new(proxy)));
    world.on(Event::RootsChanged(roots(1)));
    world.intentions("web", vec![entry("db", "web", Action::Allow)], DENY);
    world
}

#[test]
fn one_that_only_calls_takes_no_connections_and_is_told_the_rest() {
    let mut world = told(described(None, vec![to("api", "127.0.0.1:9000")]));
    let snapshot = world.snapshot();
    assert_eq!(snapshot.inbound(), None);
    assert_eq!(snapshot.proxy.service, service("web"));
    assert_eq!(snapshot.intentions.entries.len(), 1);
    world.endpoints("api", vec![endpoint("api", "n2", 21000)]);
    let api = world.snapshot().outbound().next().expect("an upstream");
    assert_eq!(api.bind, Some(BindAddress::Tcp(at("127.0.0.1:9000"))));
    assert!(world.known("api").is_some_and(|known| known.list.len() == 1));
}

#[test]
fn it_watches_what_a_registered_sidecar_of_the_same_service_watches() {
    let described = told(described(Some(inbound("0.0.0.0:21000")), vec![to("api", "127.0.0.1:9000")]));
    let mut registered = World::new();
    registered.register(sidecar("web", vec![upstream("api", 9000)]));
    let watches: Vec<WatchKey> = described.proxy.watches().cloned().collect();
    assert_eq!(watches, registered.proxy.watches().cloned().collect::<Vec<_>>());
    assert!(watches.contains(&WatchKey::Endpoints(target("api"))));
    registered.on(Event::RootsChanged(roots(1)));
    registered.intentions("web", vec![entry("db", "web", Action::Allow)], DENY);
    let (one, other) = (described.snapshot(), registered.snapshot());
    assert_eq!(one.inbound(), other.inbound());
    assert_eq!((&one.chains, &one.targets), (&other.chains, &other.targets));
}

#[test]
fn what_could_not_be_done_cannot_be_said() {
    let (listen, db) = (|| Some(inbound("0.0.0.0:8443")), || to("db", "127.0.0.1:9191"));
    refused(None, vec![], "a proxy that takes no connections needs an upstream");
    refused(
        Some(inbound("127.0.0.1:0")),
        vec![],
        "127.0.0.1:0 has no port to take connections of the mesh at",
    );
    let nowhere = LocalTarget::Tcp { host: String::new(), port: 8080 };
    let nowhere = DescribedInbound { local: nowhere, ..inbound("0.0.0.0:8443") };
    refused(Some(nowhere), vec![], "the service itself needs an address and a port");
    refused(listen(), vec![to("db", "127.0.0.1:0")], "upstream db has no port to listen at");
    refused(None, vec![db(), to("db", "127.0.0.1:9192")], "upstream db is there twice; keep one of them");
    refused(
        listen(),
        vec![to("db", "127.0.0.1:8443")],
        "127.0.0.1:8443 of upstream db is taken by the proxy itself; choose another port",
    );
    refused(
        listen(),
        vec![db(), to("cache", "127.0.0.1:9191")],
        "127.0.0.1:9191 of upstream cache is taken by upstream db; choose another port",
    );
    let many = (0..=UPSTREAMS_MAX).map(|one| to(&format!("s{one}"), "127.0.0.1:9000")).collect();
    refused(None, many, "a proxy can have at most 512 upstreams; this one has 513");
    // The same port at another address is another place.
    described(Some(inbound("127.0.0.1:8443")), vec![to("db", "127.0.0.2:8443")]);
}

#[test]
fn a_description_from_the_wire_is_checked_again() {
    let good = described(Some(inbound("0.0.0.0:8443")), vec![to("db", "127.0.0.1:9191")]);
    let bytes = rmp_serde::to_vec_named(&good).unwrap();
    assert_eq!(rmp_serde::from_slice::<DescribedProxy>(&bytes).unwrap(), good);
    let empty = rmp_serde::to_vec_named(&serde_json::json!({ "service": "web", "upstreams": [] })).unwrap();
    let refused = rmp_serde::from_slice::<DescribedProxy>(&empty).expect_err("nothing to do");
    assert!(refused.to_string().contains(&DescriptionFault::NothingToDo.to_string()), "{refused}");
}

#[test]
fn a_name_no_certificate_can_carry_is_refused_where_it_is_read() {
    let odd = DescribedProxy::try_new(name("a b"), None, vec![to("db", "127.0.0.1:9191")]).unwrap();
    let (mut proxy, mut effects) =
        (Proxy::new(crate::world::id(), dc("dc1"), LeafFrom::Proxy, &crate::world::plain()), vec![]);
    proxy.on(Event::ProxyDescribed(Arc::new(odd)), &mut effects);
    match effects.as_slice() {
        [Effect::Refuse(faults)] => assert!(faults[0].to_string().contains("can have no certificate")),
        other => panic!("must be refused: {other:?}"),
    }
}
