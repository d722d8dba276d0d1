//! Configuration entries, whatever their kind.

use concord_model::entry::{Entry, EntryKind, EntryName};
use serde::{Deserialize, Serialize};

/// One configuration entry.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadEntry {
    /// Which.
    pub name: EntryName,
}

/// All configuration entries of a kind that the caller may see.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ListEntries {
    /// The kind.
    pub kind: EntryKind,
}

/// Writes a configuration entry.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ApplyEntry {
    /// The entry.
    pub entry: Entry,
    /// Only if it last changed at this index (0: does not exist).
    #[serde(default)]
    pub cas: Option<u64>,
}

/// Removes a configuration entry.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeleteEntry {
    /// Which.
    pub name: EntryName,
    /// Only if it last changed at this index.
    #[serde(default)]
    pub cas: Option<u64>,
}
