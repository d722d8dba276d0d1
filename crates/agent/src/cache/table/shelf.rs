//! The entries of one type of question.

use std::any::Any;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use concord_rpc::RpcError;
use concord_runtime::Instant;

use super::Key;
use crate::cache::cached::Cached;
use crate::cache::slot::{Pinned, Slot};
use crate::limits::CACHE_ENTRY_BYTES;

/// The entries of one type of question.
#[derive(Debug)]
pub(super) struct Shelf<C: Cached> {
    entries: HashMap<Key<C>, CacheEntry<C::Kept>>,
}

#[derive(Debug)]
struct CacheEntry<K> {
    slot: Arc<Slot<K>>,
    bytes: usize,
    used: Instant,
}

/// Operations on a shelf of any type, for the limits of size and age. Those that remove entries return the freed
/// bytes.
pub(super) trait AnyShelf: Any + Debug + Send {
    /// How many entries there are.
    fn len(&self) -> usize;
    /// When the entry was last read that has been idle longest. Entries in use do not count.
    fn idle_since(&self) -> Option<Instant>;
    /// Removes that entry.
    fn evict_idlest(&mut self) -> usize;
    /// Removes entries that nobody uses and that nobody has read for a long time.
    fn expire(&mut self, now: Instant, idle: Duration) -> usize;
}

// === impl Shelf ===

impl<C: Cached> Shelf<C> {
    pub(super) fn new() -> Self {
        Self { entries: HashMap::new() }
    }

    pub(super) fn find(&mut self, key: &Key<C>, now: Instant) -> Option<Pinned<C::Kept>> {
        let entry = self.entries.get_mut(key)?;
        entry.used = now;
        Some(Pinned::new(&entry.slot))
    }

    /// Adds a new entry, still to be filled.
    pub(super) fn begin(&mut self, key: Key<C>, now: Instant) -> Pinned<C::Kept> {
        let slot = Arc::new(Slot::new());
        let pin = Pinned::new(&slot);
        self.entries.insert(key, CacheEntry { slot, bytes: CACHE_ENTRY_BYTES, used: now });
        pin
    }

    /// Sets the size of an entry, if it is still this one. Returns the former size.
    pub(super) fn recount(&mut self, key: &Key<C>, slot: &Arc<Slot<C::Kept>>, bytes: usize) -> Option<usize> {
        let entry = self.entries.get_mut(key).filter(|entry| Arc::ptr_eq(&entry.slot, slot))?;
        Some(std::mem::replace(&mut entry.bytes, bytes))
    }

    /// Removes an entry, if it is still this one.
    pub(super) fn forget(&mut self, key: &Key<C>, slot: &Arc<Slot<C::Kept>>) -> usize {
        match self.entries.get(key) {
            Some(entry) if Arc::ptr_eq(&entry.slot, slot) => self.evict(key),
            Some(_) | None => 0,
        }
    }

    fn idlest(&self) -> Option<(&Key<C>, Instant)> {
        let free = self.entries.iter().filter(|(_, entry)| !entry.slot.is_pinned());
        free.map(|(key, entry)| (key, entry.used)).min_by_key(|(_, used)| *used)
    }

    fn evict(&mut self, key: &Key<C>) -> usize {
        let Some(entry) = self.entries.remove(key) else { return 0 };
        entry.slot.give_up(RpcError::Busy("the cached answer was given up".to_owned()));
        entry.bytes
    }
}

impl<C: Cached> AnyShelf for Shelf<C> {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn idle_since(&self) -> Option<Instant> {
        self.idlest().map(|(_, used)| used)
    }

    fn evict_idlest(&mut self) -> usize {
        let key = self.idlest().map(|(key, _)| key.clone());
        key.map_or(0, |key| self.evict(&key))
    }

    fn expire(&mut self, now: Instant, idle: Duration) -> usize {
        let expired = self
            .entries
            .iter()
            .filter(|(_, entry)| now - entry.used >= idle && !entry.slot.is_pinned())
            .map(|(key, _)| key.clone());
        expired.collect::<Vec<_>>().iter().map(|key| self.evict(key)).sum()
    }
}
