//! The budget for clients of the process: the descriptor limit gives the number of connections, the
//! configuration the bytes. Memory that clients no longer hold is returned to the system.

use std::sync::Arc;
use std::time::Duration;

use concord_runtime::limits::BUDGET_DESCRIPTORS_PERCENT;
use concord_runtime::{Budget, Clock, Scope};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

use crate::sys;

/// Used if the system has no limit.
const UNLIMITED: u64 = 1 << 20;
/// With fewer descriptors there is no room for a log, its files and a few clients.
const LEAST: u64 = 128;

/// How often the budget's use is checked.
const LOOK: Duration = Duration::from_secs(2);
/// If clients hold this many bytes less, the allocator is asked to return memory. Smaller amounts would be needed
/// again soon.
const GIVE_BACK_BYTES: usize = 4 << 20;

/// The budget for clients of this process, of this many bytes.
///
/// First raises the soft descriptor limit to the hard one. The soft limit is low for the sake of programs that use
/// `select`, which this one does not use.
pub(super) fn budget(bytes: usize, clock: &Arc<dyn Clock>, scope: &Scope) -> Arc<Budget> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if let Err(error) = raised {
        debug!(%error, "cannot raise the limit of open files");
    }
    let limit = if raised.is_ok() { maximum } else { current }.unwrap_or(UNLIMITED);
    if limit < LEAST {
        warn!(limit, least = LEAST, "the limit of open files is too low: connections will be refused");
    }
    let budget = Budget::new(bytes, connections(limit));
    give_back(Arc::clone(&budget), Arc::clone(clock), scope);
    budget
}

/// Asks the allocator to return memory each time clients hold much less than before.
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
                // The call waits for the locks of all arenas, one after the other.
                let _ = inner.spawn_blocking("malloc_trim", sys::give_memory_back).join().await;
            }
        }
    });
}

/// The number of connections for this many descriptors. The rest is for files and outgoing connections.
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
