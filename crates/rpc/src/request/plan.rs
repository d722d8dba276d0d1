//! What would become of entries if they were written.

use concord_model::entry::{Entry, EntryName};
use serde::{Deserialize, Serialize};

/// What would change if these entries were written, in this order. Nothing is written.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PlanEntries {
    /// The changes, at most [`STEPS_MAX`](concord_mesh::plan::STEPS_MAX).
    pub changes: Vec<PlannedChange>,
}

/// A change of one entry.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedChange {
    /// The entry is written.
    Write(Box<Entry>),
    /// The entry is removed.
    Delete(EntryName),
}

impl PlannedChange {
    /// The entry's name.
    pub fn name(&self) -> EntryName {
        match self {
            Self::Write(entry) => entry.name(),
            Self::Delete(name) => name.clone(),
        }
    }
}
