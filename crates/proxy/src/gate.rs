//! Limits strangers at the public listener: connections whose caller has not authenticated yet.
//!
//! Their memory counts against the process's budget, with a limit per source address. The handshakes computed at the
//! same time are limited, too. So an address that opens connections and sends nothing, or begins handshakes and
//! stops, neither takes the room of others nor makes them wait (N-10). An authenticated caller is no stranger any
//! more and counts against the listener's connection limit instead.

use std::sync::Arc;

use concord_runtime::{Budget, Clock, Door, Guest, Held, Line, Source, Turns};

use crate::limits::{HANDSHAKE_BYTES, STRANGER_BYTES, STRANGERS_PER_SOURCE};

/// Admits strangers.
#[derive(Debug)]
pub(crate) struct Gate {
    door: Door,
    handshakes: Arc<Turns>,
}

/// A stranger's place. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Stranger {
    guest: Arc<Guest>,
    handshakes: Line,
}

impl Gate {
    /// A gate without strangers.
    pub(crate) fn new(budget: &Arc<Budget>) -> Arc<Self> {
        Arc::new(Self { door: budget.door(STRANGERS_PER_SOURCE), handshakes: Turns::of_processors() })
    }

    /// Lets a stranger in; `None` if there are too many of its source or in total.
    pub(crate) fn enter(&self, source: Source) -> Option<Stranger> {
        let guest = self.door.enter(source, STRANGER_BYTES).ok()?;
        Some(Stranger { guest, handshakes: self.handshakes.line(source) })
    }
}

impl Stranger {
    /// Waits until most memory of evicted strangers has been freed.
    pub(crate) async fn settled(&self, clock: &dyn Clock) {
        self.guest.settled(clock).await;
    }

    /// Takes the memory of a handshake; `None` if there is no room.
    pub(crate) fn begin(&self) -> Option<Held> {
        self.guest.hold(HANDSHAKE_BYTES).ok()
    }

    /// Computes a handshake; each step has its turn.
    pub(crate) async fn compute<F: Future>(&self, handshake: F) -> F::Output {
        self.handshakes.compute(handshake).await
    }

    /// Completes when a source that holds less needs the room.
    pub(crate) async fn evicted(&self) {
        self.guest.evicted().await;
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
        assert_eq!(budget.held(), 0);
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
