//! The indexes over what is registered, kept in one place: every record is added, changed and
//! removed here, and nobody has to look at all of them to find those he wants.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use concord_model::catalog::CheckStatus;
use concord_model::registration::Probe;
use concord_model::{CheckId, InstanceId};
use concord_runtime::Instant;

use super::ports::Ports;
use super::{CheckRecord, Local, Mark, ServiceRecord};

/// What a check is about: a service of this node, or the node itself.
type About = Option<InstanceId>;

/// Checks of one thing with one token of their own: they are told together.
type Group = (About, Option<[u8; 32]>);

/// Where to find records without looking at all of them.
#[derive(Debug)]
pub(super) struct Index {
    /// Checks by what they are about, the worst first.
    of: BTreeMap<About, BTreeSet<(Reverse<CheckStatus>, CheckId)>>,
    /// Aliases by what they follow.
    aliases: BTreeMap<About, BTreeSet<CheckId>>,
    /// Checks that can be told now.
    ready: BTreeMap<Group, BTreeSet<CheckId>>,
    /// Checks whose output is told later, by when.
    deferred: BTreeSet<(Instant, CheckId)>,
    /// Checks that become critical unless somebody reports, by when.
    silent: BTreeSet<(Instant, CheckId)>,
    /// Services to tell.
    pending: BTreeSet<InstanceId>,
    /// Sidecars by the service they were expanded from.
    sidecars: BTreeMap<InstanceId, BTreeSet<InstanceId>>,
    ports: Ports,
}

/// Where a check stands in the indexes.
#[derive(Eq, PartialEq)]
struct Places {
    about: About,
    status: CheckStatus,
    alias_of: Option<About>,
    ready: Option<Group>,
    deferred: Option<Instant>,
    silent: Option<Instant>,
}

impl Index {
    pub(super) fn new(sidecar_ports: RangeInclusive<u16>) -> Self {
        Self {
            of: BTreeMap::new(),
            aliases: BTreeMap::new(),
            ready: BTreeMap::new(),
            deferred: BTreeSet::new(),
            silent: BTreeSet::new(),
            pending: BTreeSet::new(),
            sidecars: BTreeMap::new(),
            ports: Ports::new(sidecar_ports),
        }
    }

    fn enter(&mut self, id: &CheckId, places: Places) {
        let Places { about, status, alias_of, ready, deferred, silent } = places;
        self.of.entry(about).or_default().insert((Reverse(status), id.clone()));
        if let Some(target) = alias_of {
            self.aliases.entry(target).or_default().insert(id.clone());
        }
        if let Some(group) = ready {
            self.ready.entry(group).or_default().insert(id.clone());
        }
        self.deferred.extend(deferred.map(|at| (at, id.clone())));
        self.silent.extend(silent.map(|at| (at, id.clone())));
    }

    fn leave(&mut self, id: &CheckId, places: &Places) {
        let Places { about, status, alias_of, ready, deferred, silent } = places;
        take_from(&mut self.of, about, &(Reverse(*status), id.clone()));
        if let Some(target) = alias_of {
            take_from(&mut self.aliases, target, id);
        }
        if let Some(group) = ready {
            take_from(&mut self.ready, group, id);
        }
        if let Some(at) = deferred {
            self.deferred.remove(&(*at, id.clone()));
        }
        if let Some(at) = silent {
            self.silent.remove(&(*at, id.clone()));
        }
    }
}

fn take_from<K: Ord, V: Ord>(sets: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    let Some(set) = sets.get_mut(key) else { return };
    set.remove(value);
    if set.is_empty() {
        sets.remove(key);
    }
}

impl Places {
    /// While the catalog does not have the service it would refuse the check: it is held back.
    fn of(record: &CheckRecord, held: bool) -> Self {
        let alias_of = if let Probe::Alias { node: None, service } = &record.spec.probe {
            Some(service.clone())
        } else {
            None
        };
        let about = record.spec.service_id.clone();
        let ready = !held && record.mark == Mark::Pending;
        Self {
            status: record.check.status,
            alias_of,
            ready: ready.then(|| (about.clone(), record.token_digest)),
            deferred: record.deferred.filter(|_| !held),
            silent: record.silent_since(),
            about,
        }
    }
}

impl Local {
    /// Adds a check, or replaces it.
    pub(super) fn put_check(&mut self, record: CheckRecord) {
        self.take_check(&record.spec.id);
        let id = record.spec.id.clone();
        let places = Places::of(&record, self.holds(record.spec.service_id.as_ref()));
        if places.alias_of.is_some() {
            self.stale_aliases.insert(id.clone());
        }
        self.moved.insert(places.about.clone());
        self.index.enter(&id, places);
        self.rerun.insert(id.clone());
        self.checks.insert(id, record);
    }

    /// Removes a check.
    pub(super) fn take_check(&mut self, id: &CheckId) -> Option<CheckRecord> {
        let record = self.checks.remove(id)?;
        let places = Places::of(&record, self.holds(record.spec.service_id.as_ref()));
        self.index.leave(id, &places);
        self.moved.insert(places.about);
        self.rerun.insert(id.clone());
        if record.is_told() {
            self.unsaved.insert(id.clone());
        }
        Some(record)
    }

