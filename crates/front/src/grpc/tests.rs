//! Tests of the gRPC port at its socket: silent clients, floods, missing messages, and a full budget.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use concord_model::Secret;
use concord_model::ca::LeafCertificate;
use concord_rpc::grpc::SnapshotClient;
use concord_rpc::{Answer, AnyReply, AnyRequest, Attach, Head, ProxyTarget, RpcError, SnapshotStream};
use concord_runtime::{BoxFuture, Budget, ManualClock, Source, World, timeout};
use futures::{FutureExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A source that refuses everybody and counts the requests.
#[derive(Debug, Default)]
struct Nobody {
    came: AtomicUsize,
    /// Whether it lets proxies attach, with a stream on which nothing comes.
    attaches: bool,
    left: Arc<Left>,
}

/// The bytes held each time the stream of an attached proxy ended.
#[derive(Debug, Default)]
struct Left {
    budget: std::sync::OnceLock<Arc<Budget>>,
    held: Mutex<Vec<usize>>,
}

/// One such stream.
struct Leaver(Arc<Left>);

impl Drop for Leaver {
    fn drop(&mut self) {
        self.0.held.lock().extend(self.0.budget.get().map(|budget| budget.held()));
    }
}

/// Servers that are not there.
struct NoServers;

impl ServerApi for NoServers {
    fn call_any(&self, _: Head, _: AnyRequest) -> BoxFuture<'_, Result<Answer<AnyReply>, RpcError>> {
        Box::pin(async { Err(RpcError::ShuttingDown) })
    }
}

fn attach() -> Attach {
    let proxy = ProxyTarget::registered(concord_model::InstanceId::parse("web-proxy").unwrap());
    Attach::new(proxy, concord_proxycfg::Understood::default())
}

impl SnapshotSource for Nobody {
    fn admit(&self, _: Option<Secret>) -> BoxFuture<'_, Result<(), RpcError>> {
        self.came.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }

    fn attach(&self, _: Attach, _: Option<Secret>) -> BoxFuture<'_, Result<SnapshotStream, RpcError>> {
        let leaver = self.attaches.then(|| Leaver(Arc::clone(&self.left)));
        Box::pin(async move {
            let leaver = leaver.ok_or(RpcError::ShuttingDown)?;
            Ok(futures::stream::pending()
                .chain(futures::stream::poll_fn(move |_| {
                    let _ = &leaver;
                    std::task::Poll::Ready(None)
                }))
                .boxed())
        })
    }

    fn sign_leaf(
        &self,
        _: ProxyTarget,
        _: Option<Secret>,
        _: String,
    ) -> BoxFuture<'_, Result<LeafCertificate, RpcError>> {
        Box::pin(async { Err(RpcError::ShuttingDown) })
    }
}

/// A running port and its settings.
struct Served {
    address: SocketAddr,
    clock: ManualClock,
    budget: Arc<Budget>,
    source: Arc<Nobody>,
    scope: Scope,
}

impl Served {
    async fn start() -> Self {
        Self::of(Nobody::default()).await
    }

    async fn of(source: Nobody) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (clock, scope) = (ManualClock::new(0), Scope::new("test", World::tokio().clock));
        let budget = Budget::new(1 << 20, 100);
        let door = Arc::new(budget.door(limits::CONNECTIONS_PER_CLIENT));
        let _ = source.left.budget.set(Arc::clone(&budget));
        let source = Arc::new(source);
        let ledger = Ledger::new(Arc::new(clock.clone()));
        let services = Services { snapshots: Arc::clone(&source) as _, servers: Arc::new(NoServers), ledger };
        serve(Socket::Tcp(listener), None, services, door, Arc::new(clock.clone()), &scope);
        Self { address, clock, budget, source, scope }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }

    /// Moves the clock until the future completes: a connection may not have been accepted yet.
    async fn wait<T>(&self, step: Duration, future: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(future);
        for _ in 0..40 {
            self.clock.advance(step);
            let real = World::tokio().clock;
            if let Ok(done) = timeout(&*real, Duration::from_millis(50), &mut future).await {
                return Some(done);
            }
        }
        None
    }

    async fn stop(self) {
        self.scope.shutdown(Duration::from_secs(1), Duration::from_secs(1)).await;
    }
}

