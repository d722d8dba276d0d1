//! A disk that counts its calls, and fails or stops working on request.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_runtime::{Disk, DiskError, DiskFile, DiskLock, MemoryDisk};
use parking_lot::Mutex;

/// The calls of the disk.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Asked {
    pub(crate) reads: usize,
    pub(crate) lists: usize,
    /// Files replaced as a whole.
    pub(crate) writes: usize,
    pub(crate) removals: usize,
    /// Files opened for writing in place.
    pub(crate) opens: usize,
}

/// A memory disk with a counter. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestDisk {
    pub(crate) files: MemoryDisk,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    asked: Asked,
    fault: Option<Fault>,
    dead: bool,
}

/// What happens after this many more changes of files.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// One change fails.
    Once(usize),
    /// Nothing works any more, as if the process had been killed.
    Dead(usize),
}

impl TestDisk {
    pub(crate) fn asked(&self) -> Asked {
        self.state.lock().asked
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.state.lock().fault = Some(fault);
    }

    /// Makes everything work again.
    pub(crate) fn mend(&self) {
        let mut state = self.state.lock();
        (state.fault, state.dead) = (None, false);
    }

    /// All files with their content.
    pub(crate) fn all(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = BTreeMap::new();
        for dir in ["", "services", "checks", "checks/state", "registered"] {
            for name in self.files.list(dir).expect("it is in memory") {
                let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
                let content = self.files.read(&path).expect("it was listed just now");
                all.insert(path, content);
            }
        }
        all
    }

    fn change(&self, path: &str, count: impl FnOnce(&mut Asked)) -> Result<(), DiskError> {
        let mut state = self.state.lock();
        count(&mut state.asked);
        let failed = Err(DiskError::Full { path: path.to_owned() });
        if state.dead {
            return failed;
        }
        match &mut state.fault {
            Some(Fault::Once(0)) => {
                state.fault = None;
                failed
            }
            Some(Fault::Dead(0)) => {
                state.dead = true;
                failed
            }
            Some(Fault::Once(left) | Fault::Dead(left)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Disk for TestDisk {
    fn read(&self, path: &str) -> Result<Vec<u8>, DiskError> {
        self.state.lock().asked.reads += 1;
        self.files.read(path)
    }

    fn write_atomic(&self, path: &str, content: &[u8]) -> Result<(), DiskError> {
        self.change(path, |asked| asked.writes += 1)?;
        self.files.write_atomic(path, content)
    }

    fn open(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        self.change(path, |asked| asked.opens += 1)?;
        self.files.open(path)
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.change(path, |asked| asked.removals += 1)?;
        self.files.remove(path)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        self.state.lock().asked.lists += 1;
        self.files.list(dir)
    }

    fn exists(&self, path: &str) -> Result<bool, DiskError> {
        self.files.exists(path)
    }

    fn lock(&self, path: &str) -> Result<Box<dyn DiskLock>, DiskError> {
        self.files.lock(path)
    }
}
