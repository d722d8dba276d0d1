//! Listeners that come, go, move, and cannot be bound.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use concord_proxycfg::{BindAddress, LocalTarget, Refusal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::world::{
    Local, Mesh, Mood, Script, Sidecar, UpstreamParts, allow, app_is_refused, closed_without_a_byte,
    eventually, exchange, logged, pause, upstream_id, within,
};

/// An address that is free now.
async fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn called(mesh: &Arc<Mesh>, name: &str) -> (Sidecar, Local) {
    let local = Local::echo(mesh).await;
    let own = name.to_owned();
    let sidecar =
        Sidecar::before(mesh, name, local.address, |parts| parts.entries = vec![allow("web", &own)]).await;
    (sidecar, local)
}

async fn gone(address: SocketAddr) {
    within(async {
        while TcpStream::connect(address).await.is_ok() {
            pause().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstreams_come_change_and_go_and_leave_the_others_alone() {
    let mesh = Mesh::new();
    let (api, _) = called(&mesh, "api").await;
    let (db, _) = called(&mesh, "db").await;
    let web = Sidecar::calling(&mesh, "web", [UpstreamParts::of("api", &[api.public()])]).await;
    let mut live = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut live, "live").await.unwrap();
    web.change(|parts| {
        parts.upstreams.insert(upstream_id("db"), UpstreamParts::of("db", &[db.public()]));
    })
    .await;
    let mut other = TcpStream::connect(web.upstream("db")).await.unwrap();
    exchange(&mut other, "db").await.unwrap();
    let (before, moved) = (web.upstream("db"), free().await);
    let api_at = web.upstream("api");
    web.change(|parts| {
        parts.upstreams.get_mut(&upstream_id("db")).unwrap().bind = Some(BindAddress::Tcp(moved));
    })
    .await;
    web.until(|status| status.upstreams.get("db") == Some(&moved.to_string())).await;
    gone(before).await;
    assert_eq!(web.upstream("api"), api_at, "what did not change was not touched");
    let mut again = TcpStream::connect(moved).await.unwrap();
    exchange(&mut again, "moved").await.unwrap();
    exchange(&mut other, "open connections stay").await.unwrap();
    web.change(|parts| {
        parts.upstreams.remove(&upstream_id("db"));
    })
    .await;
    gone(moved).await;
    exchange(&mut again, "open connections stay").await.unwrap();
    exchange(&mut live, "live").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_swap_their_addresses() {
    let mesh = Mesh::new();
    let (api, api_local) = called(&mesh, "api").await;
    let (db, db_local) = called(&mesh, "db").await;
    let (left, right) = (free().await, free().await);
    let at = |to: &str, instance, bind| {
        let mut section = UpstreamParts::of(to, &[instance]);
        section.bind = Some(BindAddress::Tcp(bind));
        section
    };
    let upstreams = [at("api", api.public(), left), at("db", db.public(), right)];
    let web = Sidecar::calling(&mesh, "web", upstreams).await;
    web.until(|status| status.upstreams.len() == 2).await;
    web.change(|parts| {
        parts.upstreams.insert(upstream_id("api"), at("api", api.public(), right));
        parts.upstreams.insert(upstream_id("db"), at("db", db.public(), left));
    })
    .await;
    let swapped = |status: &concord_proxy::ProxyStatus| {
        status.upstreams.get("api") == Some(&right.to_string())
            && status.upstreams.get("db") == Some(&left.to_string())
    };
    web.until(swapped).await;
    exchange(&mut TcpStream::connect(right).await.unwrap(), "to api").await.unwrap();
    assert_eq!((api_local.connections(), db_local.connections()), (1, 0));
    exchange(&mut TcpStream::connect(left).await.unwrap(), "to db").await.unwrap();
    assert_eq!((api_local.connections(), db_local.connections()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_address_is_tried_again_agent_or_no_agent() {
    let mesh = Mesh::new();
    let (api, _) = called(&mesh, "api").await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let mut section = UpstreamParts::of("api", &[api.public()]);
    section.bind = Some(BindAddress::Tcp(address));
    let web = Sidecar::calling(&mesh, "web", [section]).await;
    assert!(!web.status.borrow().upstreams.contains_key("api"));
    eventually(|| logged(&["degraded", "what=\"bind\"", &address.to_string()])).await;
    web.script.mood(Mood::Away);
    web.until(|status| !status.attached).await;
    drop(taken);
    web.until(|status| status.upstreams.contains_key("api")).await;
    exchange(&mut TcpStream::connect(address).await.unwrap(), "hello").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_99_an_upstream_listens_where_it_says_and_nowhere_else() {
    let mesh = Mesh::new();
    let (api, _) = called(&mesh, "api").await;
    let web = Sidecar::calling(&mesh, "web", [UpstreamParts::of("api", &[api.public()])]).await;
    let port = web.upstream("api").port();
    assert!(web.upstream("api").ip().is_loopback());
    assert!(TcpStream::connect(("127.0.0.2", port)).await.is_err(), "only the declared address");
    // Whoever connects there, the identity is the proxy's: a rule for another service does not help.
    api.change(|parts| parts.entries = vec![allow("db", "api")]).await;
    assert!(app_is_refused(web.upstream("api")).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_cannot_be_served_is_refused_by_name() {
    let mesh = Mesh::new();
    let (api, local) = called(&mesh, "api").await;
    let mut section = UpstreamParts::of("api", &[api.public()]);
    section.refused = Some(Refusal::PreparedQuery);
    let web = Sidecar::calling(&mesh, "web", [section]).await;
    eventually(|| logged(&["degraded", "upstream_refused", "not available yet: prepared-query upstreams"]))
        .await;
    let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
    assert!(closed_without_a_byte(&mut app).await);
    let remote = format!("remote={}", app.local_addr().unwrap());
    eventually(|| logged(&["connection refused", "refused_upstream", &remote, "prepared-query"])).await;
    assert_eq!(local.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_public_listener_moves_and_open_connections_stay() {
    let mesh = Mesh::new();
    let (api, _) = called(&mesh, "api").await;
    let web = Sidecar::calling(&mesh, "web", [UpstreamParts::of("api", &[api.public()])]).await;
    let mut live = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut live, "before").await.unwrap();
    let (before, moved) = (api.public(), free().await);
    api.change(|parts| parts.bind = Some(BindAddress::Tcp(moved))).await;
    api.until(|status| status.public == Some(moved.to_string())).await;
    gone(before).await;
    exchange(&mut live, "after").await.unwrap();
    assert_eq!(api.proxy.inbound_connections(), 1, "counted over the move");
    web.change(|parts| {
        parts.upstreams.get_mut(&upstream_id("api")).unwrap().endpoints =
            UpstreamParts::known("api", &[moved]);
    })
    .await;
    exchange(&mut TcpStream::connect(web.upstream("api")).await.unwrap(), "moved").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unix_sockets_serve_on_both_ends() {
    let mesh = Mesh::new();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let service = UnixListener::bind(path("service")).unwrap();
    let (api, _) = called(&mesh, "api").await;
    api.change(|parts| parts.inbound.local = Some(LocalTarget::Unix { path: path("service") })).await;
    let mut section = UpstreamParts::of("api", &[api.public()]);
    section.bind = Some(BindAddress::Unix { path: path("upstream"), mode: Some(0o660) });
    let web = Sidecar::calling(&mesh, "web", [section]).await;
    assert_eq!(web.status.borrow().upstreams["api"], format!("unix://{}", path("upstream")));
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path("upstream")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o660);
    let mut app = UnixStream::connect(path("upstream")).await.unwrap();
    app.write_all(b"over files").await.unwrap();
    app.shutdown().await.unwrap();
    let (mut accepted, _) = within(service.accept()).await.unwrap();
    let mut heard = Vec::new();
    within(accepted.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard, b"over files");
    accepted.write_all(b"and back").await.unwrap();
    drop(accepted);
    heard.clear();
    within(app.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard, b"and back");
    web.proxy.drain().await;
    assert!(!Path::new(&path("upstream")).exists(), "the file goes with the listener");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_only_calls_listens_for_its_upstreams_alone() {
    let mesh = Mesh::new();
    let (api, _) = called(&mesh, "api").await;
    let script = Script::new(&mesh, "web", None);
    script.change(|parts| {
        parts.bind = None;
        parts.upstreams.insert(upstream_id("api"), UpstreamParts::of("api", &[api.public()]));
    });
    let web = Sidecar::start(&mesh, script);
    web.ready().await;
    assert_eq!(web.status.borrow().public, None);
    let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut app, "out").await.unwrap();
    // It begins to take connections, and stops: what it calls is not touched.
    let at = free().await;
    web.change(|parts| parts.bind = Some(BindAddress::Tcp(at))).await;
    web.until(|status| status.public == Some(at.to_string()) && status.takes_connections).await;
    web.change(|parts| parts.bind = None).await;
    gone(at).await;
    assert!(!web.status.borrow().takes_connections && web.status.borrow().is_ready());
    exchange(&mut app, "out").await.unwrap();
}
