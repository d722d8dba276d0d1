//! Registrations, read: defaults, settings, and what is refused.

use std::sync::Arc;
use std::time::Duration;

use concord_model::catalog::ServiceInstance;
use concord_model::proxy::{Expose, ExposedPath, Settings, Upstream, UpstreamKind};
use concord_model::{Partition, PeerName};
use concord_proxycfg::{
    BindAddress, Effect, Event, InboundListener, Leads, ListenerId, LocalTarget, OutboundListener, Parts,
    ProxyFault, ProxySection, Refusal, Resolve, UPSTREAMS_MAX, UpstreamId,
};

use crate::world::{DENY, World, dc, roots, settings, sidecar, upstream};

fn published(instance: ServiceInstance) -> World {
    let mut world = World::new();
    let service = instance.connect_target(&Default::default()).unwrap();
    world.register(instance);
    world.on(Event::RootsChanged(roots(1)));
    world.on(Event::IntentionsChanged { destination: service.into(), entries: vec![], default: DENY });
    world
}

fn section(instance: ServiceInstance) -> ProxySection {
    (*published(instance).snapshot().proxy.value).clone()
}

fn inbound(instance: ServiceInstance) -> InboundListener {
    published(instance).snapshot().inbound().expect("a sidecar takes connections").clone()
}

#[track_caller]
fn faults(instance: ServiceInstance) -> Vec<String> {
    let mut world = World::new();
    world.register(instance);
    match &world.last[..] {
        [Effect::Refuse(faults)] => faults.iter().map(ProxyFault::to_string).collect(),
        other => panic!("must be refused: {other:?}"),
    }
}

fn configured(json: &str) -> ServiceInstance {
    let mut instance = sidecar("web", vec![]);
    instance.proxy.as_mut().unwrap().config = settings(json);
    instance
}

fn one_upstream(upstream: Upstream) -> OutboundListener {
    let id = UpstreamId::of(&upstream);
    published(sidecar("web", vec![upstream])).outbound(&id).clone()
}

/// The target of an upstream, of whose instances nothing is known yet.
fn resolved(upstream: Upstream) -> Resolve {
    let world = published(sidecar("web", vec![upstream]));
    let (resolve, target) =
        world.snapshot().resolve(&world.snapshot().chains.keys().next().unwrap()).unwrap();
    assert_eq!((&target.id, &target.endpoints), (&resolve.target, &None));
    resolve.clone()
}

#[track_caller]
fn refused(upstream: Upstream, expected: &str) {
    let watched = published(sidecar("web", vec![upstream.clone()])).proxy.watches().count();
    assert_eq!(watched, 3, "what is refused is not watched");
    match one_upstream(upstream).leads {
        Leads::Refused(refusal) => assert_eq!(refusal.to_string(), expected),
        other => panic!("must be refused: {other:?}"),
    }
}

#[test]
fn a_plain_sidecar_has_consul_s_defaults() {
    let inbound = inbound(sidecar("web", vec![]));
    assert_eq!(inbound.bind, BindAddress::Tcp("0.0.0.0:21000".parse().unwrap()));
    assert_eq!(inbound.local, Some(LocalTarget::Tcp { host: "127.0.0.1".to_owned(), port: 8080 }));
    assert_eq!((inbound.local_connect_timeout, inbound.handshake_timeout), (None, None));
    assert_eq!(inbound.max_connections, None);
    assert_eq!(section(sidecar("web", vec![])).protocol, "tcp");
}

#[test]
fn settings_are_typed() {
    let instance = configured(
        r#"{"bind_address": "127.0.0.1", "bind_port": "7000", "local_connect_timeout_ms": 250.0,
            "handshake_timeout_ms": 3000, "max_inbound_connections": 10, "protocol": "http", "envoy_x": {"y": 1}}"#,
    );
    let (inbound, section) = (inbound(instance.clone()), section(instance));
    assert_eq!(inbound.bind, BindAddress::Tcp("127.0.0.1:7000".parse().unwrap()));
    assert_eq!(inbound.local_connect_timeout, Some(Duration::from_millis(250)));
    assert_eq!(inbound.handshake_timeout, Some(Duration::from_secs(3)));
    assert_eq!(inbound.max_connections, Some(10));
    assert_eq!(section.protocol, "http");
    assert!(section.settings.contains_key("envoy_x"), "what others read is handed on");
}

