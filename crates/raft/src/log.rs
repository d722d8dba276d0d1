//! The log: in memory, or durable.
//!
//! Both implement the engine's storage port and pass its own suite. Which one a node uses is [`Storage`].

mod durable;
mod memory;
mod record;
mod tail;
mod writer;

pub(crate) use durable::Durable;
pub(crate) use memory::MemoryLog;

/// Where a node keeps its log and snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In memory; nothing outlives the process. For `-dev`.
    Memory,
    /// Below `raft/` of the world's disk.
    Disk,
}

#[cfg(test)]
mod tests;