/// Whether the server closes the connection of a client that sends these bytes and then nothing, before it sends
/// pings.
async fn hangs_up(words: &[u8]) -> bool {
    let served = Served::start().await;
    let mut client = served.connect().await;
    client.write_all(words).await.expect("sent");
    let mut answer = Vec::new();
    let ended = served.wait(limits::PREFACE_TIMEOUT, client.read_to_end(&mut answer)).await;
    served.stop().await;
    ended.is_some()
}

/// The server's answer to a client that sends these bytes: the code of its GOAWAY, if any, and how many requests got
/// through. With `until`, stops waiting once there were this many.
async fn heard(words: &[u8], until: usize) -> (Option<u32>, usize) {
    let served = Served::start().await;
    let (mut read, mut write) = served.connect().await.into_split();
    let mut answer = Vec::new();
    let talk = async {
        let say = async {
            // The server may close while the client writes; its answer must still be read.
            let _ = write.write_all(words).await;
            while until == 0 || served.source.came.load(Ordering::Relaxed) < until {
                tokio::task::yield_now().await;
            }
        };
        let listen = read.read_to_end(&mut answer);
        tokio::pin!(say, listen);
        tokio::select! {
            biased;
            _ = &mut listen => {}
            () = &mut say => {}
        }
    };
    let _ = served.wait(Duration::ZERO, talk).await;
    let came = served.source.came.load(Ordering::Relaxed);
    served.stop().await;
    (goaway(&answer), came)
}

/// The code of a GOAWAY frame, if there is one.
fn goaway(mut frames: &[u8]) -> Option<u32> {
    while let Some((head, rest)) = frames.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (body, rest) = rest.split_at_checked(length)?;
        if head[3] == 7 {
            return Some(u32::from_be_bytes(body[4..8].try_into().unwrap()));
        }
        frames = rest;
    }
    None
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), bytes].concat()
}

/// ENHANCE_YOUR_CALM.
const CALM: Option<u32> = Some(11);
/// Number of frames in a flood: more than any limit.
const FLOOD: u32 = limits::IDLE_FRAMES + 200;
/// More resets than allowed, with fewer empty frames than any limit.
const RESETS: u32 = 500;
const _: () = assert!(RESETS > 2 * limits::RESETS as u32 && RESETS < limits::IDLE_FRAMES);
/// POST http://a/x in HPACK.
const REQUEST: &[u8] = b"\x83\x86\x04\x02/x\x01\x01a";

#[tokio::test]
async fn n_11_a_client_that_never_finishes_its_first_words_is_closed() {
    assert!(hangs_up(b"").await, "silent from the start");
    assert!(hangs_up(b"PRI * HTTP/2.0").await, "silent in the middle");
    let preface_and_settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    assert!(!hangs_up(preface_and_settings).await, "it has said them");
}

const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn n_17_a_flood_of_frames_without_content_ends_with_goaway() {
    let ping = frame(6, 0, 0, b"abcdefgh");
    let settings = frame(4, 0, 0, b"");
    let priority = frame(2, 0, 3, b"\0\0\0\0\x10");
    for one in [ping, settings, priority] {
        let flood = one.repeat(FLOOD as usize);
        assert_eq!(heard(&[HELLO, &flood].concat(), 0).await.0, CALM, "{:?}", &one[..9]);
        // A few do no harm: a later request is answered.
        let few = [HELLO, &one.repeat(100), &frame(1, 5, 5, REQUEST)].concat();
        assert_eq!(heard(&few, 1).await, (None, 1), "{:?}", &one[..9]);
    }
}

#[tokio::test]
async fn n_14_streams_reset_one_after_the_other_end_with_goaway() {
    let reset = |stream| [frame(1, 4, stream, REQUEST), frame(3, 0, stream, b"\0\0\0\x08")].concat();
    let flood: Vec<u8> = (0..RESETS).flat_map(|number| reset(2 * number + 1)).collect();
    assert_eq!(heard(&[HELLO, &flood].concat(), 0).await.0, CALM);
}

