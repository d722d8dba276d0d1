//! The state as the log's state machine: applies commands, publishes the new view, wakes waiting queries.

use std::sync::Arc;

use arc_swap::ArcSwap;
use concord_raft::{ApplyHalt, RestoreError, SnapshotJob, StateMachine};
use concord_state::{CommandReply, Halt, Store, View};
use tracing::info;

use crate::hub::Hub;

/// What readers use: the newest view, and the hub that signals changes.
#[derive(Debug)]
pub(crate) struct Published {
    view: ArcSwap<View>,
    pub(crate) hub: Arc<Hub>,
}

impl Published {
    pub(crate) fn new(view: View) -> Arc<Self> {
        Arc::new(Self { view: ArcSwap::from_pointee(view), hub: Arc::default() })
    }

    /// The newest view.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }
}

/// Owns the store. Only the log calls it.
#[derive(Debug)]
pub(crate) struct Machine {
    store: Store,
    term: u64,
    published: Arc<Published>,
}

impl Machine {
    pub(crate) fn new() -> (Self, Arc<Published>) {
        let store = Store::new();
        let published = Published::new(store.view());
        (Self { store, term: 0, published: Arc::clone(&published) }, published)
    }

    fn publish(&self) {
        self.published.view.store(Arc::new(self.store.view()));
    }
}

impl StateMachine for Machine {
    type Reply = CommandReply;

    fn apply(&mut self, index: u64, term: u64, command: &[u8]) -> Result<CommandReply, ApplyHalt> {
        let applied = self.store.apply(index, command).map_err(|halt| halted(&halt))?;
        self.term = term;
        // Publish before waking: a woken query must find the change that woke it.
        self.publish();
        self.published.hub.wake(&applied.changes);
        Ok(applied.reply)
    }

    fn begin_snapshot(&self) -> SnapshotJob {
        let (view, term) = (self.store.view(), self.term);
        Box::new(move || view.snapshot(term).map_err(|error| format!("writing out the state: {error}")))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        let header =
            self.store.restore(snapshot).map_err(|error| RestoreError { reason: error.to_string() })?;
        self.publish();
        self.published.hub.wake_all();
        info!(index = header.index, "state restored from a snapshot");
        Ok(())
    }
}

fn halted(halt: &Halt) -> ApplyHalt {
    ApplyHalt {
        reason: halt.to_string(),
        remedy: "start the version of concord that wrote it, or a newer one".to_owned(),
    }
}
