//! The settings of a node.

use std::sync::Arc;
use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

use crate::engine::NodeId;
use crate::error::StartError;
use crate::limits::{
    APPEND_ENTRIES_MAX, CHANGE_TIMEOUT, PROPOSALS_MAX, PROPOSE_TIMEOUT, READ_TIMEOUT, RESERVE_BYTES,
    SNAPSHOT_INTERVAL, SNAPSHOT_LOG_BYTES, SNAPSHOT_THRESHOLD, SNAPSHOT_TIMEOUT, SNAPSHOT_TRAILING,
};

/// The settings of a node. Only the snapshot plan may change while the node runs.
#[derive(Clone, Debug)]
pub struct RaftConfig {
    /// This server's number; see [`crate::Node::number`].
    pub id: NodeId,
    /// The cluster's name, usually the datacenter. Messages of another cluster are refused.
    pub cluster: String,
    /// Heartbeats and elections.
    pub timings: Timings,
    /// Entries since the last snapshot after which the next check takes a new one.
    pub snapshot_threshold: u64,
    /// Time between two such checks; up to the same time is added at random.
    pub snapshot_interval: Duration,
    /// Bytes of commands since the last snapshot after which a new one is taken at once.
    pub snapshot_log_bytes: u64,
    /// Entries kept in the log before the last snapshot.
    pub snapshot_trailing: u64,
    /// How long a proposal may take before its outcome is reported as unknown.
    pub propose_timeout: Duration,
    /// How long a read barrier may take.
    pub read_timeout: Duration,
    /// How long a membership change may take.
    pub change_timeout: Duration,
    /// Proposals that may run at the same time.
    pub proposals_max: usize,
    /// Disk space reserved for the case of a full disk.
    pub reserve_bytes: u64,
    /// Write the log on the calling task instead of a thread. For deterministic tests, where the disk is in memory.
    pub inline_writes: bool,
    /// With `inline_writes`: how long each flush takes, in simulated time.
    pub flush_delay: Duration,
}

/// Heartbeats and elections. A follower considers the leader lost after `election_max`; then it waits for a further
/// time of its own from `election_min..election_max`. So a dead leader is replaced within twice `election_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// Time between two heartbeats.
    pub heartbeat: Duration,
    /// Shortest wait before becoming a candidate.
    pub election_min: Duration,
    /// Longest wait before becoming a candidate, and the time after which a silent leader counts as lost.
    pub election_max: Duration,
    /// How long a leader answers reads after a majority has confirmed it; at most `election_min`. The difference to
    /// `election_max` is the clock error that is tolerated.
    pub lease: Duration,
}

impl RaftConfig {
    /// The defaults for a server with the given number.
    #[must_use]
    pub fn new(id: NodeId, cluster: &str) -> Self {
        Self {
            id,
            cluster: cluster.to_owned(),
            timings: Timings::default(),
            snapshot_threshold: SNAPSHOT_THRESHOLD,
            snapshot_interval: SNAPSHOT_INTERVAL,
            snapshot_log_bytes: SNAPSHOT_LOG_BYTES,
            snapshot_trailing: SNAPSHOT_TRAILING,
            propose_timeout: PROPOSE_TIMEOUT,
            read_timeout: READ_TIMEOUT,
            change_timeout: CHANGE_TIMEOUT,
            proposals_max: PROPOSALS_MAX,
            reserve_bytes: RESERVE_BYTES,
            inline_writes: false,
            flush_delay: Duration::ZERO,
        }
    }

    pub(crate) fn engine(&self) -> Result<Arc<Config>, StartError> {
        if self.timings.lease > self.timings.election_min {
            let Timings { lease, election_min, .. } = self.timings;
            let reason =
                format!("a lease of {lease:?} outlives the shortest election timeout, {election_min:?}");
            return Err(StartError::Config { reason });
        }
        let config = Config {
            cluster_name: self.cluster.clone(),
            heartbeat_interval: millis(self.timings.heartbeat),
            election_timeout_min: millis(self.timings.election_min),
            election_timeout_max: millis(self.timings.election_max),
            install_snapshot_timeout: millis(SNAPSHOT_TIMEOUT),
            max_payload_entries: APPEND_ENTRIES_MAX,
            replication_lag_threshold: self.snapshot_threshold.saturating_mul(2),
            // `snapshot::keeper` decides when to take snapshots. The engine's own policy would retry after each
            // entry.
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: self.snapshot_trailing,
            enable_pre_vote: Some(true),
            // A restarted leader must win an election again. Its state may lag behind what it had committed, because
            // the commit index is written lazily.
            enable_leader_restore: Some(false),
            ..Config::default()
        };
        let config = config.validate().map_err(|error| StartError::Config { reason: error.to_string() })?;
        Ok(Arc::new(config))
    }
}

impl Timings {
    /// The timings for Consul's `raft_multiplier`: 1 is for production, 5 is the default, for small machines. The
    /// multiplier is limited to 1 to 10.
    #[must_use]
    pub fn scaled(multiplier: u32) -> Self {
        let scale = multiplier.clamp(1, 10);
        Self {
            heartbeat: Duration::from_millis(100) * scale,
            election_min: Duration::from_millis(400) * scale,
            election_max: Duration::from_millis(700) * scale,
            lease: Duration::from_millis(300) * scale,
        }
    }
}

impl Default for Timings {
    fn default() -> Self {
        Self::scaled(5)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
