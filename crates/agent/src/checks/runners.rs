//! The tasks that run checks.

use std::collections::HashMap;
use std::sync::Arc;

use concord_model::CheckId;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::DropGuard;

use crate::local::Plan;

/// The tasks that run checks, by check. Dropping a task ends it.
#[derive(Debug, Default)]
pub(crate) struct Runners {
    pub(super) running: Mutex<HashMap<CheckId, Runner>>,
}

#[derive(Debug)]
pub(super) struct Runner {
    pub(super) plan: Plan,
    /// Signalled when the verdict may change soon.
    pub(super) soon: Arc<Notify>,
    pub(super) _end: DropGuard,
}
