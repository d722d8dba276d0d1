//! Reads a view, and records what is read.
//!
//! Queries read a view only through [`Reader`], which records each key and class that they ask for. They cannot name
//! a class that was not declared with its table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concord_model::Timestamp;
use concord_model::intention::SourceIntention;

use crate::changes::ReadSet;
use crate::key::Key;
use crate::keys::{self, Class, Keyed, RowKey, TableId, Watched};
use crate::limits::READ_KEYS_MAX;
use crate::row::IntentionHead;
use crate::table::WatchKey;
use crate::tables::{Keeps, Tables};
use crate::view::View;

/// Reads one view.
#[derive(Debug)]
pub struct Reader {
    view: View,
    reads: BTreeSet<WatchKey>,
    valid_until: Option<Timestamp>,
}

impl View {
    /// Starts to read this view and to record what is read.
    pub fn read(&self) -> Reader {
        Reader { view: self.clone(), reads: BTreeSet::new(), valid_until: None }
    }
}

impl Reader {
    /// The view being read.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Ends reading. Returns what the answer depends on, and its index.
    pub fn finish(self) -> ReadSet {
        let keys = if self.reads.len() > READ_KEYS_MAX { whole_tables(self.reads) } else { self.reads };
        let changed_at = |key: &WatchKey| self.view.tables.table(key.table).changed_at(&key.key);
        let index = keys.iter().map(changed_at).max().unwrap_or_default().max(1);
        ReadSet { keys, index, epoch: self.view.epoch(), valid_until: self.valid_until }
    }

    /// The row with this key, if there is one.
    pub(super) fn row<K: Watched>(&mut self, key: RowKey<K>) -> Option<Arc<K::Row>>
    where
        Tables: Keeps<K>,
    {
        let found = self.view.tables.rows().get(&key).cloned();
        self.record::<K>(key.into());
        found
    }

    /// The rows of a class, in key order.
    pub(super) fn rows<K: Watched>(&mut self, class: Class<K>) -> Vec<Arc<K::Row>>
    where
        Tables: Keeps<K>,
    {
        self.scan(class).cloned().collect()
    }

    /// The rows of a class, for queries that may need only the first. The whole class counts as read.
    pub(super) fn scan<K: Watched>(&mut self, class: Class<K>) -> impl Iterator<Item = &Arc<K::Row>>
    where
        Tables: Keeps<K>,
    {
        let key = Key::from(class);
        self.record::<K>(key.clone());
        self.view.tables.rows().scan(&key).map(|(_, row)| row)
    }

    /// Records a class as read without reading a row.
    pub(super) fn note<K: Watched>(&mut self, class: Class<K>) {
        self.record::<K>(class.into());
    }

    /// Records that the answer is valid only until this time.
    pub(super) fn note_expiry(&mut self, at: Timestamp) {
        self.valid_until = Some(self.valid_until.map_or(at, |until| until.min(at)));
    }

    /// The sources of an entry whose keys have this prefix, in order of precedence. Its head must have been read; the
    /// head changes with each source, so nothing more is recorded.
    pub(super) fn sources<'a>(
        &'a self,
        _: &IntentionHead,
        part: &Key,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<SourceIntention>)> + use<'a> {
        self.view.tables.intentions.scan(part)
    }

    fn record<K: Keyed>(&mut self, key: Key) {
        self.reads.insert(WatchKey { table: K::SHAPE.id, key });
    }
}

/// For every table with more keys than its share, replaces them by the whole table.
fn whole_tables(reads: BTreeSet<WatchKey>) -> BTreeSet<WatchKey> {
    let mut counts: BTreeMap<TableId, usize> = BTreeMap::new();
    for key in &reads {
        *counts.entry(key.table).or_default() += 1;
    }
    let share = READ_KEYS_MAX / TableId::ALL.len();
    let coarse = |key: WatchKey| match counts.get(&key.table) {
        Some(count) if *count > share => WatchKey { table: key.table, key: keys::all() },
        _ => key,
    };
    reads.into_iter().map(coarse).collect()
}
