//! Open connections: counted, limited, and found again when a rule changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use concord_model::ServiceRef;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// The open connections of one listener.
#[derive(Debug)]
pub(crate) struct Live {
    most: AtomicUsize,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Entry>>,
}

#[derive(Debug)]
struct Entry {
    source: Option<ServiceRef>,
    cut: CancellationToken,
}

/// A connection's entry. Dropping it removes the entry.
#[derive(Debug)]
pub(crate) struct Place {
    live: Arc<Live>,
    id: u64,
    cut: CancellationToken,
}

impl Live {
    /// Room for this many connections.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: AtomicUsize::new(most), next: AtomicU64::new(0), open: Mutex::default() })
    }

    /// Changes the limit. Open connections beyond it stay; new ones wait for room.
    pub(crate) fn limit(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Whether there is no room.
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.most.load(Ordering::Relaxed)
    }

    /// Enters a connection; `None` if there is no room. From now on a change of rules can cut it, if its caller is
    /// known.
    ///
    /// Check the rules only after entering the caller: a rule that changed before is then seen by the check, and one
    /// that changes later cuts the connection.
    pub(crate) fn enter(self: &Arc<Self>, source: Option<ServiceRef>) -> Option<Place> {
        let mut open = self.open.lock();
        if open.len() >= self.most.load(Ordering::Relaxed) {
            return None;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let cut = CancellationToken::new();
        open.insert(id, Entry { source, cut: cut.clone() });
        drop(open);
        Some(Place { live: Arc::clone(self), id, cut })
    }

    /// Cuts every connection whose caller is no longer allowed. Returns how many.
    pub(crate) fn cut_unless(&self, mut passes: impl FnMut(&ServiceRef) -> bool) -> usize {
        let open = self.open.lock();
        let refused =
            open.values().filter(|entry| entry.source.as_ref().is_some_and(|source| !passes(source)));
        refused.map(|entry| entry.cut.cancel()).count()
    }

    /// Number of open connections.
    pub(crate) fn len(&self) -> usize {
        self.open.lock().len()
    }
}

impl Place {
    /// Completes when the connection has to be cut.
    pub(crate) async fn cut(&self) {
        self.cut.cancelled().await;
    }

    /// Whether the connection has to be cut.
    #[cfg(test)]
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.is_cancelled()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.live.open.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use concord_model::ServiceName;

    use super::*;

    fn service(name: &str) -> ServiceRef {
        ServiceRef::local(ServiceName::parse(name).unwrap())
    }

    #[test]
    fn only_refused_callers_are_cut() {
        let live = Live::new(3);
        let enter = |source: Option<&str>| live.enter(source.map(service)).unwrap();
        let (web, db, unknown) = (enter(Some("web")), enter(Some("db")), enter(None));
        assert_eq!(live.cut_unless(|source| *source == service("db")), 1);
        assert!(web.is_cut() && !db.is_cut() && !unknown.is_cut());
    }

    #[test]
    fn there_is_room_for_so_many_and_room_comes_back() {
        let live = Live::new(1);
        let first = live.enter(None).unwrap();
        assert!(live.is_full() && live.enter(None).is_none());
        drop(first);
        assert!(!live.is_full() && live.enter(None).is_some());
    }
}
