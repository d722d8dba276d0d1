//! Histograms for the statistics that openraft keeps about itself.
//!
//! This stands in for the crate of the same name. That one computes tables for sixteen resolutions when the first
//! histogram is made, 27 MB for the life of the process, of which openraft uses a single one of 2 KB. Here a value is
//! counted by the number of its bits, which needs no table: a percentile is exact to a factor of two.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::fmt;
use std::marker::PhantomData;

/// How many values there are by the number of their bits: 0 for zero, 1 for one, 2 for two and three, and so on.
const BUCKETS: usize = u64::BITS as usize + 1;

/// Counts values by their size.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Histogram<T = ()> {
    counts: [u64; BUCKETS],
    kind: PhantomData<T>,
}

/// What a histogram has counted. A percentile is the least value of the bucket in which it lies.
#[allow(missing_docs, reason = "each is the percentile of its name")]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PercentileStats {
    /// Values counted.
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

/// Histograms one below the other, printed one bucket a line.
#[derive(Clone, Debug, Default)]
pub struct AsciiChart {
    rows: Vec<(String, Histogram)>,
}

impl<T> Histogram<T> {
    /// A histogram of nothing.
    pub fn new() -> Self {
        Self { counts: [0; BUCKETS], kind: PhantomData }
    }

    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts a value so many times.
    pub fn record_n(&mut self, value: u64, times: u64) {
        let count = &mut self.counts[bucket(value)];
        *count = count.saturating_add(times);
    }

    /// Values counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |all, count| all.saturating_add(*count))
    }

    /// The usual percentiles.
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total(),
            p0_1: self.at_permille(1),
            p1: self.at_permille(10),
            p5: self.at_permille(50),
            p10: self.at_permille(100),
            p50: self.at_permille(500),
            p90: self.at_permille(900),
            p99: self.at_permille(990),
            p99_9: self.at_permille(999),
        }
    }

    /// The least value of the bucket with the value below or at which so many thousandths of all lie; 0 if there is none.
    fn at_permille(&self, permille: u64) -> u64 {
        let wanted = u128::from(self.total()) * u128::from(permille);
        let mut below = 0u128;
        for (bits, count) in self.counts.iter().enumerate() {
            below += u128::from(*count) * 1000;
            if *count > 0 && below >= wanted {
                return least(bits);
            }
        }
        0
    }
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { samples, p50, p90, p99, .. } = self;
        write!(f, "n={samples} p50={p50} p90={p90} p99={p99}")
    }
}

impl AsciiChart {
    /// A chart of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same chart with one more histogram.
    #[must_use]
    pub fn add(mut self, name: impl Into<String>, histogram: Histogram) -> Self {
        self.rows.push((name.into(), histogram));
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, histogram) in &self.rows {
            writeln!(f, "{name}")?;
            for (bits, count) in histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                writeln!(f, "{:>20} {count}", least(bits))?;
            }
        }
        Ok(())
    }
}

fn bucket(value: u64) -> usize {
    (u64::BITS - value.leading_zeros()) as usize
}

/// The least value with so many bits.
fn least(bits: usize) -> u64 {
    if bits == 0 { 0 } else { 1 << (bits - 1) }
}
