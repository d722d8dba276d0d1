//! Configuration entries, and intentions by their sources.

use std::collections::BTreeSet;
use std::sync::Arc;

use concord_model::entry::Entry;

use crate::command::EntryRef;
use crate::key::Key;
use crate::keys;
use crate::table::Commit;
use crate::tables::Tables;

/// Stores an entry. Returns whether it changed.
pub(crate) fn put(tables: &mut Tables, commit: &mut Commit, entry: &Arc<Entry>) -> bool {
    let key = keys::entry(&EntryRef::of(entry));
    let old = tables.entries.get(&key).cloned();
    if !tables.entries.put(&key, Arc::clone(entry), commit) {
        return false;
    }
    let is = source_keys(entry);
    for key in old.iter().flat_map(|old| source_keys(old)).filter(|was| !is.contains(was)) {
        tables.intention_sources.remove(&key, commit);
    }
    for key in is {
        tables.intention_sources.put(&key, Arc::clone(entry), commit);
    }
    true
}

/// Removes an entry. Returns whether there was one.
pub(crate) fn remove(tables: &mut Tables, commit: &mut Commit, entry: &EntryRef) -> bool {
    let Some(old) = tables.entries.remove(&keys::entry(entry), commit) else { return false };
    for key in source_keys(&old) {
        tables.intention_sources.remove(&key, commit);
    }
    true
}

fn source_keys(entry: &Entry) -> BTreeSet<Key> {
    match entry {
        Entry::ServiceIntentions(intentions) => intentions
            .sources
            .iter()
            .map(|intention| keys::intention_by_source(&intention.source, &intentions.destination))
            .collect(),
    }
}
