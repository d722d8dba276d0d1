//! Files of registrations, and their errors.

use concord_runtime::DiskError;
use serde::Serialize;

use crate::vault::VaultError;

/// Why registrations cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum PersistError {
    /// The disk reported an error.
    #[error("registrations in the data directory: {0}")]
    Disk(#[from] DiskError),
    /// A file cannot be encrypted or decrypted.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A file is damaged.
    #[error(
        "{path}: cannot be read as a registration ({error}); restore the file or remove it and register again"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// A file was written by a later version.
    #[error(
        "{path}: written by a later version (format {format}); start that version, or remove the file and register again"
    )]
    Later {
        /// The file.
        path: String,
        /// Its format.
        format: u32,
    },
    /// Half of a change is on disk and cannot be undone now; the next start will undo it.
    #[error(
        "registrations in the data directory: {error}; what was written before cannot be taken back: {undo}"
    )]
    HalfWritten {
        /// Why the change failed.
        error: Box<Self>,
        /// Why it cannot be undone.
        undo: Box<Self>,
    },
}

impl PersistError {
    /// Whether the disk is full. Then nothing has changed.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Disk(error) if error.is_full())
    }

    /// Whether the data on disk can no longer be trusted.
    pub(crate) fn is_fatal(&self) -> bool {
        match self {
            Self::Disk(error) => error.is_fatal(),
            Self::HalfWritten { .. } => true,
            Self::Vault(_) | Self::Damaged { .. } | Self::Later { .. } => false,
        }
    }
}

/// A file as it should be on disk. Without content, the file should not exist.
pub(super) struct File {
    pub(super) path: String,
    pub(super) content: Option<Vec<u8>>,
}

pub(super) fn bytes(path: &str, file: &impl Serialize) -> Result<Vec<u8>, PersistError> {
    serde_json::to_vec(file).map_err(|error| PersistError::Damaged { path: path.to_owned(), error })
}
