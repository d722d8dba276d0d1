//! Limits and time-outs: what is beyond them is refused, and room comes back.

use std::time::Duration;

use concord_proxycfg::LocalTarget;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{
    Local, Mesh, Peer, Sidecar, UpstreamParts, allow, app_is_refused, closed_without_a_byte, eventually,
    exchange, is_refused, logged, pause, upstream_id, within,
};

/// A client's first words of a handshake, recorded.
async fn hello(mesh: &Mesh) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = Peer::client(mesh, "web", "api");
    let dial = mesh.scope.spawn("hello", async move { Peer::dial(address, config).await.is_ok() });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut header = [0; 5];
    stream.read_exact(&mut header).await.unwrap();
    let mut hello = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    stream.read_exact(&mut hello).await.unwrap();
    drop(stream);
    assert_eq!(dial.join().await, Ok(false));
    [&header[..], &hello].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_11_silence_is_ended_by_the_handshake_timeout() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let api = Sidecar::before(&mesh, "api", local.address, |parts| {
        parts.entries = vec![allow("*", "api")];
        parts.inbound.handshake_timeout = Some(Duration::from_secs(3600));
    })
    .await;
    let words = hello(&mesh).await;
    let mut silent = TcpStream::connect(api.public()).await.unwrap();
    let mut begun = TcpStream::connect(api.public()).await.unwrap();
    begun.write_all(&words).await.unwrap();
    let mut half = TcpStream::connect(api.public()).await.unwrap();
    half.write_all(&words[..words.len() / 2]).await.unwrap();
    // The answer to a hello has come: whoever is silent now is so on purpose.
    let mut heard = vec![0; 1];
    within(begun.read_exact(&mut heard)).await.unwrap();
    let mut shaken = Peer::dial(api.public(), Peer::client(&mesh, "web", "api")).await.unwrap();
    exchange(&mut shaken, "others get on").await.unwrap();
    mesh.clock.advance(Duration::from_secs(3601));
    for stream in [&mut silent, &mut begun, &mut half] {
        let _ = within(stream.read_to_end(&mut heard)).await;
        let remote = format!("remote={}", stream.local_addr().unwrap());
        eventually(|| logged(&["connection refused", "handshake_timeout", &remote, "3600s"])).await;
    }
    exchange(&mut shaken, "and stay").await.unwrap();
    assert_eq!(local.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_service_that_does_not_accept_is_given_up() {
    let mesh = Mesh::new();
    // A listener whose queue is full does not complete connections.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let deaf = socket.listen(1).unwrap();
    let address = deaf.local_addr().unwrap();
    let queue: Vec<_> = (0..8).map(|_| mesh.scope.spawn("queue", TcpStream::connect(address))).collect();
    for _ in 0..20 {
        pause().await;
    }
    let api = Sidecar::before(&mesh, "api", address, |parts| {
        parts.entries = vec![allow("web", "api")];
        parts.inbound.local_connect_timeout = Some(Duration::from_millis(50));
    })
    .await;
    let mut stream = Peer::dial(api.public(), Peer::client(&mesh, "web", "api")).await.unwrap();
    let remote = format!("remote={}", stream.get_ref().0.local_addr().unwrap());
    assert!(closed_without_a_byte(&mut stream).await);
    eventually(|| logged(&["connection refused", "local_connect_timeout", &remote, "50ms"])).await;
    drop(queue);
    // Nobody there at all is told apart.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    api.change(|parts| {
        parts.inbound.local = Some(LocalTarget::Tcp { host: "127.0.0.1".to_owned(), port: nobody.port() });
    })
    .await;
    let mut stream = Peer::dial(api.public(), Peer::client(&mesh, "web", "api")).await.unwrap();
    let remote = format!("remote={}", stream.get_ref().0.local_addr().unwrap());
    assert!(closed_without_a_byte(&mut stream).await);
    eventually(|| logged(&["connection refused", "reason=\"local_connect\"", &remote])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inbound_connections_are_limited_and_room_comes_back() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let api = Sidecar::before(&mesh, "api", local.address, |parts| {
        parts.entries = vec![allow("web", "api")];
        parts.inbound.max_connections = Some(2);
    })
    .await;
    let config = Peer::client(&mesh, "web", "api");
    let mut one = Peer::dial(api.public(), config.clone()).await.unwrap();
    let mut two = Peer::dial(api.public(), config.clone()).await.unwrap();
    exchange(&mut one, "one").await.unwrap();
    exchange(&mut two, "two").await.unwrap();
    assert!(is_refused(api.public(), config.clone()).await);
    exchange(&mut one, "still one").await.unwrap();
    drop(two);
    eventually(|| api.proxy.inbound_connections() == 1).await;
    let mut three = Peer::dial(api.public(), config.clone()).await.unwrap();
    exchange(&mut three, "three").await.unwrap();
    // Strangers take no room of those who have proved who they are.
    api.change(|parts| parts.inbound.max_connections = Some(3)).await;
    let silent: Vec<_> = futures::future::join_all((0..20).map(|_| TcpStream::connect(api.public()))).await;
    let mut four = Peer::dial(api.public(), config).await.unwrap();
    exchange(&mut four, "four").await.unwrap();
    assert_eq!(api.proxy.inbound_connections(), 3);
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstream_connections_are_limited_and_room_comes_back() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let api =
        Sidecar::before(&mesh, "api", local.address, |parts| parts.entries = vec![allow("web", "api")]).await;
    let mut section = UpstreamParts::of("api", &[api.public()]);
    section.limits.max_connections = Some(1);
    let web = Sidecar::calling(&mesh, "web", [section]).await;
    let mut one = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut one, "one").await.unwrap();
    let mut two = TcpStream::connect(web.upstream("api")).await.unwrap();
    assert!(closed_without_a_byte(&mut two).await);
    let remote = format!("remote={}", two.local_addr().unwrap());
    eventually(|| logged(&["connection refused", "connection_limit", &remote])).await;
    web.change(|parts| {
        parts.upstreams.get_mut(&upstream_id("api")).unwrap().limits.max_connections = Some(2);
    })
    .await;
    let mut two = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut two, "a limit changes live").await.unwrap();
    drop((one, two));
    for _ in 0..3 {
        eventually(|| api.proxy.inbound_connections() == 0).await;
        let mut again = TcpStream::connect(web.upstream("api")).await.unwrap();
        exchange(&mut again, "room").await.unwrap();
    }
    // Zero is a limit as any other.
    web.change(|parts| {
        parts.upstreams.get_mut(&upstream_id("api")).unwrap().limits.max_connections = Some(0);
    })
    .await;
    assert!(app_is_refused(web.upstream("api")).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_the_port_is_told_apart_from_a_bad_handshake() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let api =
        Sidecar::before(&mesh, "api", local.address, |parts| parts.entries = vec![allow("*", "api")]).await;
    // As a TCP health check does it: connect, close.
    let look = TcpStream::connect(api.public()).await.unwrap();
    let remote = format!("remote={}", look.local_addr().unwrap());
    drop(look);
    eventually(|| logged(&["DEBUG", "connection refused", "reason=\"no_bytes\"", &remote])).await;
    // As a scanner does it: connect, reset.
    let scan = TcpStream::connect(api.public()).await.unwrap();
    let remote = format!("remote={}", scan.local_addr().unwrap());
    scan.set_zero_linger().unwrap();
    drop(scan);
    eventually(|| logged(&["DEBUG", "connection refused", "reason=\"no_bytes\"", &remote])).await;
    // One byte is a handshake that went wrong.
    let mut word = TcpStream::connect(api.public()).await.unwrap();
    let remote = format!("remote={}", word.local_addr().unwrap());
    word.write_all(&[0x16]).await.unwrap();
    drop(word);
    eventually(|| logged(&["INFO", "connection refused", "reason=\"handshake\"", &remote])).await;
    assert_eq!(local.connections(), 0);
    let mut good = Peer::dial(api.public(), Peer::client(&mesh, "web", "api")).await.unwrap();
    exchange(&mut good, "good").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_bad_handshakes_does_not_fill_the_log() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let api =
        Sidecar::before(&mesh, "api", local.address, |parts| parts.entries = vec![allow("*", "api")]).await;
    let mut remotes = Vec::new();
    for _ in 0..40 {
        let mut flood = TcpStream::connect(api.public()).await.unwrap();
        remotes.push(format!("remote={}", flood.local_addr().unwrap()));
        let _ = flood.write_all(b"GET / HTTP/1.0\r\n\r\n").await;
        let _ = within(flood.read_to_end(&mut Vec::new())).await;
    }
    let of = |level: &str| {
        remotes
            .iter()
            .filter(|remote| logged(&[level, "connection refused", "\"handshake\"", remote]))
            .count()
    };
    eventually(|| of("INFO") + of("DEBUG") == 40).await;
    assert_eq!(of("INFO"), 10);
    mesh.clock.advance(Duration::from_secs(10));
    eventually(|| logged(&["INFO", "more connections refused", "\"handshake\"", "count=30"])).await;
}
