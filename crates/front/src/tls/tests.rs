//! Tests of TLS at its socket: which clients are accepted, which protocols are spoken, and how much memory strangers
//! can use.

use std::net::SocketAddr;

use concord_runtime::{Budget, Door, ManualClock, Source, World};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(5);
/// The budget of the clients in bytes.
const ROOM: usize = 1 << 20;

/// An authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (
            vec![certificate.der().clone()],
            PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        )
    }

    fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A server certificate of this authority, for clients of `callers`.
    fn presented(&self, callers: Option<&Self>) -> Presented {
        let (chain, key) = self.issue();
        let callers = callers.map(|authority| vec![authority.der()]);
        Presented { chain, key, callers, only_1_3: false, suites: Vec::new(), protocol: Protocol::Http1 }
    }

    /// A client that trusts this authority.
    fn caller(&self, versions: &[&'static SupportedProtocolVersion], own: Option<Pair>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        match own {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        }
    }
}

const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

/// A listener that sends `hello` inside TLS to accepted clients.
struct Served {
    address: SocketAddr,
    clock: ManualClock,
    budget: Arc<Budget>,
    tls: Arc<Tls>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn start(presented: Option<Presented>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, clock) = (listener.local_addr().unwrap(), ManualClock::new(0));
        let budget = Budget::new(ROOM, 1_000);
        let door = Arc::new(budget.door(1_000));
        let tls = Tls::new(Protocol::Http1, presented.map(|one| one.config().unwrap()), TIMEOUT);
        let accepting = accept(listener, Arc::clone(&tls), door, clock.clone());
        Self { address, clock, budget, tls, accepting }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// What a client receives inside TLS.
    async fn greeted(&self, caller: ClientConfig) -> io::Result<String> {
        let name = "localhost".try_into().unwrap();
        let mut stream = TlsConnector::from(Arc::new(caller)).connect(name, self.connect().await).await?;
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).await?;
        Ok(String::from_utf8_lossy(&heard).into_owned())
    }

    /// The answer to bytes outside of TLS.
    async fn answer(&self, words: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        stream.write_all(words).await.unwrap();
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard).await;
        heard
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[allow(clippy::disallowed_methods, reason = "a listener of a test, ended with it")]
fn accept(
    listener: TcpListener,
    tls: Arc<Tls>,
    door: Arc<Door>,
    clock: ManualClock,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let Ok((stream, peer)) = listener.accept().await else { return };
            let Ok(guest) = door.enter(Source::of(peer.ip()), 4096) else { continue };
            let (tls, clock) = (Arc::clone(&tls), clock.clone());
            tokio::spawn(async move {
                let stream = tokio::select! {
                    biased;
                    () = guest.evicted() => None,
                    stream = tls.accept(Io::Tcp(stream), &guest, &clock) => stream,
                };
                if let Some(mut stream) = stream {
                    let _ = stream.write_all(b"hello").await;
                    let _ = stream.flush().await;
                    let _ = stream.read(&mut [0]).await;
                }
            });
        }
    })
}

/// Moves the clock until the condition holds.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let clock = World::tokio().clock;
    for _ in 0..2_000 {
        if so() {
            return;
        }
        clock.sleep(Duration::from_millis(5)).await;
    }
    panic!("waited in vain: {what}");
}

#[tokio::test]
async fn both_versions_are_spoken_and_nothing_is_resumed() {
    let authority = Authority::new("one");
    let served = Served::start(Some(authority.presented(None))).await;
    for versions in [&BOTH[..1], &BOTH[1..], BOTH] {
        let mut caller = authority.caller(versions, None);
        caller.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        assert_eq!(served.greeted(caller).await.unwrap(), "hello");
    }
    let caller = Arc::new(authority.caller(BOTH, None));
    for _ in 0..2 {
        let connector = TlsConnector::from(Arc::clone(&caller));
        let mut stream =
            connector.connect("localhost".try_into().unwrap(), served.connect().await).await.unwrap();
        stream.read_exact(&mut [0; 5]).await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Full));
    }
    let mut other = authority.caller(BOTH, None);
    other.alpn_protocols = vec![b"h2".to_vec()];
    served.greeted(other).await.expect_err("another protocol is asked for");
}

