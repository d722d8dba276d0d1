//! Connections: created on demand, kept while idle; each carries one request at a time.
//!
//! ```text
//! take: newest idle one that is still open and young ── none ──► connect
//!   │ exchange                                                     │
//!   ├── sent, body read whole ──► back to idle                     │
//!   └── idle one turned out closed: unsent, or only a read ─────────┘ once, on a new one
//! ```

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use concord_runtime::{Instant, Scope, timeout};
use http::response::Parts;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::address::Address;
use crate::config::Config;
use crate::dial::dial;
use crate::error::Error;
use crate::limits;
use crate::pieces::Pieces;
use crate::tls::Tls;

/// A connection: its request sender, and the error with which it may end.
struct Sender {
    requests: SendRequest<Full<Bytes>>,
    fault: oneshot::Receiver<hyper::Error>,
}

/// The connections of one client.
pub(crate) struct Pool {
    address: Address,
    tls: Option<Tls>,
    connect_timeout: Duration,
    scope: Scope,
    idle: Mutex<Vec<Idle>>,
}

/// The result of opening an answer.
pub(crate) enum Opened {
    Pieces(Pieces),
    Refused(StatusCode, Bytes),
}

struct Idle {
    sender: Sender,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(config: &Config, scope: Scope) -> Result<Self, Error> {
        let tls = match &config.address {
            Address::Https { host, .. } => Some(Tls::prepare(&config.tls, host, None)?),
            Address::Http { .. } | Address::Unix { .. } => {
                // If TLS files are named but cannot be used, that is an error even without TLS, as in Consul.
                if config.tls.names_files() {
                    Tls::prepare(&config.tls, "localhost", None)?;
                }
                None
            }
        };
        Ok(Self {
            address: config.address.clone(),
            tls,
            connect_timeout: config.connect_timeout,
            scope,
            idle: Mutex::default(),
        })
    }

    /// Sends a request and reads its whole answer, within `deadline` and `bytes_max`.
    pub(crate) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        deadline: Duration,
        bytes_max: usize,
    ) -> Result<(Parts, Bytes), Error> {
        let clock = Arc::clone(self.scope.clock());
        timeout(clock.as_ref(), deadline, self.exchange_unbounded(request, bytes_max))
            .await
            .map_err(|_| Error::Timeout { address: self.address.clone(), after: deadline })?
    }

    async fn exchange_unbounded(
        &self,
        mut request: Request<Full<Bytes>>,
        bytes_max: usize,
    ) -> Result<(Parts, Bytes), Error> {
        if let Some(mut sender) = self.take().await {
            // The agent may have closed an idle connection at any time. A read may be repeated. Any other request is
            // sent again only if it certainly was not sent.
            let again = (*request.method() == Method::GET).then(|| request.clone());
            match sender.requests.try_send_request(request).await {
                Ok(response) => return self.finish(sender, response, bytes_max).await,
                Err(mut failed) => match failed.take_message().or(again) {
                    Some(unsent) => request = unsent,
                    None => return Err(self.ended(sender, failed.into_error()).await),
                },
            }
        }
        let mut sender = self.connect().await?;
        match sender.requests.send_request(request).await {
            Ok(response) => self.finish(sender, response, bytes_max).await,
            Err(error) => Err(self.ended(sender, error).await),
        }
    }

    /// Sends a request on a separate connection, whose answer is read piece by piece. The answer must begin within
    /// `deadline`.
    pub(crate) async fn open(
        &self,
        request: Request<Full<Bytes>>,
        deadline: Duration,
    ) -> Result<Opened, Error> {
        let clock = Arc::clone(self.scope.clock());
        let opening = async {
            let mut sender = self.connect().await?;
            let response = match sender.requests.send_request(request).await {
                Ok(response) => response,
                Err(error) => return Err(self.ended(sender, error).await),
            };
            if !response.status().is_success() {
                let (head, body) = self.finish(sender, response, limits::ERROR_BYTES_MAX).await?;
                return Ok(Opened::Refused(head.status, body));
            }
            Ok(Opened::Pieces(Pieces::new(response.into_body(), self.address.clone(), sender.requests)))
        };
        timeout(clock.as_ref(), deadline, opening)
            .await
            .map_err(|_| Error::Timeout { address: self.address.clone(), after: deadline })?
    }

    async fn finish(
        &self,
        sender: Sender,
        response: http::Response<Incoming>,
        bytes_max: usize,
    ) -> Result<(Parts, Bytes), Error> {
        let (head, mut body) = response.into_parts();
        // The body of an error status becomes the message. Bytes beyond the limit are not read, and the connection is
        // not kept.
        let bytes_max = if head.status.is_success() { bytes_max } else { limits::ERROR_BYTES_MAX };
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|error| self.broken(error))?.into_data() else { continue };
            if read.len() + data.len() > bytes_max {
                if head.status.is_success() {
                    return Err(Error::TooLarge { bytes_max });
                }
                read.extend_from_slice(&data[..bytes_max - read.len()]);
                return Ok((head, read.freeze()));
            }
            read.extend_from_slice(&data);
        }
        self.put_back(sender);
        Ok((head, read.freeze()))
    }

    /// The newest idle connection that is still usable.
    async fn take(&self) -> Option<Sender> {
        loop {
            let now = self.scope.clock().now();
            let mut candidate = {
                let mut idle = self.idle.lock();
                idle.retain(|idle| {
                    !idle.sender.requests.is_closed() && now - idle.since < limits::IDLE_AGE_MAX
                });
                idle.pop()?
            };
            if candidate.sender.requests.ready().await.is_ok() {
                return Some(candidate.sender);
            }
        }
    }

    fn put_back(&self, sender: Sender) {
        let mut idle = self.idle.lock();
        if !sender.requests.is_closed() && idle.len() < limits::IDLE_CONNECTIONS_MAX {
            idle.push(Idle { sender, since: self.scope.clock().now() });
        }
    }

    async fn connect(&self) -> Result<Sender, Error> {
        let clock = Arc::clone(self.scope.clock());
        let stream = timeout(clock.as_ref(), self.connect_timeout, dial(&self.address, self.tls.as_ref()))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|source| Error::Connect { address: self.address.clone(), source })?;
        let (requests, connection) = http1::Builder::new()
            .max_buf_size(limits::HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(error))?;
        let scope = self.scope.clone();
        let (tell, fault) = oneshot::channel();
        // The task ends when its sender is dropped, or with the scope.
        drop(self.scope.spawn("connection", async move {
            tokio::select! {
                biased;
                ended = connection => if let Err(error) = ended {
                    // The receiver may be gone.
                    let _ = tell.send(error);
                },
                () = scope.cancelled() => {}
            }
        }));
        Ok(Sender { requests, fault })
    }

    /// Why a request had no answer. If the connection ended first, only the connection knows the reason.
    async fn ended(&self, sender: Sender, error: hyper::Error) -> Error {
        let cause = if error.is_canceled() { sender.fault.await.ok() } else { Some(error) };
        match cause.filter(|error| !error.is_incomplete_message()) {
            Some(cause) => self.broken(cause),
            None => Error::Closed { address: self.address.clone() },
        }
    }

    fn broken(&self, source: hyper::Error) -> Error {
        Error::Broken { address: self.address.clone(), source }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("address", &self.address)
            .field("idle", &self.idle.lock().len())
            .finish_non_exhaustive()
    }
}
