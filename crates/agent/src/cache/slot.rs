//! A slot holds one answer. Readers wait at it, and one task refreshes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use concord_rpc::RpcError;
use concord_runtime::Instant;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Holds one answer of type `K` for its readers and the refreshing task.
#[derive(Debug)]
pub(super) struct Slot<K> {
    state: watch::Sender<State<K>>,
    end: CancellationToken,
    pins: AtomicUsize,
}

/// The content of a slot.
#[derive(Debug)]
pub(super) struct State<K> {
    held: Option<HeldAnswer<K>>,
    /// When contact with the servers was lost.
    lost: Option<Instant>,
    /// The last failure, while there is no contact.
    pub(super) error: Option<RpcError>,
    /// The number of failures, so that each waiting reader sees each failure once.
    pub(super) errors: u64,
    /// The reason why the slot was given up, if it was.
    pub(super) gone: Option<RpcError>,
}

#[derive(Debug)]
struct HeldAnswer<K> {
    kept: Arc<K>,
    index: u64,
    filtered: bool,
}

/// An answer as read from a slot.
#[derive(Debug)]
pub(super) struct Read<K> {
    pub(super) kept: Arc<K>,
    pub(super) index: u64,
    pub(super) filtered: bool,
    pub(super) age: Duration,
}

/// A slot in use: it is not evicted.
#[derive(Debug)]
pub(super) struct Pinned<K>(Arc<Slot<K>>);

// === impl Slot ===

impl<K> Slot<K> {
    pub(super) fn new() -> Self {
        let state = State { held: None, lost: None, error: None, errors: 0, gone: None };
        Self { state: watch::Sender::new(state), end: CancellationToken::new(), pins: AtomicUsize::new(0) }
    }

    /// The answer, if there is one and its index differs from `index`.
    pub(super) fn read(&self, index: u64, now: Instant) -> Option<Read<K>> {
        self.state.borrow().read(index, now)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<State<K>> {
        self.state.subscribe()
    }

    pub(super) fn fill(&self, kept: K, index: u64, filtered: bool) {
        let kept = Arc::new(kept);
        self.state.send_modify(|state| {
            state.held = Some(HeldAnswer { kept, index, filtered });
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

    /// Gives up the slot; the first reason is kept. Its answer is not returned any more.
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

    pub(super) fn is_pinned(&self) -> bool {
        self.pins.load(Ordering::Acquire) > 0
    }
}

impl<K> State<K> {
    pub(super) fn read(&self, index: u64, now: Instant) -> Option<Read<K>> {
        // An index higher than ours came from another state than that of the servers now, so waiting would never end.
        let held = self.held.as_ref().filter(|held| held.index != index && self.gone.is_none())?;
        Some(Read {
            kept: Arc::clone(&held.kept),
            index: held.index,
            filtered: held.filtered,
            age: self.lost.map_or(Duration::ZERO, |lost| now - lost),
        })
    }
}

// === impl Pinned ===

impl<K> Pinned<K> {
    pub(super) fn new(slot: &Arc<Slot<K>>) -> Self {
        slot.pins.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(slot))
    }

    pub(super) fn slot(&self) -> &Arc<Slot<K>> {
        &self.0
    }
}

impl<K> Drop for Pinned<K> {
    fn drop(&mut self) {
        self.0.pins.fetch_sub(1, Ordering::AcqRel);
    }
}