#[tokio::test]
async fn n_19_frames_that_make_us_reset_end_with_goaway() {
    let served = Served::start().await;
    let (mut read, mut write) = served.connect().await.into_split();
    // A request whose message is still awaited.
    let path = "/concord.proxy.v1.Snapshots/SignLeaf";
    let request =
        [b"\x83\x86\x04", &[u8::try_from(path.len()).unwrap()][..], path.as_bytes(), b"\x01\x01a"].concat();
    // So few at a time that the budget has room for them.
    let (rounds, each) = (RESETS / 20, 20);
    let flood = async {
        let mut said = HELLO.to_vec();
        for round in 0..rounds {
            let streams = || (0..each).map(|number| 2 * (round * each + number) + 1);
            said.extend(streams().flat_map(|stream| frame(1, 4, stream, &request)));
            // The server may close while the client writes; its answer must still be read.
            let _ = write.write_all(&std::mem::take(&mut said)).await;
            // Only streams with a running request count; others count as reset by the client.
            while served.source.came.load(Ordering::Relaxed) < ((round + 1) * each) as usize {
                tokio::task::yield_now().await;
            }
            // Trailers without the end flag are an error of their stream (RFC 9113 §8.1).
            said.extend(streams().flat_map(|stream| frame(1, 4, stream, b"\0\x01x\x01y")));
        }
        let _ = write.write_all(&said).await;
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    let talk = async {
        tokio::select! {
            () = flood => {}
            _ = read.read_to_end(&mut answer) => {}
        }
    };
    let _ = served.wait(Duration::ZERO, talk).await;
    served.stop().await;
    assert_eq!(goaway(&answer), CALM);
}

#[tokio::test]
async fn n_321_an_empty_authority_is_none_and_a_wrong_one_is_refused() {
    let request = |authority: &[u8]| {
        let length = u8::try_from(authority.len()).unwrap();
        [&b"\x83\x86\x04\x02/x\x01"[..], &[length], authority].concat()
    };
    let came = async |authority: &[u8], until| {
        heard(&[HELLO, &frame(1, 5, 1, &request(authority))].concat(), until).await.1
    };
    assert_eq!(came(b"", 1).await, 1, "Go's client sends it if its target names no host");
    assert_eq!(came(b"a", 1).await, 1);
    for wrong in [&b" "[..], b"a/b", b"a b", b"[::1", b"\xff"] {
        assert_eq!(came(wrong, 0).await, 0, "{wrong:?}");
    }
}

#[tokio::test]
async fn n_15_a_head_that_never_ends_ends_with_goaway() {
    // Headers one after the other, each in its own frame, and fewer than the limit of empty frames.
    let more = frame(9, 0, 1, b"\0\x01x\x01y").repeat(limits::IDLE_FRAMES as usize / 2);
    let (code, came) = heard(&[HELLO, &frame(1, 0, 1, REQUEST), &more].concat(), 0).await;
    assert_eq!((code, came), (CALM, 0));
}

#[tokio::test]
async fn n_16_headers_that_grow_when_they_are_read_are_refused() {
    // A cookie that is stored in the table, and repeated with one byte each.
    let cookie = [&b"\x60\x7f\xe9\x06"[..], &[b'c'; 1_000]].concat();
    let head = |times| [REQUEST, &cookie, &b"\xbe".repeat(times)].concat();
    // Larger ones would exceed the budget of one client; the library does not read any of them to its end.
    let (_, came) = heard(&[HELLO, &frame(1, 5, 1, &head(5_000))].concat(), 0).await;
    assert_eq!(came, 0, "5 MB of headers");
    let (_, came) = heard(&[HELLO, &frame(1, 5, 1, &head(40))].concat(), 0).await;
    assert_eq!(came, 0, "40 KB of headers, less than one client may hold");
    let (_, came) = heard(&[HELLO, &frame(1, 5, 1, &head(2))].concat(), 1).await;
    assert_eq!(came, 1, "3 KB of headers");
}

#[tokio::test]
async fn n_10_a_stream_has_no_more_headers_than_are_paid_for() {
    // A header without a value, stored in the table and repeated with one byte each. In memory it is a name, a value,
    // and the index of both.
    const COST: usize = size_of::<(http::HeaderName, http::HeaderValue, [usize; 4])>();
    let head = |times| [REQUEST, &b"\x40\x01x\0"[..], &b"\xbe".repeat(times)].concat();
    // A counted byte can cost up to two and a half bytes.
    let beyond = limits::STREAM_BYTES * 5 / 2 / COST;
    let (_, came) = heard(&[HELLO, &frame(1, 5, 1, &head(beyond))].concat(), 0).await;
    assert_eq!(came, 0, "{beyond} headers in as many bytes");
    let (_, came) = heard(&[HELLO, &frame(1, 5, 1, &head(50))].concat(), 1).await;
    assert_eq!(came, 1, "more than clients send");
}

#[tokio::test]
async fn n_13_a_message_that_does_not_come_is_not_waited_for() {
    let served = Served::start().await;
    let io = TokioIo::new(served.connect().await);
    let connected = hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io);
    let (mut client, connection) = connected.await.expect("it speaks HTTP/2");
    let drive = served.scope.spawn("client", async move { drop(connection.await) });
    let never = futures::stream::pending::<Result<hyper::body::Frame<bytes::Bytes>, Infallible>>();
    let request = http::Request::post("http://localhost/concord.proxy.v1.Snapshots/SignLeaf");
    let request = request.body(http_body_util::StreamBody::new(never)).unwrap();
    let answer = served.wait(limits::REQUEST_TIMEOUT, client.send_request(request)).await;
    let answer = answer.expect("it is answered").expect("the connection goes on");
    assert_eq!(answer.headers()["grpc-status"], "4", "deadline exceeded");
    drop((client, drive));
    served.stop().await;
}

