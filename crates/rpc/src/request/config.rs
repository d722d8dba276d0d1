//! Configuration entries, whatever their kind.

use concord_mesh::defaults::Question;
use concord_model::Timestamp;
use concord_model::entry::{Entry, EntryKind, EntryName};
use serde::{Deserialize, Serialize};

/// One configuration entry.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ReadEntry {
    /// Which.
    pub name: EntryName,
}

/// When an entry was accepted as it is; `None` if it does not exist.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadAcceptance {
    /// Which.
    pub name: EntryName,
}

/// When an entry was accepted as it is: when the leader proposed the change that was committed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Acceptance {
    /// The index of its last change.
    #[serde(default)]
    pub modify: u64,
    /// By the leader's clock; `None` if it is not known: servers before rule set 6 did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// What an entry does as it stands; `None` if it does not exist. Of services it tells those that the caller may see.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadEntryStatus {
    /// Which.
    pub name: EntryName,
}

/// What the configuration entries say that apply to a proxy. The protocols of its upstreams are told to whoever may
/// read the proxied service, as in Consul: its proxy cannot call them without.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadDefaults {
    /// Which proxy.
    pub question: Question,
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
