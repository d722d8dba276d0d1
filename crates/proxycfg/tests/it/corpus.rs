//! Samples of everything that travels to a proxy, as the first version of sections by reference has them: an agent and
//! its proxies need not be of one version.
//!
//! `CONCORD_BLESS=1 cargo test -p concord-proxycfg corpus` writes samples that are missing. One that is there is never
//! written again: if it cannot be read any more, the code is wrong. A section that gains a field is written into a
//! folder of its own beside.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use concord_model::ca::{CaRoot, CaRoots, KeyKind};
use concord_model::catalog::Locality;
use concord_model::entry::{EntryKind, EntryName, PassiveHealthCheck, ResolverSubset};
use concord_model::intention::Action;
use concord_model::proxy::{AccessLogSink, AccessLogs, ExposedPath};
use concord_model::{InstanceId, Stamp, Timestamp};
use concord_proxycfg::*;

use crate::world::{DENY, World, compiled, dc, endpoint, entry, mesh, service, settings, target, upstream};

fn versioned<T>(value: T) -> Versioned<T> {
    Versioned { version: 3, value: Arc::new(value) }
}

fn upstream_id() -> UpstreamId {
    UpstreamId::of(&upstream("api", 9000))
}

fn proxy() -> ProxySection {
    ProxySection {
        service: service("web"),
        service_id: Some(InstanceId::parse("web-1").unwrap()),
        datacenter: dc("dc1"),
        protocol: "http".to_owned(),
        settings: settings(r#"{"protocol": "http", "envoy_x": {"y": [1, true, null]}}"#),
        access_logs: None,
        exposed: vec![],
        checked_from: None,
    }
}

fn roots() -> CaRoots {
    let root = CaRoot {
        id: "aa:01".to_owned(),
        name: "concord CA".to_owned(),
        serial: 7,
        signing_key_id: "aa:02".to_owned(),
        external_trust_domain: "11111111-2222-3333-4444-555555555555".to_owned(),
        not_before: Timestamp::from_secs(1_700_000_000),
        not_after: Timestamp::from_secs(1_800_000_000),
        root_cert: "a certificate".to_owned(),
        intermediate_certs: vec!["another".to_owned()],
        active: true,
        rotated_out_at: Some(Timestamp::from_secs(1_750_000_000)),
        key_kind: KeyKind::EcP256,
        stamp: Stamp { create: 3, modify: 5 },
    };
    CaRoots { roots: vec![root], ..(*crate::world::roots(1)).clone() }
}

fn api() -> Target {
    let mut here = endpoint("api", "n2", 21000);
    here.locality = Some(Locality { region: "eu".to_owned(), zone: "b".to_owned() });
    Target { id: target("api"), endpoints: Some(Endpoints { list: vec![here], left_out: 7 }) }
}

fn chain() -> Chain {
    let resolve = Resolve { target: target("api"), connect_timeout: Some(Duration::from_millis(250)) };
    Chain::new(ChainId::of(&upstream_id()), ChainStep::Resolve(resolve))
}

fn inbound() -> Listener {
    Listener::Inbound(InboundListener {
        bind: BindAddress::Tcp((Ipv4Addr::UNSPECIFIED, 21000).into()),
        local: Some(LocalTarget::Tcp { host: "127.0.0.1".to_owned(), port: 8080 }),
        local_connect_timeout: Some(Duration::from_secs(2)),
        handshake_timeout: Some(Duration::from_secs(3)),
        max_connections: Some(100),
    })
}

fn outbound(leads: Leads) -> Listener {
    Listener::Outbound(OutboundListener {
        upstream: upstream_id(),
        bind: Some(BindAddress::Unix { path: "/run/api".to_owned(), mode: Some(0o660) }),
        leads,
        limits: UpstreamLimits {
            max_connections: Some(1),
            max_pending_requests: Some(2),
            max_concurrent_requests: Some(0),
        },
        passive_health_check: None,
        settings: settings(r#"{"connect_timeout_ms": 250}"#),
    })
}

fn refusals() -> Vec<(&'static str, Refusal)> {
    let (key, found, expected) = ("limits".to_owned(), "3".to_owned(), "an object".to_owned());
    let text = |text: &str| text.to_owned();
    vec![
        ("prepared-query", Refusal::PreparedQuery),
        ("peer", Refusal::Peer),
        ("mesh-gateway", Refusal::MeshGateway { mode: text("local") }),
        ("no-bind", Refusal::NoBind),
        ("bind-address", Refusal::BindAddress { address: text("localhost") }),
        ("socket-mode", Refusal::SocketMode { mode: text("rw") }),
        ("bind-taken", Refusal::BindTaken { bind: text("127.0.0.1:9000"), by: text("upstream db") }),
        ("chain", Refusal::Chain { reason: text("a circle") }),
        ("settings", Refusal::Settings { faults: vec![SettingFault { key, found, expected }] }),
    ]
}

/// A sample of each body. A new one does not compile before it has one.
fn sample(number: usize) -> Option<(&'static str, SectionBody)> {
    let entries = vec![entry("db", "web", Action::Allow), entry("*", "*", Action::Deny)];
    let intentions = IntentionSection::new(service("web"), entries, DENY);
    let all = [
        SectionBody::Proxy(versioned(proxy())),
        SectionBody::Roots(versioned(roots())),
        SectionBody::Intentions(versioned(intentions)),
        SectionBody::Target(versioned(api())),
        SectionBody::Chain(versioned(chain())),
        SectionBody::Listener(versioned(outbound(Leads::Chain(ChainId::of(&upstream_id()))))),
        SectionBody::ListenerGone(ListenerId::Upstream(upstream_id())),
        SectionBody::ChainGone(ChainId::of(&upstream_id())),
        SectionBody::TargetGone(target("api")),
        SectionBody::Entry(versioned(Arc::unwrap_or_clone(mesh(true)))),
        SectionBody::EntryGone(EntryName::only(EntryKind::Mesh)),
    ];
    let body = all.get(number)?.clone();
    let (name, at) = match &body {
        SectionBody::Proxy(_) => ("proxy", 0),
        SectionBody::Roots(_) => ("roots", 1),
        SectionBody::Intentions(_) => ("intentions", 2),
        SectionBody::Target(_) => ("target", 3),
        SectionBody::Chain(_) => ("chain", 4),
        SectionBody::Listener(_) => ("listener", 5),
        SectionBody::ListenerGone(_) => ("listener-gone", 6),
        SectionBody::ChainGone(_) => ("chain-gone", 7),
        SectionBody::TargetGone(_) => ("target-gone", 8),
        SectionBody::Entry(_) => ("entry", 9),
        SectionBody::EntryGone(_) => ("entry-gone", 10),
        SectionBody::Leaf(_) => panic!("a key has no wire form"),
    };
    assert_eq!(number, at, "one sample of each");
    Some((name, body))
}

/// The committed sample of that name.
#[allow(clippy::disallowed_methods, reason = "whether to write samples is said in the environment")]
fn committed(name: &str, current: &impl serde::Serialize) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus/sections-1").join(name);
    if !path.exists() && std::env::var("CONCORD_BLESS").is_ok() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, rmp_serde::to_vec_named(current).unwrap()).unwrap();
    }
    fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; write it with CONCORD_BLESS=1", path.display()))
}

