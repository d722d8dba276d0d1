//! The older API, in which each intention has its own id.
//!
//! Its intentions are stored in the destinations' entries like all others, together with their ids. If an entry was
//! also written through another API, this API cannot change it, because it could not express all of its content.

use std::sync::Arc;

use concord_acl::{Labelled, Level, Right};
use concord_model::Uuid;
use concord_model::entry::EntryName;
use concord_model::intention::{
    Decision, Destination, LegacyFields, ServiceIntentions, Source, SourceIntention,
};
use concord_rpc::request::{
    CreateIntention, DeleteIntentionById, PlainIntention, ReadIntention, UpdateIntention,
};
use concord_rpc::{Answer, Caller, RpcError};
use concord_state::{IntentionHead, Reader, command};

use super::{of_head, valid_source, write_intentions_of};
use crate::endpoint::entry::{done, turn_of};
use crate::reading::Reading;
use crate::writing::Writing;

/// How often a change is tried again if others remove or replace the entry at the same time.
const TRIES: usize = 4;

/// The new content of a destination's entry.
#[derive(Debug)]
struct Change {
    remove: Option<Source>,
    put: Option<SourceIntention>,
}

pub(crate) fn read_intention(
    reading: &mut Reading<'_>,
    request: &ReadIntention,
) -> Result<Option<ServiceIntentions>, RpcError> {
    let found = reading.reader.intention_by_id(request.id);
    found.map(|entry| may_read(reading.caller, &entry).map(|()| entry)).transpose()
}

pub(crate) async fn create_intention(
    writing: Writing<'_>,
    request: CreateIntention,
) -> Result<Answer<Uuid>, RpcError> {
    let CreateIntention { intention } = request;
    let (id, now) = (writing.log.uuid(), writing.log.now());
    let destination = intention.destination.clone();
    let fields = LegacyFields { id, meta: intention.meta.clone(), create_time: now, update_time: now };
    let made = source_of(intention, fields);
    let index = edit(writing, &destination, |reader| {
        if reader.intention(&destination, &made.source).is_some() {
            return Err(repeated(reader.position(&destination, &made.source), &made));
        }
        Ok(Change { remove: None, put: Some(made.clone()) })
    })
    .await?;
    Ok(writing.log.written(id, index))
}

pub(crate) async fn update_intention(
    writing: Writing<'_>,
    request: UpdateIntention,
) -> Result<Answer<()>, RpcError> {
    let UpdateIntention { id, intention } = request;
    let gone = || RpcError::Rejected(format!("Cannot modify non-existent intention: '{id}'"));
    let destination = destination_of(writing, id, gone)?;
    if destination != intention.destination {
        let text = "Cannot modify Destination partition/namespace/name for an intention once it exists.";
        return Err(RpcError::Rejected(text.to_owned()));
    }
    let now = writing.log.now();
    let index = edit(writing, &destination, |reader| {
        let old = standing(reader, &destination, id).ok_or_else(gone)?;
        let created = old.legacy.as_ref().map_or(now, |fields| fields.create_time);
        let meta = intention.meta.clone();
        let fields = LegacyFields { id, meta, create_time: created, update_time: now };
        let own = source_of(intention.clone(), fields);
        if own.source != old.source && reader.intention(&destination, &own.source).is_some() {
            let at = [&own.source, &old.source].map(|source| reader.position(&destination, source));
            return Err(repeated(at[0].min(at[1]), &own));
        }
        Ok(Change { remove: Some(old.source), put: Some(own) })
    })
    .await?;
    Ok(writing.log.written((), index))
}

pub(crate) async fn delete_intention_by_id(
    writing: Writing<'_>,
    request: DeleteIntentionById,
) -> Result<Answer<()>, RpcError> {
    let id = request.id;
    let gone = || RpcError::Rejected(format!("Cannot delete non-existent intention: '{id}'"));
    let destination = destination_of(writing, id, gone)?;
    let index = edit(writing, &destination, |reader| {
        let old = standing(reader, &destination, id).ok_or_else(gone)?;
        Ok(Change { remove: Some(old.source), put: None })
    })
    .await?;
    Ok(writing.log.written((), index))
}

/// The destination of the intention with an id, if the caller may write its intentions.
fn destination_of(
    writing: Writing<'_>,
    id: Uuid,
    gone: impl Fn() -> RpcError,
) -> Result<Destination, RpcError> {
    let entry = writing.log.view().read().intention_by_id(id).ok_or_else(gone)?;
    writing.caller.require(&write_intentions_of(&entry.destination))?;
    Ok(entry.destination)
}

/// Changes one source in a destination's entry, holding the caller's turn. The write is conditional on the entry that
/// was read. An entry without sources is removed.
async fn edit(
    writing: Writing<'_>,
    destination: &Destination,
    change: impl Fn(&mut Reader) -> Result<Change, RpcError>,
) -> Result<u64, RpcError> {
    let _turn = turn_of(writing, &EntryName::intentions(destination)).await?;
    for _ in 0..TRIES {
        let command = edited(writing, destination, &change)?;
        let (reply, index) = writing.log.write(command).await?;
        if done(&reply)? {
            return Ok(index);
        }
    }
    Err(RpcError::Conflict(format!("the intentions for {destination} keep changing; try again")))
}

/// The command for a change of the entry as it is now.
fn edited(
    writing: Writing<'_>,
    destination: &Destination,
    change: impl Fn(&mut Reader) -> Result<Change, RpcError>,
) -> Result<command::EditIntention, RpcError> {
    let mut reader = writing.log.view().read();
    let entry: Option<Arc<IntentionHead>> = reader.intention_head(destination);
    let (stamp, all) = of_head(entry.as_deref());
    if let Some(entry) = &entry {
        only_with_ids(entry)?;
    }
    let Change { remove, put } = change(&mut reader)?;
    if let Some(own) = &put {
        valid_source(destination, all - usize::from(remove.is_some()), own)?;
    }
    Ok(command::EditIntention { destination: destination.clone(), cas: stamp.modify, remove, put })
}

/// The intention with an id, if it belongs to that destination.
fn standing(reader: &mut Reader, destination: &Destination, id: Uuid) -> Option<SourceIntention> {
    let entry = reader.intention_by_id(id)?;
    if entry.destination == *destination { entry.sources.into_iter().next() } else { None }
}

fn may_read(caller: &Caller, entry: &ServiceIntentions) -> Result<(), RpcError> {
    let seen = |own: &SourceIntention| caller.sees().intention(&entry.destination, &own.source);
    if entry.sources.iter().all(seen) {
        return Ok(());
    }
    let destination = entry.destination.name.as_str();
    caller.require(&Right::named(Labelled::Intention, destination.to_owned(), Level::Read))
}

fn source_of(intention: PlainIntention, fields: LegacyFields) -> SourceIntention {
    let PlainIntention { destination: _, source, action, description, meta: _ } = intention;
    SourceIntention { source, decision: Decision::Connection(action), description, legacy: Some(fields) }
}

/// Refuses an entry with sources that have no ids.
fn only_with_ids(entry: &IntentionHead) -> Result<(), RpcError> {
    if entry.only_with_ids() {
        return Ok(());
    }
    Err(RpcError::Rejected(format!(
        "cannot use legacy intention API to edit intentions with a destination of {:?} after editing them via \
         a service-intentions config entry",
        entry.destination.to_string()
    )))
}

/// The error for two intentions of the same pair. `at` is the position of the first one.
fn repeated(at: usize, own: &SourceIntention) -> RpcError {
    RpcError::Rejected(format!("Sources[{}] defines {:?} more than once", at + 1, own.source.name.as_str()))
}
