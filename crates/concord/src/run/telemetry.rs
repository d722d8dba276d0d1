//! Logs and metrics: the only place where they are given somewhere to go.

use std::convert::Infallible;
use std::io::{self, stderr};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use concord_config::section::{Level, LogSection};
use concord_runtime::Scope;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::{debug, info};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt, reload};

/// Connections that may ask for metrics at once.
const METRICS_CONNECTIONS: usize = 16;

/// Libraries whose decisions are of no interest to operators: they speak up from warnings on, or at trace level.
const QUIET: &[&str] = &["openraft", "h2", "hyper", "hyper_util", "rustls", "tonic", "tower"];

type LevelHandle = reload::Handle<Targets, Registry>;

static LEVEL: OnceLock<LevelHandle> = OnceLock::new();

/// Starts logging to standard error. Later calls only change the level.
pub(crate) fn start_logs(log: LogSection) {
    if let Some(handle) = LEVEL.get() {
        // The subscriber lives as long as the process.
        let _ = handle.modify(|level| *level = filter(log.level));
        return;
    }
    let (level, handle) = reload::Layer::new(filter(log.level));
    let lines = fmt::layer().with_writer(stderr).with_target(true);
    let lines =
        if log.json { lines.json().with_current_span(false).boxed() } else { lines.with_ansi(false).boxed() };
    if Registry::default().with(level).with(lines).try_init().is_ok() {
        let _ = LEVEL.set(handle);
    }
}

fn filter(level: Level) -> Targets {
    let own = match level {
        Level::Trace => LevelFilter::TRACE,
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    };
    let theirs = if level == Level::Trace { own } else { own.min(LevelFilter::WARN) };
    QUIET.iter().fold(Targets::new().with_default(own), |all, target| all.with_target(*target, theirs))
}

/// Collects metrics from now on; `None` if somebody else in the process already does.
pub(crate) fn start_metrics() -> Option<PrometheusHandle> {
    PrometheusBuilder::new().install_recorder().ok()
}

/// Serves metrics in Prometheus' text form at `/metrics` until the scope ends.
pub(crate) async fn serve_metrics(
    address: SocketAddr,
    handle: PrometheusHandle,
    scope: &Scope,
) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    info!(address = %listener.local_addr()?, "metrics");
    let (inner, places) = (scope.clone(), Arc::new(Semaphore::new(METRICS_CONNECTIONS)));
    scope.spawn("metrics listener", async move {
        loop {
            let accepted = tokio::select! {
                biased;
                () = inner.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (Ok((stream, _)), Ok(place)) = (accepted, Arc::clone(&places).try_acquire_owned()) else {
                continue;
            };
            let handle = handle.clone();
            inner.spawn("metrics connection", async move {
                let answer = service_fn(move |request: Request<Incoming>| {
                    let found = request.uri().path() == "/metrics";
                    let text = if found { handle.render() } else { "see /metrics\n".to_owned() };
                    let mut response = Response::new(Full::new(Bytes::from(text)));
                    if !found {
                        *response.status_mut() = StatusCode::NOT_FOUND;
                    }
                    async move { Ok::<_, Infallible>(response) }
                });
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(Duration::from_secs(10))
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
                if let Err(error) = served {
                    debug!(%error, "metrics connection ended");
                }
                drop(place);
            });
        }
    });
    Ok(())
}
