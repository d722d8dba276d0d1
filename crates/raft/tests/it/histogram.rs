//! The histograms of openraft are ours ([patch.crates-io] in Cargo.toml), because its own cost 27 MB.

use base2histogram::{AsciiChart, Histogram, PercentileStats};

#[test]
fn a_percentile_is_exact_to_a_factor_of_two() {
    let mut histogram = Histogram::<()>::new();
    assert_eq!(histogram.percentile_stats(), PercentileStats::default());
    for value in 1..=1000 {
        histogram.record(value);
    }
    let stats = histogram.percentile_stats();
    assert_eq!((stats.samples, stats.p50, stats.p99), (1000, 256, 512));
    assert_eq!((stats.p0_1, stats.p1, stats.p10), (1, 8, 64));
    assert_eq!(stats.to_string(), "n=1000 p50=256 p90=512 p99=512");
}

#[test]
fn every_value_has_a_bucket() {
    let mut histogram = Histogram::<()>::new();
    histogram.record(0);
    histogram.record_n(u64::MAX, 3);
    histogram.record_n(1, u64::MAX);
    let stats = histogram.percentile_stats();
    assert_eq!((stats.samples, stats.p50), (u64::MAX, 1));
    let chart = AsciiChart::new().add("all", histogram).to_string();
    assert_eq!(chart.lines().count(), 4, "{chart}");
}

#[test]
fn a_histogram_is_small_and_has_no_tables() {
    assert!(size_of::<Histogram>() < 1024, "{} bytes", size_of::<Histogram>());
}
