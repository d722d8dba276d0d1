//! The limits of the state, each with its reason.

/// Largest encoded command in bytes: one log entry must not delay replication and heartbeats.
pub const COMMAND_BYTES_MAX: usize = 4 << 20;

/// Largest record of a snapshot in bytes. No stored row is larger than the command that wrote it, and a derived list
/// of roots is far smaller.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// Deepest nesting of encoded data. User settings nest a few levels; the limit keeps decoding of arbitrary bytes from
/// overflowing the stack.
pub const DEPTH_MAX: usize = 128;

/// The number of deleted keys and emptied classes whose last-change index a table remembers one by one. Beyond it,
/// the oldest are merged into the table's floor. Then some queries that wait on deleted keys see a higher index than
/// necessary, never a lower one.
#[cfg(not(test))]
pub const TOMBSTONES_MAX: usize = 16_384;
/// Small, so that the tests collect tombstones all the time.
#[cfg(test)]
pub const TOMBSTONES_MAX: usize = 4;

/// The number of keys that a read set holds one by one; beyond it, whole tables are watched. Queries here read a few.
/// A query that reads thousands of names wakes too often, but does not use unlimited memory.
pub const READ_KEYS_MAX: usize = 8_192;

/// Serial numbers that one command allocates. A leader asks for one at a time; the limit leaves room for blocks.
pub const SERIALS_MAX: u32 = 65_536;
