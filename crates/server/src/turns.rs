//! Turns: writers that look at the state before they write take turns where they touch the same thing.
//!
//! A right is checked on the state a write finds. Between that look and the write no other writer may
//! change whose the thing is, else rights of before would decide about what is there now.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use tokio::sync::{Mutex, MutexGuard};

use crate::limits::TURNS;

/// One turn per hash of a name; two names that share one wait for each other without need, no more.
#[derive(Debug)]
pub(crate) struct Turns {
    locks: Vec<Mutex<()>>,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { locks: (0..TURNS).map(|_| Mutex::new(())).collect() }
    }

    /// Waits until nobody else is between looking at and writing what has this name.
    pub(crate) async fn take(&self, name: &str) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        let at = usize::try_from(hash % TURNS as u64).expect("less than the number of turns");
        self.locks[at].lock().await
    }
}
