//! Connections: made on demand, kept while idle, one request at a time on each.
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

use crate::address::Address;
use crate::config::Config;
use crate::dial::dial;
use crate::error::Error;
use crate::limits;
use crate::pieces::Pieces;
use crate::tls::Tls;

type Sender = SendRequest<Full<Bytes>>;

/// The connections of one client.
pub(crate) struct Pool {
    address: Address,
    tls: Option<Tls>,
    connect_timeout: Duration,
    scope: Scope,
    idle: Mutex<Vec<Idle>>,
}

/// What came of opening.
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
            Address::Http { .. } | Address::Unix(_) => None,
        };
        Ok(Self {
            address: config.address.clone(),
            tls,
            connect_timeout: config.connect_timeout,
            scope,
            idle: Mutex::default(),
        })
    }

    /// Sends a request and reads its answer whole, within `deadline` and `bytes_max`.
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
            // A kept connection may have been closed from the other end at any time. What was only read may be
            // read again; anything else is sent again only if it certainly did not leave.
            let again = (*request.method() == Method::GET).then(|| request.clone());
            match sender.try_send_request(request).await {
                Ok(response) => return self.finish(sender, response, bytes_max).await,
                Err(mut failed) => match failed.take_message().or(again) {
                    Some(unsent) => request = unsent,
                    None => return Err(self.broken(failed.into_error())),
                },
            }
        }
        let mut sender = self.connect().await?;
        let response = sender.send_request(request).await.map_err(|error| self.broken(error))?;
        self.finish(sender, response, bytes_max).await
    }

    /// Sends a request on a connection of its own; its answer is read as it comes. Its beginning comes within `deadline`.
    pub(crate) async fn open(
        &self,
        request: Request<Full<Bytes>>,
        deadline: Duration,
    ) -> Result<Opened, Error> {
        let clock = Arc::clone(self.scope.clock());
        let opening = async {
            let mut sender = self.connect().await?;
            let response = sender.send_request(request).await.map_err(|error| self.broken(error))?;
            if !response.status().is_success() {
                let (head, body) = self.finish(sender, response, limits::ERROR_BYTES_MAX).await?;
                return Ok(Opened::Refused(head.status, body));
            }
            Ok(Opened::Pieces(Pieces::new(response.into_body(), self.address.clone(), sender)))
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
        // What is not success is a message; more of it than fits one is not read, and its connection is not kept.
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

    /// The newest idle connection that can still be used.
    async fn take(&self) -> Option<Sender> {
        loop {
            let now = self.scope.clock().now();
            let mut candidate = {
                let mut idle = self.idle.lock();
                idle.retain(|idle| !idle.sender.is_closed() && now - idle.since < limits::IDLE_AGE_MAX);
                idle.pop()?
            };
            if candidate.sender.ready().await.is_ok() {
                return Some(candidate.sender);
            }
        }
    }

    fn put_back(&self, sender: Sender) {
        let mut idle = self.idle.lock();
        if !sender.is_closed() && idle.len() < limits::IDLE_CONNECTIONS_MAX {
            idle.push(Idle { sender, since: self.scope.clock().now() });
        }
    }

    async fn connect(&self) -> Result<Sender, Error> {
        let clock = Arc::clone(self.scope.clock());
        let stream = timeout(clock.as_ref(), self.connect_timeout, dial(&self.address, self.tls.as_ref()))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|source| Error::Connect { address: self.address.clone(), source })?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(limits::HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(error))?;
        let scope = self.scope.clone();
        // It ends by itself when its sender is dropped; the scope's end cuts it short. Faults reach the sender.
        drop(self.scope.spawn("connection", async move {
            tokio::select! {
                biased;
                _ = connection => {}
                () = scope.cancelled() => {}
            }
        }));
        Ok(sender)
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
