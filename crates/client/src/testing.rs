//! For tests: an HTTP server on a real socket that answers according to a script and records the requests.
//!
//! It knows nothing about an agent; each test defines the answers.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use concord_runtime::Scope;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method.
    pub method: String,
    /// Path and query, as written.
    pub target: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: String,
}

/// A scripted answer.
#[derive(Clone, Debug)]
pub struct Scripted {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: String,
}

/// The server.
#[derive(Clone)]
pub struct ScriptedServer {
    inner: Arc<Inner>,
}

struct Inner {
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    script: Box<dyn Fn(&Seen) -> Scripted + Send + Sync>,
}

impl Seen {
    /// A header's value; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Method and target.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

impl Scripted {
    /// 200 with a body.
    pub fn ok(body: impl Into<String>) -> Self {
        Self::status(200, body)
    }

    /// A status with a body.
    pub fn status(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// The same with a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl ScriptedServer {
    /// A server that does not listen yet.
    pub fn new(script: impl Fn(&Seen) -> Scripted + Send + Sync + 'static) -> Self {
        let inner =
            Inner { seen: Mutex::default(), connections: AtomicUsize::new(0), script: Box::new(script) };
        Self { inner: Arc::new(inner) }
    }

    /// Serves on a free port of the loopback interface.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn listen(&self, scope: &Scope, tls: Option<TlsAcceptor>) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (server, tasks) = (self.clone(), scope.clone());
        scope.spawn("scripted-server", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, tls) = (server.clone(), tls.clone());
                tasks.spawn("scripted-connection", async move {
                    match tls {
                        None => server.serve(stream).await,
                        Some(tls) => {
                            // The client sees a failed handshake, which such a test examines.
                            if let Ok(stream) = tls.accept(stream).await {
                                server.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        Ok(address)
    }

    /// Serves on a unix socket.
    ///
    /// # Errors
    /// When the socket cannot be bound.
    pub fn listen_unix(&self, scope: &Scope, path: &Path) -> io::Result<()> {
        let listener = UnixListener::bind(path)?;
        let (server, tasks) = (self.clone(), scope.clone());
        scope.spawn("scripted-server", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                tasks.spawn("scripted-connection", async move { server.serve(stream).await });
            }
        });
        Ok(())
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().clone()
    }

    /// The number of connections accepted so far.
    pub fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::SeqCst)
    }

    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        self.inner.connections.fetch_add(1, Ordering::SeqCst);
        let service = service_fn(|request| self.answer(request));
        // A client that goes away ends its connection; nobody needs the error.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let seen = Seen {
            method: head.method.to_string(),
            target: head.uri.to_string(),
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        let Scripted { status, headers, body } = (self.inner.script)(&seen);
        self.inner.seen.lock().push(seen);
        let response = headers
            .into_iter()
            .fold(Response::builder().status(status), |response, (name, value)| response.header(name, value));
        Ok(response.body(Full::new(body.into())).expect("a script writes valid headers"))
    }
}

impl fmt::Debug for ScriptedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedServer").field("connections", &self.connections()).finish_non_exhaustive()
    }
}
