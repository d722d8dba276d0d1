//! The local registrations, which are the authority for this node's part of the catalog.
//!
//! A pure state machine. Registrations, reports and time go in. It tells which checks run, what is due, and what the
//! catalog has to be told. [`crate::registry`] changes it, [`crate::checks`] runs the checks, [`crate::sync`]
//! updates the catalog.

mod alias;
mod check;
mod exposed;
mod gone;
mod index;
mod mark;
mod part;
mod ports;
mod records;
mod service;
mod state;
mod streak;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use concord_config::section::CheckSection;
use concord_model::catalog::CheckStatus;
use concord_model::registration::{CheckSpec, LocalService, Probe};
use concord_model::{CheckId, InstanceId};
use concord_runtime::Instant;

pub(crate) use self::alias::alias_of;
use self::check::CheckStanding;
pub(crate) use self::check::{CheckRecord, Report, Verdict};
use self::exposed::Exposed;
use self::gone::Gone;
use self::index::Index;
pub(crate) use self::mark::{Mark, Source};
use self::records::Records;
pub(crate) use self::service::{ServiceRecord, Settled};
pub(crate) use self::state::{LocalState, LocalView};

/// How this agent runs a check; it decides which task the check needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Plan {
    /// What the check tests.
    pub(crate) probe: Probe,
    /// Where the check was registered; this decides whether it may run programs.
    pub(crate) source: Source,
    /// Bytes of output that are kept.
    pub(crate) output_bytes_max: usize,
    /// `host:port` of the proxy through which it runs; `None`: directly.
    pub(crate) via: Option<String>,
}

/// A change of the local registrations.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Registers or replaces a service with its checks.
    SetService {
        /// The service.
        registration: Box<LocalService>,
        /// Where it was registered.
        source: Source,
        /// Whether earlier checks that the service no longer names are removed.
        replace_checks: bool,
    },
    /// Registers or replaces a separate check.
    SetCheck {
        /// The check.
        spec: Box<CheckSpec>,
        /// Where it was registered.
        source: Source,
    },
    /// Removes a service with its checks and its sidecar.
    RemoveService(InstanceId),
    /// Removes a check.
    RemoveCheck(CheckId),
}

/// The local registrations. They cannot be copied as a whole, because the cost of a change must not depend on how
/// many there are. [`Local::part`] copies the part that a change concerns.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) settings: CheckSection,
    pub(crate) services: Records<InstanceId, ServiceRecord>,
    pub(crate) checks: Records<CheckId, CheckRecord>,
    /// Services to remove from the catalog.
    pub(crate) services_gone: Gone<InstanceId>,
    /// Checks to remove from the catalog.
    pub(crate) checks_gone: Gone<CheckId>,
    /// Whether the catalog has the current node record.
    pub(crate) node: Mark,
    index: Index,
    /// Services (`None`: the node) whose checks have changed, so that aliases of them must be updated.
    moved: BTreeSet<Option<InstanceId>>,
    /// Aliases that must be updated.
    stale_aliases: BTreeSet<CheckId>,
    /// The node's status that aliases of services saw last.
    node_verdict: Option<(CheckStatus, String)>,
    /// Checks whose task may have to be replaced.
    rerun: BTreeSet<CheckId>,
    /// Checks whose stored verdict differs from the last report.
    unsaved: BTreeSet<CheckId>,
    /// Whether proxies get the settings of configuration entries.
    use_entries: bool,
    /// Services whose question about entries may have changed.
    unmerged: BTreeSet<InstanceId>,
    /// The checks that run through a proxy.
    exposed: Exposed,
    /// Counts the changes of all records.
    revision: u64,
}

impl Local {
    pub(crate) fn new(settings: CheckSection, sidecar_ports: RangeInclusive<u16>) -> Self {
        Self {
            settings,
            services: Records::new(),
            checks: Records::new(),
            services_gone: Gone::new(),
            checks_gone: Gone::new(),
            node: Mark::Pending,
            index: Index::new(sidecar_ports),
            moved: BTreeSet::new(),
            stale_aliases: BTreeSet::new(),
            node_verdict: None,
            rerun: BTreeSet::new(),
            unsaved: BTreeSet::new(),
            use_entries: false,
            unmerged: BTreeSet::new(),
            exposed: Exposed::new(RangeInclusive::new(1, 0)),
            revision: 0,
        }
    }

    /// The same, where proxies get the settings of configuration entries: each waits for what they say.
    pub(crate) fn merging(self) -> Self {
        Self { use_entries: true, ..self }
    }

    /// The same, with ports for the checks that proxies expose.
    pub(crate) fn exposing(self, ports: RangeInclusive<u16>) -> Self {
        Self { exposed: Exposed::new(ports), ..self }
    }

    /// Applies a change.
    pub(crate) fn apply(&mut self, change: Change, now: Instant) {
        self.carry_out(change, now);
        self.follow_aliases(now);
    }

