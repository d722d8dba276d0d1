//! Disk: files below one root, with the durability rules that the log and the vault rely on.
//!
//! The calls block; run them on [`crate::Scope::spawn_blocking`] or a thread of their own. Paths are relative, with
//! `/`, and never leave the root. Files are created with mode 0600 and directories with 0700;
//! [`Modes::restore`] brings them back to that.
//!
//! A failed flush is [`DiskError::Sync`]. It is then unknown what is on the disk, so the caller must end the process.
//! It must never retry on the same file, because the kernel may have dropped the dirty pages and report success the
//! next time.

mod host;
mod memory;
mod modes;

use std::fmt;
use std::io;
use std::path::{Component, Path};

pub use host::HostDisk;
pub use memory::{Fault, MemoryDisk};
pub use modes::Modes;

/// Files below one root.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Reads a whole file, up to [`crate::limits::READ_BYTES_MAX`].
    ///
    /// # Errors
    /// [`DiskError::NotFound`] when there is none.
    fn read(&self, path: &str) -> Result<Vec<u8>, DiskError>;

    /// Replaces a file so that after a crash either the old or the new content is there, whole. Returns once the new
    /// content is durable (temporary file, flush, rename, flush of the directory). Missing directories are created.
    ///
    /// # Errors
    /// Any; the old content stays unless the error [is fatal](DiskError::is_fatal).
    fn write_atomic(&self, path: &str, content: &[u8]) -> Result<(), DiskError>;

    /// Opens a file for reading and writing at positions, creating it (durably, and missing directories) if needed.
    ///
    /// # Errors
    /// When it cannot be opened or created.
    fn open(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError>;

    /// Removes a file; the removal is durable on return.
    ///
    /// # Errors
    /// [`DiskError::NotFound`] when there is none.
    fn remove(&self, path: &str) -> Result<(), DiskError>;

    /// The names of the files of a directory, sorted; nothing when the directory is missing. `""` is the root.
    /// Directories and unfinished temporary files are left out.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError>;

    /// Removes from a directory the temporary files that a crash left behind in [`Disk::write_atomic`]. Nobody may
    /// write there at the same time.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove_unfinished(&self, _dir: &str) -> Result<(), DiskError> {
        Ok(())
    }

    /// Whether the file exists.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn exists(&self, path: &str) -> Result<bool, DiskError>;

    /// Takes the exclusive lock named by a file, without waiting. It is released when the guard is dropped or the
    /// process ends.
    ///
    /// # Errors
    /// [`DiskError::Locked`] when someone else has it.
    fn lock(&self, path: &str) -> Result<Box<dyn DiskLock>, DiskError>;
}

/// An open file with access at positions.
#[allow(clippy::len_without_is_empty, reason = "an empty file is no special case for anyone")]
pub trait DiskFile: fmt::Debug + Send + Sync + 'static {
    /// The length in bytes.
    ///
    /// # Errors
    /// When it cannot be found out.
    fn len(&self) -> Result<u64, DiskError>;

    /// Fills the buffer from `offset`.
    ///
    /// # Errors
    /// Also when the file ends before the buffer is full.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError>;

    /// Writes all of `content` at `offset`, extending the file when needed. Durable only after
    /// [`DiskFile::sync_data`].
    ///
    /// # Errors
    /// When not everything could be written.
    fn write_at(&self, offset: u64, content: &[u8]) -> Result<(), DiskError>;

    /// Cuts or extends (with zeros) the file.
    ///
    /// # Errors
    /// When the length could not be set.
    fn set_len(&self, len: u64) -> Result<(), DiskError>;

    /// Makes the file at least `len` bytes long and reserves the space for it, so that later writes there do not find
    /// a full disk. On copy-on-write file systems this is only a hint.
    ///
    /// # Errors
    /// [`DiskError::Full`] when there is not enough space; part of it may have been reserved.
    fn allocate(&self, len: u64) -> Result<(), DiskError>;

    /// Makes everything written before durable.
    ///
    /// # Errors
    /// [`DiskError::Sync`], after which the process must end.
    fn sync_data(&self) -> Result<(), DiskError>;
}

/// A held lock; dropping it releases it.
pub trait DiskLock: fmt::Debug + Send + Sync + 'static {}

/// Why a disk operation failed.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// There is no such file.
    #[error("{path}: no such file")]
    NotFound {
        /// The path below the root.
        path: String,
    },
    /// Someone else holds the lock.
    #[error("{path}: locked by another process; is another agent using this data directory?")]
    Locked {
        /// The path below the root.
        path: String,
    },
    /// The path is absolute, empty, or leaves the root.
    #[error("{path:?}: not a path below the data directory")]
    BadPath {
        /// The path as given.
        path: String,
    },
    /// The file is too large to be read as a whole.
    #[error("{path}: {len} bytes is more than is ever read at once")]
    TooLarge {
        /// The path below the root.
        path: String,
        /// Its length in bytes.
        len: u64,
    },
    /// No space is left.
    #[error("{path}: no space left on the disk")]
    Full {
        /// The path below the root.
        path: String,
    },
    /// A flush failed. It is unknown what is durable, so the process must end.
    #[error("{path}: flush to disk failed: {source}; what was written may be lost, so the process must end")]
    Sync {
        /// The path below the root.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Any other error of the operating system.
    #[error("{path}: {action}: {source}")]
    Io {
        /// What was being attempted.
        action: &'static str,
        /// The path below the root.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl DiskError {
    /// Whether the process must end, because it is unknown what is durable.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::Sync { .. })
    }

    /// Whether the disk is full.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    fn of(action: &'static str, path: &str, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { action, path, source },
        }
    }
}

/// The path if it stays below the root.
fn checked(path: &str) -> Result<&Path, DiskError> {
    let plain = |part| matches!(part, Component::Normal(_));
    if path.is_empty() || path.contains('\0') || !Path::new(path).components().all(plain) {
        return Err(DiskError::BadPath { path: path.to_owned() });
    }
    Ok(Path::new(path))
}

#[cfg(test)]
mod tests;
