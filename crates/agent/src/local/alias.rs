//! Aliases: checks that take over the health of something else on this node.

use concord_model::catalog::{Check, CheckStatus};
use concord_model::registration::Probe;
use concord_model::{CheckId, InstanceId};
use concord_runtime::Instant;

use super::{Local, Report};
use crate::limits::ALIAS_DEPTH_MAX;

impl Local {
    /// Brings local aliases up to date. Aliases of aliases settle within a bounded number of rounds;
    /// those in a circle wait for the next change.
    pub(super) fn follow_aliases(&mut self, now: Instant) {
        for _ in 0..ALIAS_DEPTH_MAX {
            let settings = self.settings;
            let verdicts: Vec<(CheckId, Report)> = self.local_aliases().collect();
            let mut changed = false;
            for (id, report) in verdicts {
                let version = self.revision() + 1;
                let record = self.checks.get_mut(&id).expect("it was listed just now");
                if record.take(report, settings, now) {
                    record.version = version;
                    self.bump();
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn local_aliases(&self) -> impl Iterator<Item = (CheckId, Report)> {
        self.checks.values().filter_map(|record| match &record.spec.probe {
            Probe::Alias { node: None, service } => {
                Some((record.spec.id.clone(), self.alias_verdict(&record.spec.id, service.as_ref())))
            }
            Probe::Alias { node: Some(_), .. } | Probe::Ttl(_) | Probe::Tcp { .. } => None,
        })
    }

    fn alias_verdict(&self, own: &CheckId, service: Option<&InstanceId>) -> Report {
        if let Some(id) = service
            && !self.services.contains_key(id)
        {
            return Report::alias(
                CheckStatus::Critical,
                format!("Service {id} could not be found on this node"),
            );
        }
        let of_it = self.checks.values().filter(|other| other.spec.id != *own);
        let of_it = of_it.filter(|other| other.spec.service_id.as_ref() == service).map(|other| &other.check);
        alias_of(of_it)
    }
}

/// The verdict that follows from some checks: the worst of them.
pub(crate) fn alias_of<'a>(checks: impl Iterator<Item = &'a Check>) -> Report {
    let mut worst: Option<&Check> = None;
    for check in checks {
        if worst.is_none_or(|worst| check.status > worst.status) {
            worst = Some(check);
        }
    }
    match worst {
        None => Report::alias(CheckStatus::Passing, "No checks found.".to_owned()),
        Some(check) if check.status == CheckStatus::Passing => {
            Report::alias(CheckStatus::Passing, "All checks passing.".to_owned())
        }
        Some(check) => {
            Report::alias(check.status, format!("Aliased check {:?} failing: {}", check.name, check.output))
        }
    }
}
