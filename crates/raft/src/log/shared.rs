//! What the log's readers and its writer share.

use std::sync::Arc;

use concord_runtime::Scope;
use parking_lot::{Mutex, RwLock};
use redb::Database;

use crate::engine::{LogId, Vote};
use crate::fatal::FatalSlot;
use crate::log::reserve::Reserve;
use crate::log::tail::Tail;
use crate::snapshot::Snapshots;

pub(crate) struct Shared {
    pub(super) db: RwLock<Option<Arc<Database>>>,
    pub(crate) state: Mutex<State>,
    pub(crate) fatal: Arc<FatalSlot>,
    pub(crate) reserve: Arc<Reserve>,
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) scope: Scope,
}

/// What is known without reading the disk.
#[derive(Debug)]
pub(crate) struct State {
    pub(super) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    pub(super) purged: Option<LogId>,
    pub(super) last: Option<LogId>,
    pub(crate) tail: Tail,
    pub(super) batch: u64,
}

impl Shared {
    pub(crate) fn db(&self) -> Option<Arc<Database>> {
        self.db.read().clone()
    }

    pub(crate) fn close(&self) {
        self.db.write().take();
    }
}
