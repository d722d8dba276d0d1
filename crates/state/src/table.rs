//! A table: rows by key, and the index of the last change for every key and declared class.
//!
//! Rows and marks are persistent maps, so copying a table costs a few reference counts, and the copy never changes.
//! The index of a key survives the deletion of its row, until collection merges the oldest of these into the table's
//! floor. The index of a key that the table does not remember is the floor. So an index never decreases.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use concord_model::ServiceRef;
use imbl::{OrdMap, OrdSet};

use crate::key::Key;
use crate::keys::{Keyed, Shape, TableId};
use crate::limits::TOMBSTONES_MAX;

/// When a key or class last changed, and how many rows it has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Mark {
    changed: u64,
    rows: u64,
}

/// What a query can wait for: one row, or one declared class of rows of a table.
///
/// A watch hub keeps its waiters in a map by `WatchKey`, and looks up the keys of
/// [`Changes::iter`](crate::Changes::iter). So its work is proportional to what changed.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WatchKey {
    /// The table.
    pub table: TableId,
    /// The row's key, or its first components.
    pub key: Key,
}

impl fmt::Debug for WatchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}[{:?}]", self.table, self.key)
    }
}

/// The index that is being applied, and what it has changed so far.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) index: u64,
    pub(crate) keys: BTreeSet<WatchKey>,
    /// The services whose instances or entries it has changed, which decides about their virtual addresses.
    pub(crate) services: BTreeSet<ServiceRef>,
    /// Whether changes are recorded. On restore they are not: the snapshot contains all indexes.
    noting: bool,
}

impl Commit {
    pub(crate) fn new(index: u64) -> Self {
        Self { index, keys: BTreeSet::new(), services: BTreeSet::new(), noting: true }
    }

    /// For rows whose indexes are set afterwards by [`Marked::set_marks`] or [`Marked::set_all_marks`].
    pub(crate) fn restoring() -> Self {
        Self { index: 0, keys: BTreeSet::new(), services: BTreeSet::new(), noting: false }
    }
}

/// How the number of rows under a key changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rows {
    Same,
    OneMore,
    OneLess,
}

/// The rows of one table by key.
#[derive(Debug)]
pub(crate) struct Table<K: Keyed> {
    rows: OrdMap<Key, Arc<K::Row>>,
    marks: OrdMap<Key, Mark>,
    /// Marks of deleted rows, by age.
    graves: OrdSet<(u64, Key)>,
    floor: u64,
}

impl<K: Keyed> Clone for Table<K> {
    fn clone(&self) -> Self {
        Self {
            rows: self.rows.clone(),
            marks: self.marks.clone(),
            graves: self.graves.clone(),
            floor: self.floor,
        }
    }
}

impl<K: Keyed> Table<K> {
    pub(crate) fn new() -> Self {
        Self { rows: OrdMap::new(), marks: OrdMap::new(), graves: OrdSet::new(), floor: 0 }
    }

    /// Stores a row. Returns whether that changed anything; storing an equal row does not.
    pub(crate) fn put(&mut self, key: &Key, row: Arc<K::Row>, commit: &mut Commit) -> bool {
        visits::one();
        if self.rows.get(key).is_some_and(|old| Arc::ptr_eq(old, &row) || **old == *row) {
            return false;
        }
        let rows = if self.rows.insert(key.clone(), row).is_some() { Rows::Same } else { Rows::OneMore };
        self.mark(key, rows, commit);
        true
    }

    /// Stores a row like [`Table::put`]. Returns the row that was there, or `None` if it was equal.
    #[allow(clippy::option_option, reason = "whether it changed, and what was there")]
    pub(crate) fn exchange(
        &mut self,
        key: &Key,
        row: Arc<K::Row>,
        commit: &mut Commit,
    ) -> Option<Option<Arc<K::Row>>> {
        let old = self.get(key).cloned();
        if old.as_ref().is_some_and(|old| **old == *row) {
            return None;
        }
        self.rows.insert(key.clone(), row);
        self.mark(key, if old.is_some() { Rows::Same } else { Rows::OneMore }, commit);
        Some(old)
    }

    /// Replaces an existing row by one that no query can tell apart from it.
    pub(crate) fn replace_unseen(&mut self, key: &Key, row: Arc<K::Row>) {
        if let Some(old) = self.rows.get_mut(key) {
            *old = row;
        }
    }

    /// Removes a row.
    pub(crate) fn remove(&mut self, key: &Key, commit: &mut Commit) -> Option<Arc<K::Row>> {
        visits::one();
        let old = self.rows.remove(key)?;
        self.mark(key, Rows::OneLess, commit);
        Some(old)
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<K::Row>> {
        visits::one();
        self.rows.get(key)
    }

    /// All rows in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Arc<K::Row>)> {
        self.rows.iter()
    }

