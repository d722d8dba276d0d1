//! The leaf of one identity. Readers and the driver share it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use concord_model::{Now, Secret};
use concord_proxycfg::Leaf;
use concord_rpc::RpcError;
use concord_runtime::Instant;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::answer::CacheAnswer;
use crate::limits::CACHE_IDLE;

/// The leaf of an identity, and its readers.
#[derive(Debug)]
pub(super) struct LeafEntry {
    state: watch::Sender<LeafState>,
    /// The token of the latest authorised reader.
    token: Mutex<Option<Secret>>,
    used: Mutex<Instant>,
    readers: AtomicUsize,
    /// Signalled by a reader that found the leaf not valid: somebody may have set the clock.
    look: Notify,
}

/// What readers see.
#[derive(Debug, Default)]
pub(super) struct LeafState {
    held: Option<HeldLeaf>,
    pub(super) error: Option<RpcError>,
    /// The number of errors so far.
    pub(super) errors: u64,
    /// Whether the driver has ended; a new entry replaces this one.
    pub(super) gone: bool,
    index: u64,
}

#[derive(Clone, Debug)]
struct HeldLeaf {
    leaf: Arc<Leaf>,
    at: Instant,
}

/// A reader of an entry. While there is one, the entry is kept.
pub(super) struct LeafReader(Arc<LeafEntry>);

impl LeafEntry {
    pub(super) fn new(token: Option<Secret>, now: Instant) -> Arc<Self> {
        Arc::new(Self {
            state: watch::Sender::default(),
            token: Mutex::new(token),
            used: Mutex::new(now),
            readers: AtomicUsize::new(0),
            look: Notify::new(),
        })
    }

    /// Records an authorised reader; signature requests use its token from now on.
    pub(super) fn used_by(&self, token: Option<Secret>, now: Instant) {
        *self.token.lock() = token;
        *self.used.lock() = now;
    }

    pub(super) fn token(&self) -> Option<Secret> {
        self.token.lock().clone()
    }

    /// Publishes a new leaf to the readers.
    pub(super) fn present(&self, leaf: Leaf, at: Instant) {
        let index = leaf.certificate.stamp.modify;
        self.state.send_modify(|state| {
            state.index = index.max(state.index + 1);
            state.held = Some(HeldLeaf { leaf: Arc::new(leaf), at });
            state.error = None;
        });
    }

    pub(super) fn withdraw(&self) {
        self.state.send_modify(|state| state.held = None);
    }

    /// Reports to the readers why there will be no leaf.
    pub(super) fn give_up(&self, error: RpcError) {
        self.state.send_modify(|state| {
            state.error = Some(error);
            state.errors += 1;
            state.gone = true;
        });
    }

    pub(super) fn is_gone(&self) -> bool {
        self.state.borrow().gone
    }

    /// Whether nobody has read for a long time.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        now - *self.used.lock() >= CACHE_IDLE && self.readers.load(Ordering::Acquire) == 0
    }

    /// Completes when a reader has found the leaf not valid.
    pub(super) async fn looked_at(&self) {
        self.look.notified().await;
    }
}

impl LeafState {
    /// The leaf, if it is valid and its index differs from `index`.
    pub(super) fn answer(&self, index: u64, hit: bool, now: Now) -> Option<CacheAnswer<Arc<Leaf>>> {
        let held = self.held.as_ref().filter(|held| self.index != index && held.is_valid(now))?;
        let age = if hit { Instant::from_epoch(now.uptime) - held.at } else { Duration::ZERO };
        Some(CacheAnswer {
            value: Arc::clone(&held.leaf),
            index: self.index,
            hit,
            age,
            filtered: false,
            outdated: false,
        })
    }

    /// Whether there is a leaf that is not valid.
    pub(super) fn is_held_in_vain(&self, now: Now) -> bool {
        self.held.as_ref().is_some_and(|held| !held.is_valid(now))
    }
}

impl HeldLeaf {
    /// Whether the leaf is valid by this machine's clock.
    fn is_valid(&self, now: Now) -> bool {
        let certificate = &self.leaf.certificate;
        certificate.valid_after <= now.wall && now.wall < certificate.valid_before
    }
}

impl LeafReader {
    pub(super) fn new(entry: &Arc<LeafEntry>) -> Self {
        entry.readers.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(entry))
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<LeafState> {
        self.0.state.subscribe()
    }

    /// Asks the driver to check the clock.
    pub(super) fn look(&self) {
        self.0.look.notify_one();
    }
}

impl Drop for LeafReader {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::AcqRel);
    }
}