    /// Applies a change, but does not update the aliases that depend on it.
    pub(crate) fn carry_out(&mut self, change: Change, now: Instant) {
        match change {
            Change::SetService { registration, source, replace_checks } => {
                self.set_service(*registration, source, replace_checks, now);
            }
            Change::SetCheck { spec, source } => {
                // From now on the check is separate from its service's definition.
                self.forget_inline(&spec.id);
                self.set_check(*spec, CheckStanding::Alone, source, now);
            }
            Change::RemoveService(id) => self.remove_service(&id),
            Change::RemoveCheck(id) => self.drop_check(&id),
        }
        self.follow_exposed();
    }

    /// Checks that stay keep their verdict. With `replace_checks`, checks that the service no longer names are
    /// removed.
    fn set_service(
        &mut self,
        registration: LocalService,
        source: Source,
        replace_checks: bool,
        now: Instant,
    ) {
        let version = self.bump();
        let id = registration.service.id.clone();
        let named: BTreeSet<CheckId> = registration.checks.iter().map(|check| check.id.clone()).collect();
        let others: Vec<CheckId> =
            self.checks_of(Some(&id)).filter(|check| !named.contains(*check)).cloned().collect();
        let mut registration = registration;
        if replace_checks {
            // Keep maintenance checks: a reload must not end the maintenance mode of a service.
            let stays = |check: &CheckId| {
                let probe = self.checks.get(check).map(|record| &record.spec.probe);
                source == Source::File && probe == Some(&Probe::Maintenance)
            };
            let go: Vec<CheckId> = others.iter().filter(|check| !stays(check)).cloned().collect();
            go.iter().for_each(|check| self.drop_check(check));
        } else if let Some(last) = self.services.get(&id) {
            // Inline checks that are no longer named are kept with the service.
            let kept = last.registration.checks.iter().filter(|check| !named.contains(&check.id)).cloned();
            registration.checks.extend(kept.collect::<Vec<_>>());
        }
        // A check of another service that this definition names belongs to this service from now on.
        let taken = |check: &&CheckId| {
            self.checks.get(check).is_some_and(|record| record.spec.service_id.as_ref() != Some(&id))
        };
        for check in named.iter().filter(taken).cloned().collect::<Vec<_>>() {
            self.forget_inline(&check);
        }
        self.services_gone.remove(&id);
        let checks = registration.checks.clone();
        let last = self.services.get(&id);
        let record = ServiceRecord::new(registration, source, version, self.use_entries, last);
        let registration = Arc::clone(&record.registration);
        self.put_service(record);
        for check in others {
            self.edit_check(&check, |record| {
                if record.follow_service(&registration) {
                    record.version = version;
                }
            });
        }
        for spec in checks.into_iter().filter(|spec| named.contains(&spec.id)) {
            self.set_check(spec, CheckStanding::Inline, source, now);
        }
    }

    fn set_check(&mut self, spec: CheckSpec, standing: CheckStanding, source: Source, now: Instant) {
        let version = self.bump();
        let service = spec.service_id.as_ref().and_then(|id| self.services.get(id));
        let service = service.map(|record| Arc::clone(&record.registration));
        let last = self.checks.get(&spec.id);
        let record = CheckRecord::new(spec, standing, source, version, service.as_deref(), last, now);
        self.checks_gone.remove(&record.spec.id);
        self.put_check(record);
    }

    fn remove_service(&mut self, id: &InstanceId) {
        self.bump();
        let sidecars: Vec<InstanceId> = self.sidecars(id).cloned().collect();
        for id in std::iter::once(id).chain(&sidecars) {
            if self.take_service(id).is_none() {
                continue;
            }
            let checks: Vec<CheckId> = self.checks_of(Some(id)).cloned().collect();
            for check in &checks {
                self.take_check(check);
            }
            // The catalog removes a service's checks together with it.
            self.services_gone.insert(id.clone());
        }
    }

    /// The service whose file also holds this one: the service of which it is a sidecar, unless that one is itself a
    /// sidecar or comes from configuration files.
    pub(crate) fn kept_with(&self, record: &ServiceRecord) -> Option<&InstanceId> {
        let parent_of = |record: &ServiceRecord| {
            let parent = self.services.get(record.registration.sidecar_of.as_ref()?)?;
            (parent.source == Source::Api).then_some(parent)
        };
        let parent = parent_of(record)?;
        parent_of(parent).is_none().then(|| parent.id())
    }

    /// A service and then the sidecars that its file also holds.
    pub(crate) fn family<'a>(&'a self, root: &'a ServiceRecord) -> impl Iterator<Item = &'a ServiceRecord> {
        let sidecars = self.sidecars(root.id()).filter_map(|id| self.services.get(id));
        let kept = sidecars
            .filter(|record| record.source == Source::Api && self.kept_with(record) == Some(root.id()));
        std::iter::once(root).chain(kept)
    }

    /// Whether a check was registered in its service's definition.
    pub(crate) fn is_inline(&self, check: &CheckRecord) -> bool {
        let service = check.spec.service_id.as_ref().and_then(|id| self.services.get(id));
        service
            .is_some_and(|record| record.registration.checks.iter().any(|inline| inline.id == check.spec.id))
    }

