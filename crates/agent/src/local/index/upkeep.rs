//! Changes records and indexes together.

use concord_model::{CheckId, InstanceId};
use concord_runtime::Instant;

use super::{About, Places, take_from};
use crate::local::Local;
use crate::local::check::CheckRecord;
use crate::local::mark::Mark;
use crate::local::ports::Ports;
use crate::local::service::ServiceRecord;

impl Local {
    /// Adds a check, or replaces it.
    pub(in crate::local) fn put_check(&mut self, record: CheckRecord) {
        self.take_check(&record.spec.id);
        let id = record.spec.id.clone();
        let places = Places::of(&record, self.holds(record.spec.service_id.as_ref()));
        if places.alias_of.is_some() {
            self.stale_aliases.insert(id.clone());
        }
        self.moved.insert(places.about.clone());
        self.index.enter(&id, places);
        self.rerun.insert(id.clone());
        self.exposed.look_at(record.spec.service_id.as_ref());
        self.checks.insert(id, record);
    }

    /// Removes a check.
    pub(in crate::local) fn take_check(&mut self, id: &CheckId) -> Option<CheckRecord> {
        let record = self.checks.remove(id)?;
        let places = Places::of(&record, self.holds(record.spec.service_id.as_ref()));
        self.index.leave(id, &places);
        self.exposed.look_at(places.about.as_ref());
        self.moved.insert(places.about);
        self.rerun.insert(id.clone());
        if record.is_told() {
            self.unsaved.insert(id.clone());
        }
        Some(record)
    }

    /// Changes a check, but neither its id nor its definition.
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
    pub(in crate::local) fn put_service(&mut self, record: ServiceRecord) {
        let id = record.id().clone();
        let held = self.holds(Some(&id));
        self.forget_service(&id);
        if record.is_to_be_sent() {
            self.index.pending.insert(id.clone());
        }
        if self.use_entries {
            self.unmerged.insert(id.clone());
        }
        if let Some(parent) = record.registration.sidecar_of.clone() {
            self.index.sidecars.entry(parent).or_default().insert(id.clone());
        }
        self.index.ports.set(id.clone(), record.registration.service.port);
        self.services.insert(id.clone(), record);
        self.look_at_proxy(&id);
        self.moved.insert(Some(id.clone()));
        self.hold(&id, held);
    }

    /// Removes a service, but not its checks or sidecars.
    pub(in crate::local) fn take_service(&mut self, id: &InstanceId) -> Option<ServiceRecord> {
        let held = self.holds(Some(id));
        let record = self.forget_service(id)?;
        self.look_at_proxy(id);
        if self.use_entries {
            self.unmerged.insert(id.clone());
        }
        self.moved.insert(Some(id.clone()));
        self.hold(id, held);
        Some(record)
    }

    /// Changes a service, but neither its port nor the service of which it is a sidecar.
    pub(crate) fn edit_service<T>(
        &mut self,
        id: &InstanceId,
        edit: impl FnOnce(&mut ServiceRecord) -> T,
    ) -> Option<T> {
        let held = self.holds(Some(id));
        let record = self.services.get_mut(id)?;
        let result = edit(record);
        if record.is_to_be_sent() {
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
    pub(in crate::local) fn aliases_of(&self, about: &About) -> impl Iterator<Item = &CheckId> {
        self.index.aliases.get(about).into_iter().flatten()
    }

    /// Aliases of anything on this node.
    pub(in crate::local) fn all_aliases(&self) -> impl Iterator<Item = &CheckId> {
        self.index.aliases.values().flatten()
    }

    /// The next service to send to the catalog.
    pub(crate) fn next_service(&self) -> Option<&ServiceRecord> {
        self.index.pending.first().and_then(|id| self.services.get(id))
    }

    /// Checks to send together: they belong to the same service (or the node) and use the same token.
    pub(crate) fn next_checks(&self) -> Option<impl Iterator<Item = &CheckRecord>> {
        let (_, ids) = self.index.ready.first_key_value()?;
        Some(ids.iter().filter_map(|id| self.checks.get(id)))
    }

    /// Marks the delayed changes of output whose time has come as ready to send.
    pub(crate) fn end_deferral(&mut self, now: Instant) {
        while let Some((_, id)) = self.index.deferred.first().filter(|(at, _)| *at <= now).cloned() {
            self.edit_check(&id, |record| {
                record.mark = Mark::Pending;
                record.deferred = None;
            });
        }
    }

    /// When the next delayed change of output has to be sent.
    pub(crate) fn next_deferred(&self) -> Option<Instant> {
        self.index.deferred.first().map(|(at, _)| *at)
    }

    /// The check that becomes critical next without a report, and when.
    pub(in crate::local) fn next_silent(&self) -> Option<&(Instant, CheckId)> {
        self.index.silent.first()
    }

    /// The ports in use.
    pub(crate) fn ports(&self) -> &Ports {
        &self.index.ports
    }

    /// Whether checks of this service are held back because the catalog lacks the service.
    fn holds(&self, about: Option<&InstanceId>) -> bool {
        about.and_then(|id| self.services.get(id)).is_some_and(|service| service.mark != Mark::Synced)
    }

    /// Moves a service's checks in the indexes, if they are held back now and were not before, or the reverse.
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