#[tokio::test]
async fn n_10_a_port_without_room_lets_nobody_in_and_recovers() {
    let served = Served::start().await;
    let mut held = Vec::new();
    for _ in 0..40 {
        let mut client = served.connect().await;
        client.write_all(HELLO).await.expect("sent");
        held.push(client);
    }
    let share = (1 << 20) / 2;
    let refused = async {
        // Only this address's share is served; its other connections are closed without an answer.
        let mut open = 0;
        for client in &mut held {
            let mut word = [0; 9];
            open += usize::from(client.read_exact(&mut word).await.is_ok());
        }
        open
    };
    let open = served.wait(Duration::ZERO, refused).await.expect("nobody waits");
    let each = limits::CONNECTION_BYTES + limits::SPEAKING_BYTES;
    assert!((1..=share / each).contains(&open), "{open}");
    assert!(served.budget.held() <= share);
    drop(held);
    let empty = async {
        while served.budget.held() > 0 {
            tokio::task::yield_now().await;
        }
    };
    served.wait(Duration::ZERO, empty).await.expect("all of it comes back");
    served.stop().await;
}

#[tokio::test]
async fn n_10_attached_proxies_are_under_the_budget() {
    let served = Served::of(Nobody { attaches: true, ..Nobody::default() }).await;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", served.address)).unwrap();
    let client = SnapshotClient::new(endpoint.connect().await.expect("it listens"));
    let proxy = attach();
    let share = (1 << 20) / 2;
    let each = limits::STREAM_BYTES + limits::ATTACHED_BYTES;
    let (mut streams, mut refused) = (Vec::new(), None);
    for _ in 0..2 * share / each {
        match client.attach(proxy.clone(), None).await {
            Ok(stream) => streams.push(stream),
            Err(error) => refused = Some(error.to_string()),
        }
    }
    let refused = refused.expect("one address gets its part and no more");
    assert!(refused.contains("its part for this one; try again later"), "{refused}");
    assert!(streams.len() > 10 && served.budget.held() >= streams.len() * each, "{}", streams.len());
    assert!(served.budget.held() <= share);
    // A client that leaves makes room.
    streams.truncate(5);
    let room = async {
        loop {
            if let Ok(stream) = client.attach(proxy.clone(), None).await {
                return stream;
            }
        }
    };
    let _stream = served.wait(Duration::ZERO, room).await.expect("it is given one");
    served.stop().await;
}

