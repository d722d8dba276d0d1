//! Queries about configuration entries and intentions.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_model::ServiceRef;
use concord_model::entry::{Entry, EntryKind};
use concord_model::intention::{Destination, Source};

use crate::command::EntryRef;
use crate::keys;
use crate::read::Reader;
use crate::tables::TableId;

impl Reader {
    /// One entry.
    pub fn entry(&mut self, name: &EntryRef) -> Option<Arc<Entry>> {
        let key = keys::entry(name);
        let found = self.tables().entries.get(&key).cloned();
        self.note(TableId::Entries, key);
        found
    }

    /// All entries of a kind.
    pub fn entries(&mut self, kind: EntryKind) -> Vec<Arc<Entry>> {
        self.scan(|tables| &tables.entries, TableId::Entries, keys::entries_of(kind))
    }

    /// All entries that hold intentions.
    pub fn intentions(&mut self) -> Vec<Arc<Entry>> {
        self.entries(EntryKind::ServiceIntentions)
    }

    /// The entries whose destination covers a service: its own and those with wildcards, the most
    /// specific first. A destination in a peered cluster has none here.
    pub fn intentions_to(&mut self, destination: &ServiceRef) -> Vec<Arc<Entry>> {
        if destination.peer.is_some() {
            return Vec::new();
        }
        let partition = &destination.partition;
        let named = keys::patterns(destination).map(|(namespace, name)| {
            EntryRef::ServiceIntentions(Destination { partition: partition.clone(), namespace, name })
        });
        named.iter().filter_map(|name| self.entry(name)).collect()
    }

    /// The entries with an intention whose source covers a service, each once, by destination.
    pub fn intentions_from(&mut self, source: &ServiceRef) -> Vec<Arc<Entry>> {
        let mut found = BTreeMap::new();
        for (namespace, name) in keys::patterns(source) {
            let (partition, peer) = (source.partition.clone(), source.peer.clone());
            let class = keys::intentions_from(&Source { partition, namespace, peer, name });
            for entry in self.scan(|tables| &tables.intention_sources, TableId::IntentionSources, class) {
                found.insert(EntryRef::of(&entry), entry);
            }
        }
        found.into_values().collect()
    }
}
