//! The header of a snapshot, and the reasons to refuse one.

use concord_model::{Timestamp, Uuid};
use serde::{Deserialize, Serialize};

use crate::envelope::RULE_SET;
use crate::limits::RECORD_BYTES_MAX;

/// The newest snapshot format that this version reads; it writes this one. In format 1 an entry contained its
/// sources; since 2 each source is a record after its entry; since 3 the data of a CA provider names its kind.
pub const SNAPSHOT_FORMAT: u32 = 3;

/// The description of a snapshot.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SnapshotHeader {
    /// Format of the encoding.
    pub format: u32,
    /// The rule set in force.
    pub rule_set: u32,
    /// The cluster id, if there was one.
    #[serde(default)]
    pub cluster: Option<Uuid>,
    /// Index of the last log entry that it contains.
    pub index: u64,
    /// Term of that entry.
    pub term: u64,
    /// The leader's clock at that entry.
    pub at: Timestamp,
}

/// Why a snapshot cannot be written or used. The state is unchanged.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SnapshotError {
    /// It does not begin like a snapshot.
    #[error("this is not a snapshot")]
    NoSnapshot,
    /// It is shorter than it should be, or its checksum is wrong.
    #[error("the snapshot is damaged: its checksum does not fit; use another copy")]
    Damaged,
    /// Written in a newer format.
    #[error(
        "the snapshot is in format {found}, this version reads up to {SNAPSHOT_FORMAT}; upgrade this server first"
    )]
    NewerFormat {
        /// The format.
        found: u32,
    },
    /// Its commands were applied with a newer rule set.
    #[error(
        "the snapshot needs rule set {found}, this version knows up to {RULE_SET}; upgrade this server first"
    )]
    NewerRules {
        /// The rule set.
        found: u32,
    },
    /// A record cannot be decoded although the checksum is right, so it is probably of a newer version.
    #[error(
        "record {number} of the snapshot cannot be read: {reason}; if a newer version wrote it, upgrade this server first"
    )]
    Record {
        /// Its number, from 0.
        number: u64,
        /// The error of the decoder.
        reason: String,
    },
    /// Records contradict each other although the checksum is right.
    #[error("record {number} of the snapshot does not fit those before it")]
    Contradiction {
        /// Its number, from 0.
        number: u64,
    },
    /// A record is larger than the limit.
    #[error("a record of {bytes} bytes does not fit a snapshot; at most {RECORD_BYTES_MAX} do")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A record cannot be encoded.
    #[error("a record cannot be encoded: {reason}")]
    Unencodable {
        /// The error of the encoder.
        reason: String,
    },
}
