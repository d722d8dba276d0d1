//! The records of a snapshot: how a state is split into them, and how it is restored from them.
//!
//! The declaration of a table (`schema`) says which record its rows are, and how they are restored. Rows that belong
//! to another row follow it: instances and checks follow their node, the sources of an intention follow their entry.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use concord_model::NodeName;
use concord_model::catalog::{Check, NodeScope, ServiceInstance};
use concord_model::entry::{Entry, EntryName};
use concord_model::intention::SourceIntention;
use serde::de::{IntoDeserializer, value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::apply::cluster;
use crate::derive::{self, acl, address, catalog};
use crate::key::Key;
use crate::keys::{self, Keyed, TableId};
use crate::row::IntentionHead;
use crate::snapshot::header::{SnapshotError, SnapshotHeader};
use crate::table::Commit;
use crate::tables::Tables;

/// Writes one record. Returns the number of records written so far.
type Write<'w> = dyn FnMut(&Record<'_>) -> Result<u64, SnapshotError> + 'w;

/// Writes all rows of a table.
macro_rules! save {
    ($tables:ident, $write:ident, $table:ident, $record:ident, $save:ident) => {
        $save($tables, $write)?
    };
    ($tables:ident, $write:ident, $table:ident, $record:ident) => {
        for (_, row) in $tables.$table.iter() {
            $write(&Record::$record(Cow::Borrowed(row)))?;
        }
    };
}

/// Restores a row as the declaration of its table says. `false` if it does not fit the earlier records.
macro_rules! restore {
    // The row alone, under its key.
    ($to:ident, $table:ident, $own:ident, at()) => {
        $to.tables.$table.put(&keys::$table::row(), Arc::new($own), &mut $to.commit)
    };
    ($to:ident, $table:ident, $own:ident, at($row:ident => $($part:expr),+)) => {{
        let $row = Arc::new($own);
        $to.tables.$table.put(&keys::$table::row($($part),+), Arc::clone(&$row), &mut $to.commit)
    }};
    // The row with everything that is derived from it.
    ($to:ident, $table:ident, $own:ident, by($put:path)) => {
        $put(&mut $to.tables, &mut $to.commit, &Arc::new($own))
    };
    // As part of the row that was restored before.
    ($to:ident, $table:ident, $own:ident, through($put:ident)) => {
        $put($to, $own)
    };
}

/// The value that is written for a row: the row itself, unless the declaration says otherwise.
macro_rules! recorded {
    ($table:ident) => {
        <keys::$table::Rows as Keyed>::Row
    };
    ($table:ident $own:ty) => {
        $own
    };
}

macro_rules! records {
    ($($(#[$doc:meta])* $table:ident: $id:ident<$row:ty> $found:tt {
        $(derived)?
        $(record $record:ident $(($own:ty))? $(, saved: $save:ident)?; $how:ident $with:tt)?
    };)*) => {
        /// A record.
        #[derive(Deserialize, Serialize)]
        pub(crate) enum Record<'a> {
            Header(Cow<'a, SnapshotHeader>),
            $($($record(Cow<'a, recorded!($table $($own)?)>),)?)*
            Changed { table: KnownTable, key: Key, index: u64 },
            Floor { table: KnownTable, index: u64 },
            End { records: u64 },
        }

        /// Writes the rows of all primary tables.
        fn write_rows(tables: &Tables, write: &mut Write<'_>) -> Result<(), SnapshotError> {
            $($(save!(tables, write, $table, $record $(, $save)?);)?)*
            Ok(())
        }

        impl Restore {
            /// Restores one record. `false` if it does not fit the earlier ones.
            pub(super) fn take(&mut self, record: Record<'_>, number: u64) -> bool {
                if self.ended {
                    return false;
                }
                if !matches!(record, Record::Intention(_)) {
                    self.close();
                }
                match record {
                    Record::Header(_) => false,
                    $($(Record::$record(own) => {
                        let own = own.into_owned();
                        restore!(self, $table, own, $how $with)
                    })?)*
                    Record::Changed { table, key, index } => self.changed(table, key, index),
                    Record::Floor { table, index } => self.floor(table, index),
                    Record::End { records } => {
                        self.ended = true;
                        records == number
                    }
                }
            }
        }
    };
}

each_table!(records);

/// An instance; the record before it names its node.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct RecordedInstance<'a> {
    scope: NodeScope,
    node: NodeName,
    instance: Cow<'a, ServiceInstance>,
}

/// A check; the record before it names its node.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct RecordedCheck<'a> {
    scope: NodeScope,
    node: NodeName,
    check: Cow<'a, Check>,
}

/// A table by name; `None` if only a newer version has it. Such a table is derived, or no command has written to it
/// yet, so its remembered indexes can be dropped.
pub(crate) struct KnownTable(Option<TableId>);

impl<'de> Deserialize<'de> for KnownTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = TableId::deserialize(IntoDeserializer::<value::Error>::into_deserializer(name.as_str()));
        Ok(Self(known.ok()))
    }
}

impl Serialize for KnownTable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

// === Writing ===

/// Writes all rows and indexes. Returns the number of records so far, including the header.
pub(super) fn write_all(tables: &Tables, write: &mut Write<'_>) -> Result<u64, SnapshotError> {
    write_rows(tables, write)?;
    let mut written = 0;
    for table in tables.each() {
        let known = || KnownTable(Some(table.shape().id));
        for (key, index) in table.marks() {
            write(&Record::Changed { table: known(), key: key.clone(), index })?;
        }
        written = write(&Record::Floor { table: known(), index: table.floor() })?;
    }
    Ok(written)
}

