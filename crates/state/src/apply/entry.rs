//! Stores and removes configuration entries, whole or one intention at a time.

use std::cmp::Reverse;
use std::sync::Arc;

use concord_model::Stamp;
use concord_model::entry::Entry;
use concord_model::intention::{Destination, ServiceIntentions, SourceIntention, precedence};

use crate::apply::stamp::renewed;
use crate::apply::{cas_failed, done};
use crate::command::{DeleteEntry, DeleteIntention, EntryRef, SetEntry, UpsertIntention};
use crate::derive::entry as rows;
use crate::keys;
use crate::reply::Reply;
use crate::table::Commit;
use crate::tables::Tables;

pub(super) fn set(tables: &mut Tables, commit: &mut Commit, command: &SetEntry) -> Reply {
    let name = EntryRef::of(&command.entry);
    if let Some(failed) = cas_failed(command.cas, last_change(tables, &name)) {
        return failed;
    }
    store(tables, commit, command.entry.clone())
}

pub(super) fn delete(tables: &mut Tables, commit: &mut Commit, command: &DeleteEntry) -> Reply {
    if let Some(failed) = cas_failed(command.cas, last_change(tables, &command.entry)) {
        return failed;
    }
    done(rows::remove(tables, commit, &command.entry))
}

pub(super) fn upsert_intention(tables: &mut Tables, commit: &mut Commit, command: &UpsertIntention) -> Reply {
    let mut entry = intentions_for(tables, &command.destination).unwrap_or_else(|| ServiceIntentions {
        destination: command.destination.clone(),
        sources: Vec::new(),
        jwt: None,
        meta: Default::default(),
        stamp: Stamp::default(),
    });
    match entry.sources.iter_mut().find(|own| own.source == command.intention.source) {
        Some(own) => *own = command.intention.clone(),
        None => entry.sources.push(command.intention.clone()),
    }
    store(tables, commit, Entry::ServiceIntentions(entry))
}

pub(super) fn delete_intention(tables: &mut Tables, commit: &mut Commit, command: &DeleteIntention) -> Reply {
    let Some(mut entry) = intentions_for(tables, &command.destination) else { return done(false) };
    let before = entry.sources.len();
    entry.sources.retain(|own| own.source != command.source);
    if entry.sources.len() == before {
        return done(false);
    }
    if entry.sources.is_empty() {
        return done(rows::remove(tables, commit, &EntryRef::ServiceIntentions(entry.destination)));
    }
    store(tables, commit, Entry::ServiceIntentions(entry))
}

fn store(tables: &mut Tables, commit: &mut Commit, mut entry: Entry) -> Reply {
    match &mut entry {
        Entry::ServiceIntentions(intentions) => sort_sources(intentions),
    }
    let old = tables.entries.get(&keys::entry(&EntryRef::of(&entry))).cloned();
    let row = renewed(old.as_deref(), entry, commit.index);
    done(row.is_some_and(|row| rows::put(tables, commit, &row)))
}

/// Sources stand in the order they are shown in: by precedence, then by name.
fn sort_sources(entry: &mut ServiceIntentions) {
    let destination = &entry.destination;
    entry.sources.sort_by(|one, other| shown_order(destination, one).cmp(&shown_order(destination, other)));
}

fn shown_order<'a>(destination: &Destination, intention: &'a SourceIntention) -> impl Ord + 'a {
    let source = &intention.source;
    let peer = source.peer.as_ref().map_or("", |peer| peer.as_str());
    let texts = [peer, source.partition.as_str(), source.namespace.as_str(), source.name.as_str()];
    (Reverse(precedence(destination, source)), texts)
}

fn last_change(tables: &Tables, entry: &EntryRef) -> u64 {
    tables.entries.get(&keys::entry(entry)).map_or(0, |entry| entry.stamp().modify)
}

fn intentions_for(tables: &Tables, destination: &Destination) -> Option<ServiceIntentions> {
    let entry: Arc<Entry> =
        tables.entries.get(&keys::entry(&EntryRef::ServiceIntentions(destination.clone()))).cloned()?;
    match &*entry {
        Entry::ServiceIntentions(intentions) => Some(intentions.clone()),
    }
}
