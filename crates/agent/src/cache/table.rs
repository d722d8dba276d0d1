//! Entries of the cache: found by key, counted in bytes, kept while somebody holds them.
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

/// What an entry is found by, beside the type of its question. Never holds a secret.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key<C> {
    pub(super) datacenter: Option<Datacenter>,
    pub(super) view: View,
    pub(super) question: C,
}

/// Whose view of the answer it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum View {
    /// Everybody's who has the right to it.
    All,
    /// Of those with exactly these rights.
    Rights(RightsKey),
}

/// All entries.
#[derive(Debug)]
pub(super) struct CacheTable {
    budget: usize,
    bytes: usize,
    shelves: HashMap<TypeId, Box<dyn AnyShelf>>,
}

/// What was found for a key.
#[derive(Debug)]
pub(super) enum Found<K> {
    /// An entry that was there.
    There(Pinned<K>),
    /// A new one, to be filled.
    Begun(Pinned<K>),
    /// No room.
    Full,
}

impl CacheTable {
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, bytes: 0, shelves: HashMap::new() }
    }

    /// The entry of a key if it is there.
    pub(super) fn find<C: Cached>(&mut self, key: &Key<C>, now: Instant) -> Option<Pinned<C::Kept>> {
        self.shelf().find(key, now)
    }

    /// The entry of a key; a new one if there is room.
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

    /// Counts an answer about to be put into a slot; whether it may be. An answer that was there
    /// before may grow beyond the budget: then there is no room for new ones.
    pub(super) fn account<C: Cached>(
        &mut self,
        key: &Key<C>,
        slot: &Arc<Slot<C::Kept>>,
        bytes: usize,
    ) -> bool {
        let bytes = bytes + CACHE_ENTRY_BYTES;
        let Some(before) = self.shelf().recount(key, slot, bytes) else {
            // Forgotten meanwhile; whoever waits may still have it.
            return true;
        };
        self.bytes = self.bytes - before + bytes;
        let filled = slot.is_filled();
        // It must not make room for itself by going.
        let _pin = Pinned::new(slot);
        self.make_room(0) || filled
    }

    /// Takes an entry out, if it is still this one.
    pub(super) fn forget<C: Cached>(&mut self, key: &Key<C>, slot: &Arc<Slot<C::Kept>>) {
        self.bytes -= self.shelf().forget(key, slot);
    }

    /// Takes out what nobody has read for long and nobody holds.
    pub(super) fn expire(&mut self, now: Instant, idle: Duration) {
        for shelf in self.shelves.values_mut() {
            self.bytes -= shelf.expire(now, idle);
        }
    }

    /// How many entries there are, and how many bytes they count for.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.entries(), self.bytes)
    }

    fn entries(&self) -> usize {
        self.shelves.values().map(|shelf| shelf.len()).sum()
    }

    /// Makes room by giving up what was read longest ago, but nothing that somebody holds.
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
