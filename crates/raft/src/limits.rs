//! The limits of this crate, each with its reason.

use std::time::Duration;

/// Largest command. A transaction of 64 keys with the largest values fits; a larger one would delay heartbeats.
pub const COMMAND_BYTES_MAX: usize = 48 * 1024 * 1024;

/// Concurrent proposals before [`crate::ProposeError::Busy`]; beyond this, queueing only adds latency.
pub const PROPOSALS_MAX: usize = 4096;

/// Entries per append message: many enough for throughput, few enough for a small message.
pub const APPEND_ENTRIES_MAX: u64 = 256;

/// Bytes of entries per append message, unless a single one is larger: what a slow link carries in a heartbeat
/// interval.
pub const APPEND_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Entries read from disk at a time when many are replayed or sent; limits the memory for them.
pub const READ_ENTRIES_MAX: u64 = 64;

/// Bytes of flushed entries kept in memory at the end of the log, so that followers are served without reading the
/// disk.
pub const TAIL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Commands that wait for the log's writer. The engine waits if the queue is full.
pub const WRITER_QUEUE_MAX: usize = 1024;

/// Commands that one flush makes durable; limits the size of a transaction.
pub const WRITER_BATCH_MAX: usize = 512;

/// Bytes of the log database's page cache. The tail in memory serves nearly all reads.
pub const LOG_CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that one flush makes durable, unless a single command is larger. So the space that a transaction needs on a
/// full disk fits into the reserve.
pub const WRITER_BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Disk space reserved for the case of a full disk: four times the most that a transaction needs, because redb writes
/// pages anew and rounds large values up to the next power of two.
pub const RESERVE_BYTES: u64 = 16 * 1024 * 1024;

/// The reserve is released in this many parts, so that votes still find space after the running writes took theirs.
pub const RESERVE_PARTS: u64 = 4;

/// Time between two checks whether a full disk has space again: short, so that an operator who made space does not
/// wait.
pub const RESERVE_LOOK: Duration = Duration::from_secs(1);

/// Snapshots kept: the newest, and one to fall back to if its file is damaged.
pub const SNAPSHOTS_KEPT: usize = 2;

/// Entries since the last snapshot after which the next is taken (Consul's `raft_snapshot_threshold`).
pub const SNAPSHOT_THRESHOLD: u64 = 16_384;

/// Bytes of commands applied since the last snapshot after which the next is taken, unless the last one was large. So
/// the commands that a start has to apply again take only a fraction of a second, however large the entries are.
pub const SNAPSHOT_LOG_BYTES: u64 = 4 * 1024 * 1024;

/// A large snapshot is followed by the next one after this fraction of its size in commands (1/4). Applying a command
/// takes several times as long as reading its result. With a quarter, each byte of the log causes at most four bytes
/// of snapshots.
pub const SNAPSHOT_LOG_SHARE: u64 = 4;

/// Time between two checks whether enough entries were applied for a snapshot (Consul's `raft_snapshot_interval`).
pub const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(30);

/// First delay before a failed snapshot is tried again: a passing fault is over by then.
pub const SNAPSHOT_RETRY_MIN: Duration = Duration::from_secs(1);

/// Longest delay before a failed snapshot is tried again: an operator who made space sees the result within a minute.
pub const SNAPSHOT_RETRY_MAX: Duration = Duration::from_secs(60);

/// Entries kept in the log before a snapshot, for followers that are a little late (Consul's `raft_trailing_logs`).
pub const SNAPSHOT_TRAILING: u64 = 10_240;

/// How long a proposal may take before its outcome is reported as unknown.
pub const PROPOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a read barrier may take before the reader is told to retry.
pub const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How long sending and installing a small snapshot may take.
pub const SNAPSHOT_TIMEOUT_MIN: Duration = Duration::from_secs(10);

/// The slowest transfer of a snapshot that is still waited for: 1 MiB/s for sending and installing.
pub const SNAPSHOT_BYTES_PER_SECOND: usize = 1024 * 1024;

/// How long sending and installing any snapshot may take: a large one over a slow link.
pub const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a membership change may take; the new learner must replicate first.
pub const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long shutdown waits for the log's last flush before it abandons the writer.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a requested snapshot is awaited before it is requested again, in case another one was being written.
pub const SNAPSHOT_RETRIGGER: Duration = Duration::from_millis(500);
