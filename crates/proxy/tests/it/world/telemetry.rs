//! Logs and metrics of the whole test process, to look into.

use std::io;
use std::sync::{Arc, LazyLock};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;
use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().push(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

static TELEMETRY: LazyLock<(Log, PrometheusHandle)> = LazyLock::new(|| {
    let log = Log::default();
    let writer = log.clone();
    // All that the proxy says, for what it holds back from its usual level is looked for, too.
    let ours = Targets::new().with_default(Level::INFO).with_target("concord_proxy", Level::DEBUG);
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
    tracing_subscriber::registry().with(layer.with_filter(ours)).init();
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).unwrap();
    (log, handle)
});

/// Begins to listen.
pub(crate) fn telemetry() {
    LazyLock::force(&TELEMETRY);
}

/// Whether a line with all these words was logged.
pub(crate) fn logged(words: &[&str]) -> bool {
    TELEMETRY.0.0.lock().iter().any(|line| words.iter().all(|word| line.contains(word)))
}

/// The value of the first series whose line has all these words.
pub(crate) fn metric(words: &[&str]) -> Option<f64> {
    let all = TELEMETRY.1.render();
    let line = all.lines().find(|line| words.iter().all(|word| line.contains(word)))?;
    line.rsplit(' ').next()?.parse().ok()
}
