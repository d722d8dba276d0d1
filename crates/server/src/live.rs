//! What a running server is told anew by a reload.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_model::entry::Entry;
use parking_lot::Mutex;

/// Settings that may change while the server runs.
#[derive(Clone, Debug, Default)]
pub struct LiveSettings {
    /// Entries written where there is none of that kind and name.
    pub entries: Arc<[Entry]>,
    /// Metadata of the node the server runs on.
    pub node_meta: BTreeMap<String, String>,
}

/// Those in force.
#[derive(Debug)]
pub(crate) struct Live(Mutex<State>);

#[derive(Debug)]
struct State {
    settings: LiveSettings,
    /// Whether no leader has looked at the entries since they were told.
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

    /// These entries have been looked at; others may have been told meanwhile.
    pub(crate) fn entries_stand(&self, entries: &Arc<[Entry]>) {
        let mut state = self.0.lock();
        if Arc::ptr_eq(&state.settings.entries, entries) {
            state.entries_wait = false;
        }
    }
}
