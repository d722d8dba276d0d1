//! The tasks that make checks.

use std::collections::HashMap;
use std::sync::Arc;

use concord_model::CheckId;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::DropGuard;

use crate::local::Plan;

/// The tasks that make checks, by check. Dropping one ends it.
#[derive(Debug, Default)]
pub(crate) struct Runners {
    pub(super) running: Mutex<HashMap<CheckId, Runner>>,
}

#[derive(Debug)]
pub(super) struct Runner {
    pub(super) plan: Plan,
    /// Rung when its verdict may be about to change.
    pub(super) soon: Arc<Notify>,
    pub(super) _end: DropGuard,
}
