//! What the catalog still has and should not: to be removed there, or refused and asked again later.

use std::collections::BTreeSet;

/// Ids to take out of the catalog.
#[derive(Debug)]
pub(crate) struct Gone<K> {
    pending: BTreeSet<K>,
    /// The catalog refused; asked again at the next full comparison.
    blocked: BTreeSet<K>,
}

impl<K: Ord> Gone<K> {
    pub(super) fn new() -> Self {
        Self { pending: BTreeSet::new(), blocked: BTreeSet::new() }
    }

    /// All of these, and nothing else.
    pub(crate) fn replace(&mut self, ids: BTreeSet<K>) {
        *self = Self { pending: ids, blocked: BTreeSet::new() };
    }

    pub(super) fn insert(&mut self, id: K) {
        self.blocked.remove(&id);
        self.pending.insert(id);
    }

    /// It is gone there, or here again.
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

    /// The next one to tell.
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
