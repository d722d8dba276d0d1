//! Space set aside for the log, so that a full disk makes a server read-only and does not end it.
//!
//! redb gives up a file after one failed write, so none may fail for want of space. A file beside the log holds space.
//! When a write of the log finds the disk full, a part of it is given back to the file system and the write is done
//! again: what is under way is written, flushed and acknowledged as always. From then on nothing new is taken, until
//! the whole reserve can be set aside again.

use std::fmt;

use concord_runtime::{Disk, DiskError, DiskFile};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::limits::RESERVE_PARTS;

/// The file that holds the space.
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
    /// Sets the space aside, or as much of it as there is.
    pub(crate) fn open(disk: &dyn Disk, bytes: u64) -> Result<Self, DiskError> {
        let file = disk.open(FILE)?;
        let reserve =
            Self { bytes, held: Mutex::new(HeldSpace { file, bytes: 0 }), full: watch::Sender::new(false) };
        if !reserve.refill()? {
            reserve.now_full();
        }
        Ok(reserve)
    }

    /// Gives a part back to the file system; false when there is none left.
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

    /// Tries to set aside the whole again; true if all of it is there.
    pub(crate) fn refill(&self) -> Result<bool, DiskError> {
        let mut held = self.held.lock();
        match held.file.allocate(self.bytes) {
            Ok(()) => {
                held.file.set_len(self.bytes)?;
                held.bytes = self.bytes;
                drop(held);
                if self.full.send_replace(false) {
                    metrics::gauge!("concord_raft_read_only").set(0.0);
                    tracing::info!("there is space on the disk again: writes are taken");
                }
                Ok(true)
            }
            Err(DiskError::Full { .. }) => {
                // What an earlier life has set aside, or this attempt, is held all the same.
                held.bytes = held.file.len()?.min(self.bytes);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the disk is full, and nothing new may be taken.
    pub(crate) fn is_full(&self) -> bool {
        *self.full.borrow()
    }

    /// [`Reserve::is_full`] as it changes.
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

/// What whoever wants to write is told.
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
