//! Which events are logged at which level.

use concord_config::section::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// Libraries whose decisions do not interest operators: they log from warnings on, or everything at trace level.
const QUIET: &[&str] = &["openraft", "tonic", "tower"];

/// Libraries that warn about each invalid input of a client, with which a client could fill the log. They log from
/// errors on, or everything at trace level.
const WIRES: &[&str] = &["h2", "hyper", "hyper_util", "rustls"];

/// The events that are logged at a level.
pub(super) fn filter(level: Level) -> Targets {
    let own = own_level(level);
    let theirs = if level == Level::Trace { own } else { own.min(LevelFilter::WARN) };
    targets(own, theirs)
}

pub(super) fn targets(own: LevelFilter, theirs: LevelFilter) -> Targets {
    let wires = if own < LevelFilter::DEBUG { theirs.min(LevelFilter::ERROR) } else { theirs };
    let quiet = QUIET.iter().map(|target| (*target, theirs));
    let wires = WIRES.iter().map(|target| (*target, wires));
    Targets::new().with_default(own).with_targets(quiet.chain(wires))
}

pub(super) fn own_level(level: Level) -> LevelFilter {
    match level {
        Level::Trace => LevelFilter::TRACE,
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n_169_what_callers_make_libraries_warn_of_is_told_to_who_looks_closely() {
        let told = |level, target, what| filter(level).would_enable(target, &what);
        for wire in ["h2::proto::ping_pong", "hyper::proto", "rustls::msgs::handshake"] {
            for level in [Level::Warn, Level::Info] {
                assert!(!told(level, wire, tracing::Level::WARN), "{wire}");
                assert!(told(level, wire, tracing::Level::ERROR), "{wire}");
            }
            assert!(told(Level::Debug, wire, tracing::Level::WARN), "{wire}");
            assert!(!told(Level::Debug, wire, tracing::Level::DEBUG), "{wire}");
        }
        assert!(told(Level::Info, "openraft::core", tracing::Level::WARN), "no caller makes it say so");
        assert!(told(Level::Info, "concord_front::http", tracing::Level::INFO));
    }
}
