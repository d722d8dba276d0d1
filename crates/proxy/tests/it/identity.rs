//! Who is at the other end: the matrix of bad certificates on real handshakes, pinning, sessions.

use std::sync::Arc;

use concord_ca::testing::{Case, matrix};
use concord_ca::x509::build::{LeafTemplate, Serial, Validity, build_leaf};
use concord_ca::{Usage, verify_service};
use concord_model::SpiffeId;
use rustls::HandshakeKind;
use rustls::client::Resumption;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{
    Local, Mesh, Peer, Sidecar, UpstreamParts, allow, app_is_refused, closed_without_a_byte, eventually,
    exchange, is_refused, logged, within,
};

/// The matrix, as a proxy sees it that trusts one cluster: with the reason it must give.
fn cases(mesh: &Mesh, usage: Usage) -> Vec<(Case, String)> {
    let bundle = mesh.bundle();
    let cases = matrix(&mesh.trust).into_iter();
    let expected =
        |case: &Case| verify_service(&case.chain, &bundle, mesh.now(), usage).unwrap_err().to_string();
    cases
        .filter(|case| verify_service(&case.chain, &bundle, mesh.now(), usage).is_err())
        .map(|case| {
            let reason = expected(&case);
            (case, reason)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_85_every_bad_client_certificate_is_refused_with_its_reason() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let api =
        Sidecar::before(&mesh, "api", local.address, |parts| parts.entries = vec![allow("*", "api")]).await;
    let cases = cases(&mesh, Usage::Client);
    assert!(cases.len() >= 60, "{}", cases.len());
    for (case, reason) in cases {
        let socket = TcpStream::connect(api.public()).await.unwrap();
        let remote = format!("remote={}", socket.local_addr().unwrap());
        let config = Arc::new(Peer::shameless_client(&mesh, "api", &case.chain, &*case.key));
        let name = rustls_pki_types::ServerName::try_from("api").unwrap();
        let connected = within(tokio_rustls::TlsConnector::from(config).connect(name, socket)).await;
        if let Ok(mut stream) = connected {
            assert!(closed_without_a_byte(&mut stream).await, "{}", case.name);
        }
        // As the log writes texts.
        let quoted = format!("{reason:?}");
        let reason = quoted.trim_matches('"');
        eventually(|| logged(&["connection refused", "reason=\"certificate\"", &remote, reason])).await;
        assert_eq!(local.connections(), 0, "{}", case.name);
    }
    assert!(is_refused(api.public(), Peer::anonymous_client(&mesh, "api")).await);
    assert_eq!(local.connections(), 0);
    let mut good = Peer::dial(api.public(), Peer::client(&mesh, "web", "api")).await.unwrap();
    exchange(&mut good, "good").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_85_every_bad_server_certificate_is_refused() {
    let mesh = Mesh::new();
    // The good leaves of the matrix are those of `web`.
    let web = Sidecar::calling(&mesh, "caller", [UpstreamParts::of("web", &[])]).await;
    let id = crate::world::upstream_id("web");
    for (case, _) in cases(&mesh, Usage::Server) {
        let server = Peer::shameless_server(&mesh, &case.chain, &*case.key).await;
        web.change(|parts| {
            parts.upstreams.get_mut(&id).unwrap().endpoints = UpstreamParts::known("web", &[server.address]);
        })
        .await;
        assert!(app_is_refused(web.upstream("web")).await, "{}", case.name);
        assert_eq!((server.connections(), server.bytes()), (0, 0), "{}", case.name);
    }
    // What the matrix bends is accepted when it is straight.
    let leaf = mesh.trust.leaf(&mesh.trust.service("web"), &mesh.trust.root);
    let server = Peer::shameless_server(&mesh, &[leaf.der().clone()], &*mesh.trust.leaf_key).await;
    web.change(|parts| {
        parts.upstreams.get_mut(&id).unwrap().endpoints = UpstreamParts::known("web", &[server.address]);
    })
    .await;
    let mut app = TcpStream::connect(web.upstream("web")).await.unwrap();
    exchange(&mut app, "good").await.unwrap();
}

/// A leaf for any identity, signed by our root.
fn leaf_for(mesh: &Mesh, uri: &str) -> CertificateDer<'static> {
    let template = LeafTemplate {
        identity: &SpiffeId::parse(uri).unwrap(),
        dns_names: &[],
        addresses: &[],
        public_key: mesh.trust.leaf_key.public_key(),
        validity: Validity::backdated(mesh.now(), std::time::Duration::from_secs(3600)),
        serial: Serial::from_counter(77).unwrap(),
    };
    build_leaf(template, mesh.trust.root.authority()).unwrap().der().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_85_an_instance_that_is_another_service_is_passed_over() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let api =
        Sidecar::before(&mesh, "api", local.address, |parts| parts.entries = vec![allow("web", "api")]).await;
    let web = Sidecar::calling(&mesh, "web", [UpstreamParts::of("api", &[])]).await;
    let domain = &mesh.trust.trust_domain;
    for uri in [
        format!("spiffe://{domain}/ns/default/dc/dc1/svc/other"),
        format!("spiffe://{domain}/ns/default/dc/dc2/svc/api"),
        format!("spiffe://{domain}/ns/blue/dc/dc1/svc/api"),
        format!("spiffe://{}/ns/default/dc/dc1/svc/api", mesh.trust.peer_domain),
    ] {
        let impostor = Peer::shameless_server(&mesh, &[leaf_for(&mesh, &uri)], &*mesh.trust.leaf_key).await;
        let id = crate::world::upstream_id("api");
        let only = UpstreamParts::known("api", &[impostor.address]);
        web.change(|parts| parts.upstreams.get_mut(&id).unwrap().endpoints = only).await;
        assert!(app_is_refused(web.upstream("api")).await, "{uri}");
        let both = UpstreamParts::known("api", &[impostor.address, api.public()]);
        web.change(|parts| parts.upstreams.get_mut(&id).unwrap().endpoints = both).await;
        for _ in 0..4 {
            let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
            exchange(&mut app, "hello").await.unwrap();
        }
        assert_eq!(impostor.bytes(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_85_a_caller_of_another_datacenter_is_judged_by_its_name() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let api =
        Sidecar::before(&mesh, "api", local.address, |parts| parts.entries = vec![allow("web", "api")]).await;
    let domain = &mesh.trust.trust_domain;
    let caller =
        |uri: String| Peer::shameless_client(&mesh, "api", &[leaf_for(&mesh, &uri)], &*mesh.trust.leaf_key);
    let web = caller(format!("spiffe://{domain}/ns/default/dc/dc2/svc/web"));
    let mut web = Peer::dial(api.public(), web).await.unwrap();
    exchange(&mut web, "allowed by name").await.unwrap();
    let served = local.connections();
    for refused in [
        format!("spiffe://{domain}/ns/default/dc/dc2/svc/other"),
        format!("spiffe://{domain}/ns/blue/dc/dc2/svc/web"),
        format!("spiffe://{}/ns/default/dc/dc2/svc/web", mesh.trust.peer_domain),
    ] {
        assert!(is_refused(api.public(), caller(refused.clone())).await, "{refused}");
    }
    assert_eq!(local.connections(), served);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_86_n_87_nothing_is_resumed_and_no_early_data_taken() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let api =
        Sidecar::before(&mesh, "api", local.address, |parts| parts.entries = vec![allow("web", "api")]).await;
    for mut config in [Peer::client(&mesh, "web", "api"), Peer::old_client(&mesh, "web", "api")] {
        config.resumption = Resumption::in_memory_sessions(32);
        config.enable_early_data = true;
        for _ in 0..3 {
            let mut stream = Peer::dial(api.public(), config.clone()).await.unwrap();
            exchange(&mut stream, "hello").await.unwrap();
            let session = stream.get_mut().1;
            assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full));
            assert_eq!(session.tls13_tickets_received(), 0);
            assert!(session.early_data().is_none() && !session.is_early_data_accepted());
        }
        // And a rule or a root that changes counts for the next connection.
        api.change(|parts| parts.entries.clear()).await;
        assert!(is_refused(api.public(), config).await);
        api.change(|parts| parts.entries = vec![allow("web", "api")]).await;
    }
}

/// A hello of an old version with one cipher suite and no extensions.
fn old_hello(version: [u8; 2], suite: [u8; 2]) -> Vec<u8> {
    let mut hello = version.to_vec();
    hello.extend([9; 32]);
    hello.push(0);
    hello.extend([0, 2]);
    hello.extend(suite);
    hello.extend([1, 0]);
    let mut record = vec![22, 3, 1, 0, u8::try_from(hello.len() + 4).unwrap(), 1, 0, 0];
    record.push(u8::try_from(hello.len()).unwrap());
    record.extend(hello);
    record
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_1_old_versions_and_ciphers_get_an_alert() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let api =
        Sidecar::before(&mesh, "api", local.address, |parts| parts.entries = vec![allow("*", "api")]).await;
    // TLS 1.0 and 1.1, then 1.2 with key exchange by RSA, CBC, and for export.
    for (version, suite) in [
        ([3, 1], [0, 0x2f]),
        ([3, 2], [0, 0x2f]),
        ([3, 3], [0, 0x2f]),
        ([3, 3], [0xc0, 0x13]),
        ([3, 3], [0, 3]),
    ] {
        let mut stream = TcpStream::connect(api.public()).await.unwrap();
        stream.write_all(&old_hello(version, suite)).await.unwrap();
        let mut heard = Vec::new();
        let _ = within(stream.read_to_end(&mut heard)).await;
        assert_eq!((heard.first(), heard.len()), (Some(&21), 7), "an alert and no more: {heard:?}");
    }
    assert_eq!(local.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_2_plaintext_gets_nothing_of_the_service() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let api =
        Sidecar::before(&mesh, "api", local.address, |parts| parts.entries = vec![allow("*", "api")]).await;
    for words in
        [&b"GET / HTTP/1.1\r\nHost: api\r\n\r\n"[..], b"\x00\x00\x00\x00\x00\x00\x00\x00", &[0x16; 4096]]
    {
        let mut stream = TcpStream::connect(api.public()).await.unwrap();
        stream.write_all(words).await.unwrap();
        let mut heard = Vec::new();
        let _ = within(stream.read_to_end(&mut heard)).await;
        assert!(heard.is_empty() || heard[0] == 21 && heard.len() == 7, "{heard:?}");
    }
    assert_eq!(local.connections(), 0);
}
