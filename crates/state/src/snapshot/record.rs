//! The records of a snapshot, and how a state is taken apart into them and put together again.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_model::ca::{BuiltinCaState, CaConfig, CaRoots};
use concord_model::catalog::{Check, Node, NodeScope, ServiceInstance};
use concord_model::entry::{Entry, EntryName};
use concord_model::intention::SourceIntention;
use concord_model::token::{AclPolicy, Token};
use concord_model::{NodeName, Uuid};
use serde::de::{IntoDeserializer, value};
use serde::{Deserialize, Deserializer, Serialize};

use crate::apply::cluster;
use crate::derive;
use crate::key::Key;
use crate::keys;
use crate::row::{AclBootstrap, IntentionHead};
use crate::snapshot::header::{SnapshotError, SnapshotHeader};
use crate::table::Commit;
use crate::tables::{TableId, Tables};

macro_rules! records {
    ($($name:ident($own:ty, $borrowed:ty),)*) => {
        /// A record as read.
        #[derive(Deserialize)]
        pub(crate) enum Record {
            $($name($own),)*
            Instance { scope: NodeScope, node: NodeName, instance: ServiceInstance },
            Check { scope: NodeScope, node: NodeName, check: Check },
            Changed { table: KnownTable, key: Key, index: u64 },
            Floor { table: KnownTable, index: u64 },
            End { records: u64 },
        }

        /// A record as written.
        #[derive(Serialize)]
        pub(crate) enum RecordRef<'a> {
            $($name($borrowed),)*
            Instance { scope: &'a NodeScope, node: &'a NodeName, instance: &'a ServiceInstance },
            Check { scope: &'a NodeScope, node: &'a NodeName, check: &'a Check },
            Changed { table: TableId, key: &'a Key, index: u64 },
            Floor { table: TableId, index: u64 },
            End { records: u64 },
        }
    };
}

records! {
    Header(SnapshotHeader, &'a SnapshotHeader),
    ClusterId(Uuid, Uuid),
    RuleSet(u32, u32),
    Node(Node, &'a Node),
    Entry(Entry, &'a Entry),
    Intention(SourceIntention, &'a SourceIntention),
    CaRoots(CaRoots, &'a CaRoots),
    CaConfig(CaConfig, &'a CaConfig),
    CaProviderState(BuiltinCaState, &'a BuiltinCaState),
    CaSerial(u64, u64),
    Token(Token, &'a Token),
    Policy(AclPolicy, &'a AclPolicy),
    AclBootstrap(AclBootstrap, AclBootstrap),
}

/// A table by its name, or none if a newer version has one that this one has not. Such a table
/// is derived, or no command has written to it yet: what is remembered of it can be left out.
pub(crate) struct KnownTable(Option<TableId>);

impl<'de> Deserialize<'de> for KnownTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = TableId::deserialize(IntoDeserializer::<value::Error>::into_deserializer(name.as_str()));
        Ok(Self(known.ok()))
    }
}

/// Hands one record on; returns how many were handed on so far.
type Write<'w> = dyn FnMut(RecordRef<'_>) -> Result<u64, SnapshotError> + 'w;

// === Writing ===

/// Writes all rows and indexes. Returns the number of records so far, the header among them.
pub(super) fn write_all(tables: &Tables, write: &mut Write<'_>) -> Result<u64, SnapshotError> {
    write_catalog(tables, write)?;
    for (_, row) in tables.entries.iter() {
        write(RecordRef::Entry(&row.to_entry()))?;
        let Some(head) = row.intentions() else { continue };
        for (_, own) in tables.intentions.scan(&keys::intentions_to(&head.destination)) {
            write(RecordRef::Intention(own))?;
        }
    }
    write_ca(tables, write)?;
    write_acl(tables, write)?;
    for (_, row) in tables.cluster_id.iter() {
        write(RecordRef::ClusterId(**row))?;
    }
    for (_, row) in tables.rule_set.iter() {
        write(RecordRef::RuleSet(**row))?;
    }
    let mut written = 0;
    for table in tables.each() {
        for (key, index) in table.marks() {
            write(RecordRef::Changed { table: table.id(), key, index })?;
        }
        written = write(RecordRef::Floor { table: table.id(), index: table.floor() })?;
    }
    Ok(written)
}

fn write_catalog(tables: &Tables, write: &mut Write<'_>) -> Result<(), SnapshotError> {
    for (key, node) in tables.nodes.iter() {
        write(RecordRef::Node(node))?;
        let (scope, name) = (&node.scope, &node.name);
        for (_, instance) in tables.instances.scan(key) {
            write(RecordRef::Instance { scope, node: name, instance })?;
        }
        for (_, check) in tables.checks.scan(key) {
            write(RecordRef::Check { scope, node: name, check })?;
        }
    }
    Ok(())
}

fn write_ca(tables: &Tables, write: &mut Write<'_>) -> Result<(), SnapshotError> {
    for (_, row) in tables.ca_roots.iter() {
        write(RecordRef::CaRoots(row))?;
    }
    for (_, row) in tables.ca_config.iter() {
        write(RecordRef::CaConfig(row))?;
    }
    for (_, row) in tables.ca_provider_states.iter() {
        write(RecordRef::CaProviderState(row))?;
    }
    for (_, row) in tables.ca_serial.iter() {
        write(RecordRef::CaSerial(**row))?;
    }
    Ok(())
}

fn write_acl(tables: &Tables, write: &mut Write<'_>) -> Result<(), SnapshotError> {
    for (_, row) in tables.policies.iter() {
        write(RecordRef::Policy(row))?;
    }
    for (_, row) in tables.tokens.iter() {
        write(RecordRef::Token(row))?;
    }
    for (_, row) in tables.acl_bootstrap.iter() {
        write(RecordRef::AclBootstrap(**row))?;
    }
    Ok(())
}

// === Reading ===

/// Puts a state together again.
pub(super) struct Restore {
    tables: Tables,
    /// Nobody waits for what is restored; the indexes come from the snapshot.
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

    /// Takes in one record; `false` if it does not fit those before it.
    pub(super) fn take(&mut self, record: Record, number: u64) -> bool {
        if self.ended {
            return false;
        }
        if !matches!(record, Record::Intention(_)) {
            self.close();
        }
        let (tables, commit) = (&mut self.tables, &mut self.commit);
        match record {
            Record::Header(_) => false,
            Record::ClusterId(id) => tables.cluster_id.put(&keys::only(), Arc::new(id), commit),
            Record::RuleSet(rules) => tables.rule_set.put(&keys::only(), Arc::new(rules), commit),
            Record::Node(node) => derive::catalog::put_node(tables, commit, &Arc::new(node)),
            Record::Instance { scope, node, instance } => {
                let node = tables.nodes.get(&keys::node(&scope, &node)).cloned();
                let instance = Arc::new(instance);
                node.is_some_and(|node| derive::catalog::put_instance(tables, commit, &node, &instance))
            }
            Record::Check { scope, node, check } => {
                let node = tables.nodes.get(&keys::node(&scope, &node)).cloned();
                let check = Arc::new(check);
                node.is_some_and(|node| derive::catalog::put_check(tables, commit, &node, &check))
            }
            Record::Entry(Entry::ServiceIntentions(entry)) => {
                let name = EntryName::intentions(&entry.destination);
                let new = tables.entries.get(&keys::entry(&name)).is_none();
                let (mut head, sources) = IntentionHead::split(entry);
                // Format 1 has the sources in the entry. Where one is named twice the first decides.
                for own in sources.into_iter().rev() {
                    derive::entry::put_source(tables, commit, &mut head, &Arc::new(own));
                }
                self.open = Some(head);
                new
            }
            Record::Entry(whole) => derive::entry::put(tables, commit, Arc::new(whole)),
            Record::Intention(own) => match &mut self.open {
                Some(head) => derive::entry::put_source(tables, commit, head, &Arc::new(own)),
                None => false,
            },
            Record::CaRoots(row) => tables.ca_roots.put(&keys::only(), Arc::new(row), commit),
            Record::CaConfig(row) => tables.ca_config.put(&keys::only(), Arc::new(row), commit),
            Record::CaProviderState(row) => {
                tables.ca_provider_states.put(&keys::text(&row.id.clone()), Arc::new(row), commit)
            }
            Record::CaSerial(next) => tables.ca_serial.put(&keys::only(), Arc::new(next), commit),
            Record::Token(token) => derive::acl::put_token(tables, commit, &Arc::new(token)),
            Record::Policy(policy) => derive::acl::put_policy(tables, commit, &Arc::new(policy)),
            Record::AclBootstrap(row) => tables.acl_bootstrap.put(&keys::only(), Arc::new(row), commit),
            Record::Changed { table: KnownTable(Some(table)), key, index } => {
                self.marks.entry(table).or_default().push((key, index));
                true
            }
            Record::Floor { table: KnownTable(Some(table)), index } => {
                self.floors.insert(table, index).is_none()
            }
            Record::Changed { table: KnownTable(None), .. }
            | Record::Floor { table: KnownTable(None), .. } => true,
            Record::End { records } => {
                self.ended = true;
                records == number
            }
        }
    }

    /// Stores the head of the entry whose sources have been read.
    fn close(&mut self) {
        if let Some(head) = self.open.take() {
            derive::entry::put_head(&mut self.tables, &mut self.commit, head);
        }
    }

    /// The state, if all of it is there and as its header says.
    pub(super) fn finish(mut self, header: &SnapshotHeader) -> Option<Tables> {
        for table in TableId::ALL {
            let marks = self.marks.remove(table).unwrap_or_default();
            let restored = match self.floors.remove(table) {
                Some(floor) => self.tables.table_mut(*table).set_marks(marks, floor),
                // An older version did not have the table: everything in it changed just now.
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
