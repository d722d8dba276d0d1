//! Turns limit expensive computation for clients, mainly TLS handshakes. They run on all processors but one, and
//! those of one source on half of these. So a client that asks for much waits only for itself, and other work
//! continues beside it.
//!
//! A turn is held only while something is computed, never while the client is waited for. So a silent client delays
//! nobody.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::ready;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::BoxFuture;
use crate::source::Source;

/// How many computations may run at the same time, in total and per source.
#[derive(Debug)]
pub struct Turns {
    all: Arc<Semaphore>,
    per_source: usize,
    sources: Mutex<HashMap<Source, OfSource>>,
}

#[derive(Debug)]
struct OfSource {
    waiting: usize,
    turns: Arc<Semaphore>,
}

/// A client's place among the clients of its source. Dropping it frees the place.
#[derive(Debug)]
pub struct Line {
    of: Arc<Turns>,
    source: Source,
    turns: Arc<Semaphore>,
}

/// The right to compute. Dropping it returns the turn.
#[derive(Debug)]
pub(crate) struct Turn {
    _of_source: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Turns {
    /// As many turns as there are processors, minus one.
    pub fn of_processors() -> Arc<Self> {
        let (all, per_source) = shares(std::thread::available_parallelism().map_or(1, usize::from));
        Self::new(all, per_source)
    }

    /// This many turns, and this many of them per source.
    pub(crate) fn new(all: usize, per_source: usize) -> Arc<Self> {
        Arc::new(Self { all: Arc::new(Semaphore::new(all)), per_source, sources: Mutex::default() })
    }

    /// A place for a client of a source. Connections have their own limits, so places have none.
    pub fn line(self: &Arc<Self>, source: Source) -> Line {
        let mut sources = self.sources.lock();
        let new = || OfSource { waiting: 0, turns: Arc::new(Semaphore::new(self.per_source)) };
        let own = sources.entry(source).or_insert_with(new);
        own.waiting += 1;
        let turns = Arc::clone(&own.turns);
        drop(sources);
        Line { of: Arc::clone(self), source, turns }
    }
}

/// The number of turns for this many processors, in total and per source; see docs/proxy.md.
fn shares(processors: usize) -> (usize, usize) {
    let all = processors.saturating_sub(1).max(1);
    (all, all.div_ceil(2))
}

impl Line {
    /// Runs a future to its end. Each poll has a turn of its own; no turn is held while the future waits.
    pub async fn compute<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut turn: Option<BoxFuture<'_, Turn>> = None;
        std::future::poll_fn(move |cx| {
            let waiting = turn.get_or_insert_with(|| Box::pin(self.turn()));
            let held = ready!(waiting.as_mut().poll(cx));
            turn = None;
            let polled = future.as_mut().poll(cx);
            drop(held);
            polled
        })
        .await
    }

    /// Waits for a turn, first among the clients of the source, then among all, in order of arrival.
    pub(crate) async fn turn(&self) -> Turn {
        let open = "semaphores of turns are never closed";
        let of_source = Arc::clone(&self.turns).acquire_owned().await.expect(open);
        let of_all = Arc::clone(&self.of.all).acquire_owned().await.expect(open);
        Turn { _of_source: of_source, _of_all: of_all }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut sources = self.of.sources.lock();
        if let Some(own) = sources.get_mut(&self.source) {
            own.waiting -= 1;
            if own.waiting == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn source(last: u8) -> Source {
        Source::of([192, 0, 2, last].into())
    }

    #[test]
    fn n_10_one_source_does_not_take_the_turns_of_others() {
        const PER_SOURCE: usize = 2;
        let turns = Turns::new(2 * PER_SOURCE, PER_SOURCE);
        let (busy, second) = (turns.line(source(1)), turns.line(source(1)));
        let taken: Vec<Turn> = std::iter::from_fn(|| busy.turn().now_or_never()).collect();
        assert_eq!(taken.len(), PER_SOURCE);
        assert!(second.turn().now_or_never().is_none(), "of its source");
        let other = turns.line(source(2));
        assert!(other.turn().now_or_never().is_some());
        drop(taken);
        assert!(busy.turn().now_or_never().is_some(), "turns come back");
        drop((busy, second, other));
        assert!(turns.sources.lock().is_empty());
    }

    #[test]
    fn n_10_who_is_waited_for_keeps_nobody_waiting() {
        let turns = Turns::new(1, 1);
        let (silent, other) = (turns.line(source(1)), turns.line(source(2)));
        let told = std::cell::Cell::new(false);
        let mut stopped = pin!(silent.compute(std::future::poll_fn(|_| {
            if told.get() { std::task::Poll::Ready(7) } else { std::task::Poll::Pending }
        })));
        assert!(stopped.as_mut().now_or_never().is_none());
        assert_eq!(other.compute(async { 7 }).now_or_never(), Some(7), "nothing is computed");
        // The computation still gets its turn.
        let taken = other.turn().now_or_never().expect("it is free");
        told.set(true);
        assert!(stopped.as_mut().now_or_never().is_none());
        drop(taken);
        assert_eq!(stopped.now_or_never(), Some(7));
    }

    #[test]
    fn one_processor_is_left_and_one_source_gets_half_of_the_others() {
        for (processors, expected) in [(1, (1, 1)), (2, (1, 1)), (4, (3, 2)), (9, (8, 4))] {
            assert_eq!(shares(processors), expected, "{processors}");
        }
    }

    #[test]
    fn turns_of_all_sources_are_limited() {
        let turns = Turns::new(3, 2);
        let lines: Vec<Line> = (1..=3).map(|last| turns.line(source(last))).collect();
        let taken: Vec<_> =
            lines.iter().chain(&lines).filter_map(|line| line.turn().now_or_never()).collect();
        assert_eq!(taken.len(), 3);
    }
}
