//! How many changes go out to proxies in a second, over all of them.

use std::time::Duration;

use concord_runtime::Instant;
use parking_lot::Mutex;

/// For how long turns that nobody took are kept: a short burst waits for nothing.
const KEPT: Duration = Duration::from_secs(1);

/// Hands out turns to send a change, so many in a second.
#[derive(Debug)]
pub(crate) struct Rate {
    interval: Duration,
    /// The end of the turns that were taken, as if each had waited for the one before.
    taken: Mutex<Instant>,
}

impl Rate {
    pub(crate) fn new(per_second: u64) -> Self {
        let interval = Duration::from_nanos(1_000_000_000 / per_second.max(1));
        Self { interval, taken: Mutex::default() }
    }

    /// Takes the next turn: the moment at which the change may go.
    pub(crate) fn take(&self, now: Instant) -> Instant {
        let mut taken = self.taken.lock();
        *taken = (*taken).max(now) + self.interval;
        let ahead = *taken - now;
        now + ahead.saturating_sub(KEPT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n_322_a_second_has_so_many_turns_and_a_burst_waits_for_none() {
        let at = |millis| Instant::from_epoch(Duration::from_millis(millis));
        let rate = Rate::new(10);
        let burst: Vec<_> = (0..10).map(|_| rate.take(at(5_000))).collect();
        assert_eq!(burst, vec![at(5_000); 10]);
        assert_eq!([rate.take(at(5_000)), rate.take(at(5_000))], [at(5_100), at(5_200)]);
        assert_eq!(rate.take(at(5_200)), at(5_300), "what was taken stays taken");
        assert_eq!(rate.take(at(9_000)), at(9_000), "a quiet time makes room again");
    }
}