    /// Changes a check, but not what it is.
    pub(crate) fn edit_check<T>(
        &mut self,
        id: &CheckId,
        edit: impl FnOnce(&mut CheckRecord) -> T,
    ) -> Option<T> {
        let held = self.holds(self.checks.get(id)?.spec.service_id.as_ref());
        let record = self.checks.get_mut(id)?;
        let before = Places::of(record, held);
        let result = edit(record);
        let after = Places::of(record, held);
        if before != after {
            if before.status != after.status {
                self.moved.insert(after.about.clone());
            }
            self.index.leave(id, &before);
            self.index.enter(id, after);
        }
        Some(result)
    }

    /// Adds a service, or replaces it.
    pub(super) fn put_service(&mut self, record: ServiceRecord) {
        let id = record.id().clone();
        let held = self.holds(Some(&id));
        self.forget_service(&id);
        if record.mark == Mark::Pending {
            self.index.pending.insert(id.clone());
        }
        if let Some(parent) = record.registration.sidecar_of.clone() {
            self.index.sidecars.entry(parent).or_default().insert(id.clone());
        }
        self.index.ports.set(id.clone(), record.registration.service.port);
        self.services.insert(id.clone(), record);
        self.moved.insert(Some(id.clone()));
        self.hold(&id, held);
    }

    /// Removes a service, and nothing with it.
    pub(super) fn take_service(&mut self, id: &InstanceId) -> Option<ServiceRecord> {
        let held = self.holds(Some(id));
        let record = self.forget_service(id)?;
        self.moved.insert(Some(id.clone()));
        self.hold(id, held);
        Some(record)
    }

    /// Changes a service, but neither its port nor what it is a sidecar of.
    pub(crate) fn edit_service<T>(
        &mut self,
        id: &InstanceId,
        edit: impl FnOnce(&mut ServiceRecord) -> T,
    ) -> Option<T> {
        let held = self.holds(Some(id));
        let record = self.services.get_mut(id)?;
        let result = edit(record);
        if record.mark == Mark::Pending {
            self.index.pending.insert(id.clone());
        } else {
            self.index.pending.remove(id);
        }
        self.hold(id, held);
        Some(result)
    }

    /// The ids of a service's checks, or of the node's, the worst first.
    pub(crate) fn checks_of(&self, about: Option<&InstanceId>) -> impl Iterator<Item = &CheckId> {
        self.index.of.get(&about.cloned()).into_iter().flatten().map(|(_, id)| id)
    }

    /// The ids of a service's sidecars.
    pub(crate) fn sidecars(&self, id: &InstanceId) -> impl Iterator<Item = &InstanceId> {
        self.index.sidecars.get(id).into_iter().flatten()
    }

    /// Aliases that follow a service, or the node.
    pub(super) fn aliases_of(&self, about: &About) -> impl Iterator<Item = &CheckId> {
        self.index.aliases.get(about).into_iter().flatten()
    }

    /// Aliases of anything on this node.
    pub(super) fn all_aliases(&self) -> impl Iterator<Item = &CheckId> {
        self.index.aliases.values().flatten()
    }

    /// The first service to tell.
    pub(crate) fn next_service(&self) -> Option<&ServiceRecord> {
        self.index.pending.first().and_then(|id| self.services.get(id))
    }

    /// Checks to tell together: of one service, or of the node, and with the same token.
    pub(crate) fn next_checks(&self) -> Option<impl Iterator<Item = &CheckRecord>> {
        let (_, ids) = self.index.ready.first_key_value()?;
        Some(ids.iter().filter_map(|id| self.checks.get(id)))
    }

    /// Output that lagged behind long enough is to be told.
    pub(crate) fn end_deferral(&mut self, now: Instant) {
        while let Some((_, id)) = self.index.deferred.first().filter(|(at, _)| *at <= now).cloned() {
            self.edit_check(&id, |record| {
                record.mark = Mark::Pending;
                record.deferred = None;
            });
        }
    }

    /// When output that lags behind is to be told next.
    pub(crate) fn next_deferred(&self) -> Option<Instant> {
        self.index.deferred.first().map(|(at, _)| *at)
    }

    /// The check that is to become critical first, and when.
    pub(super) fn next_silent(&self) -> Option<&(Instant, CheckId)> {
        self.index.silent.first()
    }

    /// Who has which port.
    pub(crate) fn ports(&self) -> &Ports {
        &self.index.ports
    }

    /// Whether the catalog lacks the service that checks are about.
    fn holds(&self, about: Option<&InstanceId>) -> bool {
        about.and_then(|id| self.services.get(id)).is_some_and(|service| service.mark != Mark::Synced)
    }

    /// A service's checks stand elsewhere if it is held back now and was not, or the other way round.
    fn hold(&mut self, id: &InstanceId, before: bool) {
        let after = self.holds(Some(id));
        if before == after {
            return;
        }
        for check in self.checks_of(Some(id)).cloned().collect::<Vec<_>>() {
            let Some(record) = self.checks.get(&check) else { continue };
            let (old, new) = (Places::of(record, before), Places::of(record, after));
            self.index.leave(&check, &old);
            self.index.enter(&check, new);
        }
    }

    fn forget_service(&mut self, id: &InstanceId) -> Option<ServiceRecord> {
        let record = self.services.remove(id)?;
        self.index.pending.remove(id);
        self.index.ports.remove(id);
        if let Some(parent) = &record.registration.sidecar_of {
            take_from(&mut self.index.sidecars, parent, id);
        }
        Some(record)
    }
}
