//! Alias checks: they copy the health of a service or of the node.
//!
//! An alias of a service follows the checks of the service and those of the node, as in Consul: a service on a
//! failing node is failing. Aliases that are themselves checks of the node are not followed there, because two of
//! them could keep each other critical for ever.

use concord_model::CheckId;
use concord_model::catalog::{Check, CheckStatus};
use concord_model::registration::Probe;
use concord_runtime::Instant;

use super::{CheckRecord, Local, Report};
use crate::limits::ALIAS_DEPTH_MAX;

impl Local {
    /// Updates the local aliases of everything that has changed. Aliases of aliases settle within a limited number of
    /// rounds; aliases in a cycle wait for the next change.
    pub(super) fn follow_aliases(&mut self, now: Instant) {
        for _ in 0..ALIAS_DEPTH_MAX {
            let moved = std::mem::take(&mut self.moved);
            let mut ids = std::mem::take(&mut self.stale_aliases);
            if moved.contains(&None) && self.node_verdict_moved() {
                ids.extend(self.all_aliases().cloned());
            }
            ids.extend(moved.iter().flat_map(|about| self.aliases_of(about)).cloned());
            if ids.is_empty() {
                return;
            }
            let verdicts: Vec<(CheckId, Report)> =
                ids.into_iter().filter_map(|id| Some((id.clone(), self.alias_verdict(&id)?))).collect();
            for (id, report) in verdicts {
                self.take_report(&id, report, now);
            }
        }
    }

    /// The alias's new verdict. `None` if it is no alias of something on this node, or no longer exists.
    fn alias_verdict(&self, own: &CheckId) -> Option<Report> {
        let Probe::Alias { node: None, service } = &self.checks.get(own)?.spec.probe else { return None };
        if let Some(id) = service
            && !self.services.contains_key(id)
        {
            let text = format!("Service {id} could not be found on this node");
            return Some(Report::decided(CheckStatus::Critical, text));
        }
        // The worst check decides, and the index has it first.
        let worst = self.checks_of(service.as_ref()).find(|id| *id != own);
        let of_node = service.as_ref().and_then(|_| self.worst_of_node());
        let both = worst.and_then(|id| self.checks.get(id)).into_iter().chain(of_node);
        Some(alias_of(both.map(|record| &record.check)))
    }

    /// The worst check of the node that aliases of services follow.
    fn worst_of_node(&self) -> Option<&CheckRecord> {
        let mut of_node = self.checks_of(None).filter_map(|id| self.checks.get(id));
        of_node.find(|record| !matches!(record.spec.probe, Probe::Alias { .. }))
    }

    /// Whether the node's status has changed for aliases of services since the last call. There are many aliases, and
    /// most reports about a node change nothing for them.
    pub(super) fn node_verdict_moved(&mut self) -> bool {
        let verdict = alias_of(self.worst_of_node().map(|record| &record.check).into_iter());
        let verdict = Some((verdict.status, verdict.output));
        let moved = self.node_verdict != verdict;
        self.node_verdict = verdict;
        moved
    }
}

/// The verdict of an alias: that of the worst of these checks.
pub(crate) fn alias_of<'a>(checks: impl Iterator<Item = &'a Check>) -> Report {
    let mut worst: Option<&Check> = None;
    for check in checks {
        if worst.is_none_or(|worst| check.status > worst.status) {
            worst = Some(check);
        }
    }
    match worst {
        None => Report::decided(CheckStatus::Passing, "No checks found.".to_owned()),
        Some(check) if check.status == CheckStatus::Passing => {
            Report::decided(CheckStatus::Passing, "All checks passing.".to_owned())
        }
        Some(check) => {
            Report::decided(check.status, format!("Aliased check {:?} failing: {}", check.name, check.output))
        }
    }
}