    /// The rows whose keys start with `class`, in the order of their keys.
    pub(crate) fn scan(&self, class: &Key) -> impl Iterator<Item = (&Key, &Arc<K::Row>)> + use<'_, K> {
        let class = class.clone();
        self.rows
            .range::<_, [u8]>((Bound::Included(class.as_bytes()), Bound::Unbounded))
            .take_while(move |(key, _)| key.as_bytes().starts_with(class.as_bytes()))
            .inspect(|_| visits::one())
    }

    fn mark(&mut self, key: &Key, rows: Rows, commit: &mut Commit) {
        if !commit.noting {
            return;
        }
        for watched in K::SHAPE.watched_of(key) {
            self.mark_one(key.up_to(watched.len()), rows, commit);
        }
    }

    fn mark_one(&mut self, key: Key, rows: Rows, commit: &mut Commit) {
        let old = self.marks.get(&key).copied();
        let before = old.map_or(0, |mark| mark.rows);
        let after = match rows {
            Rows::Same => before,
            Rows::OneMore => before + 1,
            Rows::OneLess => before.saturating_sub(1),
        };
        if let Some(old) = old.filter(|old| old.rows == 0) {
            self.graves.remove(&(old.changed, key.clone()));
        }
        self.marks.insert(key.clone(), Mark { changed: commit.index, rows: after });
        if after == 0 {
            self.graves.insert((commit.index, key.clone()));
            self.collect();
        }
        visits::one();
        commit.keys.insert(WatchKey { table: K::SHAPE.id, key });
    }

    /// The number of rows of each key and class that can be watched and has rows.
    fn counted(&self) -> BTreeMap<Key, u64> {
        let mut counts = BTreeMap::new();
        // The classes of a row lie one within the other, and the rows of a class follow each other.
        let mut open: Vec<(Key, u64)> = Vec::new();
        for key in self.rows.keys() {
            for (depth, watched) in K::SHAPE.watched_of(key).enumerate() {
                match open.get_mut(depth) {
                    Some((class, rows)) if class.as_bytes() == watched => *rows += 1,
                    _ => {
                        counts.extend(open.drain(depth..));
                        open.push((key.up_to(watched.len()), 1));
                    }
                }
            }
        }
        counts.extend(open);
        counts
    }

    /// Merges the oldest tombstones beyond the limit into the floor.
    fn collect(&mut self) {
        while self.graves.len() > TOMBSTONES_MAX {
            let Some((changed, key)) = self.graves.remove_min() else { return };
            self.marks.remove(&key);
            self.floor = self.floor.max(changed);
        }
    }
}

/// Counts the rows and marks that are read or written, for tests of the cost of commands.
pub(crate) mod visits {
    #[cfg(test)]
    thread_local! {
        static COUNT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }

    #[cfg(test)]
    pub(super) fn one() {
        COUNT.with(|count| count.set(count.get() + 1));
    }

    #[cfg(not(test))]
    #[inline]
    pub(super) fn one() {}

    /// The count of this thread since the last call.
    #[cfg(test)]
    pub(crate) fn taken() -> u64 {
        COUNT.with(|count| count.replace(0))
    }
}

/// Operations on a table of any row type.
pub(crate) trait Marked {
    fn shape(&self) -> &'static Shape;
    /// The index at which the key or class last changed.
    fn changed_at(&self, key: &Key) -> u64;
    /// The index that applies to keys that are not remembered.
    fn floor(&self) -> u64;
    /// All remembered indexes, in key order.
    fn marks(&self) -> Box<dyn Iterator<Item = (&Key, u64)> + '_>;
    /// Replaces the remembered indexes by those of a snapshot. Returns `false` if they do not fit the rows.
    fn set_marks(&mut self, marks: Vec<(Key, u64)>, floor: u64) -> bool;
    /// Marks everything as changed at one index.
    fn set_all_marks(&mut self, index: u64);
}

impl<K: Keyed> Marked for Table<K> {
    fn shape(&self) -> &'static Shape {
        K::SHAPE
    }

    fn changed_at(&self, key: &Key) -> u64 {
        self.marks.get(key).map_or(self.floor, |mark| mark.changed)
    }

    fn floor(&self) -> u64 {
        self.floor
    }

    fn marks(&self) -> Box<dyn Iterator<Item = (&Key, u64)> + '_> {
        Box::new(self.marks.iter().map(|(key, mark)| (key, mark.changed)))
    }

    fn set_marks(&mut self, marks: Vec<(Key, u64)>, floor: u64) -> bool {
        let mut counted = self.counted();
        let mut restored = OrdMap::new();
        let mut graves = OrdSet::new();
        for (key, changed) in marks {
            let rows = counted.remove(&key).unwrap_or_default();
            if rows == 0 {
                graves.insert((changed, key.clone()));
            }
            restored.insert(key, Mark { changed, rows });
        }
        let complete = counted.is_empty();
        self.marks = restored;
        self.graves = graves;
        self.floor = floor;
        complete && self.graves.len() <= TOMBSTONES_MAX
    }

    fn set_all_marks(&mut self, index: u64) {
        let all = |(key, rows)| (key, Mark { changed: index, rows });
        self.marks = self.counted().into_iter().map(all).collect();
        self.graves = OrdSet::new();
        // A table that nobody can watch has no indexes.
        self.floor = if K::SHAPE.watched { index } else { 0 };
    }
}
