//! What is registered with this agent: the authority over its node's part of the catalog.
//!
//! A pure machine: registrations, reports and the passing of time go in; what runs, what is due and
//! what still has to be told to the catalog can be read off. [`crate::registrar`] writes it,
//! [`crate::checks`] makes the checks, [`crate::sync`] tells the catalog.

mod alias;
mod check;
mod service;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use concord_model::registration::{CheckSpec, LocalService};
use concord_model::{CheckId, InstanceId};
use concord_runtime::Instant;

pub(crate) use self::alias::alias_of;
pub(crate) use self::check::{CheckRecord, Report};
pub(crate) use self::service::ServiceRecord;

/// Where a registration comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// Over the API; persisted.
    Api,
    /// From configuration files; read anew at each start.
    File,
}

/// Whether the catalog knows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Mark {
    /// It has to be told.
    #[default]
    Pending,
    /// It knows.
    Synced,
    /// It refused; asked again at the next full comparison.
    Blocked,
}

/// How checks behave on this agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckSettings {
    /// How long output alone may lag behind in the catalog; zero: not at all.
    pub(crate) update_interval: Duration,
    /// Bytes of output kept.
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

/// What is registered with this agent.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) settings: CheckSettings,
    pub(crate) services: BTreeMap<InstanceId, ServiceRecord>,
    pub(crate) checks: BTreeMap<CheckId, CheckRecord>,
    /// Services to take out of the catalog.
    pub(crate) services_gone: BTreeMap<InstanceId, Mark>,
    /// Checks to take out of the catalog.
    pub(crate) checks_gone: BTreeMap<CheckId, Mark>,
    /// The node itself.
    pub(crate) node: Mark,
    /// Counts changes of any record.
    revision: u64,
}

impl Local {
    pub(crate) fn new(settings: CheckSettings) -> Self {
        Self {
            settings,
            services: BTreeMap::new(),
            checks: BTreeMap::new(),
            services_gone: BTreeMap::new(),
            checks_gone: BTreeMap::new(),
            node: Mark::Pending,
            revision: 0,
        }
    }

    /// Carries out a change.
    pub(crate) fn apply(&mut self, change: Change, now: Instant) {
        match change {
            Change::SetService { registration, source, replace_checks } => {
                self.set_service(*registration, source, replace_checks, now);
            }
            Change::SetCheck { spec, source } => {
                if let Some(record) = spec.service_id.as_ref().and_then(|id| self.services.get_mut(id)) {
                    record.forget_inline(&spec.id);
                }
                self.set_check(*spec, source, now);
            }
            Change::RemoveService(id) => self.remove_service(&id),
            Change::RemoveCheck(id) => self.drop_check(&id),
        }
        self.follow_aliases(now);
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
            self.checks_of(&id).filter(|check| !named.contains(*check)).cloned().collect();
        let mut registration = registration;
        if replace_checks {
            others.iter().for_each(|check| self.drop_check(check));
        } else if let Some(last) = self.services.get(&id) {
            // Inline checks that are no longer named stay, and stay with the service.
            let kept = last.registration.checks.iter().filter(|check| !named.contains(&check.id)).cloned();
            registration.checks.extend(kept.collect::<Vec<_>>());
        }
        self.services_gone.remove(&id);
        let checks = registration.checks.clone();
        self.services.insert(id, ServiceRecord::new(registration, source, version));
        for spec in checks.into_iter().filter(|spec| named.contains(&spec.id)) {
            self.set_check(spec, source, now);
        }
    }

    /// A check made in the same way as before keeps its verdict.
    fn set_check(&mut self, spec: CheckSpec, source: Source, now: Instant) {
        let version = self.bump();
        let service = spec.service_id.as_ref().and_then(|id| self.services.get(id));
        let service = service.map(|record| Arc::clone(&record.registration));
        let last = self.checks.get(&spec.id);
        let record = CheckRecord::new(spec, source, version, service.as_deref(), last, now);
        self.checks_gone.remove(&record.spec.id);
        self.checks.insert(record.spec.id.clone(), record);
    }

