//! Wakes queries when something they read has changed, and only then.
//!
//! A waiter first registers the keys of its read set, then checks once more whether the state has changed, and only
//! then sleeps. Applying a command wakes exactly the waiters of the keys that changed. In this order no change can be
//! missed between reading and sleeping.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use concord_state::{Changes, WatchKey};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::limits::WAITERS;

/// The waiters by key.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    waiting: Mutex<HashMap<WatchKey, HashMap<u64, Arc<Notify>>>>,
    count: AtomicU64,
    next: AtomicU64,
}

/// A registered waiter. Dropping it removes the registration.
#[derive(Debug)]
pub(crate) struct Waiter {
    hub: Arc<Hub>,
    id: u64,
    keys: Vec<WatchKey>,
    woken: Arc<Notify>,
    /// Whether it counts as a query.
    counted: bool,
}

/// The limit of waiters is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many blocking queries: the server keeps at most {WAITERS}")]
pub(crate) struct TooManyWaiters;

impl Hub {
    /// Registers a waiter for keys.
    pub(crate) fn register(self: &Arc<Self>, keys: Vec<WatchKey>) -> Result<Waiter, TooManyWaiters> {
        if self.count.fetch_add(1, Ordering::Relaxed) >= WAITERS as u64 {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(TooManyWaiters);
        }
        Ok(self.enter(keys, true))
    }

    /// Registers a duty of this server for keys. Duties are few: they do not count as queries, and queries cannot keep
    /// them out.
    pub(crate) fn register_duty(self: &Arc<Self>, keys: Vec<WatchKey>) -> Waiter {
        self.enter(keys, false)
    }

    fn enter(self: &Arc<Self>, keys: Vec<WatchKey>, counted: bool) -> Waiter {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let waiter = Waiter { hub: Arc::clone(self), id, keys, woken: Arc::new(Notify::new()), counted };
        let mut waiting = self.waiting.lock();
        for key in &waiter.keys {
            waiting.entry(key.clone()).or_default().insert(id, Arc::clone(&waiter.woken));
        }
        drop(waiting);
        waiter
    }

    /// Wakes the waiters of the changed keys.
    pub(crate) fn wake(&self, changes: &Changes) {
        let waiting = self.waiting.lock();
        for waiters in changes.iter().filter_map(|key| waiting.get(key)) {
            waiters.values().for_each(|woken| woken.notify_one());
        }
    }

    /// Wakes all waiters: the state was replaced, or there is no leader any more.
    pub(crate) fn wake_all(&self) {
        let waiting = self.waiting.lock();
        waiting.values().flat_map(HashMap::values).for_each(|woken| woken.notify_one());
    }

    /// Number of waiting queries.
    pub(crate) fn len(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl Waiter {
    /// Completes after a change of one of the keys, even if the change came before this call.
    pub(crate) async fn woken(&self) {
        self.woken.notified().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiting = self.hub.waiting.lock();
        for key in &self.keys {
            if let Some(waiters) = waiting.get_mut(key) {
                waiters.remove(&self.id);
                if waiters.is_empty() {
                    waiting.remove(key);
                }
            }
        }
        drop(waiting);
        if self.counted {
            self.hub.count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
