//! The bounds of this crate, each with its reason.

use std::time::Duration;

/// Largest file [`crate::Disk::read`] loads whole. Larger files are read through [`crate::Disk::open`]; a state
/// snapshot of a very large datacenter stays below this.
pub const READ_BYTES_MAX: u64 = 4 << 30;

/// First delay of a retry unless the caller says otherwise: long enough to spare a peer that just restarted.
pub const BACKOFF_BASE: Duration = Duration::from_millis(100);

/// Longest delay of a retry unless the caller says otherwise: an operator does not wait a minute after a repair.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Doublings after which a back-off stops growing by itself, so that the shift cannot overflow.
pub const BACKOFF_DOUBLINGS_MAX: u32 = 20;

/// How far before the first use the tokio clock's epoch lies. A paused test clock may have been started a little
/// before the epoch was taken; a day is more than any process spends in between.
pub const EPOCH_LEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest stretch of a reconciler's error text that its status keeps; errors are for a person to read.
pub const STATUS_ERROR_BYTES_MAX: usize = 512;

/// Which part of a budget one source may hold: half, so that there is always room for another without ending anything.
pub const BUDGET_SHARE: usize = 2;

/// Which part of a budget is left to strangers by callers that are known: an eighth, enough for many to say who they are.
pub const BUDGET_STRANGERS_SHARE: usize = 8;

/// Which part of a budget a stranger's source holds at most that keeps it from sources that hold more: a few connections.
pub const BUDGET_LITTLE_SHARE: usize = 384;

/// And how many connections.
pub const BUDGET_LITTLE_CONNECTIONS: usize = 8;

/// Which part of a budget may be on its way out before nobody is let in for a moment.
pub const BUDGET_LEAVING_SHARE: usize = 8;

/// Longest such moment for who is next: a connection that has to end does so as soon as its task is run.
pub const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes that callers may make a process hold, all listeners together: requests that are not whole, answers that are not
/// read, the connections themselves. What this counts costs up to two and a half times as much with all that lies around it.
pub const BUDGET_BYTES: usize = 96 << 20;

/// Which part of the descriptors a process may open goes to connections, in percent; the rest is for files and for
/// connections of our own.
pub const BUDGET_DESCRIPTORS_PERCENT: usize = 90;

/// Connections that wait in the kernel to be accepted; it takes no more than `net.core.somaxconn`, which is as many where
/// nobody has changed it.
pub const BACKLOG: u32 = 4_096;