#[tokio::test]
async fn n_10_a_connection_is_held_until_the_last_of_its_streams_has_gone() {
    const STREAMS: usize = 8;
    let served = Served::of(Nobody { attaches: true, ..Nobody::default() }).await;
    // A client that ends suddenly, with all its streams.
    let theirs = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", served.address)).unwrap();
    let attached = theirs.spawn(async move {
        let client = SnapshotClient::new(endpoint.connect().await.expect("it listens"));
        let proxy = attach();
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            streams.push(client.attach(proxy.clone(), None).await.expect("it is given one"));
        }
        streams
    });
    let _streams = attached.await.expect("attached");
    theirs.shutdown_background();
    let all = async {
        while served.source.left.held.lock().len() < STREAMS || served.budget.held() > 0 {
            tokio::task::yield_now().await;
        }
    };
    served.wait(Duration::ZERO, all).await.expect("all of it comes back");
    let least = limits::CONNECTION_BYTES + limits::SPEAKING_BYTES + STREAMS * limits::STREAM_KEPT_BYTES;
    let left = served.source.left.held.lock().clone();
    assert!(left.iter().all(|held| *held >= least), "{least} until the last has gone: {left:?}");
    served.stop().await;
}

#[tokio::test]
async fn n_10_nothing_is_read_while_much_of_what_was_evicted_is_still_there() {
    const BYTES: usize = 1 << 20;
    let budget = Budget::new(BYTES, 10);
    let door = budget.door(10);
    let from = |last| Source::of([127, 0, 0, last].into());
    let reader = door.enter(from(1), 10).unwrap();
    let largest = door.enter(from(2), BYTES / 2).unwrap();
    let _other = door.enter(from(3), BYTES / 2 - 10).unwrap();
    let held = Arc::new(Mutex::new(reader.hold(0).unwrap()));
    let (mut client, server) = tokio::io::duplex(1024);
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(0));
    let settling = Settling::new(Arc::clone(&reader), Arc::clone(&clock));
    let mut wire = Wire::new(server, clock, settling, held);
    let mut bytes = [0; 9];
    client.write_all(HELLO).await.unwrap();
    assert_eq!(wire.read(&mut bytes).await.unwrap(), 9, "there is room");
    let _more = reader.hold(100).expect("the largest makes room");
    assert!(largest.is_evicted());
    assert!(wire.read(&mut bytes).now_or_never().is_none(), "it has not gone");
    drop(largest);
    assert_eq!(wire.read(&mut bytes).await.unwrap(), 9, "it has");
}

#[tokio::test]
async fn n_10_strangers_do_not_end_the_streams_of_proxies_behind_one_address() {
    let served = Served::of(Nobody { attaches: true, ..Nobody::default() }).await;
    let mut streams = Vec::new();
    for _ in 0..4 {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", served.address)).unwrap();
        let client = SnapshotClient::new(endpoint.connect().await.expect("it listens"));
        let proxy = attach();
        streams.push((client.attach(proxy, None).await.expect("it is given one"), client));
    }
    let mut crowd = Vec::new();
    for last in 1..=40 {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 1, last], 0))).expect("an address of its own");
        let mut client = socket.connect(served.address).await.expect("it listens");
        client.write_all(HELLO).await.expect("sent");
        // Connections without room are closed without an answer.
        let _ = client.read(&mut [0; 9]).await;
        crowd.push(client);
    }
    assert!(served.budget.held() > (1 << 20) - 64 * 1024, "there is no room left");
    for (stream, _client) in &mut streams {
        let ended = timeout(&*World::tokio().clock, Duration::from_millis(100), stream.next()).await;
        assert!(ended.is_err(), "it goes on: {ended:?}");
    }
    served.stop().await;
}

#[test]
fn n_10_a_client_that_says_nothing_costs_what_is_counted_for_it() {
    fn bytes<F>(_: impl FnOnce(Port, Io, &'static Arc<Guest>) -> F) -> usize {
        size_of::<F>()
    }
    let bytes = bytes(|port, stream, guest| port.greet(stream, guest));
    assert!(bytes <= limits::CONNECTION_BYTES, "{bytes} bytes");
}
