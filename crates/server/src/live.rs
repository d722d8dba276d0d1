//! The settings of a running server that a reload changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_model::entry::Entry;
use parking_lot::Mutex;

/// Settings that may change while the server runs.
#[derive(Clone, Debug, Default)]
pub struct LiveSettings {
    /// Entries to write if no entry of that kind and name exists.
    pub entries: Arc<[Entry]>,
    /// Metadata of the node the server runs on.
    pub node_meta: BTreeMap<String, String>,
}

/// The current settings.
#[derive(Debug)]
pub(crate) struct Live(Mutex<State>);

#[derive(Debug)]
struct State {
    settings: LiveSettings,
    /// Whether the leader has not yet processed the configured entries.
    entries_wait: bool,
}

impl Live {
    pub(crate) fn new(settings: LiveSettings) -> Self {
        Self(Mutex::new(State { settings, entries_wait: true }))
    }

    pub(crate) fn replace(&self, settings: LiveSettings) {
        *self.0.lock() = State { settings, entries_wait: true };
    }

    pub(crate) fn node_meta(&self) -> BTreeMap<String, String> {
        self.0.lock().settings.node_meta.clone()
    }

    pub(crate) fn entries(&self) -> Arc<[Entry]> {
        Arc::clone(&self.0.lock().settings.entries)
    }

    pub(crate) fn entries_wait(&self) -> bool {
        self.0.lock().entries_wait
    }

    /// The leader has processed these entries. A reload may have configured others in the meantime.
    pub(crate) fn entries_stand(&self, entries: &Arc<[Entry]>) {
        let mut state = self.0.lock();
        if Arc::ptr_eq(&state.settings.entries, entries) {
            state.entries_wait = false;
        }
    }
}