/// Writes each node with its instances and checks.
fn save_catalog(tables: &Tables, write: &mut Write<'_>) -> Result<(), SnapshotError> {
    for (key, row) in tables.nodes.iter() {
        write(&Record::Node(Cow::Borrowed(row)))?;
        let (scope, node) = (&row.scope, &row.name);
        for (_, row) in tables.instances.scan(key) {
            let instance = Cow::Borrowed(&**row);
            let own = RecordedInstance { scope: scope.clone(), node: node.clone(), instance };
            write(&Record::Instance(Cow::Owned(own)))?;
        }
        for (_, row) in tables.checks.scan(key) {
            let check = Cow::Borrowed(&**row);
            let own = RecordedCheck { scope: scope.clone(), node: node.clone(), check };
            write(&Record::Check(Cow::Owned(own)))?;
        }
    }
    Ok(())
}

/// Writes each entry with the sources of its intentions.
fn save_entries(tables: &Tables, write: &mut Write<'_>) -> Result<(), SnapshotError> {
    for (_, row) in tables.entries.iter() {
        write(&Record::Entry(row.to_entry()))?;
        let Some(head) = row.intentions() else { continue };
        for (_, own) in tables.intentions.scan(&keys::intentions::of(&head.destination)) {
            write(&Record::Intention(Cow::Borrowed(own)))?;
        }
    }
    Ok(())
}

/// Nothing to write: these rows follow the rows they belong to.
#[allow(clippy::unnecessary_wraps, reason = "it stands in the place of others that can fail")]
fn with_its_owner(_: &Tables, _: &mut Write<'_>) -> Result<(), SnapshotError> {
    Ok(())
}

// === Reading ===

/// Restores a state.
pub(super) struct Restore {
    tables: Tables,
    /// Nobody waits for restored rows; the snapshot contains the indexes.
    commit: Commit,
    /// The entry whose sources are being read.
    open: Option<IntentionHead>,
    marks: BTreeMap<TableId, Vec<(Key, u64)>>,
    floors: BTreeMap<TableId, u64>,
    ended: bool,
}

impl Restore {
    pub(super) fn new(tables: Tables) -> Self {
        let (commit, marks, floors) = (Commit::restoring(), BTreeMap::new(), BTreeMap::new());
        Self { tables, commit, open: None, marks, floors, ended: false }
    }

    fn changed(&mut self, table: KnownTable, key: Key, index: u64) -> bool {
        if let KnownTable(Some(table)) = table {
            self.marks.entry(table).or_default().push((key, index));
        }
        true
    }

    fn floor(&mut self, table: KnownTable, index: u64) -> bool {
        let KnownTable(Some(table)) = table else { return true };
        self.floors.insert(table, index).is_none()
    }

    /// Stores the head of the entry whose sources have all been read.
    fn close(&mut self) {
        if let Some(head) = self.open.take() {
            derive::entry::put_head(&mut self.tables, &mut self.commit, head);
        }
    }

    /// The state, if it is complete and matches its header.
    pub(super) fn finish(mut self, header: &SnapshotHeader) -> Option<Tables> {
        for table in TableId::ALL {
            let marks = self.marks.remove(table).unwrap_or_default();
            let restored = match self.floors.remove(table) {
                Some(floor) => self.tables.table_mut(*table).set_marks(marks, floor),
                // The older version did not have this table, so everything in it counts as changed now.
                None => {
                    self.tables.table_mut(*table).set_all_marks(header.index);
                    marks.is_empty()
                }
            };
            if !restored {
                return None;
            }
        }
        let fits =
            cluster::id(&self.tables) == header.cluster && cluster::rule_set(&self.tables) == header.rule_set;
        (self.ended && fits).then_some(self.tables)
    }
}

fn restore_instance(to: &mut Restore, own: RecordedInstance<'_>) -> bool {
    let Some(node) = to.tables.nodes.get(&keys::nodes::row(&own.scope, &own.node)).cloned() else {
        return false;
    };
    let instance = Arc::new(own.instance.into_owned());
    catalog::put_instance(&mut to.tables, &mut to.commit, &node, &instance)
}

fn restore_check(to: &mut Restore, own: RecordedCheck<'_>) -> bool {
    let Some(node) = to.tables.nodes.get(&keys::nodes::row(&own.scope, &own.node)).cloned() else {
        return false;
    };
    let check = Arc::new(own.check.into_owned());
    catalog::put_check(&mut to.tables, &mut to.commit, &node, &check)
}

fn restore_entry(to: &mut Restore, own: Entry) -> bool {
    let (tables, commit) = (&mut to.tables, &mut to.commit);
    let Entry::ServiceIntentions(entry) = own else {
        return derive::entry::put(tables, commit, Arc::new(own));
    };
    let name = EntryName::intentions(&entry.destination);
    let new = tables.entries.get(&keys::entries::row(&name)).is_none();
    let (mut head, sources) = IntentionHead::split(entry);
    // In format 1 the entry contains its sources. If one is named twice, the first counts.
    for own in sources.into_iter().rev() {
        derive::entry::put_source(tables, commit, &mut head, &Arc::new(own));
    }
    to.open = Some(head);
    new
}

fn restore_source(to: &mut Restore, own: SourceIntention) -> bool {
    let Some(head) = &mut to.open else { return false };
    derive::entry::put_source(&mut to.tables, &mut to.commit, head, &Arc::new(own))
}
