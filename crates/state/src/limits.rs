//! Bounds of the state, each with its reason.

/// Largest encoded command, in bytes: one log entry must not hold up replication and heartbeats.
pub const COMMAND_BYTES_MAX: usize = 4 << 20;

/// Largest record of a snapshot, in bytes: no stored row is larger than the command that wrote it,
/// and a derived list of roots stays far below.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// Deepest nesting of encoded data: user settings nest a few levels; the bound keeps decoding of
/// arbitrary bytes off the end of the stack.
pub const DEPTH_MAX: usize = 128;

/// Deleted keys and emptied classes whose last-change index a table remembers one by one. The
/// oldest beyond that are folded into the table's floor: some waiters on deleted keys then see a
/// higher index than necessary, never a lower one.
#[cfg(not(test))]
pub const TOMBSTONES_MAX: usize = 16_384;
/// So few that the histories of the tests collect all the time.
#[cfg(test)]
pub const TOMBSTONES_MAX: usize = 4;

/// Keys a read set holds one by one; beyond it whole tables are watched. Queries here read a
/// handful; a caller that loops over thousands of names wakes too often rather than eating memory.
pub const READ_KEYS_MAX: usize = 8_192;

/// Serial numbers handed out by one command: a leader asks for one at a time, and may come to ask for a block.
pub const SERIALS_MAX: u32 = 65_536;
