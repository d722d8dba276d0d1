//! What is registered with this agent: the authority over its node's part of the catalog.
//!
//! A pure machine: registrations, reports and the passing of time go in; what runs, what is due and
//! what still has to be told to the catalog can be read off. [`crate::registrar`] writes it,
//! [`crate::checks`] makes the checks, [`crate::sync`] tells the catalog.

mod alias;
mod check;
mod gone;
mod index;
mod mark;
mod part;
mod ports;
mod records;
mod service;
mod streak;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use concord_model::catalog::CheckStatus;
use concord_model::registration::{CheckSpec, LocalService, Probe};
use concord_model::{CheckId, InstanceId};
use concord_runtime::Instant;

pub(crate) use self::alias::alias_of;
use self::check::CheckStanding;
pub(crate) use self::check::{CheckRecord, CheckSettings, Report, Verdict};
use self::gone::Gone;
use self::index::Index;
pub(crate) use self::mark::{Mark, Source};
use self::records::Records;
pub(crate) use self::service::ServiceRecord;

/// How a check is made from here, which decides about the task that makes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Plan {
    /// How it comes to its verdict.
    pub(crate) probe: Probe,
    /// Where it comes from: programs are not run for everybody.
    pub(crate) source: Source,
    /// Bytes of output that are kept.
    pub(crate) output_bytes_max: usize,
}

/// A change of what is registered.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Registers a service with its checks, or replaces it.
    SetService {
        /// The service.
        registration: Box<LocalService>,
        /// Where it comes from.
        source: Source,
        /// Whether checks it no longer names go.
        replace_checks: bool,
    },
    /// Registers a check on its own, or replaces it.
    SetCheck {
        /// The check.
        spec: Box<CheckSpec>,
        /// Where it comes from.
        source: Source,
    },
    /// Removes a service with its checks and its sidecar.
    RemoveService(InstanceId),
    /// Removes a check.
    RemoveCheck(CheckId),
}

/// What is registered with this agent. It cannot be copied: what a change costs must not depend on
/// how much is registered ([`Local::part`] copies what a change concerns).
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) settings: CheckSettings,
    pub(crate) services: Records<InstanceId, ServiceRecord>,
    pub(crate) checks: Records<CheckId, CheckRecord>,
    /// Services to take out of the catalog.
    pub(crate) services_gone: Gone<InstanceId>,
    /// Checks to take out of the catalog.
    pub(crate) checks_gone: Gone<CheckId>,
    /// The node itself.
    pub(crate) node: Mark,
    index: Index,
    /// Services, and `None` for the node, whose aliases have to look again.
    moved: BTreeSet<Option<InstanceId>>,
    /// Aliases that have to look at what they follow.
    stale_aliases: BTreeSet<CheckId>,
    /// What aliases of services were told of the node last.
    node_verdict: Option<(CheckStatus, String)>,
    /// Checks that may need another task than the one that makes them.
    rerun: BTreeSet<CheckId>,
    /// Checks whose verdict on disk is not the one their service told last.
    unsaved: BTreeSet<CheckId>,
    /// Counts changes of any record.
    revision: u64,
}

