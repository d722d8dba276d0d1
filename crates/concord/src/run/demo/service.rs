//! The two services: `api` greets and counts; `web` calls its upstream and returns the answer.
//!
//! Neither knows of the mesh: `web` opens plain connections to a local port.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use concord_runtime::{Executor, Scope, TokioClock};
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::http::get;
use super::limits::{REQUEST_WITHIN, SERVICE_CONNECTIONS};
use crate::cli::{Exit, Failure, Outcome};
use crate::run::ready;
use crate::run::signals::Signals;

/// The path that returns the number of answered requests. Requests to it are not counted.
pub(super) const SERVED: &str = "/served";

#[derive(Debug)]
struct Service {
    name: String,
    upstream: Option<SocketAddr>,
    served: AtomicU64,
    scope: Scope,
}

/// Serves on a free local port until a signal ends it.
pub(super) fn run(name: &str, ready_file: &Path, upstream: Option<SocketAddr>) -> Outcome {
    let executor = Executor::new("service", 1).map_err(|error| Failure::system("start a thread", error))?;
    let outcome = executor.block_on(serve(name, ready_file, upstream));
    executor.shutdown_background();
    outcome
}

async fn serve(name: &str, ready_file: &Path, upstream: Option<SocketAddr>) -> Outcome {
    let failed = |error| Failure::system("listen", error);
    let mut signals = Signals::listen().map_err(failed)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let scope = Scope::new("service", Arc::new(TokioClock::new()));
    let served = AtomicU64::new(0);
    let service = Arc::new(Service { name: name.to_owned(), upstream, served, scope: scope.clone() });
    ready::write(ready_file, &json!({ "address": address.to_string() }));
    let places = Arc::new(Semaphore::new(SERVICE_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            biased;
            _ = signals.end() => break,
            accepted = listener.accept() => accepted,
        };
        let (Ok((stream, _)), Ok(place)) = (accepted, Arc::clone(&places).acquire_owned().await) else {
            continue;
        };
        let service = Arc::clone(&service);
        scope.spawn("connection", async move {
            carry(stream, service).await;
            drop(place);
        });
    }
    scope.cancel();
    Ok(Exit::SUCCESS)
}

async fn carry(stream: TcpStream, service: Arc<Service>) {
    let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let service = Arc::clone(&service);
        async move {
            let (status, text) = service.answer(request.uri().path()).await;
            let mut response = Response::new(Full::new(Bytes::from(text + "\n")));
            *response.status_mut() = status;
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_WITHIN)
        .serve_connection(TokioIo::new(stream), answer);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "connection ended");
    }
}

impl Service {
    async fn answer(&self, path: &str) -> (StatusCode, String) {
        if path == SERVED {
            return (StatusCode::OK, self.served.load(Ordering::Relaxed).to_string());
        }
        let Some(upstream) = self.upstream else {
            let number = self.served.fetch_add(1, Ordering::Relaxed) + 1;
            return (StatusCode::OK, format!("hello from {}, request {number}", self.name));
        };
        match get(upstream, "/", &self.scope).await {
            Ok(heard) => {
                self.served.fetch_add(1, Ordering::Relaxed);
                (StatusCode::OK, format!("{} heard: {heard}", self.name))
            }
            Err(error) => (StatusCode::BAD_GATEWAY, format!("{} heard nothing: {error}", self.name)),
        }
    }
}
