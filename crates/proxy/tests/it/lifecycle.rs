//! Agents that go away, snapshots that never come, instances that come and go, the end.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use concord_model::catalog::CheckStatus;
use concord_proxycfg::{Endpoints, TargetId};
use concord_runtime::ShutdownReport;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::world::{
    Local, Mesh, Mood, Peer, Script, Sidecar, UpstreamParts, allow, app_is_refused, closed_without_a_byte,
    eventually, exchange, logged, metric, pause, service, upstream_id, within,
};

async fn pair(mesh: &Arc<Mesh>, local: &Local) -> (Sidecar, Sidecar) {
    let api =
        Sidecar::before(mesh, "api", local.address, |parts| parts.entries = vec![allow("web", "api")]).await;
    let web = Sidecar::calling(mesh, "web", [UpstreamParts::of("api", &[api.public()])]).await;
    (web, api)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_agent_is_away_the_last_snapshot_serves() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let (web, api) = pair(&mesh, &local).await;
    let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
    for sidecar in [&web, &api] {
        sidecar.script.mood(Mood::Away);
        sidecar.until(|status| !status.attached && status.is_ready()).await;
    }
    exchange(&mut app, "live").await.unwrap();
    let mut new = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut new, "new").await.unwrap();
    // What changed meanwhile is learned at the return, by a whole snapshot.
    api.script.change(|parts| parts.entries.clear());
    let attached = api.script.attached();
    for sidecar in [&web, &api] {
        sidecar.script.mood(Mood::Well);
        sidecar.in_time(&mesh, Duration::from_secs(1), |status| status.attached).await;
    }
    assert_eq!(api.script.attached(), attached + 1);
    assert!(closed_without_a_byte(&mut app).await);
    assert!(app_is_refused(web.upstream("api")).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_lets_attach_and_then_fails_is_asked_again() {
    let mesh = Mesh::new();
    let script = Script::new(&mesh, "web", None);
    script.mood(Mood::Revoked);
    let web = Sidecar::start(&mesh, Arc::clone(&script));
    for _ in 0..60 {
        pause().await;
    }
    assert!(!web.status.borrow().is_ready() && script.attached() == 0);
    // Refused for long, the pause has grown to seconds: half a minute at most asks but a few times.
    script.mood(Mood::Well);
    web.in_time(&mesh, Duration::from_secs(1), |status| status.attached).await;
    assert_eq!(script.attached(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_leaf_nothing_goes_through() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let target =
        concord_proxycfg::LocalTarget::Tcp { host: "127.0.0.1".to_owned(), port: local.address.port() };
    let script = Script::new(&mesh, "api", Some(target));
    script.signs(false);
    script.change(|parts| {
        parts.entries = vec![allow("*", "api")];
        parts.upstreams.insert(upstream_id("db"), UpstreamParts::of("db", &[local.address]));
    });
    let api = Sidecar::start(&mesh, script);
    api.until(|status| status.public.is_some()).await;
    assert!(Peer::dial(api.public(), Peer::client(&mesh, "web", "api")).await.is_err());
    assert!(app_is_refused(api.upstream("db")).await);
    assert_eq!(local.connections(), 0);
    api.script.signs(true);
    api.in_time(&mesh, Duration::from_secs(10), concord_proxy::ProxyStatus::is_ready).await;
    let mut stream = Peer::dial(api.public(), Peer::client(&mesh, "web", "api")).await.unwrap();
    exchange(&mut stream, "now").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_cannot_be_gone_by_leaves_the_last_one() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let (web, api) = pair(&mesh, &local).await;
    api.script.change(|parts| {
        parts.roots.roots[0].root_cert = "no certificate".to_owned();
        parts.entries.clear();
    });
    eventually(|| logged(&["degraded", "snapshot_refused"])).await;
    let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut app, "the last one stands").await.unwrap();
    api.change(|parts| parts.roots = mesh.roots()).await;
    assert!(closed_without_a_byte(&mut app).await, "and the next good one counts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_healthy_instances_are_called_and_changes_count_at_once() {
    let mesh = Mesh::new();
    let (one, two) = (Local::echo(&mesh).await, Local::echo(&mesh).await);
    let rules = |parts: &mut crate::world::Parts| parts.entries = vec![allow("web", "api")];
    let first = Sidecar::before(&mesh, "api", one.address, rules).await;
    let second = Sidecar::before(&mesh, "api", two.address, rules).await;
    let web =
        Sidecar::calling(&mesh, "web", [UpstreamParts::of("api", &[first.public(), second.public()])]).await;
    let call = async |count: usize| {
        for _ in 0..count {
            let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
            exchange(&mut app, "hello").await.unwrap();
        }
        (one.connections(), two.connections())
    };
    let (a, b) = call(20).await;
    assert!(a > 0 && b > 0 && a + b == 20, "{a} and {b}");
    let sick = |status| {
        let list = vec![
            UpstreamParts::endpoint("api", first.public(), status),
            UpstreamParts::endpoint("api", second.public(), CheckStatus::Passing),
        ];
        Some(Endpoints::from_unordered(list))
    };
    let mut held = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut held, "held").await.unwrap();
    let before = (one.connections(), two.connections());
    web.change(|parts| {
        parts.upstreams.get_mut(&upstream_id("api")).unwrap().endpoints = sick(CheckStatus::Critical)
    })
    .await;
    let (a, b) = call(10).await;
    assert_eq!((a, b), (before.0, before.1 + 10));
    exchange(&mut held, "open connections stay").await.unwrap();
    web.change(|parts| {
        parts.upstreams.get_mut(&upstream_id("api")).unwrap().endpoints = UpstreamParts::known("api", &[]);
    })
    .await;
    let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
    assert!(closed_without_a_byte(&mut app).await);
    let remote = format!("remote={}", app.local_addr().unwrap());
    eventually(|| logged(&["connection refused", "no_instance", &remote])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_stay_known_while_their_target_is_not_told_anew() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let (web, _api) = pair(&mesh, &local).await;
    // An agent that has just started knows the target before it knows its instances.
    web.change(|parts| parts.upstreams.get_mut(&upstream_id("api")).unwrap().endpoints = None).await;
    let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut app, "as before").await.unwrap();
    // Those of another target are no instances of this one.
    web.change(|parts| {
        let target = &mut parts.upstreams.get_mut(&upstream_id("api")).unwrap().target;
        *target = TargetId::all_of(service("db"), target.datacenter.clone());
    })
    .await;
    let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
    assert!(closed_without_a_byte(&mut app).await);
    let remote = format!("remote={}", app.local_addr().unwrap());
    eventually(|| logged(&["connection refused", "no_instance", "instance of db", &remote])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_cannot_be_reached_is_passed_over() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let (web, api) = pair(&mesh, &local).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    web.change(|parts| {
        parts.upstreams.get_mut(&upstream_id("api")).unwrap().endpoints =
            UpstreamParts::known("api", &[gone, api.public()]);
    })
    .await;
    for _ in 0..10 {
        let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
        exchange(&mut app, "hello").await.unwrap();
    }
    eventually(|| logged(&["instance not reached", &gone.to_string(), "reason=\"connect\""])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_waits_for_an_instance_that_comes_up() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let (web, api) = pair(&mesh, &local).await;
    let known = async |instances: &[std::net::SocketAddr]| {
        web.change(|parts| {
            parts.upstreams.get_mut(&upstream_id("api")).unwrap().endpoints =
                UpstreamParts::known("api", instances);
        })
        .await;
    };
    known(&[]).await;
    let mut early = TcpStream::connect(web.upstream("api")).await.unwrap();
    early.write_all(b"hello").await.unwrap();
    mesh.clock.advance(Duration::from_secs(1));
    known(&[api.public()]).await;
    let mut back = [0; 5];
    within(early.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"hello");
    // And no longer than that.
    known(&[]).await;
    let mut late = TcpStream::connect(web.upstream("api")).await.unwrap();
    let ended = within(async {
        loop {
            mesh.clock.advance(Duration::from_millis(500));
            tokio::select! {
                read = late.read(&mut back) => return read,
                () = pause() => {}
            }
        }
    });
    assert!(matches!(ended.await, Ok(0) | Err(_)));
    eventually(|| logged(&["no healthy instance of api is known"])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_closes_listeners_at_once_and_connections_at_the_deadline() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let drained = |parts: &mut crate::world::Parts| parts.entries = vec![allow("drainer", "drained")];
    let api = Sidecar::before(&mesh, "drained", local.address, drained).await;
    let web = Sidecar::calling(&mesh, "drainer", [UpstreamParts::of("drained", &[api.public()])]).await;
    let mut polite = TcpStream::connect(web.upstream("drained")).await.unwrap();
    let mut deaf = TcpStream::connect(web.upstream("drained")).await.unwrap();
    exchange(&mut polite, "polite").await.unwrap();
    exchange(&mut deaf, "deaf").await.unwrap();
    let public = api.public();
    let script = Arc::clone(&api.script);
    let draining = mesh.scope.spawn("drain", api.proxy.drain());
    within(async {
        while TcpStream::connect(public).await.is_ok() {
            pause().await;
        }
    })
    .await;
    // A snapshot that comes now opens nothing.
    script.change(|parts| parts.inbound.handshake_timeout = Some(Duration::from_secs(9)));
    for stream in [&mut polite, &mut deaf] {
        exchange(stream, "still here").await.unwrap();
    }
    drop(polite);
    eventually(|| metric(&["consul_proxy_inbound_conns{", "drainer"]) == Some(1.0)).await;
    exchange(&mut deaf, "still here").await.unwrap();
    assert!(TcpStream::connect(public).await.is_err());
    mesh.clock.advance(Duration::from_secs(16));
    let report = within(draining.join()).await.unwrap();
    assert!(report.left.is_empty() && report.cut.len() == 1, "{report:?}");
    assert!(report.cut[0].ends_with("/traffic/proxy/proxy connection"), "{report:?}");
    let mut heard = [0; 1];
    assert!(!matches!(within(deaf.read(&mut heard)).await, Ok(1)));
    assert_eq!(metric(&["consul_proxy_inbound_conns{", "drainer"]), Some(0.0));
    eventually(|| logged(&["connection ended", "drained", "cut: the proxy stops"])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_without_connections_is_over_at_once() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let (web, api) = pair(&mesh, &local).await;
    assert_eq!(within(web.proxy.drain()).await, ShutdownReport::default());
    assert_eq!(within(api.proxy.drain()).await, ShutdownReport::default());
}

/// Says to the child that it is one.
const CHILD: &str = "CONCORD_PROXY_TEST_OF_DESCRIPTORS";

/// Limits are the process's, hence a process of its own.
#[test]
fn when_descriptors_are_used_up_open_connections_go_on_and_new_ones_wait() {
    let test = std::env::current_exe().unwrap();
    let script = format!(
        "ulimit -n 100; exec {} --ignored --exact lifecycle::descriptors_are_used_up",
        test.display()
    );
    let child = Command::new("sh").args(["-c", &script]).env(CHILD, "1").output().unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by its parent with a low limit of descriptors"]
async fn descriptors_are_used_up() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let (web, _api) = pair(&mesh, &local).await;
    let mut live = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut live, "before").await.unwrap();
    // All that is left goes to our own ends; the proxy's ends of them find nothing.
    let mut sockets = Vec::new();
    while let Ok(socket) = TcpSocket::new_v4() {
        sockets.push(socket);
        assert!(sockets.len() < 200, "there is no limit");
    }
    let upstream = web.upstream("api");
    let connects = sockets.drain(..5).map(|socket| socket.connect(upstream));
    let waiting = futures::future::join_all(connects).await;
    assert!(waiting.iter().all(Result::is_ok), "the system holds them");
    eventually(|| logged(&["degraded", "what=\"accept\"", "Too many open files"])).await;
    for _ in 0..20 {
        exchange(&mut live, "during").await.unwrap();
    }
    drop((sockets, waiting));
    // Room comes back: what waited is served, and what comes now.
    within(async {
        loop {
            if let Ok(mut app) = TcpStream::connect(web.upstream("api")).await
                && exchange(&mut app, "after").await.is_ok()
            {
                return;
            }
            pause().await;
        }
    })
    .await;
    exchange(&mut live, "after").await.unwrap();
}
