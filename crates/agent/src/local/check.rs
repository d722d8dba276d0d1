//! One check: turns reports into a verdict, and decides when the catalog has to be told.
//!
//! [`super::streak`] counts how many runs make a verdict.

use std::time::Duration;

use concord_config::section::CheckSection;
use concord_model::catalog::{Check, CheckStatus};
use concord_model::proxy::Settings;
use concord_model::registration::{CheckSpec, Every, LocalService, Probe};
use concord_model::{InstanceId, Namespace, Stamp};
use concord_runtime::Instant;
use concord_syntax::duration;
use sha2::{Digest, Sha256};

use super::mark::{Mark, Source};
use super::streak::Streak;
use crate::limits::{CHECK_OUTPUT_FRAME_BYTES_MAX, CHECK_STATE_OUTPUT_BYTES_MAX};

/// A check with its verdict and its state in the catalog.
#[derive(Clone, Debug)]
pub(crate) struct CheckRecord {
    /// Its definition.
    pub(crate) spec: CheckSpec,
    /// The check as the catalog should have it.
    pub(crate) check: Check,
    /// Where it was registered.
    pub(crate) source: Source,
    /// Whether the catalog has the current state.
    pub(crate) mark: Mark,
    /// The revision of its last change.
    pub(crate) version: u64,
    /// The revision of its definition.
    pub(crate) spec_version: u64,
    /// Since when it has been critical.
    pub(crate) critical_since: Option<Instant>,
    /// When a delayed change of output has to be sent.
    pub(crate) deferred: Option<Instant>,
    /// A digest of the check's own token, which does not reveal the token.
    pub(crate) token_digest: Option<[u8; 32]>,
    /// For a TTL check: when the last report expires.
    silent_at: Instant,
    /// Whether its service has reported, since the start or before it.
    told: bool,
    /// Whether it has not run since the agent started, although it ran before.
    untried: bool,
    /// Runs in a row with the same outcome.
    streak: Streak,
}

/// How a check was registered; it decides how its times are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CheckStanding {
    /// In the definition of its service.
    Inline,
    /// Separately.
    Alone,
}

/// A service's report about itself, as it is stored over a restart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Verdict {
    /// The instance the check is about.
    pub(crate) service: Option<InstanceId>,
    /// How long a report is valid.
    pub(crate) ttl: Duration,
    pub(crate) status: CheckStatus,
    pub(crate) output: String,
    /// How long this report is still valid.
    pub(crate) left: Duration,
}

/// The result of one run, or a service's report.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) status: CheckStatus,
    pub(crate) output: String,
    /// Whether it counts as one of several runs. Otherwise it decides at once.
    pub(crate) counted: bool,
    /// Whether it proves that the service is alive.
    pub(crate) heard: bool,
}

impl Report {
    /// A service's report about itself.
    pub(crate) fn told(status: CheckStatus, output: String) -> Self {
        Self { status, output, counted: false, heard: true }
    }

    /// The outcome of one run.
    pub(crate) fn run(status: CheckStatus, output: String) -> Self {
        Self { status, output, counted: true, heard: false }
    }

    /// A verdict that decides at once: copied from another check, or certain.
    pub(crate) fn decided(status: CheckStatus, output: String) -> Self {
        Self { status, output, counted: false, heard: false }
    }

    /// The report for a TTL check that received no report in time. `last` is the last output.
    pub(crate) fn silence(last: &str) -> Self {
        let output = match last {
            "" => "TTL expired".to_owned(),
            last => format!("TTL expired (last output before timeout follows): {last}"),
        };
        Self { status: CheckStatus::Critical, output, counted: false, heard: false }
    }
}

impl CheckRecord {
    /// Builds a record. A check that is registered again keeps its last verdict, even if it is run differently now.
    pub(super) fn new(
        mut spec: CheckSpec,
        standing: CheckStanding,
        source: Source,
        version: u64,
        service: Option<&LocalService>,
        last: Option<&Self>,
        now: Instant,
    ) -> Self {
        let last = last.filter(|last| last.spec.service_id == spec.service_id);
        let same = last.filter(|last| last.spec.probe == spec.probe);
        let (interval, timeout) = shown_times(&spec.probe, standing);
        if let Some(service) = service {
            spec.service_name = Some(service.service.service.clone());
        }
        let check = Check {
            id: spec.id.clone(),
            name: spec.name.clone(),
            status: last.map_or(spec.initial, |last| last.check.status),
            notes: spec.notes.clone(),
            output: last.map_or_else(String::new, |last| last.check.output.clone()),
            service_id: spec.service_id.clone(),
            service_name: spec.service_name.clone(),
            namespace: service.map_or_else(Namespace::default, |service| service.service.namespace.clone()),
            service_tags: service.map(|service| service.service.tags.clone()).unwrap_or_default(),
            kind: spec.probe.kind().to_owned(),
            interval,
            timeout,
            // Empty: the agent itself runs the check.
            definition: Settings::new(),
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
            token_digest: spec.token.as_ref().map(|token| Sha256::digest(token.expose()).into()),
            silent_at: same.map_or_else(|| now + ttl(&spec.probe), |last| last.silent_at),
            told: same.is_some_and(|last| last.told),
            untried: last.is_some_and(|last| last.untried),
            streak: same
                .map_or_else(|| Streak::new(&spec), |last| last.streak.for_thresholds(&last.spec, &spec)),
            spec,
        }
    }

