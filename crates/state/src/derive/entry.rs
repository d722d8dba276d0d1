//! Configuration entries: one row per entry. Intentions are a head and one row per source; further rows find the
//! sources by source and by id.
//!
//! A source's row is written through its entry's head, which counts it. The head is written last.

use std::sync::Arc;

use concord_model::entry::{Entry, EntryKind, EntryName};
use concord_model::intention::{Destination, Source, SourceIntention};
use concord_model::{ServiceRef, Uuid};

use crate::derive::address;
use crate::key::part::{Local, Shown};
use crate::keys;
use crate::row::{EntryLink, EntryRow, IntentionHead, IntentionRef};
use crate::table::Commit;
use crate::tables::Tables;

/// Stores an entry that is a single row. Returns whether it changed.
pub(crate) fn put(tables: &mut Tables, commit: &mut Commit, entry: Arc<Entry>) -> bool {
    put_row(tables, commit, EntryRow::Whole(entry))
}

/// Stores a head. Returns whether it changed.
pub(crate) fn put_head(tables: &mut Tables, commit: &mut Commit, head: IntentionHead) -> bool {
    put_row(tables, commit, EntryRow::Intentions(Arc::new(head)))
}

fn put_row(tables: &mut Tables, commit: &mut Commit, row: EntryRow) -> bool {
    let (name, links) = (row.name(), row.links());
    let Some(old) = tables.entries.exchange(&keys::entries::row(&name), Arc::new(row), commit) else {
        return false;
    };
    commit.services.extend(address::of_entry(&name));
    for to in old.iter().flat_map(|old| old.links()).filter(|to| !links.contains(to)) {
        touch_linked(commit, &name, &to);
        tables.entry_links.remove(&keys::entry_links::key(Local(&to), &name), commit);
    }
    for to in links {
        touch_linked(commit, &name, &to);
        let key = keys::entry_links::key(Local(&to), &name);
        tables.entry_links.put(&key, Arc::new(EntryLink { to, from: name.clone() }), commit);
    }
    true
}

/// Notes a service that may get or lose its address with the entry that names it.
fn touch_linked(commit: &mut Commit, from: &EntryName, to: &ServiceRef) {
    if from.kind == EntryKind::TerminatingGateway {
        commit.services.insert(to.clone());
    }
}

/// Stores a source of an entry. Returns whether it changed.
pub(crate) fn put_source(
    tables: &mut Tables,
    commit: &mut Commit,
    head: &mut IntentionHead,
    intention: &Arc<SourceIntention>,
) -> bool {
    let key = keys::intentions::key(&head.destination, Shown(&intention.source));
    let Some(old) = tables.intentions.exchange(&key, Arc::clone(intention), commit) else { return false };
    let (is, was) = (id(intention), old.as_deref().and_then(id));
    if let Some(old) = &old {
        uncount(head, old);
    }
    count(head, intention);
    let (to, source) = (&head.destination, &intention.source);
    if let Some(was) = was.filter(|was| Some(*was) != is) {
        tables.intention_ids.remove(&keys::intention_ids::key(was, to, Shown(source)), commit);
    }
    let named = || Arc::new(IntentionRef { destination: to.clone(), source: source.clone() });
    if old.is_none() {
        tables.intention_sources.put(&keys::intention_sources::key(source, to), named(), commit);
    }
    if let Some(is) = is.filter(|is| Some(*is) != was) {
        tables.intention_ids.put(&keys::intention_ids::key(is, to, Shown(source)), named(), commit);
    }
    true
}

/// Removes a source of an entry. Returns whether there was one.
pub(crate) fn remove_source(
    tables: &mut Tables,
    commit: &mut Commit,
    head: &mut IntentionHead,
    source: &Source,
) -> bool {
    let Some(old) =
        tables.intentions.remove(&keys::intentions::key(&head.destination, Shown(source)), commit)
    else {
        return false;
    };
    uncount(head, &old);
    unlist(tables, commit, &head.destination, &old);
    true
}

/// Removes an entry; intentions with their sources. Returns whether there was one.
pub(crate) fn remove(tables: &mut Tables, commit: &mut Commit, name: &EntryName) -> bool {
    let Some(row) = tables.entries.remove(&keys::entries::row(name), commit) else { return false };
    tables.entry_times.remove(&keys::entry_times::row(name), commit);
    commit.services.extend(address::of_entry(name));
    for to in row.links() {
        touch_linked(commit, name, &to);
        tables.entry_links.remove(&keys::entry_links::key(Local(&to), name), commit);
    }
    if let EntryRow::Intentions(head) = &*row {
        remove_sources(tables, commit, &head.destination);
    }
    true
}

fn remove_sources(tables: &mut Tables, commit: &mut Commit, to: &Destination) {
    let sources: Vec<_> =
        tables.intentions.scan(&keys::intentions::of(to)).map(|(_, row)| Arc::clone(row)).collect();
    for own in sources {
        tables.intentions.remove(&keys::intentions::key(to, Shown(&own.source)), commit);
        unlist(tables, commit, to, &own);
    }
}

fn unlist(tables: &mut Tables, commit: &mut Commit, to: &Destination, own: &SourceIntention) {
    tables.intention_sources.remove(&keys::intention_sources::key(&own.source, to), commit);
    if let Some(id) = id(own) {
        tables.intention_ids.remove(&keys::intention_ids::key(id, to, Shown(&own.source)), commit);
    }
}

fn id(own: &SourceIntention) -> Option<Uuid> {
    own.legacy.as_ref().map(|fields| fields.id)
}

fn count(head: &mut IntentionHead, own: &SourceIntention) {
    head.sources += 1;
    head.without_id += usize::from(own.legacy.is_none());
    head.by_request += usize::from(own.decision.is_by_request());
}

fn uncount(head: &mut IntentionHead, own: &SourceIntention) {
    head.sources -= 1;
    head.without_id -= usize::from(own.legacy.is_none());
    head.by_request -= usize::from(own.decision.is_by_request());
}