    /// Applies a report to a check. `None` if the check does not exist.
    pub(crate) fn report(&mut self, id: &CheckId, report: Report, now: Instant) -> Option<()> {
        let heard = report.heard;
        if self.take_report(id, report, now)? {
            self.follow_aliases(now);
        }
        if heard {
            self.unsaved.insert(id.clone());
        }
        Some(())
    }

    /// Returns whether the report changed the check.
    fn take_report(&mut self, id: &CheckId, report: Report, now: Instant) -> Option<bool> {
        let (settings, version) = (self.settings, self.revision + 1);
        let about = self.edit_check(id, |record| {
            record.take(report, settings, now).then(|| {
                record.version = version;
                record.spec.service_id.clone()
            })
        })?;
        let Some(about) = about else { return Some(false) };
        self.bump();
        // Aliases of this service copy the output as well, so they must be updated.
        self.moved.insert(about);
        Some(true)
    }

    /// Restores a verdict from before a restart, if it still fits the check.
    pub(crate) fn restore(&mut self, id: &CheckId, verdict: Verdict, now: Instant) {
        let settings = self.settings;
        let about = self.edit_check(id, |record| {
            record.restore(verdict, settings, now).then(|| record.spec.service_id.clone())
        });
        if let Some(about) = about.flatten() {
            self.bump();
            self.moved.insert(about);
            self.follow_aliases(now);
        }
    }

    /// Called at the start of the agent: no check that the agent runs has run yet.
    pub(crate) fn await_first_runs(&mut self) {
        for id in self.checks.keys().cloned().collect::<Vec<_>>() {
            self.edit_check(&id, CheckRecord::await_first_run);
        }
    }

    /// Applies the passage of time: checks without a report in their TTL become critical.
    pub(crate) fn tick(&mut self, now: Instant) {
        while let Some((_, id)) = self.next_silent().filter(|(at, _)| *at <= now).cloned() {
            let silence = Report::silence(self.checks.get(&id).map_or("", |record| &record.check.output));
            self.report(&id, silence, now);
        }
    }

    /// When [`Local::tick`] has to be called next.
    pub(crate) fn next_tick(&self) -> Option<Instant> {
        self.next_silent().map(|(at, _)| *at)
    }

    /// The checks that were added, changed or removed since the last call; `None` for removed ones.
    pub(crate) fn take_rerun(&mut self) -> Vec<(CheckId, Option<Plan>)> {
        let ids = std::mem::take(&mut self.rerun).into_iter();
        let plan = |record: &CheckRecord| Plan {
            probe: record.spec.probe.clone(),
            source: record.source,
            output_bytes_max: record.output_limit(self.settings),
            via: self.way_of(&record.spec.id),
        };
        ids.map(|id| (id.clone(), self.checks.get(&id).map(plan))).collect()
    }

    /// At most `max` verdicts to save; `None` for a check without a verdict, whose file must be removed.
    pub(crate) fn take_unsaved(&mut self, max: usize, now: Instant) -> Vec<(CheckId, Option<Verdict>)> {
        let ids: Vec<CheckId> = std::iter::from_fn(|| self.unsaved.pop_first()).take(max).collect();
        let verdict = |id: CheckId| {
            let verdict = self.checks.get(&id).and_then(|record| record.verdict(now));
            (id, verdict)
        };
        ids.into_iter().map(verdict).collect()
    }

    /// Whether there are verdicts to save.
    pub(crate) fn has_unsaved(&self) -> bool {
        !self.unsaved.is_empty()
    }

    /// Services that were critical for longer than allowed.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<InstanceId> {
        let overdue = self.checks.values().filter_map(|record| {
            let (since, after) = (record.critical_since?, record.spec.deregister_after?);
            (now - since >= after).then(|| record.spec.service_id.clone())?
        });
        overdue.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The services that were added, replaced or removed since the last call.
    pub(crate) fn take_unmerged(&mut self) -> BTreeSet<InstanceId> {
        std::mem::take(&mut self.unmerged)
    }

    /// Lets every proxy ask about entries again, because it may have another token.
    pub(crate) fn ask_again(&mut self) {
        self.unmerged = self.services.keys().cloned().collect();
    }

    /// Gives a proxy what the entries say.
    pub(crate) fn settle(&mut self, id: &InstanceId, settled: &Settled) {
        let version = self.revision + 1;
        if self.edit_service(id, |record| record.settle(settled, version)) == Some(true) {
            self.bump();
            self.look_at_proxy(id);
            self.follow_exposed();
        }
    }

    /// The number of changes of all records so far.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Counts a change and returns the new revision.
    pub(crate) fn bump(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    fn drop_check(&mut self, id: &CheckId) {
        self.bump();
        self.forget_inline(id);
        if self.take_check(id).is_some() {
            self.checks_gone.insert(id.clone());
        }
    }

    /// Removes a check from the inline checks of its service.
    fn forget_inline(&mut self, id: &CheckId) {
        let Some(about) = self.checks.get(id).and_then(|record| record.spec.service_id.clone()) else {
            return;
        };
        let version = self.bump();
        self.edit_service(&about, |service| {
            if service.forget_inline(id) {
                service.version = version;
            }
        });
    }
}

#[cfg(test)]
mod tests;