    /// Takes over the service's current name and tags. Returns whether the catalog has to be told.
    pub(super) fn follow_service(&mut self, service: &LocalService) -> bool {
        let (name, namespace) = (Some(&service.service.service), &service.service.namespace);
        service.service.tags.clone_into(&mut self.check.service_tags);
        if self.check.service_name.as_ref() == name && self.check.namespace == *namespace {
            return false;
        }
        (self.spec.service_name, self.check.service_name) = (name.cloned(), name.cloned());
        self.check.namespace = namespace.clone();
        (self.mark, self.deferred) = (Mark::Pending, None);
        true
    }

    /// When the check becomes critical without a report. `None` if it is critical already, or needs no reports.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        let waits = matches!(self.spec.probe, Probe::Ttl(_)) && self.check.status != CheckStatus::Critical;
        waits.then_some(self.silent_at)
    }

    /// Whether its service has reported.
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// The service's last report, while it is valid.
    pub(super) fn verdict(&self, now: Instant) -> Option<Verdict> {
        let Probe::Ttl(ttl) = self.spec.probe else { return None };
        let left = self.silent_at.saturating_since(now);
        (self.told && !left.is_zero()).then(|| Verdict {
            service: self.spec.service_id.clone(),
            ttl,
            status: self.check.status,
            output: shortened(self.check.output.clone(), CHECK_STATE_OUTPUT_BYTES_MAX),
            left,
        })
    }

    /// Restores a report from before a restart for the rest of its time. Returns whether it fits this check.
    pub(super) fn restore(&mut self, verdict: Verdict, settings: CheckSection, now: Instant) -> bool {
        let Verdict { service, ttl, status, output, left } = verdict;
        if self.told || service != self.spec.service_id || self.spec.probe != Probe::Ttl(ttl) {
            return false;
        }
        self.take(Report::told(status, output), settings, now);
        // If the wall clock was set back, the report is still valid for no longer than its TTL.
        self.silent_at = now + left.min(ttl);
        true
    }

    /// The agent has started. It knows of no run of this check, although there may have been some.
    pub(super) fn await_first_run(&mut self) {
        self.untried = self.spec.probe.every().is_some();
    }

    /// Whether the catalog's verdict is better than ours until the first run.
    pub(crate) fn is_untried(&self) -> bool {
        self.untried
    }

    /// Applies a report. Returns whether anything changed.
    pub(super) fn take(&mut self, report: Report, settings: CheckSection, now: Instant) -> bool {
        self.untried = false;
        if report.heard {
            self.silent_at = now + ttl(&self.spec.probe);
            self.told = true;
        }
        let status = match report.counted {
            true => self.streak.judge(&self.spec, report.status),
            false => Some(report.status),
        };
        // There are too few runs for a new verdict: keep everything, also the output.
        let Some(status) = status else { return false };
        let output = match settings.discard_output {
            true => String::new(),
            // The run itself limits the target's output. The text around the output is added on top.
            false if report.counted => {
                shortened(report.output, self.output_limit(settings) + CHECK_OUTPUT_FRAME_BYTES_MAX)
            }
            false => shortened(report.output, self.output_limit(settings)),
        };
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

    /// Bytes of output that are kept. A check may ask for less than the agent's limit, not for more.
    pub(super) fn output_limit(&self, settings: CheckSection) -> usize {
        self.spec.output_bytes_max.map_or(settings.output_bytes_max, |own| own.min(settings.output_bytes_max))
    }
}

/// How long a report is valid; zero for checks without reports.
fn ttl(probe: &Probe) -> Duration {
    if let Probe::Ttl(ttl) = probe { *ttl } else { Duration::ZERO }
}

/// Interval and timeout as the API shows them: as they were written. Defaults are shown only for separate checks.
fn shown_times(probe: &Probe, standing: CheckStanding) -> (String, String) {
    let shown = |time: Duration| match (time.is_zero(), standing) {
        (true, CheckStanding::Inline) => String::new(),
        (true, CheckStanding::Alone) | (false, _) => duration::format(time),
    };
    let every = probe.every();
    let time = |time: fn(&Every) -> Duration| shown(every.as_ref().map_or(Duration::ZERO, time));
    match probe {
        Probe::Maintenance => (String::new(), String::new()),
        _ => (time(|every| every.interval), time(|every| every.timeout)),
    }
}

/// The output, cut to the limit with a note that it was cut.
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
