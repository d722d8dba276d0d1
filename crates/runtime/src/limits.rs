//! The limits of this crate, each with its reason.

use std::time::Duration;

/// The largest file that [`crate::Disk::read`] loads as a whole; a state snapshot of a very large datacenter is
/// smaller. Larger files are read through [`crate::Disk::open`].
pub const READ_BYTES_MAX: u64 = 4 << 30;

/// Default first delay of a retry: long enough for a peer that has just restarted.
pub const BACKOFF_BASE: Duration = Duration::from_millis(100);

/// Default longest delay of a retry: after a repair an operator should not have to wait a minute.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Doublings after which a back-off no longer grows, so that the shift cannot overflow.
pub const BACKOFF_DOUBLINGS_MAX: u32 = 20;

/// How far the tokio clock's epoch lies before its first use. A paused test clock may have been started a little
/// before the epoch was taken. A day is longer than any process spends in between.
pub const EPOCH_LEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest error text that a reconciler's status keeps; it is meant for a person.
pub const STATUS_ERROR_BYTES_MAX: usize = 512;

/// The share of the budget that one source may hold: half (1/2). So another source always finds room without evicting
/// anything.
pub const BUDGET_SHARE: usize = 2;

/// The share of the budget that authenticated clients leave to strangers: one eighth, enough for many clients to
/// authenticate.
pub const BUDGET_STRANGERS_SHARE: usize = 8;

/// A stranger's source that holds at most this share of the budget is protected from sources that hold more: a few
/// connections.
pub const BUDGET_LITTLE_SHARE: usize = 384;

/// The same limit in connections.
pub const BUDGET_LITTLE_CONNECTIONS: usize = 8;

/// If more than this share of the budget is still being freed, new clients wait a moment.
pub const BUDGET_LEAVING_SHARE: usize = 8;

/// Longest such wait for the next client: an evicted connection ends as soon as its task runs.
pub const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes that clients may make the process hold, over all listeners: incomplete requests, unread answers, and the
/// connections themselves. With everything around it, a counted byte can cost up to two and a half bytes.
pub const BUDGET_BYTES: usize = 96 << 20;

/// The most that a configuration may allow instead.
pub const BUDGET_BYTES_MAX: usize = 1536 << 20;

/// The percentage of the process's file descriptors that connections may use. The rest is for files and for outgoing
/// connections.
pub const BUDGET_DESCRIPTORS_PERCENT: usize = 90;

/// Connections that wait in the kernel to be accepted. The kernel allows at most `net.core.somaxconn`, which has this
/// value by default.
pub const BACKLOG: u32 = 4_096;
