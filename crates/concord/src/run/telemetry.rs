//! Metrics. Only this module sets up their output.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use concord_config::section::{FilterSection, TelemetrySection};
use concord_runtime::{Scope, listen};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tracing::{debug, info};

/// Connections that may read metrics at the same time.
const METRICS_CONNECTIONS: usize = 16;

/// Time between two folds of the samples of histograms into their summaries. Until then the recorder keeps each sample.
const UPKEEP: Duration = Duration::from_secs(5);

/// The metrics of an agent, in the form that its configuration asks for.
pub(super) struct Metrics {
    handle: PrometheusHandle,
    prefix: String,
    filter: RwLock<FilterSection>,
}

impl Metrics {
    /// All recorded metrics, in Prometheus' text format.
    pub(super) fn render(&self) -> String {
        told(&self.handle.render(), &self.prefix, &self.filter.read())
    }

    /// Changes which metrics are shown.
    pub(super) fn reload(&self, filter: FilterSection) {
        *self.filter.write() = filter;
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Starts to record the agent's metrics until the scope ends; `None` if another part of the process already does.
pub(super) fn start_metrics(section: &TelemetrySection, scope: &Scope) -> Option<Arc<Metrics>> {
    let TelemetrySection { metrics_prefix, filter } = section;
    let handle = start_recorder(scope)?;
    let (prefix, filter) = (metrics_prefix.clone(), RwLock::new(filter.clone()));
    Some(Arc::new(Metrics { handle, prefix, filter }))
}

/// Starts to record metrics until the scope ends; `None` if another part of the process already does.
pub(crate) fn start_recorder(scope: &Scope) -> Option<PrometheusHandle> {
    let handle = PrometheusBuilder::new().install_recorder().ok()?;
    let upkeep = handle.clone();
    keep_up(scope, move || upkeep.run_upkeep());
    Some(handle)
}

/// Calls `upkeep` regularly. Without it the memory for samples would grow until somebody reads the metrics.
fn keep_up(scope: &Scope, upkeep: impl Fn() + Send + 'static) {
    let inner = scope.clone();
    scope.spawn("metrics upkeep", async move {
        loop {
            tokio::select! {
                biased;
                () = inner.cancelled() => return,
                () = inner.clock().sleep(UPKEEP) => upkeep(),
            }
        }
    });
}

/// Applies the configured prefix to Consul's names, and removes metrics that the filter excludes.
fn told(text: &str, prefix: &str, filter: &FilterSection) -> String {
    let prefix = plain(prefix);
    let FilterSection { beginnings, others } = filter;
    let beginnings: Vec<_> = beginnings.iter().map(|(begin, kept)| (plain(begin), *kept)).collect();
    let kept = |name: &str| {
        let fitting = beginnings.iter().filter(|(begin, _)| name.starts_with(begin.as_str()));
        fitting.max_by_key(|(begin, _)| begin.len()).map_or(*others, |(_, kept)| *kept)
    };
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let begin = ["# TYPE ", "# HELP "].into_iter().find(|begin| line.starts_with(begin)).unwrap_or("");
        let rest = &line[begin.len()..];
        let end = rest.find(['{', ' ', '\n']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let name = match name.strip_prefix("consul_") {
            Some(own) => format!("{prefix}_{own}"),
            None => name.to_owned(),
        };
        if name.is_empty() || kept(&name) {
            out.extend([begin, &name, rest]);
        }
    }
    out
}

/// A name in Prometheus' form.
fn plain(name: &str) -> String {
    name.replace(['.', '-'], "_")
}

/// Serves metrics in Prometheus' text format at `/metrics` until the scope ends.
pub(crate) async fn serve_metrics(
    address: SocketAddr,
    handle: PrometheusHandle,
    scope: &Scope,
) -> io::Result<()> {
    let listener = listen(address)?;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use concord_runtime::TokioClock;

    use super::*;

    /// The recorder kept each sample of a process whose metrics nobody reads.
    #[tokio::test(start_paused = true)]
    async fn samples_are_folded_though_nobody_reads_them() {
        let (scope, folded) =
            (Scope::new("test", Arc::new(TokioClock::new())), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&folded);
        keep_up(&scope, move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        scope.clock().sleep(10 * UPKEEP + UPKEEP / 2).await;
        assert_eq!(folded.load(Ordering::Relaxed), 10);
        scope.cancel();
        scope.clock().sleep(10 * UPKEEP).await;
        assert_eq!(folded.load(Ordering::Relaxed), 10, "it ends with its scope");
    }

    #[track_caller]
    fn check(prefix: &str, rules: &[(&str, bool)], others: bool, expected: &str) {
        let text = "# TYPE consul_api_http summary\nconsul_api_http_sum{path=\"/\"} 1\n\n\
                    # HELP concord_x_total x\n# TYPE concord_x_total counter\nconcord_x_total 2\n";
        let beginnings: BTreeMap<_, _> =
            rules.iter().map(|(begin, kept)| ((*begin).to_owned(), *kept)).collect();
        assert_eq!(told(text, prefix, &FilterSection { beginnings, others }), expected);
    }

    #[test]
    fn metrics_are_told_as_the_configuration_wants_them() {
        const API: &str = "# TYPE consul_api_http summary\nconsul_api_http_sum{path=\"/\"} 1\n";
        const OWN: &str = "# HELP concord_x_total x\n# TYPE concord_x_total counter\nconcord_x_total 2\n";
        let both = [API, "\n", OWN].concat();
        check("consul", &[], true, &both);
        check("my.mesh", &[], true, &both.replace("consul_", "my_mesh_"));
        check("consul", &[], false, "\n");
        check("consul", &[("consul.api", false)], true, &["\n", OWN].concat());
        // The longest matching prefix decides, whatever the order.
        check("consul", &[("consul", false), ("consul.api", true)], false, &[API, "\n"].concat());
        check("x", &[("x.api", true)], false, &[&API.replace("consul_", "x_"), "\n"].concat());
    }
}
