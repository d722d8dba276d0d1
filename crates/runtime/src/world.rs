//! The set of interfaces that a component receives.

use std::path::Path;
use std::sync::Arc;

use crate::clock::{Clock, TokioClock};
use crate::disk::{Disk, DiskError, HostDisk, MemoryDisk};
use crate::entropy::{Entropy, OsEntropy, SeededEntropy};

/// Time, randomness and disk of one node. Clones share them.
#[derive(Clone, Debug)]
pub struct World {
    /// Monotonic time, timers and the wall clock.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Files below the node's data directory.
    pub disk: Arc<dyn Disk>,
}

impl World {
    /// Real time and randomness, with a disk in memory, as `-dev` uses it: nothing survives the process.
    #[must_use]
    pub fn tokio() -> Self {
        Self {
            clock: Arc::new(TokioClock::new()),
            entropy: Arc::new(OsEntropy),
            disk: Arc::new(MemoryDisk::new()),
        }
    }

    /// Real time and randomness with files below `root`, which is created (mode 0700) when missing.
    ///
    /// # Errors
    /// When the directory can neither be used nor created.
    pub fn host(root: &Path) -> Result<Self, DiskError> {
        Ok(Self::tokio().with_disk(Arc::new(HostDisk::new(root)?)))
    }

    /// A reproducible world: seeded randomness, a disk in memory, tokio's (usually paused) time, and a wall clock
    /// that starts at `wall_nanos` and moves with it.
    #[must_use]
    pub fn seeded(seed: u64, wall_nanos: i64) -> Self {
        Self {
            clock: Arc::new(TokioClock::with_wall(wall_nanos)),
            entropy: Arc::new(SeededEntropy::new(seed)),
            disk: Arc::new(MemoryDisk::new()),
        }
    }

    /// The same world with another disk.
    #[must_use]
    pub fn with_disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }
}
