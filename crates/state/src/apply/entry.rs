//! Stores and removes configuration entries, whole or one intention at a time.
//!
//! One intention at a time costs the same however many its destination has: its entry's head and its
//! own row are written, no other.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_mesh::intention::validate_source;
use concord_model::Stamp;
use concord_model::entry::Entry;
use concord_model::intention::{Destination, Source, SourceIntention};

use crate::apply::{cas_failed, done};
use crate::command::{DeleteEntry, DeleteIntention, EditIntention, EntryRef, SetEntry, UpsertIntention};
use crate::derive::entry as rows;
use crate::key::Key;
use crate::keys;
use crate::reply::{EntryRefusal, Refusal, Reply};
use crate::row::IntentionHead;
use crate::table::Commit;
use crate::tables::Tables;

pub(super) fn set(tables: &mut Tables, commit: &mut Commit, command: &SetEntry) -> Reply {
    let Entry::ServiceIntentions(entry) = &command.entry;
    let old = head_of(tables, &entry.destination);
    if let Some(failed) = cas_failed(command.cas, last_change(old.as_deref())) {
        return failed;
    }
    let (wanted, sources) = IntentionHead::split(entry.clone());
    let mut head = IntentionHead { stamp: Stamp::default(), ..wanted };
    let mut is: BTreeMap<Key, SourceIntention> = BTreeMap::new();
    for own in sources {
        // Where a source is named twice, which the leader refuses, the first decides.
        is.entry(keys::intention(&head.destination, &own.source)).or_insert(own);
    }
    let mut changed = old.is_none();
    if let Some(old) = &old {
        changed = (&head.jwt, &head.meta) != (&old.jwt, &old.meta);
        (head.stamp, head.sources, head.without_id) = (old.stamp, old.sources, old.without_id);
    }
    for gone in absent_in(tables, &head.destination, &is) {
        changed |= rows::remove_source(tables, commit, &mut head, &gone);
    }
    for own in is.into_values() {
        changed |= rows::put_source(tables, commit, &mut head, &Arc::new(own));
    }
    store(tables, commit, head, changed)
}

/// The sources of a destination that a new entry says nothing of.
fn absent_in(tables: &Tables, to: &Destination, is: &BTreeMap<Key, SourceIntention>) -> Vec<Source> {
    let class = keys::intentions_to(to);
    let all = tables.intentions.scan(&class).filter(|(key, _)| !is.contains_key(*key));
    all.map(|(_, own)| own.source.clone()).collect()
}

pub(super) fn delete(tables: &mut Tables, commit: &mut Commit, command: &DeleteEntry) -> Reply {
    let EntryRef::ServiceIntentions(to) = &command.entry;
    if let Some(failed) = cas_failed(command.cas, last_change(head_of(tables, to).as_deref())) {
        return failed;
    }
    done(rows::remove(tables, commit, &command.entry))
}

pub(super) fn upsert_intention(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &UpsertIntention,
) -> Result<Reply, Refusal> {
    let UpsertIntention { destination, intention } = command;
    let mut head = head_or_new(tables, destination);
    let changed = rows::put_source(tables, commit, &mut head, &Arc::new(intention.clone()));
    Ok(store(tables, commit, head, changed))
}

pub(super) fn delete_intention(tables: &mut Tables, commit: &mut Commit, command: &DeleteIntention) -> Reply {
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
) -> Result<Reply, Refusal> {
    let EditIntention { destination, cas, remove, put } = command;
    if let Some(failed) = cas_failed(Some(*cas), last_change(head_of(tables, destination).as_deref())) {
        return Ok(failed);
    }
    let mut head = head_or_new(tables, destination);
    let mut changed = false;
    // What is replaced by its own kind does not come and go.
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
        changed |= rows::put_source(tables, commit, &mut head, &Arc::new(put.clone()));
    }
    Ok(store_or_remove(tables, commit, head, changed))
}

fn store_or_remove(tables: &mut Tables, commit: &mut Commit, head: IntentionHead, changed: bool) -> Reply {
    if changed && head.sources == 0 {
        return done(rows::remove(tables, commit, &EntryRef::ServiceIntentions(head.destination)));
    }
    store(tables, commit, head, changed)
}

/// Stores a head as changed now.
fn store(tables: &mut Tables, commit: &mut Commit, mut head: IntentionHead, changed: bool) -> Reply {
    if changed {
        let create = if head.stamp == Stamp::default() { commit.index } else { head.stamp.create };
        head.stamp = Stamp { create, modify: commit.index };
        rows::put_head(tables, commit, &Arc::new(head));
    }
    done(changed)
}

fn is_there(tables: &Tables, to: &Destination, source: &Source) -> bool {
    tables.intentions.get(&keys::intention(to, source)).is_some()
}

fn head_or_new(tables: &Tables, to: &Destination) -> IntentionHead {
    let found = head_of(tables, to);
    found.map_or_else(|| IntentionHead::new(to.clone()), |head| IntentionHead::clone(&head))
}

fn head_of(tables: &Tables, to: &Destination) -> Option<Arc<IntentionHead>> {
    tables.entries.get(&keys::entry(&EntryRef::ServiceIntentions(to.clone()))).cloned()
}

fn last_change(head: Option<&IntentionHead>) -> u64 {
    head.map_or(0, |head| head.stamp.modify)
}
