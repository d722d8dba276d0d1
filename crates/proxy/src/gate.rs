//! Strangers at the public listener: connections that have not proved yet who calls.
//!
//! They are bounded as a whole and per source address, and so are the handshakes that are computed
//! at a time: one address that opens connections and says nothing, or begins handshakes and stops,
//! neither takes the room of others nor makes them wait (N-10). A caller that has proved who it is
//! is no stranger any more and counts against the listener's connections instead.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{HANDSHAKES, HANDSHAKES_PER_SOURCE, STRANGERS, STRANGERS_PER_SOURCE};
use crate::wire::Source;

/// Admits strangers.
#[derive(Debug)]
pub(crate) struct Gate {
    handshakes: Arc<Semaphore>,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    strangers: usize,
    sources: HashMap<Source, OfSource>,
}

#[derive(Debug)]
struct OfSource {
    strangers: usize,
    handshakes: Arc<Semaphore>,
}

/// A stranger's place; given up when dropped.
#[derive(Debug)]
pub(crate) struct Stranger {
    gate: Arc<Gate>,
    source: Source,
    handshakes: Arc<Semaphore>,
}

/// The right to compute one handshake.
#[derive(Debug)]
pub(crate) struct Turn {
    _of_source: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Gate {
    /// A gate nobody has come to yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { handshakes: Arc::new(Semaphore::new(HANDSHAKES)), inside: Mutex::default() })
    }

    /// Lets a stranger in; `None` if there are too many, of that source or of all.
    pub(crate) fn enter(self: &Arc<Self>, source: Source) -> Option<Stranger> {
        let mut inside = self.inside.lock();
        if inside.strangers >= STRANGERS {
            return None;
        }
        let new = || OfSource { strangers: 0, handshakes: Arc::new(Semaphore::new(HANDSHAKES_PER_SOURCE)) };
        let own = inside.sources.entry(source).or_insert_with(new);
        if own.strangers >= STRANGERS_PER_SOURCE {
            return None;
        }
        own.strangers += 1;
        let handshakes = Arc::clone(&own.handshakes);
        inside.strangers += 1;
        drop(inside);
        Some(Stranger { gate: Arc::clone(self), source, handshakes })
    }
}

impl Stranger {
    /// Waits for the turn to compute a handshake: first among those of the source, then among all.
    pub(crate) async fn turn(&self) -> Turn {
        let open = "the semaphores of the gate are never closed";
        let of_source = Arc::clone(&self.handshakes).acquire_owned().await.expect(open);
        let of_all = Arc::clone(&self.gate.handshakes).acquire_owned().await.expect(open);
        Turn { _of_source: of_source, _of_all: of_all }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut inside = self.gate.inside.lock();
        inside.strangers -= 1;
        if let Some(own) = inside.sources.get_mut(&self.source) {
            own.strangers -= 1;
            if own.strangers == 0 {
                inside.sources.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures::FutureExt as _;

    use super::*;

    fn source(last: u8) -> Source {
        Source::of(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn n_10_one_source_does_not_take_the_room_of_others() {
        let gate = Gate::new();
        let silent: Vec<Stranger> = std::iter::from_fn(|| gate.enter(source(1))).collect();
        assert_eq!(silent.len(), STRANGERS_PER_SOURCE);
        let other = gate.enter(source(2)).expect("there is room for another source");
        drop(silent);
        assert!(gate.enter(source(1)).is_some(), "room comes back");
        drop(other);
        assert!(gate.inside.lock().sources.is_empty() && gate.inside.lock().strangers == 0);
    }

    #[test]
    fn n_10_one_source_does_not_take_the_turns_of_others() {
        let gate = Gate::new();
        let busy = gate.enter(source(1)).unwrap();
        let turns: Vec<Turn> = std::iter::from_fn(|| busy.turn().now_or_never()).collect();
        assert_eq!(turns.len(), HANDSHAKES_PER_SOURCE);
        assert!(gate.enter(source(2)).unwrap().turn().now_or_never().is_some());
        drop(turns);
        assert!(busy.turn().now_or_never().is_some(), "turns come back");
    }

    #[test]
    fn strangers_are_bounded_as_a_whole() {
        let gate = Gate::new();
        let crowd: Vec<Stranger> = (0..=u8::MAX)
            .flat_map(|last| (0..200).map_while(move |_| Some(source(last))))
            .map_while(|source| gate.enter(source))
            .collect();
        assert_eq!(crowd.len(), STRANGERS);
    }
}
