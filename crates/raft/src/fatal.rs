//! Fatal errors of a node. The first one is reported, once.
//!
//! After a failed flush it is unknown what is durable. After an entry that cannot be applied, every later state would
//! differ from that of the other servers. In both cases the node stops and the process must end; continuing would be
//! wrong.

use std::fmt;
use std::sync::{Arc, OnceLock};

use concord_runtime::DiskError;

/// Why a node cannot continue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// A flush failed, so it is unknown what is durable. The process must end; it may be started again.
    #[error("flushing the raft log failed, the process must end: {reason}")]
    Flush {
        /// The error of the disk.
        reason: String,
    },
    /// The disk is full. The process may be started again once there is space.
    #[error("no space left for the raft log: {reason}; free some and start again")]
    DiskFull {
        /// The error of the disk.
        reason: String,
    },
    /// Reading or writing the log or a snapshot failed, or the data is damaged.
    #[error("raft storage failed: {reason}")]
    Storage {
        /// What failed.
        reason: String,
    },
    /// A committed entry cannot be applied. Skipping it would make this server differ from the others.
    #[error("entry {index} cannot be applied: {reason}; {remedy}")]
    Halted {
        /// The entry's index.
        index: u64,
        /// Why the state machine refused.
        reason: String,
        /// What the operator can do.
        remedy: String,
    },
    /// The consensus engine stopped by itself.
    #[error("the consensus engine stopped: {reason}")]
    Engine {
        /// The engine's error.
        reason: String,
    },
}

/// Called once, with the first fatal error.
pub(crate) type FatalHook = Arc<dyn Fn(&Fatal) + Send + Sync>;

/// Stores the first fatal error of a node and calls the hook.
pub(crate) struct FatalSlot {
    first: OnceLock<Fatal>,
    hook: FatalHook,
}

impl FatalSlot {
    pub(crate) fn new(hook: FatalHook) -> Arc<Self> {
        Arc::new(Self { first: OnceLock::new(), hook })
    }

    pub(crate) fn raise(&self, fatal: Fatal) {
        let mut is_first = false;
        let first = self.first.get_or_init(|| {
            is_first = true;
            fatal
        });
        if is_first {
            tracing::error!(error = %first, "raft cannot continue");
            (self.hook)(first);
        }
    }

    pub(crate) fn first(&self) -> Option<Fatal> {
        self.first.get().cloned()
    }

    /// The error that stopped the node, or `otherwise` if it was none of ours.
    pub(crate) fn first_or(&self, otherwise: impl FnOnce() -> String) -> Fatal {
        self.first().unwrap_or_else(|| Fatal::Engine { reason: otherwise() })
    }
}

impl fmt::Debug for FatalSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FatalSlot").field("first", &self.first.get()).finish_non_exhaustive()
    }
}

impl From<&DiskError> for Fatal {
    fn from(error: &DiskError) -> Self {
        let reason = error.to_string();
        match error {
            DiskError::Sync { .. } => Self::Flush { reason },
            DiskError::Full { .. } => Self::DiskFull { reason },
            DiskError::NotFound { .. }
            | DiskError::Locked { .. }
            | DiskError::BadPath { .. }
            | DiskError::TooLarge { .. }
            | DiskError::Io { .. } => Self::Storage { reason },
        }
    }
}
