//! The gRPC port: proxies attach here. (Envoy's xDS and the public services will join them.)

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use concord_rpc::SnapshotSource;
use concord_rpc::grpc::SnapshotService;
use concord_runtime::{Clock, Scope};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::Server;
use tonic::transport::server::{Connected, TcpConnectInfo};
use tracing::{debug, warn};

/// Connections one client address may hold.
pub const CONNECTIONS_PER_CLIENT: usize = 1_000;
/// Connections in all.
pub const CONNECTIONS: usize = 8_192;
/// Streams on one connection, as in Consul.
pub const STREAMS: u32 = 2_048;
/// Between two pings on an idle connection, and the time to answer one (Consul's defaults).
pub const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// From the connection to the end of the client's first words, which HTTP/2 fixes (RFC 9113 §3.4); who has
/// said them is asked for signs of life from then on.
pub const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of those words.
const PREFACE_BYTES: usize = 24;
/// Bytes of a request's headers together.
pub const HEADER_BYTES: u32 = 32 * 1024;
/// Streams a client may reset before the server has answered them; more is an attack (CVE-2023-44487).
pub const RESETS: usize = 200;

/// Serves a source of snapshots on a socket until the scope ends.
pub fn serve(listener: TcpListener, source: Arc<dyn SnapshotSource>, clock: Arc<dyn Clock>, scope: &Scope) {
    let inner = scope.clone();
    let places = Arc::new(Places::default());
    scope.spawn("grpc listener", async move {
        let stopping = inner.clone();
        let incoming =
            futures::stream::unfold((listener, places, clock), |(listener, places, clock)| async move {
                let connection = accept(&listener, &places, &*clock).await;
                Some((Ok::<_, std::io::Error>(connection), (listener, places, clock)))
            });
        let served = Server::builder()
            .max_concurrent_streams(STREAMS)
            .http2_keepalive_interval(Some(KEEPALIVE.0))
            .http2_keepalive_timeout(Some(KEEPALIVE.1))
            .http2_max_header_list_size(HEADER_BYTES)
            .http2_max_pending_accept_reset_streams(Some(RESETS))
            .add_service(SnapshotService::new(source))
            .serve_with_incoming_shutdown(incoming, async move { stopping.cancelled().await })
            .await;
        if let Err(error) = served {
            warn!(%error, "the gRPC port stopped");
        }
    });
}

async fn accept(listener: &TcpListener, places: &Arc<Places>, clock: &dyn Clock) -> Connection {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                match places.admit(peer.ip().to_canonical()) {
                    Some(place) => {
                        let silence = Some(clock.sleep(PREFACE_TIMEOUT));
                        return Connection { stream, heard: 0, silence, _place: place };
                    }
                    None => debug!("gRPC connection refused: too many connections"),
                }
            }
            Err(error) => {
                warn!(%error, "cannot accept a gRPC connection; is the limit of open files reached?");
                clock.sleep(crate::http::limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

#[derive(Debug, Default)]
struct Places(Mutex<HashMap<IpAddr, usize>>);

#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    client: IpAddr,
}

impl Places {
    fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let mut open = self.0.lock();
        if open.values().sum::<usize>() >= CONNECTIONS {
            return None;
        }
        let count = open.entry(client).or_default();
        if *count >= CONNECTIONS_PER_CLIENT {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Place { places: Arc::clone(self), client })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.0.lock();
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

/// A connection with its place under the limits.
struct Connection {
    stream: TcpStream,
    /// Bytes read, until the preface is whole.
    heard: usize,
    /// Ends when the client has been silent for too long; none once the preface is whole.
    silence: Option<BoxFuture<'static, ()>>,
    _place: Place,
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.silence.as_mut().is_some_and(|silence| silence.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if self.silence.is_some() {
            self.heard += buffer.filled().len() - before;
            if self.heard >= PREFACE_BYTES {
                self.silence = None;
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use concord_model::Secret;
    use concord_model::ca::LeafCertificate;
    use concord_rpc::{ProxyTarget, RpcError, SnapshotStream};
    use concord_runtime::{ManualClock, World, timeout};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Gives nobody anything.
    #[derive(Debug)]
    struct Nobody;

    impl SnapshotSource for Nobody {
        fn attach(
            &self,
            _: ProxyTarget,
            _: Option<Secret>,
        ) -> BoxFuture<'_, Result<SnapshotStream, RpcError>> {
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

    /// Whether the server hangs up on a client that says this and then nothing, before it asks for signs of life.
    async fn hangs_up(words: &[u8]) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (clock, scope) = (Arc::new(ManualClock::new(0)), Scope::new("test", World::tokio().clock));
        serve(listener, Arc::new(Nobody), Arc::clone(&clock) as Arc<dyn Clock>, &scope);
        let mut client = TcpStream::connect(address).await.expect("it listens");
        client.write_all(words).await.expect("sent");
        let mut ended = false;
        // The clock is moved until the server has seen the connection: it may not have been accepted yet.
        for _ in 0..40 {
            clock.advance(PREFACE_TIMEOUT);
            let mut answer = [0u8; 256];
            let real = World::tokio().clock;
            let read = timeout(&*real, Duration::from_millis(50), client.read(&mut answer)).await;
            ended = matches!(read, Ok(Ok(0) | Err(_)));
            if ended {
                break;
            }
        }
        scope.shutdown(Duration::from_secs(1), Duration::from_secs(1)).await;
        ended
    }

    #[tokio::test]
    async fn n_11_a_client_that_never_finishes_its_first_words_is_closed() {
        assert!(hangs_up(b"").await, "silent from the start");
        assert!(hangs_up(b"PRI * HTTP/2.0").await, "silent in the middle");
        let preface_and_settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        assert!(!hangs_up(preface_and_settings).await, "it has said them");
    }

    #[test]
    fn one_client_cannot_take_all_places() {
        let places = Arc::new(Places::default());
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let held: Vec<Place> = (0..CONNECTIONS_PER_CLIENT).filter_map(|_| places.admit(one)).collect();
        assert_eq!(held.len(), CONNECTIONS_PER_CLIENT);
        assert!(places.admit(one).is_none());
        assert!(places.admit(other).is_some());
        drop(held);
        assert!(places.admit(one).is_some());
    }
}
