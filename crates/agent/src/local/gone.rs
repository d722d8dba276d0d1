//! Records that the catalog still has and should not have. They are removed there; a refused removal is tried again
//! later.

use std::collections::BTreeSet;

/// Ids to remove from the catalog.
#[derive(Debug)]
pub(crate) struct Gone<K> {
    pending: BTreeSet<K>,
    /// The catalog refused these; they are tried again at the next full comparison.
    blocked: BTreeSet<K>,
}

impl<K: Ord> Gone<K> {
    pub(super) fn new() -> Self {
        Self { pending: BTreeSet::new(), blocked: BTreeSet::new() }
    }

    /// Replaces the ids by these.
    pub(crate) fn replace(&mut self, ids: BTreeSet<K>) {
        *self = Self { pending: ids, blocked: BTreeSet::new() };
    }

    pub(super) fn insert(&mut self, id: K) {
        self.blocked.remove(&id);
        self.pending.insert(id);
    }

    /// The catalog has removed it, or it is registered here again.
    pub(crate) fn remove(&mut self, id: &K) {
        self.pending.remove(id);
        self.blocked.remove(id);
    }

    /// The catalog refuses to remove it.
    pub(crate) fn refuse(&mut self, id: &K) {
        if let Some(id) = self.pending.take(id) {
            self.blocked.insert(id);
        }
    }

    /// The next id to remove.
    pub(crate) fn first(&self) -> Option<&K> {
        self.pending.first()
    }

    pub(crate) fn contains(&self, id: &K) -> bool {
        self.pending.contains(id) || self.blocked.contains(id)
    }

    #[cfg(test)]
    pub(crate) fn pending(&self) -> impl Iterator<Item = &K> {
        self.pending.iter()
    }
}
