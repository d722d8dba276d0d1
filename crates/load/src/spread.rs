//! Percentiles of all samples: nearest rank, without buckets or interpolation.

use std::time::Duration;

/// Sorted samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread(Vec<Duration>);

impl Spread {
    pub(crate) fn new(mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        Self(samples)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The smallest sample that is not below `percent` of all samples. Zero if there are no samples.
    pub(crate) fn at(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).or_else(|| self.0.last()).copied().unwrap_or_default()
    }

    /// The percentile in microseconds.
    pub(crate) fn micros(&self, percent: usize) -> f64 {
        self.at(percent).as_secs_f64() * 1e6
    }

    /// The percentile in milliseconds.
    pub(crate) fn millis(&self, percent: usize) -> f64 {
        self.at(percent).as_secs_f64() * 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(samples: &[u64], percent: usize, expected: u64) {
        let spread = Spread::new(samples.iter().copied().map(Duration::from_micros).collect());
        assert_eq!(spread.at(percent), Duration::from_micros(expected));
    }

    #[test]
    fn percentiles_are_samples_of_nearest_rank() {
        let hundred: Vec<u64> = (1..=100).rev().collect();
        check(&hundred, 50, 50);
        check(&hundred, 99, 99);
        check(&hundred, 100, 100);
        check(&[4, 1, 3, 2], 50, 2);
        check(&[4, 1, 3, 2], 51, 3);
        check(&[4, 1, 3, 2], 99, 4);
    }

    #[test]
    fn the_smallest_sets_have_percentiles_too() {
        check(&[7], 0, 7);
        check(&[7], 50, 7);
        check(&[7], 100, 7);
        check(&[], 99, 0);
    }

    #[test]
    fn units_are_as_named() {
        let spread = Spread::new(vec![Duration::from_micros(1500)]);
        assert_eq!((spread.micros(50), spread.millis(50), spread.count()), (1500.0, 1.5, 1));
    }
}
