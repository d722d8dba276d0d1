//! The disk of the machine.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use rustix::io::{Errno, retry_on_intr};

use super::{Disk, DiskError, DiskFile, DiskLock, checked};
use crate::limits::READ_BYTES_MAX;

/// Suffix of the temporary files of [`Disk::write_atomic`]. `list` leaves them out. `new` need not remove them,
/// because the next write of the same file replaces them.
const UNFINISHED: &str = ".unfinished";

/// Bytes written at a time where space can be reserved only by writing.
const ALLOCATE_STEP: usize = 64 * 1024;

/// Files below a directory of the machine.
#[derive(Clone, Debug)]
pub struct HostDisk {
    root: PathBuf,
}

#[derive(Debug)]
struct HostFile {
    path: String,
    file: File,
}

#[derive(Debug)]
struct HostLock {
    _file: File,
}

impl HostDisk {
    /// The disk below `root`, which is created with mode 0700 when missing. An existing directory keeps its mode.
    ///
    /// # Errors
    /// When the directory can neither be used nor created.
    pub fn new(root: &Path) -> Result<Self, DiskError> {
        let shown = root.display().to_string();
        make_dirs(root).map_err(|e| DiskError::of("create the data directory", &shown, e))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Removes the temporary files that a crash left in some directories; `""` is the root. Nobody may write there at
    /// the same time.
    ///
    /// # Errors
    /// When a directory cannot be read or a file not be removed.
    pub fn drop_unfinished(root: &Path, dirs: &[&str]) -> io::Result<()> {
        for dir in dirs {
            let entries = match fs::read_dir(root.join(dir)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                let is_left = entry.file_name().to_str().is_some_and(|name| name.ends_with(UNFINISHED));
                if is_left && entry.file_type()?.is_file() {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(())
    }

    fn prepared(&self, path: &str) -> Result<PathBuf, DiskError> {
        let full = self.root.join(checked(path)?);
        if let Some(parent) = full.parent() {
            make_dirs(parent).map_err(|e| DiskError::of("create directory", path, e))?;
        }
        Ok(full)
    }
}

impl Disk for HostDisk {
    fn read(&self, path: &str) -> Result<Vec<u8>, DiskError> {
        let mut file =
            File::open(self.root.join(checked(path)?)).map_err(|e| DiskError::of("open", path, e))?;
        let len = file.metadata().map_err(|e| DiskError::of("stat", path, e))?.len();
        if len > READ_BYTES_MAX {
            return Err(DiskError::TooLarge { path: path.to_owned(), len });
        }
        let mut content = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
        file.read_to_end(&mut content).map_err(|e| DiskError::of("read", path, e))?;
        Ok(content)
    }

    fn write_atomic(&self, path: &str, content: &[u8]) -> Result<(), DiskError> {
        let full = self.prepared(path)?;
        let mut name = OsString::from(full.as_os_str());
        name.push(UNFINISHED);
        let unfinished = PathBuf::from(name);
        // A file left by a crash may have another mode; a new file has the right one.
        match fs::remove_file(&unfinished) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(DiskError::of("remove", path, e)),
            _ => {}
        }
        if let Err(error) = put_in_place(&unfinished, &full, path, content) {
            // On a full disk the file would take space that others need. The error of the write is returned, not that
            // of the removal.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        sync_parent(&full, path)
    }

    fn open(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let full = self.prepared(path)?;
        let existed = full.exists();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&full)
            .map_err(|e| DiskError::of("open", path, e))?;
        if !existed {
            sync_parent(&full, path)?;
        }
        Ok(Box::new(HostFile { path: path.to_owned(), file }))
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        let full = self.root.join(checked(path)?);
        fs::remove_file(&full).map_err(|e| DiskError::of("remove", path, e))?;
        sync_parent(&full, path)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        let full = if dir.is_empty() { self.root.clone() } else { self.root.join(checked(dir)?) };
        let entries = match fs::read_dir(full) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(DiskError::of("list", dir, e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| DiskError::of("list", dir, e))?;
            let is_file = entry.file_type().map_err(|e| DiskError::of("list", dir, e))?.is_file();
            // A name that is not UTF-8 is not one of ours.
            if let Ok(name) = entry.file_name().into_string()
                && is_file
                && !name.ends_with(UNFINISHED)
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn remove_unfinished(&self, dir: &str) -> Result<(), DiskError> {
        Self::drop_unfinished(&self.root, &[dir])
            .map_err(|e| DiskError::of("remove unfinished files", dir, e))
    }

    fn exists(&self, path: &str) -> Result<bool, DiskError> {
        self.root.join(checked(path)?).try_exists().map_err(|e| DiskError::of("stat", path, e))
    }

    fn lock(&self, path: &str) -> Result<Box<dyn DiskLock>, DiskError> {
        let full = self.prepared(path)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&full)
            .map_err(|e| DiskError::of("open", path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(HostLock { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Err(DiskError::Locked { path: path.to_owned() }),
            Err(fs::TryLockError::Error(e)) => Err(DiskError::of("lock", path, e)),
        }
    }
}

impl DiskFile for HostFile {
    fn len(&self) -> Result<u64, DiskError> {
        Ok(self.file.metadata().map_err(|e| DiskError::of("stat", &self.path, e))?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.file.read_exact_at(buffer, offset).map_err(|e| DiskError::of("read", &self.path, e))
    }

    fn write_at(&self, offset: u64, content: &[u8]) -> Result<(), DiskError> {
        self.file.write_all_at(content, offset).map_err(|e| DiskError::of("write", &self.path, e))
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.file.set_len(len).map_err(|e| DiskError::of("set the length", &self.path, e))
    }

    fn allocate(&self, len: u64) -> Result<(), DiskError> {
        if len == 0 {
            return Ok(());
        }
        let failed = |e: io::Error| DiskError::of("allocate", &self.path, e);
        match retry_on_intr(|| rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, len)) {
            Ok(()) => Ok(()),
            // The file system cannot reserve space. Writing reserves it everywhere.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                let mut at = self.len()?;
                let zeros = vec![0; ALLOCATE_STEP];
                while at < len {
                    let step = zeros.len().min(usize::try_from(len - at).unwrap_or(usize::MAX));
                    self.write_at(at, &zeros[..step])?;
                    at += step as u64;
                }
                Ok(())
            }
            Err(errno) => Err(failed(errno.into())),
        }
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.file.sync_data().map_err(|source| DiskError::Sync { path: self.path.clone(), source })
    }
}

impl DiskLock for HostLock {}

fn make_dirs(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn put_in_place(unfinished: &Path, full: &Path, path: &str, content: &[u8]) -> Result<(), DiskError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(unfinished)
        .map_err(|e| DiskError::of("create", path, e))?;
    file.write_all(content).map_err(|e| DiskError::of("write", path, e))?;
    file.sync_all().map_err(|source| DiskError::Sync { path: path.to_owned(), source })?;
    fs::rename(unfinished, full).map_err(|e| DiskError::of("rename", path, e))
}

fn sync_parent(full: &Path, path: &str) -> Result<(), DiskError> {
    let parent = full.parent().expect("a file below the root has a parent");
    let failed = |source| DiskError::Sync { path: path.to_owned(), source };
    File::open(parent).map_err(failed)?.sync_all().map_err(failed)
}
