//! Detects that somebody has set the wall clock.

use std::time::Duration;

use concord_ca::limits::{CLOCK_STEP_MIN, PRUNE_AFTER_STEP};
use concord_model::Now;
use parking_lot::Mutex;

/// Detects that somebody has set the wall clock.
#[derive(Debug, Default)]
pub(crate) struct ClockWatch(Mutex<Option<Seen>>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    clocks: Now,
    /// The uptime from which the wall clock is trusted again.
    settled_from: Duration,
}

impl ClockWatch {
    /// Whether the wall clock has not been set within the last day, as far as this server has seen.
    pub(super) fn is_settled(&self, now: Now) -> bool {
        let mut seen = self.0.lock();
        let settled_from = match *seen {
            Some(Seen { clocks, .. })
                if now.set_forward_since(clocks).max(now.set_back_since(clocks)) >= CLOCK_STEP_MIN =>
            {
                now.uptime.saturating_add(PRUNE_AFTER_STEP)
            }
            Some(Seen { settled_from, .. }) => settled_from,
            None => Duration::ZERO,
        };
        *seen = Some(Seen { clocks: now, settled_from });
        settled_from <= now.uptime
    }
}
