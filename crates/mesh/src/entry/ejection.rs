//! When a failing instance is ejected, as defaults and gateways say it.

use concord_model::entry::PassiveHealthCheck;

use super::fault::{Fault, Faults};

/// Checks when a failing instance is ejected.
pub(super) fn check_passive(at: &str, check: &PassiveHealthCheck, faults: &mut Faults) {
    let PassiveHealthCheck {
        interval,
        max_failures: _,
        enforcing_consecutive_5xx,
        max_ejection_percent,
        base_ejection_time,
    } = check;
    let percents = [
        ("EnforcingConsecutive5xx", enforcing_consecutive_5xx),
        ("MaxEjectionPercent", max_ejection_percent),
    ];
    for (name, percent) in percents {
        if percent.is_some_and(|percent| percent > 100) {
            faults.push(format!("{at}.{name}"), Fault::NotAPercentage);
        }
    }
    let spans = [("Interval", Some(*interval)), ("BaseEjectionTime", *base_ejection_time)];
    for (name, span) in spans {
        if span.is_some_and(|span| span.nanos() < 0) {
            faults.push(format!("{at}.{name}"), Fault::Negative);
        }
    }
}
