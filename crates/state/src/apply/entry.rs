//! Stores and removes configuration entries, as a whole or one intention at a time.
//!
//! Changing one intention costs the same however many its destination has: only the entry's head and the intention's
//! own row are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_mesh::entry::{Change, check_graph, check_source, validate_source};
use concord_model::Stamp;
use concord_model::entry::{Entry, EntryName};
use concord_model::intention::{Destination, ServiceIntentions, Source, SourceIntention};

use super::outcome::{cas_failed, done};
use crate::apply::cluster::{GRAPH_RULES, TIME_RULES, rule_set};
use crate::command::{
    DeleteEntry, DeleteIntention, EditIntention, SetEntry, SetEntryStatus, UpsertIntention,
};
use crate::derive::entry as rows;
use crate::key::Key;
use crate::key::part::Shown;
use crate::keys;
use crate::reply::{CommandReply, EntryRefusal, Refusal};
use crate::row::{EntryRow, EntryTime, IntentionHead};
use crate::table::Commit;
use crate::tables::Tables;

pub(super) fn set(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &SetEntry,
) -> Result<CommandReply, Refusal> {
    let name = command.entry.name();
    let old = row_of(tables, &name);
    if let Some(failed) = cas_failed(command.cas, last_change(old.as_deref())) {
        return Ok(failed);
    }
    fits(tables, Change { name: &name, to: Some(&command.entry) })?;
    Ok(match &command.entry {
        Entry::ServiceIntentions(entry) => set_intentions(tables, commit, entry),
        whole => set_whole(tables, commit, whole, old.as_deref()),
    })
}

/// Refuses a change that conflicts with the stored entries. Rule sets before [`GRAPH_RULES`] did not check this.
fn fits(tables: &Tables, change: Change<'_>) -> Result<(), EntryRefusal> {
    if rule_set(tables) < GRAPH_RULES {
        return Ok(());
    }
    check_graph(tables, change).map_err(EntryRefusal::Graph)
}

/// The same check for one source of a destination.
fn source_fits(tables: &Tables, to: &Destination, own: &SourceIntention) -> Result<(), EntryRefusal> {
    if rule_set(tables) < GRAPH_RULES {
        return Ok(());
    }
    check_source(tables, to, own).map_err(EntryRefusal::Graph)
}

fn set_whole(
    tables: &mut Tables,
    commit: &mut Commit,
    entry: &Entry,
    old: Option<&EntryRow>,
) -> CommandReply {
    let entry = entry.clone().with_status_of(old.and_then(EntryRow::whole));
    if old.and_then(EntryRow::whole).is_some_and(|old| old.says_the_same(&entry)) {
        return done(false);
    }
    put(tables, commit, entry, old.map(EntryRow::stamp))
}

/// Stores an entry that replaces one with this stamp.
fn put(tables: &mut Tables, commit: &mut Commit, entry: Entry, old: Option<Stamp>) -> CommandReply {
    let create = old.map_or(commit.index, |old| old.create);
    note_time(tables, commit, entry.name());
    let entry = entry.stamped(Stamp { create, modify: commit.index });
    done(rows::put(tables, commit, Arc::new(entry)))
}

/// Stores what the leader says of an entry, if the entry has not changed in the meantime.
pub(super) fn set_status(tables: &mut Tables, commit: &mut Commit, command: &SetEntryStatus) -> CommandReply {
    let SetEntryStatus { entry, modify, status } = command;
    let row = row_of(tables, entry);
    if let Some(failed) = cas_failed(Some(*modify), last_change(row.as_deref())) {
        return failed;
    }
    let Some(old) = row.as_deref().and_then(EntryRow::whole) else { return done(false) };
    let new = old.clone().with_status(status.clone());
    if old.says_the_same(&new) { done(false) } else { put(tables, commit, new, Some(old.stamp())) }
}

fn set_intentions(tables: &mut Tables, commit: &mut Commit, entry: &ServiceIntentions) -> CommandReply {
    let old = head_of(tables, &entry.destination);
    let (wanted, sources) = IntentionHead::split(entry.clone());
    let mut head = IntentionHead { stamp: Stamp::default(), ..wanted };
    let mut is: BTreeMap<Key, SourceIntention> = BTreeMap::new();
    for own in sources {
        // If an entry names a source twice, the first one counts. The leader refuses such entries.
        is.entry(keys::intentions::key(&head.destination, Shown(&own.source))).or_insert(own);
    }
    let mut changed = old.is_none();
    if let Some(old) = &old {
        changed = (&head.jwt, &head.meta) != (&old.jwt, &old.meta);
        (head.stamp, head.sources) = (old.stamp, old.sources);
        (head.without_id, head.by_request) = (old.without_id, old.by_request);
    }
    for gone in absent_in(tables, &head.destination, &is) {
        changed |= rows::remove_source(tables, commit, &mut head, &gone);
    }
    for own in is.into_values() {
        changed |= rows::put_source(tables, commit, &mut head, &Arc::new(own));
    }
    store(tables, commit, head, changed)
}