impl Local {
    pub(crate) fn new(settings: CheckSettings, sidecar_ports: RangeInclusive<u16>) -> Self {
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
            revision: 0,
        }
    }

    /// Carries out a change.
    pub(crate) fn apply(&mut self, change: Change, now: Instant) {
        self.carry_out(change, now);
        self.follow_aliases(now);
    }

    /// Carries out a change, but for the aliases that follow it.
    pub(crate) fn carry_out(&mut self, change: Change, now: Instant) {
        match change {
            Change::SetService { registration, source, replace_checks } => {
                self.set_service(*registration, source, replace_checks, now);
            }
            Change::SetCheck { spec, source } => {
                // From now on it stands on its own.
                self.forget_inline(&spec.id);
                self.set_check(*spec, CheckStanding::Alone, source, now);
            }
            Change::RemoveService(id) => self.remove_service(&id),
            Change::RemoveCheck(id) => self.drop_check(&id),
        }
    }

    /// Checks that stay keep their verdict; with `replace_checks` those it no longer names go.
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
            // A reload does not put a service back into use that somebody took out of it.
            let stays = |check: &CheckId| {
                let probe = self.checks.get(check).map(|record| &record.spec.probe);
                source == Source::File && probe == Some(&Probe::Maintenance)
            };
            let go: Vec<CheckId> = others.iter().filter(|check| !stays(check)).cloned().collect();
            go.iter().for_each(|check| self.drop_check(check));
        } else if let Some(last) = self.services.get(&id) {
            // Inline checks that are no longer named stay, and stay with the service.
            let kept = last.registration.checks.iter().filter(|check| !named.contains(&check.id)).cloned();
            registration.checks.extend(kept.collect::<Vec<_>>());
        }
        // A check of another service that comes with this one's definition is this one's now.
        let taken = |check: &&CheckId| {
            self.checks.get(check).is_some_and(|record| record.spec.service_id.as_ref() != Some(&id))
        };
        for check in named.iter().filter(taken).cloned().collect::<Vec<_>>() {
            self.forget_inline(&check);
        }
        self.services_gone.remove(&id);
        let checks = registration.checks.clone();
        let record = ServiceRecord::new(registration, source, version, self.services.get(&id));
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
            // The catalog removes a service's checks with it.
            self.services_gone.insert(id.clone());
        }
    }

    /// The service that one is kept in one file with: the one it is a sidecar of, unless that one is
    /// a sidecar itself or kept in configuration files.
    pub(crate) fn kept_with(&self, record: &ServiceRecord) -> Option<&InstanceId> {
        let parent_of = |record: &ServiceRecord| {
            let parent = self.services.get(record.registration.sidecar_of.as_ref()?)?;
            (parent.source == Source::Api).then_some(parent)
        };
        let parent = parent_of(record)?;
        parent_of(parent).is_none().then(|| parent.id())
    }

    /// A service, then its sidecars that are kept with it: what is kept in one file.
    pub(crate) fn family<'a>(&'a self, root: &'a ServiceRecord) -> impl Iterator<Item = &'a ServiceRecord> {
        let sidecars = self.sidecars(root.id()).filter_map(|id| self.services.get(id));
        let kept = sidecars
            .filter(|record| record.source == Source::Api && self.kept_with(record) == Some(root.id()));
        std::iter::once(root).chain(kept)
    }

    /// Whether a check came with its service's definition.
    pub(crate) fn is_inline(&self, check: &CheckRecord) -> bool {
        let service = check.spec.service_id.as_ref().and_then(|id| self.services.get(id));
        service
            .is_some_and(|record| record.registration.checks.iter().any(|inline| inline.id == check.spec.id))
    }

    /// Takes a verdict of a check; `None` if there is no such check.
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

    /// Whether anything changed.
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
        // What follows it shows its output too.
        self.moved.insert(about);
        Some(true)
    }

    /// Takes a verdict told before a restart, if the check is still such a one.
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

    /// The agent has started: checks that are run from here have not run yet.
    pub(crate) fn await_first_runs(&mut self) {
        for id in self.checks.keys().cloned().collect::<Vec<_>>() {
            self.edit_check(&id, CheckRecord::await_first_run);
        }
    }

    /// Lets time pass: checks nobody reported for become critical.
    pub(crate) fn tick(&mut self, now: Instant) {
        while let Some((_, id)) = self.next_silent().filter(|(at, _)| *at <= now).cloned() {
            let silence = Report::silence(self.checks.get(&id).map_or("", |record| &record.check.output));
            self.report(&id, silence, now);
        }
    }

    /// When [`Local::tick`] has something to do next.
    pub(crate) fn next_tick(&self) -> Option<Instant> {
        self.next_silent().map(|(at, _)| *at)
    }

    /// Checks that were added, changed or removed since this was asked last; for the removed `None`.
    pub(crate) fn take_rerun(&mut self) -> Vec<(CheckId, Option<Plan>)> {
        let ids = std::mem::take(&mut self.rerun).into_iter();
        let plan = |record: &CheckRecord| Plan {
            probe: record.spec.probe.clone(),
            source: record.source,
            output_bytes_max: record.output_limit(self.settings),
        };
        ids.map(|id| (id.clone(), self.checks.get(&id).map(plan))).collect()
    }

    /// Verdicts that are to be saved, at most so many at a time; `None` where there is none any more.
    pub(crate) fn take_unsaved(&mut self, max: usize, now: Instant) -> Vec<(CheckId, Option<Verdict>)> {
        let ids: Vec<CheckId> = std::iter::from_fn(|| self.unsaved.pop_first()).take(max).collect();
        let verdict = |id: CheckId| {
            let verdict = self.checks.get(&id).and_then(|record| record.verdict(now));
            (id, verdict)
        };
        ids.into_iter().map(verdict).collect()
    }

    /// Services that were critical for longer than they may be.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<InstanceId> {
        let overdue = self.checks.values().filter_map(|record| {
            let (since, after) = (record.critical_since?, record.spec.deregister_after?);
            (now - since >= after).then(|| record.spec.service_id.clone())?
        });
        overdue.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Counts changes of any record.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The next version of a record.
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

    /// A check no longer comes with the definition of the service it is about.
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
