//! A disk in memory that can lose power, fill up, fail, and lose bits.
//!
//! Every file has its durable content and the writes since its last flush. A crash drops those writes, or keeps any
//! part of them, torn at sector boundaries, as a real disk may. Handles and locks from before a crash are invalid
//! afterwards, so that a component that was "killed" cannot write into the next life.
//!
//! Space is counted in blocks. A file takes the blocks that were written, not those that its length spans. So a full
//! disk allows overwriting existing blocks, and refuses a write into a hole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, DiskError, DiskFile, DiskLock, checked};
use crate::entropy::Entropy;

/// The unit in which space is counted, as in usual file systems.
const BLOCK: usize = 4096;

/// A write may be torn between two sectors, never inside one.
const SECTOR: usize = 512;

/// Files in memory, with faults on request. Clones share one disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    files: BTreeMap<String, Content>,
    locks: BTreeSet<String>,
    /// Counts the crashes. Handles from an earlier life are refused.
    life: u64,
    fail_syncs: u64,
    faults: BTreeSet<(Fault, String)>,
    /// The number of blocks; `None`: unlimited.
    blocks_max: Option<usize>,
    /// The number of write calls until the power fails.
    fuel: Option<u64>,
    syncs: u64,
}

#[derive(Default)]
struct Content {
    durable: Vec<u8>,
    live: Vec<u8>,
    pending: Vec<Change>,
    /// Numbers of the blocks that were written.
    blocks: BTreeSet<usize>,
}

/// A kind of call that fails every time until [`MemoryDisk::mend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Reads fail with a bad block.
    Read,
    /// Writes fail with a bad block.
    Write,
    /// Flushes fail.
    Sync,
}

enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

struct MemoryFile {
    disk: MemoryDisk,
    path: String,
    life: u64,
}

struct MemoryLock {
    disk: MemoryDisk,
    path: String,
    life: u64,
}

// === impl MemoryDisk ===

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Simulates a power loss: everything that was not flushed is lost.
    pub fn crash(&self) {
        self.crash_keeping(|_| Vec::new());
    }

    /// Simulates a power loss: an arbitrary part of the unflushed writes is kept, possibly torn.
    pub fn crash_torn(&self, entropy: &dyn Entropy) {
        self.crash_keeping(|pending| {
            let mut kept = Vec::new();
            for change in pending {
                match change {
                    _ if entropy.below(2) == 0 => {}
                    Change::SetLen(len) => kept.push(Change::SetLen(len)),
                    Change::Write { offset, mut bytes } => {
                        if entropy.below(4) == 0 {
                            let sectors = bytes.len() / SECTOR;
                            bytes.truncate(
                                usize::try_from(entropy.below(sectors as u64 + 1)).unwrap_or(0) * SECTOR,
                            );
                        }
                        kept.push(Change::Write { offset, bytes });
                    }
                }
            }
            kept
        });
    }

    /// Allows `writes` more write calls. Then the power is off, and every call fails until a crash.
    pub fn cut_power_after(&self, writes: u64) {
        self.inner.lock().fuel = Some(writes);
    }

    /// Lets the next flush fail once.
    pub fn fail_next_sync(&self) {
        self.inner.lock().fail_syncs += 1;
    }

    /// Makes calls of this kind fail for all files whose path has this prefix, until [`MemoryDisk::mend`].
    pub fn fail(&self, fault: Fault, prefix: &str) {
        self.inner.lock().faults.insert((fault, prefix.to_owned()));
    }

    /// Ends the faults of [`MemoryDisk::fail`].
    pub fn mend(&self) {
        self.inner.lock().faults.clear();
    }

    /// Makes the disk full with its current content, or gives it unlimited space again.
    pub fn set_full(&self, full: bool) {
        let mut inner = self.inner.lock();
        inner.blocks_max = full.then(|| inner.blocks());
    }

    /// Leaves this much free space, in whole blocks.
    pub fn set_free(&self, bytes: usize) {
        let mut inner = self.inner.lock();
        inner.blocks_max = Some(inner.blocks() + bytes / BLOCK);
    }

    /// The space in use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.inner.lock().blocks() * BLOCK
    }

    /// The number of flush calls so far; to check that a batch needs only one.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.inner.lock().syncs
    }

    /// Flips the bits of one durable byte, as a failing disk would.
    ///
    /// # Panics
    /// When there is no such byte.
    pub fn flip_byte(&self, path: &str, offset: usize) {
        let mut inner = self.inner.lock();
        let content = inner.files.get_mut(path).expect("a file to corrupt");
        content.live[offset] ^= 0xff;
        content.durable[offset] ^= 0xff;
    }

    /// Changes the durable bytes of a file without the knowledge of its writer.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn alter(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut inner = self.inner.lock();
        let content = inner.files.get_mut(path).expect("a file to alter");
        change(&mut content.durable);
        content.live = content.durable.clone();
    }

    fn crash_keeping(&self, mut keep: impl FnMut(Vec<Change>) -> Vec<Change>) {
        let mut inner = self.inner.lock();
        inner.life += 1;
        inner.locks.clear();
        inner.fuel = None;
        inner.fail_syncs = 0;
        for content in inner.files.values_mut() {
            for change in keep(std::mem::take(&mut content.pending)) {
                change.apply(&mut content.durable);
            }
            content.live = content.durable.clone();
            content.blocks.retain(|block| block * BLOCK < content.live.len());
        }
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.lock();
        f.debug_struct("MemoryDisk").field("files", &inner.files.len()).field("life", &inner.life).finish()
    }
}

