//! Copies the part of the registrations that some changes concern; it is small enough to try the changes on.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use concord_model::registration::CheckSpec;
use concord_model::{CheckId, InstanceId};

use super::{Change, CheckRecord, Local};

/// The ids that changes name.
#[derive(Default)]
struct Named {
    services: BTreeSet<InstanceId>,
    checks: BTreeSet<CheckId>,
}

impl Local {
    /// A copy of what these changes concern: the services that they name, the services and sidecars related to those,
    /// all their checks, and the checks that the changes name. Its cost depends on the changes, not on the number of
    /// registrations. The copy is enough to find the files that the changes affect. It is not enough for aliases,
    /// which may follow records outside it.
    pub(crate) fn part(&self, changes: &[Change]) -> Self {
        let mut named = Named::default();
        changes.iter().for_each(|change| named.name(change));
        let owners = named.checks.iter().filter_map(|id| self.checks.get(id)?.spec.service_id.clone());
        named.services.extend(owners);
        // An empty range: the copy assigns no ports.
        let mut part = Self::new(self.settings, RangeInclusive::new(1, 0));
        part.revision = self.revision;
        for id in self.relatives(named.services) {
            named.checks.extend(self.checks_of(Some(&id)).cloned());
            if let Some(record) = self.services.get(&id) {
                part.put_service(record.clone());
            }
        }
        let checks = named.checks.iter().filter_map(|id| self.checks.get(id));
        checks.cloned().for_each(|record: CheckRecord| part.put_check(record));
        part
    }

    /// Services with everything that is their sidecar or whose sidecar they are, over any number of steps.
    fn relatives(&self, services: BTreeSet<InstanceId>) -> BTreeSet<InstanceId> {
        let mut open: Vec<InstanceId> = services.into_iter().collect();
        let mut found = BTreeSet::new();
        while let Some(id) = open.pop() {
            open.extend(self.sidecars(&id).filter(|sidecar| !found.contains(*sidecar)).cloned());
            let parent = self.services.get(&id).and_then(|record| record.registration.sidecar_of.clone());
            open.extend(parent.filter(|parent| !found.contains(parent)));
            found.insert(id);
        }
        found
    }
}

impl Named {
    fn name(&mut self, change: &Change) {
        match change {
            Change::SetService { registration, source: _, replace_checks: _ } => {
                self.services.insert(registration.service.id.clone());
                self.services.extend(registration.sidecar_of.clone());
                registration.checks.iter().for_each(|spec| self.name_check(spec));
            }
            Change::SetCheck { spec, source: _ } => self.name_check(spec),
            Change::RemoveService(id) => {
                self.services.insert(id.clone());
            }
            Change::RemoveCheck(id) => {
                self.checks.insert(id.clone());
            }
        }
    }

    fn name_check(&mut self, spec: &CheckSpec) {
        self.services.extend(spec.service_id.clone());
        self.checks.insert(spec.id.clone());
    }
}
