//! Readers that follow the log while it is written (`agent/monitor`), each with its own level.
//!
//! The log never waits for a reader: a slow reader misses lines and is told how many. While there are no readers, no
//! lines are produced for them.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use concord_config::section::Level;
use concord_front::http::context::{LogLines, LogSource};
use concord_front::http::limits::STREAM_BYTES;
use futures::Stream;
use parking_lot::RwLock;
use tokio::sync::mpsc;
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::{Layer as _, reload};

use super::layer::{BoxedLayer, LevelHandle, lines};
use super::levels::{own_level, targets};

/// How many readers may follow at the same time: each line is written for each of them.
const FOLLOWERS_MAX: usize = 16;
/// Lines that may wait for one reader, as in Consul.
const LINES_MAX: usize = 512;

/// The readers of the log.
#[derive(Debug, Default)]
pub(in crate::run) struct Streams {
    followers: RwLock<Vec<Follower>>,
    /// The filters of their lines, for text and for JSON.
    levels: OnceLock<[LevelHandle; 2]>,
}

/// One reader, from the log's side.
#[derive(Debug)]
struct Follower {
    json: bool,
    level: LevelFilter,
    wanted: Targets,
    send: mpsc::Sender<Bytes>,
    counts: Arc<Counts>,
}

/// The counters that the log and a reader share.
#[derive(Debug, Default)]
struct Counts {
    /// Bytes that wait.
    waiting: AtomicUsize,
    /// Lines that were left out since the reader was last told.
    missed: AtomicU64,
}

impl Streams {
    /// No readers yet, and the log layers that write for them.
    pub(super) fn new() -> (Arc<Self>, Vec<BoxedLayer>) {
        let own = Arc::new(Self::default());
        let made = [false, true].map(|json| {
            let (filter, handle) = reload::Layer::new(Targets::new().with_default(LevelFilter::OFF));
            let layer = lines(Tap { streams: Arc::clone(&own), json }, json);
            (Box::new(layer.with_filter(filter)) as BoxedLayer, handle)
        });
        let [(text, first), (json, second)] = made;
        let _ = own.levels.set([first, second]);
        (own, vec![text, json])
    }

    /// Ends all streams, after the waiting lines have been read.
    pub(in crate::run) fn end(&self) {
        self.followers.write().clear();
        self.adjust();
    }

    /// Sets the filters to what the readers need. Must not be called while a line is written.
    fn adjust(&self) {
        let Some(levels) = self.levels.get() else { return };
        for (json, handle) in [false, true].into_iter().zip(levels) {
            let own = self.followers.read().iter().filter(|one| one.json == json).map(|one| one.level).max();
            let _ = handle.modify(|level| *level = wanted(own.unwrap_or(LevelFilter::OFF)));
        }
    }

    fn write(&self, json: bool, target: &str, level: tracing::Level, line: &[u8]) {
        let followers = self.followers.read();
        let mut wanting = followers
            .iter()
            .filter(|one| one.json == json && one.wanted.would_enable(target, &level))
            .peekable();
        if wanting.peek().is_none() {
            return;
        }
        let line = Bytes::copy_from_slice(line);
        wanting.for_each(|one| one.push(line.clone()));
    }
}

/// The events that are logged at a level. Libraries that log each write are excluded, because each such line would
/// cause another one.
fn wanted(level: LevelFilter) -> Targets {
    targets(level, level.min(LevelFilter::WARN))
}

impl Follower {
    fn push(&self, line: Bytes) {
        let Counts { waiting, missed } = &*self.counts;
        let bytes = line.len();
        let fits = waiting.fetch_add(bytes, Ordering::Relaxed) + bytes <= STREAM_BYTES;
        if !fits || self.send.try_send(line).is_err() {
            waiting.fetch_sub(bytes, Ordering::Relaxed);
            missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl LogSource for Streams {
    fn follow(self: Arc<Self>, level: Level, json: bool) -> Option<LogLines> {
        let (send, take) = mpsc::channel(LINES_MAX);
        let level = own_level(level);
        let counts = Arc::new(Counts::default());
        {
            let mut followers = self.followers.write();
            if followers.len() >= FOLLOWERS_MAX {
                return None;
            }
            let counts = Arc::clone(&counts);
            followers.push(Follower { json, level, wanted: wanted(level), send, counts });
        }
        self.adjust();
        Some(Box::pin(Following { streams: self, json, counts, take }))
    }
}

/// The reader's side of a stream. Dropping it ends the writing for it.
struct Following {
    streams: Arc<Streams>,
    json: bool,
    counts: Arc<Counts>,
    take: mpsc::Receiver<Bytes>,
}

impl Stream for Following {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let missed = self.counts.missed.swap(0, Ordering::Relaxed);
        if missed > 0 {
            let text = format!("{missed} lines were left out: they came faster than they were read");
            let line = if self.json { serde_json::json!({ "message": text }).to_string() } else { text };
            return Poll::Ready(Some(Bytes::from(line + "\n")));
        }
        let taken = self.take.poll_recv(context);
        if let Poll::Ready(Some(line)) = &taken {
            self.counts.waiting.fetch_sub(line.len(), Ordering::Relaxed);
        }
        taken
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.streams.followers.write().retain(|one| !Arc::ptr_eq(&one.counts, &self.counts));
        self.streams.adjust();
    }
}

/// The writer for readers that follow the log.
struct Tap {
    streams: Arc<Streams>,
    json: bool,
}

impl<'a> MakeWriter<'a> for Tap {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { tap: self, target: String::new(), level: tracing::Level::INFO }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        Line { tap: self, target: meta.target().to_owned(), level: *meta.level() }
    }
}

/// One line that is being written.
struct Line<'a> {
    tap: &'a Tap,
    target: String,
    level: tracing::Level,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.tap.streams.write(self.tap.json, &self.target, self.level, line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