/// The stored sources of a destination that a new entry does not contain.
fn absent_in(tables: &Tables, to: &Destination, is: &BTreeMap<Key, SourceIntention>) -> Vec<Source> {
    let class = keys::intentions::of(to);
    let all = tables.intentions.scan(&class).filter(|(key, _)| !is.contains_key(*key));
    all.map(|(_, own)| own.source.clone()).collect()
}

pub(super) fn delete(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &DeleteEntry,
) -> Result<CommandReply, Refusal> {
    if let Some(failed) = cas_failed(command.cas, last_change(row_of(tables, &command.entry).as_deref())) {
        return Ok(failed);
    }
    fits(tables, Change { name: &command.entry, to: None })?;
    Ok(done(rows::remove(tables, commit, &command.entry)))
}

pub(super) fn upsert_intention(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &UpsertIntention,
) -> Result<CommandReply, Refusal> {
    let UpsertIntention { destination, intention } = command;
    source_fits(tables, destination, intention)?;
    let mut head = head_or_new(tables, destination);
    let changed = rows::put_source(tables, commit, &mut head, &Arc::new(intention.clone()));
    Ok(store(tables, commit, head, changed))
}

pub(super) fn delete_intention(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &DeleteIntention,
) -> CommandReply {
    let DeleteIntention { destination, source } = command;
    let Some(head) = head_of(tables, destination) else { return done(false) };
    let mut head = IntentionHead::clone(&head);
    let changed = rows::remove_source(tables, commit, &mut head, source);
    store_or_remove(tables, commit, head, changed)
}

pub(super) fn edit_intention(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &EditIntention,
) -> Result<CommandReply, Refusal> {
    let EditIntention { destination, cas, remove, put } = command;
    let row = row_of(tables, &EntryName::intentions(destination));
    if let Some(failed) = cas_failed(Some(*cas), last_change(row.as_deref())) {
        return Ok(failed);
    }
    let mut head = head_or_new(tables, destination);
    let mut changed = false;
    // A source that is replaced under the same name is not removed first.
    let gone = remove.as_ref().filter(|gone| put.as_ref().is_none_or(|put| put.source != **gone));
    if let Some(gone) = gone {
        changed |= rows::remove_source(tables, commit, &mut head, gone);
    }
    if let Some(put) = put {
        let others = head.sources - usize::from(is_there(tables, destination, &put.source));
        validate_source(destination, others, put).map_err(|faults| {
            let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
            EntryRefusal::Invalid(texts.join("; "))
        })?;
        source_fits(tables, destination, put)?;
        changed |= rows::put_source(tables, commit, &mut head, &Arc::new(put.clone()));
    }
    Ok(store_or_remove(tables, commit, head, changed))
}

fn store_or_remove(
    tables: &mut Tables,
    commit: &mut Commit,
    head: IntentionHead,
    changed: bool,
) -> CommandReply {
    if changed && head.sources == 0 {
        return done(rows::remove(tables, commit, &EntryName::intentions(&head.destination)));
    }
    store(tables, commit, head, changed)
}

/// Stores a head with the current index as its last change.
fn store(tables: &mut Tables, commit: &mut Commit, mut head: IntentionHead, changed: bool) -> CommandReply {
    if changed {
        let create = if head.stamp == Stamp::default() { commit.index } else { head.stamp.create };
        head.stamp = Stamp { create, modify: commit.index };
        note_time(tables, commit, EntryName::intentions(&head.destination));
        rows::put_head(tables, commit, head);
    }
    done(changed)
}

/// Notes that an entry is accepted now. Rule sets before [`TIME_RULES`] did not.
fn note_time(tables: &mut Tables, commit: &mut Commit, name: EntryName) {
    if rule_set(tables) >= TIME_RULES {
        let row = Arc::new(EntryTime { name, at: tables.at });
        tables.entry_times.put(&keys::entry_times::row(&row.name), Arc::clone(&row), commit);
    }
}

fn is_there(tables: &Tables, to: &Destination, source: &Source) -> bool {
    tables.intentions.get(&keys::intentions::key(to, Shown(source))).is_some()
}

fn head_or_new(tables: &Tables, to: &Destination) -> IntentionHead {
    let found = head_of(tables, to);
    found.map_or_else(|| IntentionHead::new(to.clone()), |head| IntentionHead::clone(&head))
}

fn head_of(tables: &Tables, to: &Destination) -> Option<Arc<IntentionHead>> {
    row_of(tables, &EntryName::intentions(to))?.intentions().cloned()
}

fn row_of(tables: &Tables, name: &EntryName) -> Option<Arc<EntryRow>> {
    tables.entries.get(&keys::entries::row(name)).cloned()
}

fn last_change(row: Option<&EntryRow>) -> u64 {
    row.map_or(0, |row| row.stamp().modify)
}
