//! The gRPC port, to which proxies attach: the built-in ones for their snapshots, Envoys for their resources. Consul's
//! public services answer there, too.
//!
//! ```text
//! accept ─► a place? ─► first byte ─► HTTP/2 ─► headers ─► token known? ─► message ─► answer
//!              │            │           │          │            │             │          │
//!              └────────────┴───────────┴──── what is held at each step is under the budget of the
//!                                             process, and each has its time
//! ```

mod frames;
mod incoming;
pub mod limits;
mod messages;
mod outgoing;
mod progress;
mod protobuf;
mod public;
mod seated;
mod settling;
mod stream;
mod wire;
mod xds;

use std::sync::Arc;

use concord_rpc::grpc::SnapshotService;
use concord_rpc::{ServerApi, SnapshotSource};
use concord_runtime::{Clock, Door, Guest, Scope, timeout};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{debug, warn};

use self::progress::Progress;
use self::public::Public;
use self::seated::Seated;
use self::settling::Settling;
use self::stream::{Streams, Together};
use self::wire::Wire;
use self::xds::Discovery;
use crate::ledger::Ledger;
use crate::socket::{self, Io, Socket};
use crate::tls::Tls;

/// What is served.
#[derive(Clone)]
pub struct Services {
    /// Snapshots for the built-in proxy, of which Envoy's configuration is made.
    pub snapshots: Arc<dyn SnapshotSource>,
    /// Who answers the public services.
    pub servers: Arc<dyn ServerApi>,
    /// Where it is noted which proxy has what.
    pub ledger: Ledger,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Services")
    }
}

/// Serves on a socket until the scope ends. With `tls`, every connection uses TLS.
pub fn serve(
    socket: Socket,
    tls: Option<Arc<Tls>>,
    services: Services,
    door: Arc<Door>,
    clock: Arc<dyn Clock>,
    scope: &Scope,
) {
    let inner = scope.clone();
    let Services { snapshots, servers, ledger } = services;
    let discovery = Discovery::new(Arc::clone(&snapshots), Arc::clone(&clock), inner.clone(), ledger.clone());
    let seated = Seated { source: snapshots, ledger };
    let (service, public) = (SnapshotService::new(Arc::new(seated)), Public::new(servers));
    let port = Port { service, discovery, public, tls, door, clock, scope: inner.clone() };
    scope.spawn("grpc listener", async move {
        tokio::select! {
            biased;
            () = inner.cancelled() => {}
            () = port.accept(&socket) => {}
        }
    });
}

#[derive(Clone)]
struct Port {
    service: SnapshotService,
    discovery: Discovery,
    public: Public,
    tls: Option<Arc<Tls>>,
    door: Arc<Door>,
    clock: Arc<dyn Clock>,
    scope: Scope,
}

/// Spawns the tasks of a connection's HTTP/2 streams in the scope of that connection.
#[derive(Clone)]
struct OnScope(Scope);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for OnScope {
    fn execute(&self, stream: F) {
        self.0.spawn("grpc stream", stream);
    }
}

impl Port {
    async fn accept(&self, socket: &Socket) {
        loop {
            match socket.accept().await {
                Ok((io, address)) => {
                    let source = socket::source(address);
                    match self.door.enter(source, limits::CONNECTION_BYTES) {
                        Ok(guest) => self.start(io, guest),
                        Err(full) => debug!(%source, %full, "gRPC connection refused"),
                    }
                }
                Err(error) => {
                    warn!(%error, "cannot accept a gRPC connection; is the limit of open files reached?");
                    self.clock.sleep(crate::http::limits::ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn start(&self, stream: Io, guest: Arc<Guest>) {
        let port = self.clone();
        self.scope.spawn("grpc connection", async move {
            tokio::select! {
                biased;
                () = guest.evicted() => debug!(source = %guest.source(), "gRPC connection closed: other clients need its memory"),
                () = port.greet(stream, &guest) => {}
            }
        });
    }

    async fn greet(self, stream: Io, guest: &Arc<Guest>) {
        let Some(tls) = self.tls.clone() else {
            // Do not give a client any buffers of the HTTP/2 library before it has sent its first byte.
            let spoken = timeout(&*self.clock, limits::PREFACE_TIMEOUT, stream.is_spoken_to()).await;
            if matches!(spoken, Ok(true)) {
                Box::pin(self.connection(stream, guest)).await;
            }
            return;
        };
        let stream = tokio::select! {
            biased;
            () = self.scope.cancelled() => return,
            stream = tls.accept(stream, guest, &*self.clock) => stream,
        };
        if let Some(stream) = stream {
            Box::pin(self.connection(stream, guest)).await;
        }
    }

    async fn connection(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        guest: &Arc<Guest>,
    ) {
        guest.settled(&*self.clock).await;
        let (Ok(speaking), Ok(streams)) = (guest.hold(limits::SPEAKING_BYTES), guest.hold(0)) else {
            return debug!(source = %guest.source(), "gRPC connection closed: no memory is left for its input");
        };
        let streams = Arc::new(Mutex::new(streams));
        let held = Arc::new(Together { _speaking: speaking, _streams: Arc::clone(&streams) });
        let progress = Progress::new(Arc::clone(&self.clock));
        let Self { service, discovery, public, clock, scope, tls: _, door: _ } = self;
        let settling = Settling::new(Arc::clone(guest), Arc::clone(&clock));
        let wire = TokioIo::new(Wire::new(stream, Arc::clone(&clock), Arc::clone(&settling), streams));
        let streams = Streams {
            service,
            discovery,
            public,
            clock: Arc::clone(&clock),
            guest: Arc::clone(guest),
            progress: Arc::clone(&progress),
            held,
        };
        let connection = http2::Builder::new(OnScope(scope.clone()))
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits::STREAMS)
            .initial_stream_window_size(limits::STREAM_WINDOW)
            .initial_connection_window_size(limits::CONNECTION_WINDOW)
            .max_send_buf_size(limits::SEND_BYTES)
            .max_header_list_size(limits::HEADER_BYTES)
            .max_pending_accept_reset_streams(limits::RESETS)
            .max_local_error_reset_streams(limits::OWN_RESETS)
            .keep_alive_interval(limits::KEEPALIVE.0)
            .keep_alive_timeout(limits::KEEPALIVE.1)
            .serve_connection(wire, service_fn(move |request| streams.clone().answer(request)));
        tokio::pin!(connection);
        let served = tokio::select! {
            biased;
            () = progress.stalled() => {
                debug!(source = %guest.source(), "gRPC connection ended: the client does not read its answers");
                return;
            }
            served = settling.beside(&mut connection) => served,
            () = scope.cancelled() => {
                connection.as_mut().graceful_shutdown();
                timeout(&*clock, crate::http::limits::DRAIN, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = served {
            debug!(source = %guest.source(), %error, "gRPC connection ended");
        }
    }
}

#[cfg(test)]
mod tests;