#[tokio::test]
async fn n_163_callers_show_a_certificate_of_the_authority_where_one_is_asked_for() {
    let (authority, clients, strangers) =
        (Authority::new("one"), Authority::new("two"), Authority::new("three"));
    let served = Served::start(Some(authority.presented(Some(&clients)))).await;
    for versions in [&BOTH[..1], &BOTH[1..]] {
        let with = |own: Option<Pair>| authority.caller(versions, own);
        assert_eq!(served.greeted(with(Some(clients.issue()))).await.unwrap(), "hello");
        served.greeted(with(None)).await.expect_err("no certificate");
        served.greeted(with(Some(strangers.issue()))).await.expect_err("another authority's");
        served.greeted(with(Some(authority.issue()))).await.expect_err("our own authority's");
    }
    // The client verifies the server, too.
    served.greeted(strangers.caller(BOTH, Some(clients.issue()))).await.expect_err("it trusts another");
}

#[tokio::test]
async fn versions_and_suites_are_limited() {
    let authority = Authority::new("one");
    let only = Served::start(Some(Presented { only_1_3: true, ..authority.presented(None) })).await;
    only.greeted(authority.caller(&BOTH[1..], None)).await.expect_err("TLS 1.2");
    assert_eq!(only.greeted(authority.caller(BOTH, None)).await.unwrap(), "hello");
    let suites = vec!["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"];
    let few = Served::start(Some(Presented { suites, ..authority.presented(None) })).await;
    let name = "localhost".try_into().unwrap();
    let caller = Arc::new(authority.caller(&BOTH[1..], None));
    let stream = TlsConnector::from(caller).connect(name, few.connect().await).await.unwrap();
    let suite = stream.get_ref().1.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite.as_str(), Some("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"));
    assert_eq!(few.greeted(authority.caller(BOTH, None)).await.unwrap(), "hello", "1.3 has its own");
}

/// The hello of a client that supports at most TLS 1.1.
fn hello_of_1_1() -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend([7; 32]);
    // No session; TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA; no compression; no extensions.
    body.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    let length = u8::try_from(body.len()).unwrap();
    let mut hello = vec![0x16, 3, 1, 0, length + 4, 1, 0, 0, length];
    hello.extend(body);
    hello
}

#[tokio::test]
async fn tls_1_1_is_refused_with_its_alert() {
    let served = Served::start(Some(Authority::new("one").presented(None))).await;
    let heard = served.answer(&hello_of_1_1()).await;
    // Fatal, `protocol_version` or `handshake_failure` (RFC 8446 §6.2).
    assert!(matches!(heard[..], [0x15, 3, _, 0, 2, 2, 70 | 40]), "{heard:?}");
}

#[tokio::test]
async fn without_a_certificate_or_without_tls_the_caller_is_told() {
    let served = Served::start(None).await;
    assert_eq!(served.answer(&hello_of_1_1()).await, NO_CERTIFICATE);
    let authority = Authority::new("one");
    served.tls.replace(Some(authority.presented(None).config().unwrap()));
    assert_eq!(served.greeted(authority.caller(BOTH, None)).await.unwrap(), "hello", "it came with a reload");
    let heard = served.answer(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let heard = String::from_utf8_lossy(&heard);
    assert!(heard.starts_with("HTTP/1.0 400") && heard.contains("an HTTPS server"), "{heard}");
}

#[tokio::test]
async fn what_is_presented_changes_for_new_handshakes_alone() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let served = Served::start(Some(old.presented(None))).await;
    let name = "localhost".try_into().unwrap();
    let connector = TlsConnector::from(Arc::new(old.caller(BOTH, None)));
    let mut kept = connector.connect(name, served.connect().await).await.unwrap();
    served.tls.replace(Some(new.presented(None).config().unwrap()));
    kept.read_exact(&mut [0; 5]).await.expect("it goes on");
    served.greeted(old.caller(BOTH, None)).await.expect_err("that one is not presented any more");
    assert_eq!(served.greeted(new.caller(BOTH, None)).await.unwrap(), "hello");
}

