//! A request goes through: bytes, ends, versions, identities.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use concord_rpc::grpc::{SnapshotClient, SnapshotService};
use concord_runtime::{TokioClock, timeout};
use rustls::{NamedGroup, ProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{
    Local, Mesh, Peer, Script, Sidecar, UpstreamParts, allow, eventually, exchange, logged, metric, service,
    within,
};

/// `web` with its sidecar, `api` with its, and an intention that allows.
async fn pair(mesh: &Arc<Mesh>, local: SocketAddr) -> (Sidecar, Sidecar) {
    let api = Sidecar::before(mesh, "api", local, |parts| parts.entries = vec![allow("web", "api")]).await;
    let web = Sidecar::calling(mesh, "web", [UpstreamParts::of("api", &[api.public()])]).await;
    (web, api)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_goes_through_both_proxies() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let (web, _api) = pair(&mesh, local.address).await;
    let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut app, "hello").await.unwrap();
    assert_eq!((local.connections(), local.bytes()), (1, 5));
    let identity = mesh.trust.service("web").to_string();
    eventually(|| logged(&["connection decided", &identity, "verdict=\"allow\""])).await;
    eventually(|| logged(&["upstream reached", &mesh.trust.service("api").to_string()])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_mebibytes_come_back_as_they_went_and_ends_are_passed_on() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let (web, _api) = pair(&mesh, local.address).await;
    let app = TcpStream::connect(web.upstream("api")).await.unwrap();
    let (mut from, mut to) = app.into_split();
    let sent: Arc<Vec<u8>> =
        Arc::new((0..8u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect());
    let body = Arc::clone(&sent);
    let writing = mesh.scope.spawn("writing", async move {
        to.write_all(&body).await.unwrap();
        to.shutdown().await.unwrap();
    });
    let mut heard = Vec::new();
    within(from.read_to_end(&mut heard)).await.unwrap();
    writing.join().await.unwrap();
    assert!(heard == *sent, "{} bytes of {}", heard.len(), sent.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_of_one_direction_leaves_the_other_open() {
    let mesh = Mesh::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (web, _api) = pair(&mesh, listener.local_addr().unwrap()).await;
    let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
    app.write_all(b"that is all").await.unwrap();
    app.shutdown().await.unwrap();
    let (mut service, _) = within(listener.accept()).await.unwrap();
    let mut heard = Vec::new();
    within(service.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard, b"that is all");
    service.write_all(b"a late answer").await.unwrap();
    drop(service);
    heard.clear();
    within(app.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard, b"a late answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_break_is_not_passed_on_as_an_end() {
    let mesh = Mesh::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (web, api) = pair(&mesh, listener.local_addr().unwrap()).await;
    let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
    app.write_all(b"begin").await.unwrap();
    let (mut service, _) = within(listener.accept()).await.unwrap();
    service.write_all(b"half of").await.unwrap();
    let mut heard = [0; 7];
    within(app.read_exact(&mut heard)).await.unwrap();
    service.set_zero_linger().unwrap();
    drop(service);
    let end = within(app.read(&mut heard)).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    // The other way round: a caller that vanishes without saying goodbye has not sent all.
    let mut peer = Peer::dial(api.public(), Peer::client(&mesh, "web", "api")).await.unwrap();
    peer.write_all(b"half of").await.unwrap();
    let (mut service, _) = within(listener.accept()).await.unwrap();
    within(service.read_exact(&mut heard)).await.unwrap();
    drop(peer);
    let end = within(service.read(&mut heard)).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_the_sender_back_and_gets_everything() {
    let mesh = Mesh::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (web, _api) = pair(&mesh, listener.local_addr().unwrap()).await;
    let app = TcpStream::connect(web.upstream("api")).await.unwrap();
    let (mut service, _) = within(listener.accept()).await.unwrap();
    // Nobody reads: what the relays and the system take in is bounded, far below this.
    let mut taken = 0usize;
    let block = vec![7u8; 1 << 16];
    while taken < 256 << 20 {
        match app.try_write(&block) {
            Ok(written) => taken += written,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                let clock = TokioClock::new();
                let room = app.writable();
                let waited = timeout(&clock, Duration::from_millis(300), room);
                if waited.await.is_err() {
                    break;
                }
            }
        }
    }
    assert!(taken < 128 << 20, "nothing held the sender back: {taken}");
    // Now the answer is read while the question is still stuck: one direction does not block the other.
    service.write_all(b"meanwhile").await.unwrap();
    let mut heard = [0; 9];
    let (mut from, mut to) = app.into_split();
    within(from.read_exact(&mut heard)).await.unwrap();
    let reading = mesh.scope.spawn("reading", async move {
        let mut count = 0;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match service.read(&mut buffer).await.unwrap() {
                0 => return count,
                read => count += read,
            }
        }
    });
    to.shutdown().await.unwrap();
    assert_eq!(within(reading.join()).await.unwrap(), taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_1_3_and_1_2_are_spoken_and_the_key_exchange_is_post_quantum() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let (web, api) = pair(&mesh, local.address).await;
    let mut stream = Peer::dial(api.public(), Peer::client(&mesh, "web", "api")).await.unwrap();
    exchange(&mut stream, "new").await.unwrap();
    let session = stream.get_ref().1;
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(session.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
    let mut stream = Peer::dial(api.public(), Peer::old_client(&mesh, "web", "api")).await.unwrap();
    exchange(&mut stream, "old").await.unwrap();
    assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    // Half-close over TLS 1.2 as well.
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
    drop(web);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_and_signatures_come_over_grpc_too() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let target =
        concord_proxycfg::LocalTarget::Tcp { host: "127.0.0.1".to_owned(), port: local.address.port() };
    let script = Script::new(&mesh, "api", Some(target));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = SnapshotService::new(Arc::clone(&script) as _);
    mesh.scope.spawn("grpc", async move {
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await
    });
    let channel =
        tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let client = Arc::new(SnapshotClient::new(channel));
    let api = Sidecar::start_on(&mesh, script, client, crate::world::options());
    api.ready().await;
    assert!(crate::world::is_refused(api.public(), Peer::client(&mesh, "web", "api")).await);
    api.change(|parts| parts.entries = vec![allow("web", "api")]).await;
    let mut stream = Peer::dial(api.public(), Peer::client(&mesh, "web", "api")).await.unwrap();
    exchange(&mut stream, "hello").await.unwrap();
    assert_eq!(local.connections(), 1);
    api.script.mood(crate::world::Mood::Away);
    api.until(|status| !status.attached).await;
    exchange(&mut stream, "still here").await.unwrap();
    api.script.mood(crate::world::Mood::Well);
    api.until(|status| status.attached).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_and_bytes_are_counted_and_gauges_return_to_zero() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let counted = |parts: &mut crate::world::Parts| parts.entries = vec![allow("counting", "counted")];
    let api = Sidecar::before(&mesh, "counted", local.address, counted).await;
    let web = Sidecar::calling(&mesh, "counting", [UpstreamParts::of("counted", &[api.public()])]).await;
    let mut app = TcpStream::connect(web.upstream("counted")).await.unwrap();
    exchange(&mut app, "hello").await.unwrap();
    for direction in ["inbound", "upstream"] {
        let words = |what: &str| {
            [format!("consul_proxy_{direction}_{what}{{"), "counting".to_owned(), "counted".to_owned()]
        };
        let value = |what: &str| {
            let words = words(what);
            metric(&words.each_ref().map(String::as_str))
        };
        assert_eq!(value("conns"), Some(1.0));
        // While the connection lasts, not only at its end.
        eventually(|| (value("rx_bytes"), value("tx_bytes")) == (Some(5.0), Some(5.0))).await;
    }
    drop(app);
    for direction in ["inbound", "upstream"] {
        let name = format!("consul_proxy_{direction}_conns{{");
        eventually(|| metric(&[&name, "counting", "counted"]) == Some(0.0)).await;
    }
    eventually(|| api.proxy.inbound_connections() == 0).await;
    let dst = format!("dst={}", service("counted").key());
    eventually(|| logged(&["connection ended", &dst, "received=5", "sent=5", "both sides ended"])).await;
}
