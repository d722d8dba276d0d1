//! What callers may make the process hold: connections by the limit of its descriptors, bytes by a constant. What they no
//! longer hold goes back to the system.

use std::sync::Arc;
use std::time::Duration;

use concord_runtime::limits::{BUDGET_BYTES, BUDGET_DESCRIPTORS_PERCENT};
use concord_runtime::{Budget, Clock, Scope};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

use crate::sys;

/// Where the system states no limit.
const UNLIMITED: u64 = 1 << 20;
/// With fewer there is no room for a log, its files and a few callers.
const LEAST: u64 = 128;

/// How often it is looked whether callers hold less.
const LOOK: Duration = Duration::from_secs(2);
/// So much less, and the allocator is asked for it: below that it will need it again soon.
const GIVE_BACK_BYTES: usize = 4 << 20;

/// What callers may make this process hold.
///
/// The soft limit is first raised to the hard one: the soft one is low for programs that use `select`, which this
/// one does not.
pub(super) fn budget(clock: &Arc<dyn Clock>, scope: &Scope) -> Arc<Budget> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if let Err(error) = raised {
        debug!(%error, "cannot raise the limit of open files");
    }
    let limit = if raised.is_ok() { maximum } else { current }.unwrap_or(UNLIMITED);
    if limit < LEAST {
        warn!(limit, least = LEAST, "the limit of open files is too low: connections will be refused");
    }
    let budget = Budget::new(BUDGET_BYTES, connections(limit));
    give_back(Arc::clone(&budget), Arc::clone(clock), scope);
    budget
}

/// Asks the allocator for memory each time callers hold much less than they did.
fn give_back(budget: Arc<Budget>, clock: Arc<dyn Clock>, scope: &Scope) {
    let inner = scope.clone();
    scope.spawn("give memory back", async move {
        let mut most = 0;
        loop {
            tokio::select! {
                biased;
                () = inner.cancelled() => return,
                () = clock.sleep(LOOK) => {}
            }
            let held = budget.held();
            most = most.max(budget.take_most());
            if most - held >= GIVE_BACK_BYTES {
                most = held;
                // It waits for the locks of all arenas in turn.
                let _ = inner.spawn_blocking("malloc_trim", sys::give_memory_back).join().await;
            }
        }
    });
}

/// Connections out of so many descriptors; the rest is for files and connections of our own.
fn connections(descriptors: u64) -> usize {
    let most = descriptors.min(UNLIMITED);
    let part = usize::try_from(most).unwrap_or(usize::MAX) * BUDGET_DESCRIPTORS_PERCENT / 100;
    part.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_descriptors_is_left() {
        assert_eq!(connections(1024), 921);
        assert_eq!(connections(20_000), 18_000);
        assert_eq!(connections(1), 1);
        assert_eq!(connections(u64::MAX), 943_718);
    }
}
