//! Reads a view and records what was read.
//!
//! Every query is a method of [`Reader`], in the file of its subject. A query returns shared rows
//! and notes the rows or classes its answer depends on, absent ones included; [`Reader::finish`]
//! says what to wait for and which index the answer has. Nothing here authorises: whoever hands
//! rows out filters them first.

mod acl;
mod acl_changes;
mod ca;
mod catalog;
mod entry;

pub use self::entry::covering;

use std::collections::{BTreeMap, BTreeSet};

use concord_model::{Timestamp, Uuid};

use crate::apply::cluster;
use crate::changes::ReadSet;
use crate::key::Key;
use crate::keys;
use crate::limits::READ_KEYS_MAX;
use crate::table::WatchKey;
use crate::tables::{TableId, Tables};
use crate::view::View;

/// Reads one view.
#[derive(Debug)]
pub struct Reader {
    view: View,
    reads: BTreeSet<WatchKey>,
    valid_until: Option<Timestamp>,
}

impl View {
    /// Starts reading, with a record of what is read.
    pub fn read(&self) -> Reader {
        Reader::new(self.clone())
    }
}

impl Reader {
    pub(crate) fn new(view: View) -> Self {
        Self { view, reads: BTreeSet::new(), valid_until: None }
    }

    /// The identity of the cluster, once it has one.
    pub fn cluster_id(&mut self) -> Option<Uuid> {
        self.note(TableId::ClusterId, keys::only());
        cluster::id(self.tables())
    }

    /// Number of the rules commands are applied by.
    pub fn rule_set(&mut self) -> u32 {
        self.note(TableId::RuleSet, keys::only());
        cluster::rule_set(self.tables())
    }

    /// The view being read.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Ends the reading: what the answer depends on, and its index.
    pub fn finish(self) -> ReadSet {
        let keys = if self.reads.len() > READ_KEYS_MAX { whole_tables(self.reads) } else { self.reads };
        let changed_at = |key: &WatchKey| self.view.tables.table(key.table).changed_at(&key.key);
        let index = keys.iter().map(changed_at).max().unwrap_or_default().max(1);
        ReadSet { keys, index, epoch: self.view.epoch(), valid_until: self.valid_until }
    }

    fn tables(&self) -> &Tables {
        &self.view.tables
    }

    fn note(&mut self, table: TableId, key: Key) {
        self.reads.insert(WatchKey { table, key });
    }

    fn note_expiry(&mut self, at: Timestamp) {
        self.valid_until = Some(self.valid_until.map_or(at, |until| until.min(at)));
    }
}

/// Replaces the keys of every table that has more than its share by the whole table.
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
