//! The log: in memory, or durable.
//!
//! Both implement the engine's storage interface and pass its test suite. [`Storage`] selects the one for a node.

mod durable;
mod memory;
mod record;
pub(crate) mod reserve;
mod shared;
mod tail;
mod writer;

use openraft::EntryPayload;

use crate::engine::Entry;
use crate::limits::APPEND_BYTES_MAX;

pub use durable::BEGUN;
pub(crate) use durable::Durable;
pub(crate) use memory::MemoryLog;

/// Where a node keeps its log and snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In memory; nothing survives the process. For `-dev`.
    Memory,
    /// Below `raft/` of the world's disk.
    Disk,
}

/// The first of `entries` that fit into one message; at least one, however large it is.
fn fitting(entries: Vec<Entry>) -> Vec<Entry> {
    let mut bytes = 0_usize;
    let fits = |entry: &Entry| {
        let first = bytes == 0;
        bytes = bytes.saturating_add(size(entry));
        first || bytes <= APPEND_BYTES_MAX
    };
    entries.into_iter().take_while(fits).collect()
}

/// The approximate size of an entry; never zero.
fn size(entry: &Entry) -> usize {
    const FRAME: usize = 64;
    match &entry.payload {
        EntryPayload::Normal(command) => command.0.len() + FRAME,
        EntryPayload::Blank | EntryPayload::Membership(_) => FRAME,
    }
}

#[cfg(test)]
mod tests;
