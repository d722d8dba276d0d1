//! The state at one index of the log.

use std::sync::Arc;

use concord_model::Timestamp;

use crate::snapshot::{self, SnapshotError};
use crate::tables::Tables;

/// The state at one index of the log. It never changes, and cloning it is cheap.
#[derive(Clone, Debug)]
pub struct View {
    pub(crate) tables: Arc<Tables>,
    pub(crate) epoch: u64,
}

impl View {
    /// Index of the last command applied.
    pub fn index(&self) -> u64 {
        self.tables.applied
    }

    /// The leader's clock as of that command; never goes backwards.
    pub fn at(&self) -> Timestamp {
        self.tables.at
    }

    /// How often the state was replaced by a snapshot. If this changes, a waiting query has to read again, because
    /// earlier indexes mean nothing any more.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The state as bytes, for [`Store::restore`](crate::Store::restore). `term` is that of the last applied entry
    /// and is only in the header.
    pub fn snapshot(&self, term: u64) -> Result<Vec<u8>, SnapshotError> {
        let mut bytes = Vec::new();
        self.snapshot_into(term, &mut |piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }

    /// Passes the state as bytes to `sink`, piece by piece.
    pub fn snapshot_into(&self, term: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), SnapshotError> {
        snapshot::encode(&self.tables, term, sink)
    }

    /// Fingerprint of the whole state. It is equal on all servers at the same index of the same log.
    pub fn digest(&self) -> Result<[u8; 32], SnapshotError> {
        snapshot::digest(&self.tables)
    }
}
