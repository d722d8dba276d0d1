//! The bounds of this crate, each with its reason.

use std::time::Duration;

/// Largest command. A transaction of 64 keys of the largest value plus framing fits; more would stall heartbeats.
pub const COMMAND_BYTES_MAX: usize = 48 * 1024 * 1024;

/// Proposals under way at once before [`crate::ProposeError::Busy`]; beyond it queueing only adds latency.
pub const PROPOSALS_MAX: usize = 4096;

/// Entries per append message: enough for throughput, few enough that one message stays small.
pub const APPEND_ENTRIES_MAX: u64 = 256;

/// Bytes of entries per append message, unless a single one is larger: a heartbeat interval's worth on a slow link.
pub const APPEND_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Entries read from the disk at once when many are replayed or sent; bounds the memory they take.
pub const READ_ENTRIES_MAX: u64 = 64;

/// Bytes of entries kept in memory behind the flushed end of the log, so that followers are served without the disk.
pub const TAIL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Commands waiting for the log's writer; the engine waits when it is full.
pub const WRITER_QUEUE_MAX: usize = 1024;

/// Commands that one flush makes durable; bounds the size of one transaction.
pub const WRITER_BATCH_MAX: usize = 512;

/// Bytes of the log database's page cache; the tail in memory serves nearly all reads.
pub const LOG_CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that one flush makes durable, unless a single command brings more; what a transaction may need beyond the end
/// of the space stays within the reserve.
pub const WRITER_BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Space set aside for a full disk: four times what one transaction needs at most, for redb writes pages anew and
/// rounds large values up to the next power of two.
pub const RESERVE_BYTES: u64 = 16 * 1024 * 1024;

/// Parts in which the reserve is given back, so that votes find space when the writes under way have had theirs.
pub const RESERVE_PARTS: u64 = 4;

/// Time between two looks at whether a full disk has space again: an operator who made some does not wait.
pub const RESERVE_LOOK: Duration = Duration::from_secs(1);

/// Snapshots kept: the newest, and one to fall back to when its file has decayed.
pub const SNAPSHOTS_KEPT: usize = 2;

/// Entries since the last snapshot after which the next is taken (Consul's `raft_snapshot_threshold`).
pub const SNAPSHOT_THRESHOLD: u64 = 16_384;

/// Bytes of commands applied since the last snapshot after which the next is taken, unless that one was large: what a
/// start has to apply again stays within a fraction of a second, however large the entries are.
pub const SNAPSHOT_LOG_BYTES: u64 = 4 * 1024 * 1024;

/// Which part of a large snapshot has to be applied again before the next is taken. To apply a command takes several
/// times as long as to read its outcome; with a quarter, each byte of the log costs four of snapshots at most.
pub const SNAPSHOT_LOG_SHARE: u64 = 4;

/// Time between two looks at whether enough entries were applied for a snapshot (Consul's `raft_snapshot_interval`).
pub const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(30);

/// First delay before a snapshot that could not be written is tried again: a passing fault is over by then.
pub const SNAPSHOT_RETRY_MIN: Duration = Duration::from_secs(1);

/// Longest delay before it is tried again: an operator who made space sees it within a minute.
pub const SNAPSHOT_RETRY_MAX: Duration = Duration::from_secs(60);

/// Entries kept behind a snapshot for followers that are a little late (Consul's `raft_trailing_logs`).
pub const SNAPSHOT_TRAILING: u64 = 10_240;

/// How long a proposal may take before its outcome is reported as unknown.
pub const PROPOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a read barrier may take before the reader is told to retry.
pub const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How long sending and installing a small snapshot may take.
pub const SNAPSHOT_TIMEOUT_MIN: Duration = Duration::from_secs(10);

/// The slowest transfer of a snapshot that is waited for: 1 MiB/s, sending and installing together.
pub const SNAPSHOT_BYTES_PER_SECOND: usize = 1024 * 1024;

/// How long sending and installing any snapshot may take: a large one over a slow link.
pub const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a membership change may take; its learner must replicate first.
pub const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long shutdown waits for the log's last flush before leaving the writer behind.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a requested snapshot is awaited before it is requested again, in case another one was under way.
pub const SNAPSHOT_RETRIGGER: Duration = Duration::from_millis(500);
