//! The servers themselves: the leader and the voters.

use serde::{Deserialize, Serialize};

/// The leader and the voters.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadStatus {}

/// The answer to [`ReadStatus`].
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServerStatus {
    /// Address of the leader; empty if there is none.
    pub leader: String,
    /// Addresses of all voters.
    pub peers: Vec<String>,
    /// The current term.
    pub term: u64,
    /// Index of the last committed entry.
    pub commit_index: u64,
    /// Index of the last applied entry.
    pub applied_index: u64,
    /// Index of the last entry in the log.
    pub last_log_index: u64,
    /// Term of that entry, as far as it is known.
    pub last_log_term: u64,
    /// Whether this server leads.
    pub is_leader: bool,
    /// Index of the last entry in the newest snapshot; 0 if there is none.
    #[serde(default)]
    pub snapshot_index: u64,
    /// Why this server accepts no writes, if so.
    #[serde(default)]
    pub read_only: Option<String>,
    /// Why this server cannot write a snapshot, if the last attempt failed.
    #[serde(default)]
    pub snapshot_failure: Option<String>,
}