impl Disk for MemoryDisk {
    fn read(&self, path: &str) -> Result<Vec<u8>, DiskError> {
        checked(path)?;
        let inner = self.inner.lock();
        inner.powered("read", path)?;
        inner.sound(Fault::Read, "read", path)?;
        inner.files.get(path).map(|content| content.live.clone()).ok_or_else(|| not_found(path))
    }

    fn write_atomic(&self, path: &str, content: &[u8]) -> Result<(), DiskError> {
        checked(path)?;
        let mut inner = self.inner.lock();
        inner.writing("write", path)?;
        let blocks: BTreeSet<usize> = (0..content.len().div_ceil(BLOCK)).collect();
        // The old content stays until the new one replaces it.
        inner.room(path, blocks.len())?;
        inner.syncing(path)?;
        let (durable, live) = (content.to_vec(), content.to_vec());
        inner.files.insert(path.to_owned(), Content { durable, live, pending: Vec::new(), blocks });
        Ok(())
    }

    fn open(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        checked(path)?;
        let mut inner = self.inner.lock();
        inner.powered("open", path)?;
        inner.files.entry(path.to_owned()).or_default();
        Ok(Box::new(MemoryFile { disk: self.clone(), path: path.to_owned(), life: inner.life }))
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        checked(path)?;
        let mut inner = self.inner.lock();
        inner.powered("remove", path)?;
        inner.files.remove(path).map(|_| ()).ok_or_else(|| not_found(path))
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        if !dir.is_empty() {
            checked(dir)?;
        }
        let inner = self.inner.lock();
        inner.powered("list", dir)?;
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let names = inner.files.keys().filter_map(|path| path.strip_prefix(&prefix));
        Ok(names.filter(|name| !name.contains('/')).map(str::to_owned).collect())
    }

    fn exists(&self, path: &str) -> Result<bool, DiskError> {
        checked(path)?;
        let inner = self.inner.lock();
        inner.powered("stat", path)?;
        Ok(inner.files.contains_key(path))
    }

    fn lock(&self, path: &str) -> Result<Box<dyn DiskLock>, DiskError> {
        checked(path)?;
        let mut inner = self.inner.lock();
        inner.powered("lock", path)?;
        if !inner.locks.insert(path.to_owned()) {
            return Err(DiskError::Locked { path: path.to_owned() });
        }
        Ok(Box::new(MemoryLock { disk: self.clone(), path: path.to_owned(), life: inner.life }))
    }
}

// === impl Inner ===

impl Inner {
    fn powered(&self, action: &'static str, path: &str) -> Result<(), DiskError> {
        if self.fuel == Some(0) {
            return Err(DiskError::of(action, path, io::Error::other("the power is off")));
        }
        Ok(())
    }

    fn writing(&mut self, action: &'static str, path: &str) -> Result<(), DiskError> {
        self.powered(action, path)?;
        self.sound(Fault::Write, action, path)?;
        if let Some(fuel) = &mut self.fuel {
            *fuel -= 1;
        }
        Ok(())
    }

    fn sound(&self, fault: Fault, action: &'static str, path: &str) -> Result<(), DiskError> {
        let hit = |(kind, prefix): &(Fault, String)| *kind == fault && path.starts_with(prefix);
        if self.faults.iter().any(hit) {
            return Err(DiskError::of(action, path, io::Error::other("a bad block")));
        }
        Ok(())
    }

