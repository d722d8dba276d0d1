//! Configuration entries: a head for each, a row for each source of an intention, and those rows found
//! by source and by id.
//!
//! A source's row is written through its entry's head, which counts it; the head is written last.

use std::sync::Arc;

use concord_model::Uuid;
use concord_model::intention::{Destination, Source, SourceIntention};

use crate::command::EntryRef;
use crate::keys;
use crate::row::{IntentionHead, IntentionRef};
use crate::table::Commit;
use crate::tables::Tables;

/// Stores a head. Returns whether it changed.
pub(crate) fn put_head(tables: &mut Tables, commit: &mut Commit, head: &Arc<IntentionHead>) -> bool {
    let key = keys::entry(&EntryRef::ServiceIntentions(head.destination.clone()));
    tables.entries.put(&key, Arc::clone(head), commit)
}

/// Stores a source of an entry. Returns whether it changed.
pub(crate) fn put_source(
    tables: &mut Tables,
    commit: &mut Commit,
    head: &mut IntentionHead,
    intention: &Arc<SourceIntention>,
) -> bool {
    let key = keys::intention(&head.destination, &intention.source);
    let Some(old) = tables.intentions.exchange(&key, Arc::clone(intention), commit) else { return false };
    let (is, was) = (id(intention), old.as_deref().and_then(id));
    if let Some(old) = &old {
        uncount(head, old);
    }
    count(head, intention);
    let (to, source) = (&head.destination, &intention.source);
    if let Some(was) = was.filter(|was| Some(*was) != is) {
        tables.intention_ids.remove(&keys::intention_by_id(was, to, source), commit);
    }
    let named = || Arc::new(IntentionRef { destination: to.clone(), source: source.clone() });
    if old.is_none() {
        tables.intention_sources.put(&keys::intention_by_source(source, to), named(), commit);
    }
    if let Some(is) = is.filter(|is| Some(*is) != was) {
        tables.intention_ids.put(&keys::intention_by_id(is, to, source), named(), commit);
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
    let Some(old) = tables.intentions.remove(&keys::intention(&head.destination, source), commit) else {
        return false;
    };
    uncount(head, &old);
    unlist(tables, commit, &head.destination, &old);
    true
}

/// Removes an entry with its sources. Returns whether there was one.
pub(crate) fn remove(tables: &mut Tables, commit: &mut Commit, entry: &EntryRef) -> bool {
    let Some(head) = tables.entries.remove(&keys::entry(entry), commit) else { return false };
    let to = &head.destination;
    let sources: Vec<_> =
        tables.intentions.scan(&keys::intentions_to(to)).map(|(_, row)| Arc::clone(row)).collect();
    for own in sources {
        tables.intentions.remove(&keys::intention(to, &own.source), commit);
        unlist(tables, commit, to, &own);
    }
    true
}

fn unlist(tables: &mut Tables, commit: &mut Commit, to: &Destination, own: &SourceIntention) {
    tables.intention_sources.remove(&keys::intention_by_source(&own.source, to), commit);
    if let Some(id) = id(own) {
        tables.intention_ids.remove(&keys::intention_by_id(id, to, &own.source), commit);
    }
}

fn id(own: &SourceIntention) -> Option<Uuid> {
    own.legacy.as_ref().map(|fields| fields.id)
}

fn count(head: &mut IntentionHead, own: &SourceIntention) {
    head.sources += 1;
    head.without_id += usize::from(own.legacy.is_none());
}

fn uncount(head: &mut IntentionHead, own: &SourceIntention) {
    head.sources -= 1;
    head.without_id -= usize::from(own.legacy.is_none());
}
