//! Tests of proxies that are registered in the catalog, on nodes without an agent.

use std::sync::Arc;
use std::time::Duration;

use concord_config::section::Role;
use concord_model::catalog::ServiceInstance;
use concord_model::intention::Action;
use concord_model::proxy::{ProxyConfig, ServiceKind};
use concord_model::{NodeName, Secret};
use concord_proxycfg::{LeafFrom, ProxySnapshot};
use concord_rpc::request::InstanceHealth;
use concord_rpc::{Attach, ProxyTarget, Received, RpcError, SnapshotEvent, SnapshotSource, SnapshotStream};
use concord_runtime::timeout;
use futures::StreamExt;
use serde_json::json;

use super::merging::entry;
use crate::testing::{Bench, NODE, healthy, intention, name, plain, service_id, settle, strict};

const WEB: &str = r#"service "web" { policy = "write" } service_prefix "" { policy = "read" }
    node_prefix "" { policy = "read" }"#;

/// An agent that runs beside a server.
fn server() -> Bench {
    Bench::with(strict(), |config| config.about.role = Role::Server { bootstrap: true })
}

fn sidecar(of: &str, port: u16) -> InstanceHealth {
    let mut one = healthy("edge", "web-sidecar-proxy", "web-sidecar-proxy");
    let proxy = ProxyConfig { destination_service: Some(name(of)), ..ProxyConfig::default() };
    one.service =
        ServiceInstance { kind: ServiceKind::ConnectProxy, port, proxy: Some(proxy), ..one.service };
    one
}

/// Writes the proxy to the catalog, instead of what is there.
fn write(bench: &Bench, one: Option<InstanceHealth>) {
    bench.servers.change(|catalog| {
        catalog.instances.retain(|other| other.node.name.as_str() != "edge");
        catalog.instances.extend(one);
    });
}

fn on(node: &str) -> Attach {
    let node = Some(NodeName::parse(node).unwrap());
    let proxy = ProxyTarget::Registered { node, proxy: service_id("web-sidecar-proxy") };
    Attach { leaf: LeafFrom::Agent, ..Attach::new(proxy, plain()) }
}

async fn attach(bench: &Bench, token: &Secret) -> Result<SnapshotStream, RpcError> {
    bench.agent.proxies.attach(on("edge"), Some(token.clone())).await
}

/// What a stream tells, up to the first whole snapshot that fits.
async fn until(
    bench: &Bench,
    received: &mut Received,
    stream: &mut SnapshotStream,
    fits: impl Fn(&ProxySnapshot) -> bool,
) -> ProxySnapshot {
    loop {
        let next = timeout(&*bench.world.clock, Duration::from_secs(60), stream.next());
        let event = next.await.expect("news").expect("it goes on").expect("no error");
        if let Some(snapshot) = received.take(event).unwrap().filter(|snapshot| fits(snapshot)) {
            return snapshot.clone();
        }
    }
}

async fn end(bench: &Bench, stream: SnapshotStream) -> RpcError {
    let all = stream.collect::<Vec<_>>();
    let all = timeout(&*bench.world.clock, Duration::from_secs(60), all).await.expect("the stream ends");
    all.into_iter().next_back().expect("a last word").expect_err("an error")
}

fn port(snapshot: &ProxySnapshot) -> u16 {
    let bind = snapshot.inbound().expect("it accepts connections").bind.to_string();
    bind.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
}

