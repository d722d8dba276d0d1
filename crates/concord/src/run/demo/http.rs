//! The small subset of HTTP that the demo and its services use among themselves.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use concord_runtime::{Scope, Task, timeout};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::limits::{BODY_BYTES_MAX, REQUEST_WITHIN};

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("cannot connect to {address}: {error}")]
    Connect { address: SocketAddr, error: io::Error },
    #[error("the connection to {address} was closed: {error}")]
    Closed { address: SocketAddr, error: hyper::Error },
    #[error("the answer of {address} cannot be read: {error}")]
    Body { address: SocketAddr, error: Box<dyn std::error::Error + Send + Sync> },
    #[error("no answer of {address} within {within:?}")]
    Late { address: SocketAddr, within: Duration },
    #[error("{address} answered {status}: {body}")]
    Status { address: SocketAddr, status: StatusCode, body: String },
}

/// A connection that carries one request after the other.
#[derive(Debug)]
pub(super) struct Connection {
    address: SocketAddr,
    sender: SendRequest<Empty<Bytes>>,
    end: Task<()>,
    scope: Scope,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr, scope: &Scope) -> Result<Self, HttpError> {
        let opening = async {
            let stream =
                TcpStream::connect(address).await.map_err(|error| HttpError::Connect { address, error })?;
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| HttpError::Closed { address, error })
        };
        let (sender, connection) = within(scope, address, opening).await?;
        let end = scope.spawn("connection", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
        Ok(Self { address, sender, end, scope: scope.clone() })
    }

    /// The body of the answer, if its status is 200.
    pub(super) async fn get(&mut self, path: &str) -> Result<String, HttpError> {
        let address = self.address;
        let request = Request::get(path).header(header::HOST, address.to_string()).body(Empty::new());
        let request = request.expect("paths are constants of the demo");
        let asking = async {
            let answer = self.sender.send_request(request).await;
            let (head, body) = answer.map_err(|error| HttpError::Closed { address, error })?.into_parts();
            let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
            let body = body.map_err(|error| HttpError::Body { address, error })?.to_bytes();
            let body = String::from_utf8_lossy(&body).trim_end().to_owned();
            match head.status {
                StatusCode::OK => Ok(body),
                status => Err(HttpError::Status { address, status, body }),
            }
        };
        within(&self.scope, address, asking).await
    }

    /// Completes when the other side has closed the connection.
    pub(super) async fn closed(self) {
        let Self { sender, end, .. } = self;
        // Only the end matters, not its cause.
        let _ = end.join().await;
        drop(sender);
    }
}

/// Sends one request over a separate connection.
pub(super) async fn get(address: SocketAddr, path: &str, scope: &Scope) -> Result<String, HttpError> {
    Connection::open(address, scope).await?.get(path).await
}

async fn within<T>(
    scope: &Scope,
    address: SocketAddr,
    work: impl Future<Output = Result<T, HttpError>>,
) -> Result<T, HttpError> {
    let late = |_| HttpError::Late { address, within: REQUEST_WITHIN };
    timeout(&**scope.clock(), REQUEST_WITHIN, work).await.map_err(late)?
}
