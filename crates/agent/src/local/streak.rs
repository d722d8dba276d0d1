//! Counts how many runs of a check make a verdict. A pure state machine.
//!
//! A check may demand several successes or failures in a row; its verdict stays until there are that many. The first
//! run decides at once, as in Consul, so that a working service is available immediately.

use concord_model::catalog::CheckStatus;
use concord_model::registration::CheckSpec;

/// Runs in a row with the same outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streak {
    good: u32,
    bad: u32,
}

impl Streak {
    /// The start value for a check that has not run. One more run reaches every threshold.
    pub(super) fn new(spec: &CheckSpec) -> Self {
        Self { good: spec.success_before_passing, bad: spec.failures_before_critical }
    }

    /// The same count, unless the thresholds have changed.
    pub(super) fn for_thresholds(self, then: &CheckSpec, now: &CheckSpec) -> Self {
        if thresholds(then) == thresholds(now) { self } else { Self::new(now) }
    }

    /// The verdict after one more run; `None` if it stays.
    pub(super) fn judge(&mut self, spec: &CheckSpec, run: CheckStatus) -> Option<CheckStatus> {
        let (passing, warning, critical) = thresholds(spec);
        match run {
            CheckStatus::Passing | CheckStatus::Warning => {
                *self = Self { good: self.good.saturating_add(1), bad: 0 };
                (self.good >= passing).then_some(run)
            }
            CheckStatus::Critical => {
                *self = Self { good: 0, bad: self.bad.saturating_add(1) };
                if self.bad >= critical {
                    return Some(CheckStatus::Critical);
                }
                (self.bad >= warning).then_some(CheckStatus::Warning)
            }
        }
    }
}

/// Successes before it is passing, failures before it is warning, and failures before it is critical.
fn thresholds(spec: &CheckSpec) -> (u32, u32, u32) {
    let critical = spec.failures_before_critical;
    let warning = if spec.failures_before_warning == 0 { critical } else { spec.failures_before_warning };
    (spec.success_before_passing, warning, critical)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use concord_model::CheckId;
    use concord_model::registration::Probe;

    use super::*;

    /// Applies runs (`p`assing, `w`arning, `c`ritical) and compares the verdict after each.
    #[track_caller]
    fn check(passing: u32, warning: u32, critical: u32, runs: &str, expected: &str) {
        let spec = CheckSpec {
            id: CheckId::parse("c").unwrap(),
            name: "c".to_owned(),
            notes: String::new(),
            service_id: None,
            service_name: None,
            initial: CheckStatus::Critical,
            probe: Probe::Ttl(Duration::ZERO),
            success_before_passing: passing,
            failures_before_warning: warning,
            failures_before_critical: critical,
            deregister_after: None,
            output_bytes_max: None,
            token: None,
        };
        let (mut streak, mut now, mut seen) = (Streak::new(&spec), CheckStatus::Critical, String::new());
        for run in runs.chars() {
            let run = match run {
                'p' => CheckStatus::Passing,
                'w' => CheckStatus::Warning,
                _ => CheckStatus::Critical,
            };
            now = streak.judge(&spec, run).unwrap_or(now);
            seen.push(now.as_str().chars().next().unwrap());
        }
        assert_eq!(seen, expected, "{passing} {warning} {critical} {runs}");
    }

    #[test]
    fn without_thresholds_each_run_decides() {
        check(0, 0, 0, "pcwcp", "pcwcp");
        check(1, 1, 1, "pcwcp", "pcwcp");
    }

    #[test]
    fn the_first_run_decides_by_itself() {
        check(3, 0, 3, "p", "p");
        check(3, 0, 3, "c", "c");
    }

    #[test]
    fn so_many_in_a_row_are_needed() {
        check(2, 0, 3, "pccpccc", "ppppppc");
        check(2, 0, 3, "cpcpp", "ccccp");
        check(3, 0, 0, "cppp", "cccp");
    }

    #[test]
    fn failures_warn_before_they_are_critical() {
        check(0, 1, 3, "pccc", "pwwc");
        check(0, 2, 4, "pcccc", "ppwwc");
        check(0, 0, 2, "pcc", "ppc");
    }

    #[test]
    fn a_warning_is_a_success() {
        check(2, 0, 2, "pcwc", "pppp");
        check(2, 0, 2, "pcww", "pppw");
    }
}