#[tokio::test(start_paused = true)]
async fn a_proxy_in_the_catalog_is_told_what_one_at_the_agent_is() {
    let bench = server();
    let token = bench.servers.token("web", WEB);
    write(&bench, Some(sidecar("web", 21_000)));
    let mut stream = attach(&bench, &token).await.unwrap();
    let mut received = Received::default();
    let whole = until(&bench, &mut received, &mut stream, |_| true).await;
    assert_eq!((&whole.proxy.service.name, port(&whole)), (&name("web"), 21_000));
    assert!(whole.leaf.is_some(), "the server makes its certificate");
    write(&bench, Some(sidecar("web", 21_001)));
    until(&bench, &mut received, &mut stream, |now| port(now) == 21_001).await;
    bench.servers.change(|catalog| catalog.intentions.push(intention("db", "web", Action::Deny)));
    until(&bench, &mut received, &mut stream, |now| now.intentions.entries.len() == 1).await;
    write(&bench, None);
    assert_eq!(
        end(&bench, stream).await,
        RpcError::NotFound("unknown service ID: web-sidecar-proxy".to_owned())
    );
    let refused = attach(&bench, &token).await.err();
    assert!(matches!(refused, Some(RpcError::NotFound(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn each_stream_asks_for_its_registration_once_and_shares_the_rest() {
    let bench = server();
    let token = bench.servers.token("web", WEB);
    write(&bench, Some(sidecar("web", 21_000)));
    let mut streams = Vec::new();
    for _ in 0..8 {
        let mut stream = attach(&bench, &token).await.unwrap();
        until(&bench, &mut Received::default(), &mut stream, |_| true).await;
        streams.push(stream);
    }
    let before = bench.servers.asked("FollowProxy");
    write(&bench, Some(sidecar("web", 21_001)));
    settle().await;
    assert_eq!(bench.servers.asked("FollowProxy") - before, 8);
    assert_eq!(bench.servers.look(|catalog| catalog.signed), 1, "and they have one certificate");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_in_the_catalog_is_told_from_which_entries_it_is_merged() {
    let bench = server();
    let token = bench.servers.token("web", WEB);
    write(&bench, Some(sidecar("web", 21_000)));
    let attach = Attach { tells_basis: true, ..on("edge") };
    let mut stream = bench.agent.proxies.attach(attach, Some(token)).await.unwrap();
    let proxies = entry("proxies", json!({}));
    let (own, other) = (entry("web", json!({"Protocol": "http"})), entry("db", json!({"Protocol": "http"})));
    let mut last = 0;
    for (written, expected) in [
        (None, vec![]),
        (Some(own.clone()), vec![own.name()]),
        // It says nothing, and is part of it all the same.
        (Some(proxies.clone()), vec![proxies.name(), own.name()]),
        // It concerns another service.
        (Some(other), vec![proxies.name(), own.name()]),
    ] {
        if let Some(entry) = written {
            bench.servers.change(|catalog| catalog.entries.insert(entry.name(), Arc::new(entry)));
        }
        let told = loop {
            let next = timeout(&*bench.world.clock, Duration::from_secs(60), stream.next()).await;
            let SnapshotEvent::Basis(basis) = next.expect("news").expect("it goes on").unwrap() else {
                continue;
            };
            let Some(merged) = basis.registration.clone() else { continue };
            if merged.index > last {
                break merged;
            }
        };
        assert_eq!(told.entries[..], expected[..]);
        last = told.index;
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_in_the_catalog_needs_the_right_to_its_service_for_as_long_as_it_is_attached() {
    let bench = server();
    let token = bench.servers.token("web", WEB);
    write(&bench, Some(sidecar("web", 21_000)));
    let reader = bench.servers.token("reader", r#"service_prefix "" { policy = "read" }"#);
    let proxy = bench.servers.token("proxy", r#"service "web-sidecar-proxy" { policy = "write" }"#);
    for other in [reader, proxy] {
        let refused = attach(&bench, &other).await.err().expect("refused");
        assert!(refused.is_denial(), "{refused}");
    }
    let narrowed = attach(&bench, &token).await.unwrap();
    settle().await;
    bench.servers.token("web", r#"service "web" { policy = "read" }"#);
    settle().await;
    assert!(end(&bench, narrowed).await.is_denial());

    let token = bench.servers.token("web", WEB);
    let moved = attach(&bench, &token).await.unwrap();
    settle().await;
    // The proxy comes to stand before a service that its token may not write.
    write(&bench, Some(sidecar("api", 21_000)));
    let end = end(&bench, moved).await;
    assert!(end.is_denial() || matches!(end, RpcError::NotFound(_)), "{end}");
}

#[tokio::test(start_paused = true)]
async fn what_is_registered_here_comes_before_the_catalog_and_clients_have_no_other() {
    let bench = Bench::new(strict());
    let token = bench.servers.token("web", WEB);
    write(&bench, Some(sidecar("web", 21_000)));
    let refused = attach(&bench, &token).await.err().expect("refused").to_string();
    assert!(refused.contains("client agent") && refused.contains("node edge"), "{refused}");
    assert_eq!(bench.servers.asked("FollowProxy"), 0);
    let own = bench.agent.proxies.attach(on(NODE), Some(token)).await.err();
    assert_eq!(own, Some(RpcError::NotFound("unknown service ID: web-sidecar-proxy".to_owned())));

    let bench = server();
    let token = bench
        .servers
        .token("web", r#"service_prefix "" { policy = "write" } node_prefix "" { policy = "read" }"#);
    let definition = r#"{"Name":"web","Port":8080,"Connect":{"SidecarService":{"Port":21005}}}"#;
    let definition = concord_api::definition::ServiceDefinition::decode(definition.as_bytes()).unwrap();
    let caller = bench.caller(&token).await;
    bench.agent.registrar.register_service(&caller, &definition, false).await.unwrap();
    let mut stream = bench.agent.proxies.attach(on(NODE), Some(token)).await.unwrap();
    let whole = until(&bench, &mut Received::default(), &mut stream, |_| true).await;
    assert_eq!((port(&whole), bench.servers.asked("FollowProxy")), (21_005, 0));
}

#[tokio::test(start_paused = true)]
async fn changes_beyond_so_many_in_a_second_wait_and_become_one() {
    let bench = Bench::with(strict(), |config| {
        config.about.role = Role::Server { bootstrap: true };
        config.xds.updates_per_second = 2;
    });
    let token = bench.servers.token("web", WEB);
    write(&bench, Some(sidecar("web", 21_000)));
    let mut stream = attach(&bench, &token).await.unwrap();
    let mut received = Received::default();
    until(&bench, &mut received, &mut stream, |_| true).await;
    let began = bench.world.clock.now();
    let mut told = 0;
    for port in 21_001..=21_100 {
        write(&bench, Some(sidecar("web", port)));
        bench.world.clock.sleep(Duration::from_millis(100)).await;
    }
    // Whatever was left out on the way, the last change arrives.
    loop {
        let whole = until(&bench, &mut received, &mut stream, |_| true).await;
        told += 1;
        if port(&whole) == 21_100 {
            break;
        }
    }
    let seconds = (bench.world.clock.now() - began).as_secs();
    assert!((10..14).contains(&seconds) && told <= 30, "{told} changes in {seconds} s");
}

#[tokio::test(start_paused = true)]
async fn n_323_a_stream_beyond_the_limit_is_refused_and_the_others_go_on() {
    let mut bench = server();
    bench.agent.proxies.streams = Arc::new(tokio::sync::Semaphore::new(1));
    let token = bench.servers.token("web", WEB);
    write(&bench, Some(sidecar("web", 21_000)));
    let mut stream = attach(&bench, &token).await.unwrap();
    let mut received = Received::default();
    until(&bench, &mut received, &mut stream, |_| true).await;
    for _ in 0..3 {
        let refused = attach(&bench, &token).await.err().expect("there is no room");
        assert!(matches!(&refused, RpcError::Busy(text) if text.contains("too many proxies")), "{refused}");
    }
    write(&bench, Some(sidecar("web", 21_001)));
    until(&bench, &mut received, &mut stream, |now| port(now) == 21_001).await;
    drop(stream);
    settle().await;
    assert!(attach(&bench, &token).await.is_ok(), "there is room again");
}
