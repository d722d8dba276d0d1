//! Disk space reserved for the log, so that a full disk makes a server read-only instead of stopping it.
//!
//! redb closes a file after one failed write, so no write may fail for lack of space. A file beside the log reserves
//! space. When a write finds the disk full, a part of this file is released and the write is repeated. So writes in
//! progress are written, flushed and acknowledged as usual. After that, new writes are refused until the whole
//! reserve is available again.

use std::fmt;

use concord_runtime::{Disk, DiskError, DiskFile};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::limits::RESERVE_PARTS;

/// The file that reserves the space.
pub(crate) const FILE: &str = "raft/reserve";

pub(crate) struct Reserve {
    bytes: u64,
    held: Mutex<HeldSpace>,
    full: watch::Sender<bool>,
}

struct HeldSpace {
    file: Box<dyn DiskFile>,
    bytes: u64,
}

impl Reserve {
    /// Reserves the space, or as much of it as there is.
    pub(crate) fn open(disk: &dyn Disk, bytes: u64) -> Result<Self, DiskError> {
        let file = disk.open(FILE)?;
        let reserve =
            Self { bytes, held: Mutex::new(HeldSpace { file, bytes: 0 }), full: watch::Sender::new(false) };
        if !reserve.refill()? {
            reserve.now_full();
        }
        Ok(reserve)
    }

    /// Releases a part to the file system. Returns false if none is left.
    pub(crate) fn release(&self) -> bool {
        let mut held = self.held.lock();
        let part = (self.bytes / RESERVE_PARTS).max(1);
        let rest = held.bytes.saturating_sub(part);
        if held.bytes == 0 || held.file.set_len(rest).is_err() {
            return false;
        }
        held.bytes = rest;
        drop(held);
        self.now_full();
        true
    }

    /// Tries to reserve the whole space again. Returns true if all of it is reserved.
    pub(crate) fn refill(&self) -> Result<bool, DiskError> {
        let mut held = self.held.lock();
        match held.file.allocate(self.bytes) {
            Ok(()) => {
                held.file.set_len(self.bytes)?;
                held.bytes = self.bytes;
                drop(held);
                if self.full.send_replace(false) {
                    metrics::gauge!("concord_raft_read_only").set(0.0);
                    tracing::info!("there is space on the disk again: writes are accepted");
                }
                Ok(true)
            }
            Err(DiskError::Full { .. }) => {
                // Space that an earlier process or this attempt reserved still counts.
                held.bytes = held.file.len()?.min(self.bytes);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the disk is full and no new writes are accepted.
    pub(crate) fn is_full(&self) -> bool {
        *self.full.borrow()
    }

    /// A receiver of [`Reserve::is_full`].
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.full.subscribe()
    }

    fn now_full(&self) {
        if !self.full.send_replace(true) {
            metrics::gauge!("concord_raft_read_only").set(1.0);
            tracing::error!("{}", READ_ONLY);
        }
    }
}

/// The error for new writes.
pub(crate) const READ_ONLY: &str = "read-only: no space is left on the disk for the log; free some below the data \
                                    directory's file system, and writes go on by themselves";

impl fmt::Debug for Reserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve")
            .field("held", &self.held.lock().bytes)
            .field("full", &self.is_full())
            .finish()
    }
}
