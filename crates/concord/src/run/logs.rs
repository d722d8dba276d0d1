//! The log: which events are written, and where. Only this module sets up the outputs.
//!
//! ```text
//! event ──► level ──► line ──► standard error, log file
//!       ──► level ──► line without time ──► syslog
//!       ──► level of each reader ──► line ──► those who follow (`agent/monitor`)
//! ```

mod complaint;
mod file;
mod layer;
mod levels;
mod stream;
mod syslog;

use std::io::{self, Write, stderr};
use std::sync::{Arc, OnceLock};

use concord_config::section::{Level, LogSection};
use concord_runtime::Clock;
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use self::file::LogFile;
use self::layer::{BoxedLayer, LevelHandle, lines};
use self::levels::filter;
use self::stream::Streams;
use self::syslog::Syslog;
use crate::cli::{Failure, Program};

/// The parts of the log that can change at run time.
struct Log {
    levels: Vec<LevelHandle>,
    streams: Arc<Streams>,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Starts logging, unless another part of the process already has.
pub(crate) fn start(log: &LogSection, program: Program, clock: &Arc<dyn Clock>) -> Result<(), Failure> {
    let LogSection { level, json, file, syslog } = log;
    let opened = file.as_ref().map(|section| LogFile::open(section, Arc::clone(clock)));
    let file = opened.transpose().map_err(|error| Failure::system("open log_file", error))?;
    let syslog =
        syslog.map(|facility| Syslog::new(syslog::SOCKETS, facility, program.name(), Arc::clone(clock)));
    let (own, layers) = layers(*level, *json, file, syslog);
    if Registry::default().with(layers).try_init().is_ok() {
        let _ = LOG.set(own);
    }
    Ok(())
}

fn layers(level: Level, json: bool, file: Option<LogFile>, syslog: Option<Syslog>) -> (Log, Vec<BoxedLayer>) {
    let (streams, mut layers) = Streams::new();
    let mut levels = Vec::new();
    let mut add = |layer: BoxedLayer| {
        let (filter, handle) = reload::Layer::new(filter(level));
        layers.push(Box::new(layer.with_filter(filter)) as BoxedLayer);
        levels.push(handle);
    };
    add(lines(Lines { file }, json));
    if let Some(syslog) = syslog {
        // Syslog adds its own time and severity.
        let plain = fmt::layer().with_writer(syslog).with_ansi(false).without_time().with_level(false);
        add(if json { plain.json().with_current_span(false).boxed() } else { plain.boxed() });
    }
    (Log { levels, streams }, layers)
}

/// Sets the lowest level that is logged. Returns the level in force.
pub(super) fn set_level(now: Level, wanted: Level) -> Level {
    let Some(log) = LOG.get() else { return now };
    let set = log.levels.iter().all(|handle| handle.modify(|level| *level = filter(wanted)).is_ok());
    if set { wanted } else { now }
}

/// The streams for readers that follow the log.
pub(super) fn streams() -> Option<Arc<Streams>> {
    LOG.get().map(|log| Arc::clone(&log.streams))
}

/// Standard error, and the log file if there is one.
struct Lines {
    file: Option<LogFile>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { file: self.file.as_ref() }
    }

    fn make_writer_for(&'a self, _: &Metadata<'_>) -> Line<'a> {
        self.make_writer()
    }
}

/// One line that is being written.
struct Line<'a> {
    file: Option<&'a LogFile>,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(file) = self.file {
            file.write_line(line);
        }
        // The parent process may have closed standard error. The line must still reach the other outputs.
        let _ = stderr().write_all(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
