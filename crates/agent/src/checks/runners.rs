//! The tasks that run checks.

use std::collections::HashMap;
use std::sync::Arc;

use concord_model::catalog::CheckStatus;
use concord_model::registration::Probe;
use concord_model::{CheckId, InstanceId};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::DropGuard;

use crate::local::{LocalView, Plan};

/// The tasks that run checks, by check. Dropping a task ends it.
#[derive(Debug, Default)]
pub(crate) struct Runners {
    pub(super) running: Mutex<HashMap<CheckId, Runner>>,
}

impl Runners {
    /// Runs the failing checks that test whether an instance listens, now and a few times more: the instance is about
    /// to come up. Otherwise a proxy that already listens would be used only after the interval of its check.
    pub(crate) fn expect_up(&self, local: &LocalView, instance: &InstanceId) {
        let failing: Vec<CheckId> = local.look(|local| {
            let of_it =
                local.checks.values().filter(|record| record.spec.service_id.as_ref() == Some(instance));
            let listens = |probe: &Probe| matches!(probe, Probe::Tcp { .. });
            let failing = of_it
                .filter(|record| listens(&record.spec.probe) && record.check.status != CheckStatus::Passing);
            failing.map(|record| record.spec.id.clone()).collect()
        });
        let running = self.running.lock();
        failing.iter().filter_map(|id| running.get(id)).for_each(|runner| runner.soon.notify_one());
    }
}

#[derive(Debug)]
pub(super) struct Runner {
    pub(super) plan: Plan,
    /// Signalled when the verdict may change soon.
    pub(super) soon: Arc<Notify>,
    pub(super) _end: DropGuard,
}
