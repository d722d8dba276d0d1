//! The entries of the cache: found by key, counted in bytes, and kept while somebody uses them.
//!
//! ```text
//! table ── by type of question ──► dyn AnyShelf ── downcast, here alone ──► Shelf<C> ──► Pinned<C::Kept>
//!   counts and evicts over all of them                                       finds by key, typed
//! ```

mod shelf;

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use concord_model::Datacenter;
use concord_rpc::RightsKey;
use concord_runtime::Instant;

use self::shelf::{AnyShelf, Shelf};
use super::cached::Cached;
use super::slot::{Pinned, Slot};
use crate::limits::{CACHE_ENTRIES_MAX, CACHE_ENTRY_BYTES};

/// The key of an entry within its type of question. Never holds a secret.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key<C> {
    pub(super) datacenter: Option<Datacenter>,
    pub(super) view: View,
    pub(super) question: C,
}

/// Whose view of the answer an entry holds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum View {
    /// Of every caller with the right to it.
    All,
    /// Of callers with exactly these rights.
    Rights(RightsKey),
}

/// All entries.
#[derive(Debug)]
pub(super) struct CacheTable {
    budget: usize,
    bytes: usize,
    shelves: HashMap<TypeId, Box<dyn AnyShelf>>,
}

/// The result of looking up a key.
#[derive(Debug)]
pub(super) enum Found<K> {
    /// An existing entry.
    There(Pinned<K>),
    /// A new entry, still to be filled.
    Begun(Pinned<K>),
    /// There is no room for a new one.
    Full,
}

impl CacheTable {
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, bytes: 0, shelves: HashMap::new() }
    }

    /// The entry of a key, if it exists.
    pub(super) fn find<C: Cached>(&mut self, key: &Key<C>, now: Instant) -> Option<Pinned<C::Kept>> {
        self.shelf().find(key, now)
    }

    /// The entry of a key; begins a new one if there is room.
    pub(super) fn find_or_begin<C: Cached>(&mut self, key: &Key<C>, now: Instant) -> Found<C::Kept> {
        if let Some(pin) = self.find(key, now) {
            return Found::There(pin);
        }
        if !self.make_room(CACHE_ENTRY_BYTES) || self.entries() >= CACHE_ENTRIES_MAX {
            return Found::Full;
        }
        self.bytes += CACHE_ENTRY_BYTES;
        Found::Begun(self.shelf().begin(key.clone(), now))
    }

    /// Counts an answer before it is put into a slot. Returns whether it may be put there. An answer of an existing
    /// entry may grow beyond the budget; then there is no room for new entries.
    pub(super) fn account<C: Cached>(
        &mut self,
        key: &Key<C>,
        slot: &Arc<Slot<C::Kept>>,
        bytes: usize,
    ) -> bool {
        let bytes = bytes + CACHE_ENTRY_BYTES;
        let Some(before) = self.shelf().recount(key, slot, bytes) else {
            // The entry was removed in the meantime; readers that still wait may use the answer.
            return true;
        };
        self.bytes = self.bytes - before + bytes;
        let filled = slot.is_filled();
        // Pin the entry, so that it is not evicted to make room for itself.
        let _pin = Pinned::new(slot);
        self.make_room(0) || filled
    }

    /// Removes an entry, if it is still this one.
    pub(super) fn forget<C: Cached>(&mut self, key: &Key<C>, slot: &Arc<Slot<C::Kept>>) {
        self.bytes -= self.shelf().forget(key, slot);
    }

    /// Removes entries that nobody uses and that nobody has read for a long time.
    pub(super) fn expire(&mut self, now: Instant, idle: Duration) {
        for shelf in self.shelves.values_mut() {
            self.bytes -= shelf.expire(now, idle);
        }
    }

    /// Number of entries, and the bytes that they count for.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.entries(), self.bytes)
    }

    fn entries(&self) -> usize {
        self.shelves.values().map(|shelf| shelf.len()).sum()
    }

    /// Makes room by evicting the entries that were read longest ago. Entries in use are kept.
    fn make_room(&mut self, bytes: usize) -> bool {
        while self.bytes + bytes > self.budget || self.entries() >= CACHE_ENTRIES_MAX {
            let idlest = self.shelves.values_mut().filter_map(|shelf| Some((shelf.idle_since()?, shelf)));
            let Some((_, shelf)) = idlest.min_by_key(|(since, _)| *since) else {
                return self.bytes + bytes <= self.budget;
            };
            self.bytes -= shelf.evict_idlest();
        }
        true
    }

    fn shelf<C: Cached>(&mut self) -> &mut Shelf<C> {
        let shelf = self.shelves.entry(TypeId::of::<C>()).or_insert_with(|| Box::new(Shelf::<C>::new()));
        let shelf: &mut dyn Any = &mut **shelf;
        shelf.downcast_mut().expect("a shelf stands under the type of its questions")
    }
}
