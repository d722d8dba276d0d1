//! One check: from reports to a verdict, and when the catalog has to hear of it.

use std::time::Duration;

use concord_model::catalog::{Check, CheckStatus};
use concord_model::registration::{CheckSpec, LocalService, Probe};
use concord_model::{Namespace, Stamp};
use concord_runtime::Instant;

use super::{CheckSettings, Mark, Source};

/// A check with its verdict and what the catalog knows of it.
#[derive(Clone, Debug)]
pub(crate) struct CheckRecord {
    /// How it is made.
    pub(crate) spec: CheckSpec,
    /// Its verdict, as the catalog should have it.
    pub(crate) check: Check,
    /// Where it comes from.
    pub(crate) source: Source,
    /// Whether the catalog knows.
    pub(crate) mark: Mark,
    /// Which change of it this is.
    pub(crate) version: u64,
    /// Which definition of it this is.
    pub(crate) spec_version: u64,
    /// Since when it has been critical.
    pub(crate) critical_since: Option<Instant>,
    /// When output that lags behind is to be told.
    pub(crate) deferred: Option<Instant>,
    /// When its service last reported, for a TTL check.
    heard: Instant,
    /// Runs in a row with the same outcome.
    streak: Streak,
}

#[derive(Clone, Copy, Debug, Default)]
struct Streak {
    good: u32,
    bad: u32,
}

/// What a run of a check, or its service, says.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) status: CheckStatus,
    pub(crate) output: String,
    /// Whether it counts as one run of several, or decides by itself.
    pub(crate) counted: bool,
    /// Whether it is a sign of life.
    pub(crate) heard: bool,
}

impl Report {
    /// The word of a service about itself.
    pub(crate) fn told(status: CheckStatus, output: String) -> Self {
        Self { status, output, counted: false, heard: true }
    }

    /// The outcome of one run.
    pub(crate) fn run(status: CheckStatus, output: String) -> Self {
        Self { status, output, counted: true, heard: false }
    }

    /// What is taken over from something else.
    pub(crate) fn alias(status: CheckStatus, output: String) -> Self {
        Self { status, output, counted: false, heard: false }
    }

    /// Nobody said anything for too long.
    pub(crate) fn silence() -> Self {
        Self { status: CheckStatus::Critical, output: "TTL expired".to_owned(), counted: false, heard: false }
    }
}

impl CheckRecord {
    pub(super) fn new(
        spec: CheckSpec,
        source: Source,
        version: u64,
        service: Option<&LocalService>,
        last: Option<&Self>,
        now: Instant,
    ) -> Self {
        let last =
            last.filter(|last| last.spec.service_id == spec.service_id && last.spec.probe == spec.probe);
        let (interval, timeout) = shown_times(&spec.probe);
        let check = Check {
            id: spec.id.clone(),
            name: spec.name.clone(),
            status: last.map_or(spec.initial, |last| last.check.status),
            notes: spec.notes.clone(),
            output: last.map_or_else(String::new, |last| last.check.output.clone()),
            service_id: spec.service_id.clone(),
            service_name: service
                .map(|service| service.service.service.clone())
                .or_else(|| spec.service_name.clone()),
            namespace: service.map_or_else(Namespace::default, |service| service.service.namespace.clone()),
            service_tags: service.map(|service| service.service.tags.clone()).unwrap_or_default(),
            kind: spec.probe.kind().to_owned(),
            interval,
            timeout,
            stamp: Stamp::default(),
        };
        let critical = (check.status == CheckStatus::Critical).then_some(now);
        Self {
            check,
            source,
            mark: Mark::Pending,
            version,
            spec_version: version,
            critical_since: last.and_then(|last| last.critical_since).or(critical),
            deferred: None,
            heard: last.map_or(now, |last| last.heard),
            streak: last.map(|last| last.streak).unwrap_or_default(),
            spec,
        }
    }

    /// When silence becomes critical; `None` if it is already, or if nobody has to report.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        match &self.spec.probe {
            Probe::Ttl(ttl) if self.check.status != CheckStatus::Critical => Some(self.heard + *ttl),
            Probe::Ttl(_) | Probe::Tcp { .. } | Probe::Alias { .. } => None,
        }
    }

    /// Takes a report; whether anything changed.
    pub(super) fn take(&mut self, report: Report, settings: CheckSettings, now: Instant) -> bool {
        if report.heard {
            self.heard = now;
        }
        let status = if report.counted { self.count(report.status) } else { report.status };
        let limit = self.spec.output_bytes_max.unwrap_or(settings.output_bytes_max);
        let output = shortened(report.output, limit.min(settings.output_bytes_max.max(limit)));
        let (same_status, same_output) = (status == self.check.status, output == self.check.output);
        if same_status && same_output {
            return false;
        }
        self.check.status = status;
        self.check.output = output;
        if status != CheckStatus::Critical {
            self.critical_since = None;
        } else if !same_status || self.critical_since.is_none() {
            self.critical_since = Some(now);
        }
        if same_status && self.mark == Mark::Synced && settings.update_interval > Duration::ZERO {
            self.deferred.get_or_insert(now + settings.update_interval);
        } else if self.mark != Mark::Blocked || !same_status {
            self.mark = Mark::Pending;
            self.deferred = None;
        }
        true
    }

    /// Several runs make a verdict, if the check says so.
    fn count(&mut self, status: CheckStatus) -> CheckStatus {
        let (critical, warning) = (self.spec.failures_before_critical, self.spec.failures_before_warning);
        match status {
            CheckStatus::Passing | CheckStatus::Warning => {
                self.streak = Streak { good: self.streak.good.saturating_add(1), bad: 0 };
                if self.streak.good >= self.spec.success_before_passing { status } else { self.check.status }
            }
            CheckStatus::Critical => {
                self.streak = Streak { good: 0, bad: self.streak.bad.saturating_add(1) };
                let warning = if warning == 0 { critical } else { warning };
                if self.streak.bad >= critical.max(1) {
                    CheckStatus::Critical
                } else if self.streak.bad >= warning.max(1) {
                    CheckStatus::Warning
                } else {
                    self.check.status
                }
            }
        }
    }
}

/// Period and time-out as the API shows them.
fn shown_times(probe: &Probe) -> (String, String) {
    match probe {
        Probe::Tcp { interval, timeout, .. } => (shown(*interval), shown(*timeout)),
        Probe::Ttl(_) | Probe::Alias { .. } => (String::new(), String::new()),
    }
}

/// A duration in the spelling of the API.
fn shown(duration: Duration) -> String {
    let secs = duration.as_secs();
    if duration.subsec_nanos() != 0 {
        return format!("{}s", duration.as_secs_f64());
    }
    match (secs / 3600, secs / 60 % 60, secs % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}

/// Output cut to its bound, saying that it was.
fn shortened(mut output: String, limit: usize) -> String {
    let total = output.len();
    if total <= limit {
        return output;
    }
    let end = (0..=limit).rev().find(|end| output.is_char_boundary(*end)).unwrap_or(0);
    output.truncate(end);
    output.push_str(&format!(" ... (captured {end} of {total} bytes)"));
    output
}
