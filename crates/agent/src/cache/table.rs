//! Entries of the cache: found by key, counted in bytes, kept while somebody holds them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use concord_model::Datacenter;
use concord_rpc::RpcError;
use concord_runtime::Instant;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::want::{Stored, Want};
use crate::caller::RightsKey;
use crate::limits::{CACHE_ENTRIES_MAX, CACHE_ENTRY_BYTES};

/// What an entry is found by. Never holds a secret.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    pub(super) datacenter: Option<Datacenter>,
    pub(super) view: View,
    pub(super) want: Want,
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
pub(super) struct Table {
    budget: usize,
    bytes: usize,
    entries: HashMap<Key, Entry>,
}

#[derive(Debug)]
struct Entry {
    slot: Arc<Slot>,
    bytes: usize,
    used: Instant,
}

/// Where readers and the task that refreshes meet.
#[derive(Debug)]
pub(super) struct Slot {
    state: watch::Sender<State>,
    end: CancellationToken,
    pins: AtomicUsize,
}

/// What is known in a slot.
#[derive(Debug, Default)]
pub(super) struct State {
    held: Option<Held>,
    /// Since when there is no contact.
    lost: Option<Instant>,
    /// The last failure, while there is no contact.
    pub(super) error: Option<RpcError>,
    /// How many failures there were, so that each is told once to who waits.
    pub(super) errors: u64,
    /// Given up, and why.
    pub(super) gone: Option<RpcError>,
}

#[derive(Debug)]
struct Held {
    stored: Stored,
    index: u64,
    filtered: bool,
}

/// An answer as read from a slot.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) stored: Stored,
    pub(super) index: u64,
    pub(super) filtered: bool,
    pub(super) age: Duration,
}

/// A slot somebody holds: it is not evicted.
#[derive(Debug)]
pub(super) struct Pinned(Arc<Slot>);

/// What was found for a key.
#[derive(Debug)]
pub(super) enum Found {
    /// An entry that was there.
    There(Pinned),
    /// A new one, to be filled.
    Begun(Pinned),
    /// No room.
    Full,
}

// === impl Table ===

impl Table {
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, bytes: 0, entries: HashMap::new() }
    }

    /// The entry of a key if it is there.
    pub(super) fn find(&mut self, key: &Key, now: Instant) -> Option<Pinned> {
        let entry = self.entries.get_mut(key)?;
        entry.used = now;
        Some(Pinned::new(&entry.slot))
    }

    /// The entry of a key; a new one if there is room.
    pub(super) fn want(&mut self, key: &Key, now: Instant) -> Found {
        if let Some(pin) = self.find(key, now) {
            return Found::There(pin);
        }
        if !self.make_room(CACHE_ENTRY_BYTES) || self.entries.len() >= CACHE_ENTRIES_MAX {
            return Found::Full;
        }
        let slot = Arc::new(Slot::new());
        let pin = Pinned::new(&slot);
        self.bytes += CACHE_ENTRY_BYTES;
        self.entries.insert(key.clone(), Entry { slot, bytes: CACHE_ENTRY_BYTES, used: now });
        Found::Begun(pin)
    }

    /// Counts an answer about to be put into a slot; whether it may be. An answer that was there
    /// before may grow beyond the budget: then there is no room for new ones.
    pub(super) fn account(&mut self, key: &Key, slot: &Arc<Slot>, bytes: usize) -> bool {
        let bytes = bytes + CACHE_ENTRY_BYTES;
        let Some(entry) = self.entries.get_mut(key).filter(|entry| Arc::ptr_eq(&entry.slot, slot)) else {
            // Forgotten meanwhile; whoever waits may still have it.
            return true;
        };
        let before = std::mem::replace(&mut entry.bytes, bytes);
        self.bytes = self.bytes - before + bytes;
        let filled = slot.is_filled();
        // It must not make room for itself by going.
        let _pin = Pinned::new(slot);
        self.make_room(0) || filled
    }

    /// Takes an entry out, if it is still this one.
    pub(super) fn forget(&mut self, key: &Key, slot: &Arc<Slot>) {
        if self.entries.get(key).is_some_and(|entry| Arc::ptr_eq(&entry.slot, slot)) {
            self.evict(key);
        }
    }

    /// Takes out what nobody has read for long and nobody holds.
    pub(super) fn expire(&mut self, now: Instant, idle: Duration) {
        let expired = |(key, entry): (&Key, &Entry)| {
            (now - entry.used >= idle && !entry.slot.is_pinned()).then(|| key.clone())
        };
        for key in self.entries.iter().filter_map(expired).collect::<Vec<_>>() {
            self.evict(&key);
        }
    }

    /// How many entries there are, and how many bytes they count for.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    /// Makes room by giving up what was read longest ago, but nothing that somebody holds.
    fn make_room(&mut self, bytes: usize) -> bool {
        while self.bytes + bytes > self.budget || self.entries.len() >= CACHE_ENTRIES_MAX {
            let free = self.entries.iter().filter(|(_, entry)| !entry.slot.is_pinned());
            let Some(key) = free.min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone()) else {
                return self.bytes + bytes <= self.budget;
            };
            self.evict(&key);
        }
        true
    }

    fn evict(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.bytes;
            entry.slot.give_up(RpcError::Busy("the cached answer was given up".to_owned()));
        }
    }
}

// === impl Slot ===

impl Slot {
    fn new() -> Self {
        Self { state: watch::Sender::default(), end: CancellationToken::new(), pins: AtomicUsize::new(0) }
    }

    /// The answer, if it is there and another one than that of `index`.
    pub(super) fn read(&self, index: u64, now: Instant) -> Option<Read> {
        self.state.borrow().read(index, now)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(super) fn fill(&self, stored: Stored, index: u64, filtered: bool) {
        self.state.send_modify(|state| {
            state.held = Some(Held { stored, index, filtered });
            state.lost = None;
            state.error = None;
        });
    }

    pub(super) fn fail(&self, error: RpcError, now: Instant) {
        self.state.send_modify(|state| {
            state.lost.get_or_insert(now);
            state.error = Some(error);
            state.errors += 1;
        });
    }

    /// Ends the slot; the first reason stays. What it held is not handed out any more.
    pub(super) fn give_up(&self, error: RpcError) {
        self.end.cancel();
        self.state.send_modify(|state| {
            state.gone.get_or_insert(error);
        });
    }

    pub(super) async fn given_up(&self) {
        self.end.cancelled().await;
    }

    pub(super) fn is_filled(&self) -> bool {
        self.state.borrow().held.is_some()
    }

    fn is_pinned(&self) -> bool {
        self.pins.load(Ordering::Acquire) > 0
    }
}

impl State {
    pub(super) fn read(&self, index: u64, now: Instant) -> Option<Read> {
        // An index beyond ours came from another state than the servers have now: nothing will reach it.
        let held = self.held.as_ref().filter(|held| held.index != index && self.gone.is_none())?;
        Some(Read {
            stored: held.stored.clone(),
            index: held.index,
            filtered: held.filtered,
            age: self.lost.map_or(Duration::ZERO, |lost| now - lost),
        })
    }
}

// === impl Pinned ===

impl Pinned {
    fn new(slot: &Arc<Slot>) -> Self {
        slot.pins.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(slot))
    }

    pub(super) fn slot(&self) -> &Arc<Slot> {
        &self.0
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.0.pins.fetch_sub(1, Ordering::AcqRel);
    }
}
