//! A map of records by id. In tests it counts how many records were read.
//!
//! Reading is public; adding, changing and removing is done in [`super::index`], which maintains the indexes.

use std::collections::BTreeMap;

/// Records by id, in the order of their ids.
#[derive(Debug)]
pub(crate) struct Records<K, V> {
    by_id: BTreeMap<K, V>,
    /// The number of records read so far: the cost of an operation.
    #[cfg(test)]
    looked_at: std::cell::Cell<usize>,
}

impl<K: Ord, V> Records<K, V> {
    pub(super) fn new() -> Self {
        Self {
            by_id: BTreeMap::new(),
            #[cfg(test)]
            looked_at: std::cell::Cell::new(0),
        }
    }

    pub(super) fn get_mut(&mut self, id: &K) -> Option<&mut V> {
        self.count();
        self.by_id.get_mut(id)
    }

    pub(super) fn insert(&mut self, id: K, record: V) -> Option<V> {
        self.count();
        self.by_id.insert(id, record)
    }

    pub(super) fn remove(&mut self, id: &K) -> Option<V> {
        self.count();
        self.by_id.remove(id)
    }

    pub(crate) fn get(&self, id: &K) -> Option<&V> {
        self.count();
        self.by_id.get(id)
    }

    pub(crate) fn contains_key(&self, id: &K) -> bool {
        self.get(id).is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.by_id.iter().inspect(|_| self.count())
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(id, _)| id)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, record)| record)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The number of records read so far.
    #[cfg(test)]
    pub(crate) fn looked_at(&self) -> usize {
        self.looked_at.get()
    }

    #[cfg(test)]
    fn count(&self) {
        self.looked_at.set(self.looked_at.get() + 1);
    }

    #[cfg(not(test))]
    fn count(&self) {}
}

#[cfg(test)]
impl<K: Ord, V> std::ops::Index<&K> for Records<K, V> {
    type Output = V;

    fn index(&self, id: &K) -> &V {
        &self.by_id[id]
    }
}
