//! Strangers at the public listener: connections that have not proved yet who calls.
//!
//! What they hold is under the budget of the process, with a limit for each source address, and so are the handshakes
//! that are computed at a time: one address that opens connections and says nothing, or begins handshakes and stops,
//! neither takes the room of others nor makes them wait (N-10). A caller that has proved who it is
//! is no stranger any more and counts against the listener's connections instead.

use std::collections::HashMap;
use std::sync::Arc;

use concord_runtime::{Budget, Clock, Door, Guest, Held, Source};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{
    HANDSHAKE_BYTES, HANDSHAKES, HANDSHAKES_PER_SOURCE, STRANGER_BYTES, STRANGERS_PER_SOURCE,
};

/// Admits strangers.
#[derive(Debug)]
pub(crate) struct Gate {
    door: Door,
    handshakes: Arc<Semaphore>,
    sources: Mutex<HashMap<Source, OfSource>>,
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
    guest: Arc<Guest>,
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
    pub(crate) fn new(budget: &Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            door: budget.door(STRANGERS_PER_SOURCE),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
            sources: Mutex::default(),
        })
    }

    /// Lets a stranger in; `None` if there are too many, of that source or of all.
    pub(crate) fn enter(self: &Arc<Self>, source: Source) -> Option<Stranger> {
        let guest = self.door.enter(source, STRANGER_BYTES).ok()?;
        let mut sources = self.sources.lock();
        let new = || OfSource { strangers: 0, handshakes: Arc::new(Semaphore::new(HANDSHAKES_PER_SOURCE)) };
        let own = sources.entry(source).or_insert_with(new);
        own.strangers += 1;
        let handshakes = Arc::clone(&own.handshakes);
        drop(sources);
        Some(Stranger { gate: Arc::clone(self), guest, source, handshakes })
    }
}

impl Stranger {
    /// Waits until who had to go for others has gone.
    pub(crate) async fn settled(&self, clock: &dyn Clock) {
        self.guest.settled(clock).await;
    }

    /// Takes what a handshake costs in memory; `None` if there is no room.
    pub(crate) fn begin(&self) -> Option<Held> {
        self.guest.hold(HANDSHAKE_BYTES).ok()
    }

    /// Waits for the turn to compute a handshake: first among those of the source, then among all.
    pub(crate) async fn turn(&self) -> Turn {
        let open = "the semaphores of the gate are never closed";
        let of_source = Arc::clone(&self.handshakes).acquire_owned().await.expect(open);
        let of_all = Arc::clone(&self.gate.handshakes).acquire_owned().await.expect(open);
        Turn { _of_source: of_source, _of_all: of_all }
    }

    /// Completes when somebody who holds less needs the room.
    pub(crate) async fn evicted(&self) {
        self.guest.evicted().await;
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut sources = self.gate.sources.lock();
        if let Some(own) = sources.get_mut(&self.source) {
            own.strangers -= 1;
            if own.strangers == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use concord_runtime::limits::BUDGET_BYTES;
    use futures::FutureExt as _;

    use super::*;

    fn source(last: u8) -> Source {
        Source::of(IpAddr::from([192, 0, 2, last]))
    }

    fn gate() -> (Arc<Budget>, Arc<Gate>) {
        let budget = Budget::new(BUDGET_BYTES, 18_000);
        let gate = Gate::new(&budget);
        (budget, gate)
    }

    #[test]
    fn n_10_one_source_does_not_take_the_room_of_others() {
        let (budget, gate) = gate();
        let silent: Vec<Stranger> = std::iter::from_fn(|| gate.enter(source(1))).collect();
        assert_eq!(silent.len(), STRANGERS_PER_SOURCE);
        let other = gate.enter(source(2)).expect("there is room for another source");
        drop(silent);
        assert!(gate.enter(source(1)).is_some(), "room comes back");
        drop(other);
        assert!(gate.sources.lock().is_empty() && budget.held() == 0);
    }

    #[test]
    fn n_10_one_source_does_not_take_the_turns_of_others() {
        let (_budget, gate) = gate();
        let busy = gate.enter(source(1)).unwrap();
        let turns: Vec<Turn> = std::iter::from_fn(|| busy.turn().now_or_never()).collect();
        assert_eq!(turns.len(), HANDSHAKES_PER_SOURCE);
        assert!(gate.enter(source(2)).unwrap().turn().now_or_never().is_some());
        drop(turns);
        assert!(busy.turn().now_or_never().is_some(), "turns come back");
    }

    #[test]
    fn n_10_half_handshakes_are_bounded_as_a_whole_and_leave_room() {
        let (budget, gate) = gate();
        let mut crowd = Vec::new();
        for last in 1..=64 {
            while let Some(stranger) = gate.enter(source(last)) {
                let Some(held) = stranger.begin() else { break };
                crowd.push((stranger, held));
            }
            assert!(budget.held() <= BUDGET_BYTES);
        }
        let alive = crowd.iter().filter(|(one, _)| one.evicted().now_or_never().is_none()).count();
        assert!(alive * HANDSHAKE_BYTES <= BUDGET_BYTES, "{alive} handshakes at a time");
        let newcomer = gate.enter(source(200)).expect("there is room for who holds nothing");
        assert!(newcomer.begin().is_some());
        let evicted = crowd.iter().filter(|(one, _)| one.evicted().now_or_never().is_some()).count();
        assert!(evicted > 0 && newcomer.evicted().now_or_never().is_none());
    }
}
