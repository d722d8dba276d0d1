//! The part of what is registered that changes concern: small enough to try them out on.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use concord_model::registration::CheckSpec;
use concord_model::{CheckId, InstanceId};

use super::{Change, CheckRecord, Local};

/// What changes name.
#[derive(Default)]
struct Named {
    services: BTreeSet<InstanceId>,
    checks: BTreeSet<CheckId>,
}

impl Local {
    /// A copy of what these changes concern: the services they name with all they are expanded from
    /// and all that is expanded from them, the checks of those, and the checks they name. What it
    /// costs depends on the changes, not on how much is registered. Whatever files the changes touch
    /// can be told from it; aliases cannot, since they may follow what is not in it.
    pub(crate) fn part(&self, changes: &[Change]) -> Self {
        let mut named = Named::default();
        changes.iter().for_each(|change| named.name(change));
        let owners = named.checks.iter().filter_map(|id| self.checks.get(id)?.spec.service_id.clone());
        named.services.extend(owners);
        // Nobody asks a part for a port.
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

    /// Services with those they are expanded from and those that are expanded from them, however far.
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