#[test]
fn a_setting_that_cannot_be_read_is_no_default() {
    for json in [
        r#"{"bind_address": "localhost"}"#,
        r#"{"bind_address": null}"#,
        r#"{"bind_port": 70000}"#,
        r#"{"bind_port": -1}"#,
        r#"{"handshake_timeout_ms": 0}"#,
        r#"{"handshake_timeout_ms": "10s"}"#,
        r#"{"local_connect_timeout_ms": 0.5}"#,
        r#"{"local_connect_timeout_ms": 1e300}"#,
        r#"{"max_inbound_connections": -1}"#,
        r#"{"max_inbound_connections": "many"}"#,
        r#"{"protocol": 1}"#,
        r#"{"local_service_address": "127.0.0.1"}"#,
    ] {
        let faults = faults(configured(json));
        assert_eq!(faults.len(), 1, "{json}: {faults:?}");
        assert!(faults[0].starts_with("config key ") && faults[0].contains("; it must be "), "{}", faults[0]);
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let mut instance = configured(r#"{"handshake_timeout_ms": 0, "max_inbound_connections": -1}"#);
    instance.port = 0;
    assert_eq!(faults(instance).len(), 3);
}

#[test]
fn a_faulty_value_is_shown_cut_short() {
    let long = format!(r#"{{"bind_address": "{}"}}"#, "x".repeat(10_000));
    assert!(faults(configured(&long))[0].len() < 200);
}

#[test]
fn the_listener_follows_the_registration() {
    let mut instance = sidecar("web", vec![]);
    instance.address = "10.1.2.3".to_owned();
    assert_eq!(inbound(instance.clone()).bind, BindAddress::Tcp("10.1.2.3:21000".parse().unwrap()));
    instance.address = "web.example".to_owned();
    assert_eq!(inbound(instance.clone()).bind, BindAddress::Tcp("0.0.0.0:21000".parse().unwrap()));
    instance.port = 0;
    instance.socket_path = "/run/web.sock".to_owned();
    assert_eq!(inbound(instance).bind.to_string(), "unix:///run/web.sock");
}

#[test]
fn the_local_service_follows_the_registration() {
    let mut instance = sidecar("web", vec![]);
    let proxy = instance.proxy.as_mut().unwrap();
    proxy.local_service_port = 0;
    proxy.config = settings(r#"{"local_service_address": "[::1]:80"}"#);
    assert_eq!(inbound(instance.clone()).local, Some(LocalTarget::Tcp { host: "::1".to_owned(), port: 80 }));
    instance.proxy.as_mut().unwrap().config = Settings::new();
    assert_eq!(inbound(instance.clone()).local, None);
    instance.proxy.as_mut().unwrap().local_service_socket_path = "/run/app".to_owned();
    assert_eq!(inbound(instance).local, Some(LocalTarget::Unix { path: "/run/app".to_owned() }));
}

#[test]
fn what_makes_no_sidecar_is_refused() {
    let mut instance = sidecar("web", vec![]);
    instance.proxy.as_mut().unwrap().mode = "transparent".to_owned();
    assert_eq!(faults(instance), ["not available yet: proxy mode \"transparent\"; use direct"]);
    let mut instance = sidecar("web", vec![]);
    instance.proxy.as_mut().unwrap().destination_service = None;
    assert_eq!(faults(instance), ["a sidecar needs Proxy.DestinationServiceName"]);
    let mut instance = sidecar("web", vec![]);
    instance.port = 0;
    assert_eq!(faults(instance).len(), 1);
    assert!(faults(sidecar("a(b", vec![]))[0].starts_with("the service can have no certificate"));
    let many = (0..=UPSTREAMS_MAX).map(|i| upstream(&format!("s{i}"), 9000)).collect();
    assert!(faults(sidecar("web", many))[0].starts_with("a proxy can have at most"));
    let twice = vec![upstream("api", 9000), upstream("api", 9001)];
    assert_eq!(faults(sidecar("web", twice)), ["upstream api is there twice; keep one of them"]);
}

#[test]
fn n_295_a_path_that_cannot_be_exposed_alone_is_refused() {
    let path = |path: &str, port: u16, local: u16, protocol: &str| ExposedPath {
        path: path.to_owned(),
        listener_port: port,
        local_path_port: local,
        protocol: protocol.to_owned(),
        parsed_from_check: false,
    };
    let with = |paths: Vec<ExposedPath>| {
        let mut instance = sidecar("web", vec![]);
        instance.proxy.as_mut().unwrap().expose = Some(Box::new(Expose { checks: false, paths }));
        instance
    };
    let sound = path("/health", 21500, 8080, "HTTP2");
    let own = section(with(vec![sound.clone()]));
    assert_eq!(own.exposed, std::slice::from_ref(&sound));
    for bad in [path("", 1, 2, ""), path("/x", 0, 2, ""), path("/x", 21500, 2, "")] {
        let told = faults(with(vec![sound.clone(), bad]));
        assert!(told.len() == 1 && told[0].contains("ListenerPort of its own"), "{told:?}");
    }
    let nowhere = vec![path("x", 1, 2, ""), path("/x", 2, 0, "")];
    assert_eq!(section(with(nowhere.clone())).exposed, nowhere, "each is left to who serves them");
    let told = faults(with(vec![path("/x", 1, 2, "tcp")]));
    assert_eq!(told, ["Proxy.Expose.Paths: the protocol of \"/x\" must be http or http2"]);
}

#[test]
fn upstreams_have_their_defaults() {
    let one = one_upstream(upstream("api", 9000));
    assert_eq!(one.bind, Some(BindAddress::Tcp("127.0.0.1:9000".parse().unwrap())));
    let to = resolved(upstream("api", 9000));
    assert_eq!((to.connect_timeout, one.limits.max_connections), (None, None));
    assert_eq!(to.target.datacenter, dc("dc1"));
}

#[test]
fn upstream_settings_are_typed() {
    let mut with = upstream("api", 0);
    with.datacenter = Some(dc("dc2"));
    with.partition = Partition::parse("eu").unwrap();
    with.local_bind_socket_path = "/run/api".to_owned();
    with.local_bind_socket_mode = "0600".to_owned();
    with.config = settings(
        r#"{"connect_timeout_ms": 500, "limits": {"max_connections": 3, "max_pending_requests": null,
            "max_concurrent_requests": 0}}"#,
    );
    let (one, to) = (one_upstream(with.clone()), resolved(with));
    assert_eq!(one.bind, Some(BindAddress::Unix { path: "/run/api".to_owned(), mode: Some(0o600) }));
    assert_eq!(to.connect_timeout, Some(Duration::from_millis(500)));
    assert_eq!(one.limits.max_connections, Some(3));
    assert_eq!(one.limits.max_pending_requests, None);
    assert_eq!(one.limits.max_concurrent_requests, Some(0));
    assert_eq!((to.target.datacenter.clone(), to.target.service.partition.as_str()), (dc("dc2"), "eu"));
}

#[test]
fn an_upstream_that_cannot_be_served_is_refused_by_name() {
    let query = Upstream { kind: UpstreamKind::PreparedQuery, ..upstream("nearest", 9000) };
    refused(query, "not available yet: prepared-query upstreams");
    let peer = Upstream { peer: Some(PeerName::parse("east").unwrap()), ..upstream("api", 9000) };
    refused(peer, "not available yet: upstreams in peered clusters");
    let gateway = Upstream { mesh_gateway_mode: "local".to_owned(), ..upstream("api", 9000) };
    refused(gateway, "not available yet: mesh gateway mode \"local\"");
    refused(
        upstream("api", 0),
        "the upstream has no place to listen at: set LocalBindPort or LocalBindSocketPath",
    );
    let host = Upstream { local_bind_address: "localhost".to_owned(), ..upstream("api", 9000) };
    refused(host, "LocalBindAddress \"localhost\" is no IP address");
    let mode = Upstream {
        local_bind_socket_path: "/run/api".to_owned(),
        local_bind_socket_mode: "rw".to_owned(),
        ..upstream("api", 0)
    };
    refused(mode, "LocalBindSocketMode \"rw\" is no file mode in octal digits, such as 0600");
    let limits = Upstream { config: settings(r#"{"limits": 3}"#), ..upstream("api", 9000) };
    refused(limits, "config key \"limits\" is 3; it must be an object");
    let limits =
        Upstream { config: settings(r#"{"limits": {"max_connections": -1}}"#), ..upstream("api", 9000) };
    refused(
        limits,
        "config key \"limits.max_connections\" is -1; it must be a whole number from 0 to 4294967295",
    );
    let of_an_entry =
        Upstream { config: settings(r#"{"limits": {"MaxConnections": -1}}"#), ..upstream("api", 9000) };
    refused(
        of_an_entry,
        "config key \"limits.max_connections\" is -1; it must be a whole number from 0 to 4294967295",
    );
}

#[test]
fn one_refused_upstream_leaves_the_others_be() {
    let query = Upstream { kind: UpstreamKind::PreparedQuery, ..upstream("nearest", 9001) };
    let world = published(sidecar("web", vec![upstream("api", 9000), query]));
    let refused = world.snapshot().outbound().map(|one| matches!(one.leads, Leads::Refused(_)));
    let refused: Vec<_> = refused.collect();
    assert_eq!(refused, [false, true]);
}

#[test]
fn two_listeners_at_one_address_are_refused() {
    let world = published(sidecar("web", vec![upstream("api", 9000), upstream("db", 9000)]));
    let db = world.outbound(&UpstreamId::of(&upstream("db", 9000)));
    let expected = Refusal::BindTaken { bind: "127.0.0.1:9000".to_owned(), by: "upstream api".to_owned() };
    assert_eq!(db.leads, Leads::Refused(expected));
}

#[test]
fn proxies_share_the_listeners_that_are_the_same() {
    let parts = Parts::default();
    let told = |port: u16| {
        let mut world = World::new();
        world.proxy = world.proxy.sharing(parts.clone());
        world.register(sidecar("web", vec![upstream("api", 9000), upstream("db", port)]));
        world.on(Event::RootsChanged(roots(1)));
        world.intentions("web", vec![], DENY);
        world
    };
    let (one, other) = (told(9001), told(9002));
    let listener = |world: &World, of: &str| {
        let id = ListenerId::Upstream(UpstreamId::of(&upstream(of, 0)));
        Arc::clone(&world.snapshot().listeners[&id].value)
    };
    assert!(Arc::ptr_eq(&listener(&one, "api"), &listener(&other, "api")));
    assert_ne!(listener(&one, "db"), listener(&other, "db"));
}
