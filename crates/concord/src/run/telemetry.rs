//! Logs and metrics: the only place where they are given somewhere to go.

use std::sync::OnceLock;

use concord_config::section::{Level, LogSection};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt, reload};

type LevelHandle = reload::Handle<LevelFilter, Registry>;

static LEVEL: OnceLock<LevelHandle> = OnceLock::new();

/// Starts logging to standard error. Later calls only change the level.
pub(crate) fn start_logs(log: LogSection) {
    if let Some(handle) = LEVEL.get() {
        // The subscriber lives as long as the process.
        let _ = handle.modify(|level| *level = filter(log.level));
        return;
    }
    let (level, handle) = reload::Layer::new(filter(log.level));
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(true);
    let lines = if log.json { lines.json().with_current_span(false).boxed() } else { lines.with_ansi(false).boxed() };
    if Registry::default().with(level).with(lines).try_init().is_ok() {
        let _ = LEVEL.set(handle);
    }
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Trace => LevelFilter::TRACE,
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    }
}

/// Collects metrics from now on; `None` if somebody else in the process already does.
pub(crate) fn start_metrics() -> Option<PrometheusHandle> {
    PrometheusBuilder::new().install_recorder().ok()
}
