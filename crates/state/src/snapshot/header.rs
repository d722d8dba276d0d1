//! What a snapshot says of itself, and why one is refused.

use concord_model::{Timestamp, Uuid};
use serde::{Deserialize, Serialize};

use crate::envelope::RULE_SET;
use crate::limits::RECORD_BYTES_MAX;

/// The newest form of snapshots this version reads, and the one it writes. In 1 an entry held its sources;
/// in 2 they follow it, each a record of its own; in 3 what a provider of the certificate authority keeps names its kind.
pub const SNAPSHOT_FORMAT: u32 = 3;

/// What a snapshot is of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SnapshotHeader {
    /// Form of the encoding.
    pub format: u32,
    /// Rules in force.
    pub rule_set: u32,
    /// Identity of the cluster, if it had one.
    #[serde(default)]
    pub cluster: Option<Uuid>,
    /// Index of the last entry of the log that is in it.
    pub index: u64,
    /// Term of that entry.
    pub term: u64,
    /// The leader's clock as of that entry.
    pub at: Timestamp,
}

/// Why a snapshot cannot be written or used. The state is as it was before.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SnapshotError {
    /// It does not begin as one.
    #[error("this is not a snapshot")]
    NoSnapshot,
    /// It is shorter than it says, or its checksum does not fit.
    #[error("the snapshot is damaged: its checksum does not fit; use another copy")]
    Damaged,
    /// Written in a newer form.
    #[error(
        "the snapshot is in format {found}, this version reads up to {SNAPSHOT_FORMAT}; upgrade this server first"
    )]
    NewerFormat {
        /// The form.
        found: u32,
    },
    /// Its commands were applied by newer rules.
    #[error(
        "the snapshot needs rule set {found}, this version knows up to {RULE_SET}; upgrade this server first"
    )]
    NewerRules {
        /// The rules.
        found: u32,
    },
    /// A record that cannot be read, under a checksum that fits.
    #[error("record {number} of the snapshot cannot be read: {reason}")]
    Record {
        /// Its number, from 0.
        number: u64,
        /// What the decoder said.
        reason: String,
    },
    /// Records that contradict each other, under a checksum that fits.
    #[error("record {number} of the snapshot does not fit those before it")]
    Contradiction {
        /// Its number, from 0.
        number: u64,
    },
    /// A record is larger than a snapshot may hold.
    #[error("a record of {bytes} bytes does not fit a snapshot; at most {RECORD_BYTES_MAX} do")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A record has no encoding.
    #[error("a record cannot be encoded: {reason}")]
    Unencodable {
        /// What the encoder said.
        reason: String,
    },
}