    fn blocks(&self) -> usize {
        self.files.values().map(|content| content.blocks.len()).sum()
    }

    /// Checks whether this many more blocks are free.
    fn room(&self, path: &str, more: usize) -> Result<(), DiskError> {
        match self.blocks_max {
            Some(max) if more > 0 && self.blocks() + more > max => {
                Err(DiskError::Full { path: path.to_owned() })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Takes the blocks of a part of a file.
    fn take(&mut self, path: &str, start: usize, len: usize) -> Result<(), DiskError> {
        let part = start / BLOCK..(start + len).div_ceil(BLOCK);
        let content = self.content_of(path);
        let fresh: Vec<usize> = part.filter(|block| !content.blocks.contains(block)).collect();
        self.room(path, fresh.len())?;
        self.content_of(path).blocks.extend(fresh);
        Ok(())
    }

    fn syncing(&mut self, path: &str) -> Result<(), DiskError> {
        self.syncs += 1;
        let off = self.fuel == Some(0) || self.sound(Fault::Sync, "flush", path).is_err();
        if off || self.fail_syncs > 0 {
            self.fail_syncs = self.fail_syncs.saturating_sub(1);
            return Err(DiskError::Sync { path: path.to_owned(), source: io::Error::other("flush failed") });
        }
        Ok(())
    }

    fn content(&mut self, file: &MemoryFile, action: &'static str) -> Result<&mut Content, DiskError> {
        if self.life != file.life {
            let gone = io::Error::other("the handle is from before a crash");
            return Err(DiskError::of(action, &file.path, gone));
        }
        self.powered(action, &file.path)?;
        self.files.get_mut(&file.path).ok_or_else(|| not_found(&file.path))
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => content.resize(*len, 0),
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

impl Content {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    fn flush(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }
}

// === impl MemoryFile ===

impl DiskFile for MemoryFile {
    fn len(&self) -> Result<u64, DiskError> {
        Ok(self.disk.inner.lock().content(self, "stat")?.live.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let mut inner = self.disk.inner.lock();
        inner.sound(Fault::Read, "read", &self.path)?;
        let content = inner.content(self, "read")?;
        let start = position(offset);
        let bytes = start.checked_add(buffer.len()).and_then(|end| content.live.get(start..end));
        let short = || DiskError::of("read", &self.path, io::ErrorKind::UnexpectedEof.into());
        buffer.copy_from_slice(bytes.ok_or_else(short)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, content: &[u8]) -> Result<(), DiskError> {
        let mut inner = self.disk.inner.lock();
        inner.content(self, "write")?;
        inner.writing("write", &self.path)?;
        inner.take(&self.path, position(offset), content.len())?;
        let change = Change::Write { offset: position(offset), bytes: content.to_vec() };
        inner.content_of(&self.path).change(change);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        let mut inner = self.disk.inner.lock();
        let grows = inner.content(self, "set the length")?.live.len() < position(len);
        if grows {
            inner.writing("set the length", &self.path)?;
        }
        let content = inner.content_of(&self.path);
        content.change(Change::SetLen(position(len)));
        content.blocks.retain(|block| block * BLOCK < position(len));
        Ok(())
    }

    fn allocate(&self, len: u64) -> Result<(), DiskError> {
        let mut inner = self.disk.inner.lock();
        let grows = inner.content(self, "allocate")?.live.len() < position(len);
        inner.writing("allocate", &self.path)?;
        inner.take(&self.path, 0, position(len))?;
        if grows {
            inner.content_of(&self.path).change(Change::SetLen(position(len)));
        }
        Ok(())
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        let mut inner = self.disk.inner.lock();
        inner.content(self, "flush")?;
        inner.syncing(&self.path)?;
        inner.content_of(&self.path).flush();
        Ok(())
    }
}

impl Inner {
    fn content_of(&mut self, path: &str) -> &mut Content {
        self.files.get_mut(path).expect("checked just before, under the same lock")
    }
}

impl fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryFile").field("path", &self.path).finish_non_exhaustive()
    }
}

// === impl MemoryLock ===

impl DiskLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut inner = self.disk.inner.lock();
        if inner.life == self.life {
            inner.locks.remove(&self.path);
        }
    }
}

impl fmt::Debug for MemoryLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLock").field("path", &self.path).finish_non_exhaustive()
    }
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).expect("a disk in memory is smaller than the address space")
}

fn not_found(path: &str) -> DiskError {
    DiskError::NotFound { path: path.to_owned() }
}