    fn remove_service(&mut self, id: &InstanceId) {
        self.bump();
        let is_sidecar = |record: &&ServiceRecord| record.registration.sidecar_of.as_ref() == Some(id);
        let sidecars: Vec<InstanceId> =
            self.services.values().filter(is_sidecar).map(|record| record.id().clone()).collect();
        for id in std::iter::once(id).chain(&sidecars) {
            if self.services.remove(id).is_none() {
                continue;
            }
            let checks: Vec<CheckId> = self.checks_of(id).cloned().collect();
            for check in &checks {
                self.checks.remove(check);
            }
            // The catalog removes a service's checks with it.
            self.services_gone.insert(id.clone(), Mark::Pending);
        }
    }

    /// The service a definition stands for, then its sidecars: what is kept in one file.
    pub(crate) fn family(&self, root: &InstanceId) -> Vec<&ServiceRecord> {
        let Some(first) = self.services.get(root) else { return Vec::new() };
        let is_sidecar = |record: &&ServiceRecord| record.registration.sidecar_of.as_ref() == Some(root);
        std::iter::once(first).chain(self.services.values().filter(is_sidecar)).collect()
    }

    /// Whether a check came with its service's definition.
    pub(crate) fn is_inline(&self, check: &CheckRecord) -> bool {
        let service = check.spec.service_id.as_ref().and_then(|id| self.services.get(id));
        service
            .is_some_and(|record| record.registration.checks.iter().any(|inline| inline.id == check.spec.id))
    }

    /// Takes a verdict of a check; `None` if there is no such check.
    pub(crate) fn report(&mut self, id: &CheckId, report: Report, now: Instant) -> Option<()> {
        let (settings, version) = (self.settings, self.revision + 1);
        let record = self.checks.get_mut(id)?;
        if record.take(report, settings, now) {
            record.version = version;
            self.bump();
            self.follow_aliases(now);
        }
        Some(())
    }

    /// Lets time pass: checks nobody reported for become critical.
    pub(crate) fn tick(&mut self, now: Instant) {
        let silent: Vec<CheckId> = self
            .checks
            .values()
            .filter(|record| record.silent_since().is_some_and(|at| at <= now))
            .map(|record| record.spec.id.clone())
            .collect();
        for id in silent {
            self.report(&id, Report::silence(), now);
        }
    }

    /// When [`Local::tick`] has something to do next.
    pub(crate) fn next_tick(&self) -> Option<Instant> {
        self.checks.values().filter_map(CheckRecord::silent_since).min()
    }

    /// When output that lags behind is to be told next.
    pub(crate) fn next_deferred(&self) -> Option<Instant> {
        self.checks.values().filter_map(|record| record.deferred).min()
    }

    /// Services that were critical for longer than they may be.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<InstanceId> {
        let overdue = self.checks.values().filter_map(|record| {
            let (since, after) = (record.critical_since?, record.spec.deregister_after?);
            (now - since >= after).then(|| record.spec.service_id.clone())?
        });
        overdue.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The ids of a service's checks.
    pub(crate) fn checks_of(&self, id: &InstanceId) -> impl Iterator<Item = &CheckId> {
        let of_it = move |record: &&CheckRecord| record.spec.service_id.as_ref() == Some(id);
        self.checks.values().filter(of_it).map(|record| &record.spec.id)
    }

    /// Counts changes of any record.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The ports services have, for picking one for a sidecar.
    pub(crate) fn ports(&self) -> impl Iterator<Item = (&InstanceId, u16)> {
        self.services.iter().map(|(id, record)| (id, record.registration.service.port))
    }

    /// The next version of a record.
    pub(crate) fn bump(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    fn drop_check(&mut self, id: &CheckId) {
        let version = self.bump();
        let Some(record) = self.checks.remove(id) else { return };
        self.checks_gone.insert(id.clone(), Mark::Pending);
        if let Some(service) = record.spec.service_id.as_ref().and_then(|id| self.services.get_mut(id))
            && service.forget_inline(id)
        {
            service.version = version;
        }
    }
}

#[cfg(test)]
mod tests;