#[track_caller]
fn check(name: &str, body: SectionBody) {
    let update = SectionUpdate { version: 5, more: true, body };
    let bytes = committed(name, &update);
    assert_eq!(rmp_serde::from_slice::<SectionUpdate>(&bytes).unwrap(), update, "{name}");
}

#[test]
fn sections_of_every_kind_are_read_as_they_were_meant() {
    let mut count = 0;
    while let Some((name, body)) = sample(count) {
        check(name, body);
        count += 1;
    }
    assert_eq!(count, 11);
    let start = ChainStep::Compiled(compiled("api", &["api", "db"]));
    let chain = Chain::new(ChainId::of(&upstream_id()), start);
    check("chain-compiled", SectionBody::Chain(versioned(chain)));
    let subset = ResolverSubset { filter: "Service.Meta.v == 1".to_owned(), only_passing: true };
    let part = Target { id: TargetId::new(service("api"), dc("dc1"), subset), endpoints: None };
    check("target-subset", SectionBody::Target(versioned(part)));
    let logs = AccessLogs {
        enabled: true,
        sink: AccessLogSink::File,
        path: "/l".to_owned(),
        ..AccessLogs::default()
    };
    let logging = ProxySection { access_logs: Some(Box::new(logs)), ..proxy() };
    check("proxy-access-logs", SectionBody::Proxy(versioned(logging)));
    let path = ExposedPath { listener_port: 21500, path: "/h".to_owned(), ..ExposedPath::default() };
    let exposing = ProxySection { exposed: vec![path], ..proxy() };
    check("proxy-exposed", SectionBody::Proxy(versioned(exposing)));
    check("listener-inbound", SectionBody::Listener(versioned(inbound())));
    check("listener-gone-inbound", SectionBody::ListenerGone(ListenerId::Inbound));
    check("target-unknown", SectionBody::Target(versioned(Target { id: target("api"), endpoints: None })));
    let mut checked = outbound(Leads::Chain(ChainId::of(&upstream_id())));
    if let Listener::Outbound(own) = &mut checked {
        own.passive_health_check =
            Some(PassiveHealthCheck { max_failures: 3, ..PassiveHealthCheck::default() });
    }
    check("listener-passive-check", SectionBody::Listener(versioned(checked)));
    for (name, refusal) in refusals() {
        let listener = outbound(Leads::Refused(refusal));
        check(&format!("listener-refused-{name}"), SectionBody::Listener(versioned(listener)));
    }
}

#[test]
fn the_beginning_of_a_stream_is_read_as_it_was_meant() {
    let beginning = World::published().snapshot().beginning();
    let bytes = committed("beginning", &beginning);
    assert_eq!(rmp_serde::from_slice::<ProxySnapshot>(&bytes).unwrap(), beginning);
}

#[test]
fn a_proxy_of_the_first_version_understands_what_it_did() {
    let bytes = committed("understood", &Understood::of(Feature::ALL));
    let first = rmp_serde::from_slice::<Understood>(&bytes).unwrap();
    assert_eq!(first.covers(World::published().snapshot()), Ok(()));
}
