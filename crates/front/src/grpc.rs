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
                    Some(place) => return Connection { stream, _place: place },
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
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
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
        Pin::new(&mut self.stream).poll_read(cx, buffer)
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
    use super::*;

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
