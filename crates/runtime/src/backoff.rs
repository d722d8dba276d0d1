//! Exponential back-off with jitter. It is deterministic if the entropy is.

use std::time::Duration;

use crate::entropy::Entropy;
use crate::limits::{BACKOFF_BASE, BACKOFF_DOUBLINGS_MAX, BACKOFF_MAX};

/// The delays for one thing that is retried. Keep one per peer or key, so that a failing peer does not slow down a
/// healthy one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Delays that start around `base` and double up to `max`.
    #[must_use]
    pub const fn new(base: Duration, max: Duration) -> Self {
        Self { base, max, failures: 0 }
    }

    /// Records a failure and returns the next delay: a random time in the upper half of the doubled delay.
    pub fn next(&mut self, entropy: &(impl Entropy + ?Sized)) -> Duration {
        let doublings = self.failures.min(BACKOFF_DOUBLINGS_MAX);
        self.failures = self.failures.saturating_add(1);
        let ceiling = self.base.saturating_mul(1 << doublings).min(self.max);
        let half = ceiling / 2;
        half + entropy.jitter(ceiling - half)
    }

    /// Records a success: the next failure starts at the base again.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(BACKOFF_BASE, BACKOFF_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn delays_double_within_their_jitter_and_stop_at_the_maximum() {
        let entropy = SeededEntropy::new(3);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        for ceiling in [1, 2, 4, 8, 10, 10] {
            let delay = backoff.next(&entropy);
            let ceiling = Duration::from_secs(ceiling);
            assert!(delay >= ceiling / 2 && delay <= ceiling, "{delay:?} of {ceiling:?}");
        }
        backoff.reset();
        assert!(backoff.next(&entropy) <= Duration::from_secs(1));
        for _ in 0..100 {
            assert!(backoff.next(&entropy) <= Duration::from_secs(10));
        }
    }
}
