//! Tests of readers that follow the log, without a network.

use futures::{FutureExt as _, StreamExt as _};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

/// The waiting lines, without their times.
fn taken(lines: &mut LogLines) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(Some(line)) = lines.next().now_or_never() {
        let line = String::from_utf8(line.to_vec()).unwrap();
        let line = line.trim_end();
        all.push(line.split_once("Z ").map_or(line, |(_, rest)| rest.trim_start()).to_owned());
    }
    all
}

/// Runs with a log that is written only for such readers.
fn with(run: impl FnOnce(&Arc<Streams>)) {
    let (streams, layers) = Streams::new();
    tracing::subscriber::with_default(Registry::default().with(layers), || run(&streams));
}

#[test]
fn each_follows_at_a_level_of_its_own_and_what_libraries_do_is_not_told() {
    with(|streams| {
        tracing::error!(target: "t", "before");
        let mut debug = Arc::clone(streams).follow(Level::Debug, false).unwrap();
        let mut warn = Arc::clone(streams).follow(Level::Warn, false).unwrap();
        let mut json = Arc::clone(streams).follow(Level::Info, true).unwrap();
        let mut trace = Arc::clone(streams).follow(Level::Trace, false).unwrap();
        tracing::debug!(target: "t", "a");
        tracing::warn!(target: "t", x = 2, "b");
        tracing::trace!(target: "hyper::proto", "of each write");
        tracing::warn!(target: "openraft::core", "c");
        assert_eq!(taken(&mut debug), ["DEBUG t: a", "WARN t: b x=2", "WARN openraft::core: c"]);
        assert_eq!(taken(&mut warn), ["WARN t: b x=2", "WARN openraft::core: c"]);
        assert_eq!(taken(&mut trace), ["DEBUG t: a", "WARN t: b x=2", "WARN openraft::core: c"]);
        let lines = taken(&mut json);
        let first: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(
            (lines.len(), &first["level"], &first["fields"]["message"]),
            (2, &"WARN".into(), &"b".into())
        );
        // No lines are produced for readers that are gone.
        drop((debug, warn, trace));
        assert!(!tracing::enabled!(target: "t", tracing::Level::DEBUG));
        assert!(tracing::enabled!(target: "t", tracing::Level::INFO), "one still follows");
    });
}

#[test]
fn n_171_a_reader_that_takes_nothing_misses_lines_and_holds_nothing_up() {
    with(|streams| {
        let mut lines = Arc::clone(streams).follow(Level::Info, false).unwrap();
        for _ in 0..LINES_MAX + 7 {
            tracing::info!(target: "t", "short");
        }
        let read = taken(&mut lines);
        assert_eq!(read.len(), LINES_MAX + 1);
        assert_eq!(read[0], "7 lines were left out: they came faster than they were read");
        // Long lines take no more room than short ones.
        let long = "x".repeat(STREAM_BYTES / 4);
        for _ in 0..8 {
            tracing::info!(target: "t", "{long}");
        }
        assert_eq!(taken(&mut lines).len(), 1 + 3);
        tracing::info!(target: "t", "again");
        assert_eq!(taken(&mut lines), ["INFO t: again"]);
    });
}

#[test]
fn n_171_so_many_follow_at_once_and_the_end_is_told() {
    with(|streams| {
        let mut all: Vec<_> =
            (0..FOLLOWERS_MAX).map(|_| Arc::clone(streams).follow(Level::Info, false).unwrap()).collect();
        assert!(Arc::clone(streams).follow(Level::Info, false).is_none());
        all.pop();
        all.push(Arc::clone(streams).follow(Level::Info, true).unwrap());
        tracing::info!(target: "t", "last");
        streams.end();
        assert_eq!(taken(&mut all[0]), ["INFO t: last"]);
        assert_eq!(all[0].next().now_or_never(), Some(None));
    });
}
