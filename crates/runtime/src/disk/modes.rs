//! Removes the access of other users from our files and directories.
//!
//! A restored backup, a volume or a careless user may have given them wider modes than ours.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The mode bits for users other than the owner.
const OTHERS: u32 = 0o077;

/// The most files that are checked. Our directories have far fewer; files beyond the limit are reported as not
/// checked.
const ENTRIES_MAX: usize = 100_000;

/// The result of the check.
#[derive(Debug, Default)]
pub struct Modes {
    /// How many files had wider modes and now have ours again.
    pub restored: usize,
    /// How many files other users can still access.
    pub open: usize,
    /// One of these, and why its mode cannot be changed.
    pub example: Option<(PathBuf, io::Error)>,
    looked_at: usize,
}

impl Modes {
    /// Restores the modes of what we created below `root`, by name: files to 0600, directories and everything in them
    /// to 0700. Missing names are skipped, links are not followed, and nothing else below the root is touched.
    pub fn restore(root: &Path, ours: &[&str]) -> Self {
        let mut modes = Self::default();
        ours.iter().for_each(|name| modes.close(&root.join(name)));
        modes
    }

    fn close(&mut self, path: &Path) {
        self.looked_at += 1;
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.failed(path, error),
        };
        if metadata.is_symlink() {
            return;
        }
        self.restrict(path, &metadata);
        if !metadata.is_dir() {
            return;
        }
        match fs::read_dir(path) {
            Ok(entries) => {
                for entry in entries.flatten() {
                    if self.looked_at >= ENTRIES_MAX {
                        return self.failed(path, io::Error::other("too many files to look at"));
                    }
                    self.close(&entry.path());
                }
            }
            Err(error) => self.failed(path, error),
        }
    }

    fn restrict(&mut self, path: &Path, metadata: &Metadata) {
        if metadata.permissions().mode() & OTHERS == 0 {
            return;
        }
        let mode = if metadata.is_dir() { 0o700 } else { 0o600 };
        match fs::set_permissions(path, Permissions::from_mode(mode)) {
            // A file system without modes reports success and changes nothing.
            Ok(()) if fs::metadata(path).is_ok_and(|now| now.permissions().mode() & OTHERS == 0) => {
                self.restored += 1;
            }
            Ok(()) => self.failed(path, io::Error::other("the file system keeps its own modes")),
            Err(error) => self.failed(path, error),
        }
    }

    fn failed(&mut self, path: &Path, error: io::Error) {
        self.open += 1;
        self.example.get_or_insert_with(|| (path.to_owned(), error));
    }
}