#[tokio::test]
async fn n_164_half_a_hello_is_waited_for_within_its_time_and_costs_what_it_says() {
    let served = Served::start(Some(Authority::new("one").presented(None))).await;
    let mut silent = served.connect().await;
    let mut half = served.connect().await;
    half.write_all(&hello_of_1_1()[..20]).await.unwrap();
    until("the half is held", || served.budget.held() > HANDSHAKE_BYTES).await;
    assert_eq!(served.budget.held(), 2 * 4096 + HANDSHAKE_BYTES + 20);
    served.clock.advance(TIMEOUT);
    for stream in [&mut silent, &mut half] {
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0, "it is closed");
    }
    until("nothing is held", || served.budget.held() == 0).await;
}

#[tokio::test]
async fn another_time_for_handshakes_counts_for_those_that_begin() {
    let served = Served::start(Some(Authority::new("one").presented(None))).await;
    let mut before = served.connect().await;
    before.write_all(&hello_of_1_1()[..20]).await.unwrap();
    until("the half is held", || served.budget.held() > HANDSHAKE_BYTES).await;
    served.tls.limit_handshakes(TIMEOUT / 5);
    let mut after = served.connect().await;
    after.write_all(&hello_of_1_1()[..20]).await.unwrap();
    until("both halves are held", || served.budget.held() > 2 * HANDSHAKE_BYTES).await;
    served.clock.advance(TIMEOUT / 5);
    assert_eq!(after.read(&mut [0; 8]).await.unwrap_or(0), 0, "it is closed");
    until("one half is held", || served.budget.held() < 2 * HANDSHAKE_BYTES).await;
    assert!(served.budget.held() > HANDSHAKE_BYTES, "who began before has the time of before");
    served.clock.advance(TIMEOUT - TIMEOUT / 5);
    assert_eq!(before.read(&mut [0; 8]).await.unwrap_or(0), 0, "it is closed");
}

/// The beginning of a hello of the greatest length, with this many bytes.
fn long_hello(bytes: usize) -> Vec<u8> {
    let mut body = vec![1, 0, 0xff, 0xff];
    body.resize(bytes, 0);
    let records = body.chunks(16_384).flat_map(|part| {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[0x16, 3, 1][..], &length, part].concat()
    });
    records.collect()
}

#[tokio::test]
async fn n_164_half_hellos_from_many_sources_are_bounded_and_others_get_in() {
    let authority = Authority::new("one");
    let served = Served::start(Some(authority.presented(None))).await;
    let mut crowd = Vec::new();
    for last in 1..=40 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 2, last], 0))).unwrap();
        let mut stream = socket.connect(served.address).await.unwrap();
        // A client without room is closed while it sends.
        let _ = stream.write_all(&long_hello(24 * 1024)).await;
        crowd.push(stream);
        assert!(served.budget.held() <= ROOM);
    }
    until("the room is taken", || served.budget.held() > ROOM - 128 * 1024).await;
    assert_eq!(served.greeted(authority.caller(BOTH, None)).await.unwrap(), "hello");
    assert!(served.budget.held() <= ROOM);
    drop(crowd);
    until("nothing is held", || served.budget.held() == 0).await;
}

#[tokio::test]
async fn n_164_a_handshake_without_end_is_ended() {
    let served = Served::start(Some(Authority::new("one").presented(None))).await;
    let mut stream = served.connect().await;
    // Without our limit, the library would wait for the rest.
    let _ = stream.write_all(&long_hello(HELLO_BYTES_MAX + 4096)).await;
    let (clock, mut heard) = (World::tokio().clock, Vec::new());
    let ended = timeout(&*clock, Duration::from_secs(20), stream.read_to_end(&mut heard)).await;
    assert!(ended.is_ok() && heard.len() <= 7, "an alert at most: {heard:?}");
    until("nothing is held", || served.budget.held() == 0).await;
}
