//! How many connections the process may hold: by the limit of its descriptors.

use std::sync::Arc;

use concord_runtime::Budget;
use concord_runtime::limits::{BUDGET_BYTES, BUDGET_DESCRIPTORS_PERCENT};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

/// Where the system states no limit.
const UNLIMITED: u64 = 1 << 20;
/// With fewer there is no room for a log, its files and a few callers.
const LEAST: u64 = 128;

/// What callers may make this process hold.
///
/// The soft limit is first raised to the hard one: the soft one is low for programs that use `select`, which this
/// one does not.
pub(super) fn budget() -> Arc<Budget> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if let Err(error) = raised {
        debug!(%error, "cannot raise the limit of open files");
    }
    let limit = if raised.is_ok() { maximum } else { current }.unwrap_or(UNLIMITED);
    if limit < LEAST {
        warn!(limit, least = LEAST, "the limit of open files is too low: connections will be refused");
    }
    Budget::new(BUDGET_BYTES, connections(limit))
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
