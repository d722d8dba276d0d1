use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use concord_model::Secret;
use concord_model::ca::LeafCertificate;
use concord_rpc::{ProxyTarget, RpcError, SnapshotStream};
use concord_runtime::{BoxFuture, Budget, ManualClock, World, timeout};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Gives nobody anything.
#[derive(Debug)]
struct Nobody;

impl SnapshotSource for Nobody {
    fn admit(&self, _: Option<Secret>) -> BoxFuture<'_, Result<(), RpcError>> {
        Box::pin(async { Ok(()) })
    }

    fn attach(&self, _: ProxyTarget, _: Option<Secret>) -> BoxFuture<'_, Result<SnapshotStream, RpcError>> {
        Box::pin(async { Err(RpcError::ShuttingDown) })
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

/// A running port, and what it goes by.
struct Served {
    address: SocketAddr,
    clock: ManualClock,
    budget: Arc<Budget>,
    scope: Scope,
}

impl Served {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (clock, scope) = (ManualClock::new(0), Scope::new("test", World::tokio().clock));
        let budget = Budget::new(1 << 20, 100);
        let door = Arc::new(budget.door(limits::CONNECTIONS_PER_CLIENT));
        serve(listener, Arc::new(Nobody), door, Arc::new(clock.clone()), &scope);
        Self { address, clock, budget, scope }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }

    /// Moves the clock until something is there: a connection may not have been accepted yet.
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

/// Whether the server hangs up on a client that says this and then nothing, before it asks for signs of life.
async fn hangs_up(words: &[u8]) -> bool {
    let served = Served::start().await;
    let mut client = served.connect().await;
    client.write_all(words).await.expect("sent");
    let mut answer = Vec::new();
    let ended = served.wait(limits::PREFACE_TIMEOUT, client.read_to_end(&mut answer)).await;
    served.stop().await;
    ended.is_some()
}

/// All the server says to a client that says this.
async fn heard(words: &[u8]) -> Vec<u8> {
    let served = Served::start().await;
    let mut client = served.connect().await;
    client.write_all(words).await.expect("sent");
    let mut answer = Vec::new();
    let _ = served.wait(Duration::ZERO, client.read_to_end(&mut answer)).await;
    served.stop().await;
    answer
}

#[tokio::test]
async fn n_11_a_client_that_never_finishes_its_first_words_is_closed() {
    assert!(hangs_up(b"").await, "silent from the start");
    assert!(hangs_up(b"PRI * HTTP/2.0").await, "silent in the middle");
    let preface_and_settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    assert!(!hangs_up(preface_and_settings).await, "it has said them");
}

const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// GOAWAY with ENHANCE_YOUR_CALM.
const CALM: &[u8] = b"\x7f\xff\xff\xff\0\0\0\x0b";

#[tokio::test]
async fn n_17_a_flood_of_frames_without_content_ends_with_goaway() {
    let ping: &[u8] = b"\0\0\x08\x06\0\0\0\0\0abcdefgh";
    let settings: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    let priority: &[u8] = b"\0\0\x05\x02\0\0\0\0\x03\0\0\0\0\x10";
    let flood = limits::IDLE_FRAMES as usize + 100;
    for frame in [ping, settings, priority] {
        let answer = heard(&[HELLO, &frame.repeat(flood)].concat()).await;
        assert!(answer.windows(CALM.len()).any(|part| part == CALM), "{:?}", &frame[..9]);
        let few = heard(&[HELLO, &frame.repeat(100)].concat()).await;
        assert!(!few.windows(CALM.len()).any(|part| part == CALM), "{:?}", &frame[..9]);
    }
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
        // Of this address no more than its part is served: the others are closed without a word.
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
