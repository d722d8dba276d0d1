//! Removes tokens that have expired. Until then they are refused all the same.
//!
//! A token that is gone does not come back when the clock is right again. So none is removed for a day after the wall
//! clock was set: meanwhile it may be wrong.

use std::time::Duration;

use concord_ca::limits::{CLOCK_STEP_MIN, PRUNE_AFTER_STEP};
use concord_model::Now;
use concord_rpc::RpcError;
use concord_state::command::ReapExpiredTokens;
use parking_lot::Mutex;

use crate::limits::REAP_BATCH;
use crate::paths::Core;

/// Notices that somebody has set the wall clock.
#[derive(Debug, Default)]
pub(crate) struct ClockWatch(Mutex<Option<Seen>>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    clocks: Now,
    /// The uptime from which on the wall clock is believed.
    settled_from: Duration,
}

impl ClockWatch {
    /// Whether the wall clock has not been set for a day, as far as this server has seen.
    fn is_settled(&self, now: Now) -> bool {
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

/// Removes one batch of expired tokens.
pub(super) async fn reap(core: &Core) -> Result<(), RpcError> {
    if !core.clock_watch.is_settled(core.both()) {
        return Ok(());
    }
    let accessors = core.view().read().expired_tokens(core.now(), REAP_BATCH);
    if accessors.is_empty() {
        return Ok(());
    }
    core.write(ReapExpiredTokens { accessors }).await.map(|_| ())
}
