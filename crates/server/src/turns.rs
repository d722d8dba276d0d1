//! Locks for writers that read the state before they write.
//!
//! A writer checks the caller's right against the state that it reads. Between this check and the write, no other
//! writer may change the owner of the record. Otherwise the old owner's right would decide about the new owner's
//! record. So writers of the same name take turns.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use tokio::sync::{Mutex, MutexGuard};

use crate::limits::TURNS;

/// One lock per hash of a name. Two names with the same hash wait for each other without need; nothing worse happens.
#[derive(Debug)]
pub(crate) struct Turns {
    locks: Vec<Mutex<()>>,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { locks: (0..TURNS).map(|_| Mutex::new(())).collect() }
    }

    /// Waits until no other writer is between its check and its write of this name.
    pub(crate) async fn take(&self, name: &str) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        let at = usize::try_from(hash % TURNS as u64).expect("less than the number of turns");
        self.locks[at].lock().await
    }
}
