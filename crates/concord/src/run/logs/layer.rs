//! Layers of the log: their lines and their lowest level.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::{Layer, Registry, fmt, reload};

pub(super) type LevelHandle = reload::Handle<Targets, Registry>;
pub(super) type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// The line format of standard error, files and readers.
pub(super) fn lines<W>(writer: W, json: bool) -> BoxedLayer
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer).with_target(true);
    if json { lines.json().with_current_span(false).boxed() } else { lines.with_ansi(false).boxed() }
}
