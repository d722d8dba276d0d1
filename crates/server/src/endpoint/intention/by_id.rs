//! The older API, where each intention has an id of its own.
//!
//! Its intentions live in the destinations' entries like all others, with their ids beside them. An entry
//! that was also written otherwise is beyond this API: it could not say all that stands there.

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
use concord_rpc::{Answer, Caller, Head, Request, RpcError};
use concord_state::{IntentionHead, Reader, command};

use super::{of_head, valid_source, write_intentions_of};
use crate::endpoint::entry::done;
use crate::paths::Core;

/// Tries of a change whose entry is removed or replaced by others meanwhile.
const TRIES: usize = 4;

/// What a destination's entry becomes.
#[derive(Debug)]
struct Change {
    remove: Option<Source>,
    put: Option<SourceIntention>,
}

impl Core {
    pub(crate) async fn read_intention(
        &self,
        head: &Head,
        request: ReadIntention,
    ) -> Result<Answer<Option<ServiceIntentions>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            let found = eval.reader.intention_by_id(request.id);
            found.map(|entry| may_read(eval.caller, &entry).map(|()| entry)).transpose()
        })
        .await
    }

    pub(crate) async fn create_intention(
        &self,
        head: &Head,
        request: CreateIntention,
    ) -> Result<Answer<Uuid>, RpcError> {
        self.authorise(head, &request.need()).await?;
        let CreateIntention { intention } = request;
        let (id, now) = (self.uuid(), self.now());
        let destination = intention.destination.clone();
        let fields = LegacyFields { id, meta: intention.meta.clone(), create_time: now, update_time: now };
        let made = source_of(intention, fields);
        let index = self
            .edit(head, &destination, |reader| {
                if reader.intention(&destination, &made.source).is_some() {
                    return Err(repeated(reader.position(&destination, &made.source), &made));
                }
                Ok(Change { remove: None, put: Some(made.clone()) })
            })
            .await?;
        Ok(self.written(id, index))
    }

    pub(crate) async fn update_intention(
        &self,
        head: &Head,
        request: UpdateIntention,
    ) -> Result<Answer<()>, RpcError> {
        let caller = self.authorise(head, &request.need()).await?;
        let UpdateIntention { id, intention } = request;
        let gone = || RpcError::Rejected(format!("Cannot modify non-existent intention: '{id}'"));
        let destination = self.destination_of(&caller, id, gone)?;
        if destination != intention.destination {
            let text = "Cannot modify Destination partition/namespace/name for an intention once it exists.";
            return Err(RpcError::Rejected(text.to_owned()));
        }
        let now = self.now();
        let index = self
            .edit(head, &destination, |reader| {
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
        Ok(self.written((), index))
    }

    pub(crate) async fn delete_intention_by_id(
        &self,
        head: &Head,
        request: DeleteIntentionById,
    ) -> Result<Answer<()>, RpcError> {
        let caller = self.authorise(head, &request.need()).await?;
        let id = request.id;
        let gone = || RpcError::Rejected(format!("Cannot delete non-existent intention: '{id}'"));
        let destination = self.destination_of(&caller, id, gone)?;
        let index = self
            .edit(head, &destination, |reader| {
                let old = standing(reader, &destination, id).ok_or_else(gone)?;
                Ok(Change { remove: Some(old.source), put: None })
            })
            .await?;
        Ok(self.written((), index))
    }

    /// The destination of the intention with an id, if the caller may write its intentions.
    fn destination_of(
        &self,
        caller: &Caller,
        id: Uuid,
        gone: impl Fn() -> RpcError,
    ) -> Result<Destination, RpcError> {
        let entry = self.view().read().intention_by_id(id).ok_or_else(gone)?;
        caller.require(&write_intentions_of(&entry.destination))?;
        Ok(entry.destination)
    }

    /// Changes one source of a destination's entry in the caller's turn, on the condition that the entry is
    /// still the one looked at. An entry without sources is removed.
    async fn edit(
        &self,
        head: &Head,
        destination: &Destination,
        change: impl Fn(&mut Reader) -> Result<Change, RpcError>,
    ) -> Result<u64, RpcError> {
        let _turn = self.turn_of(head, &EntryName::intentions(destination)).await?;
        for _ in 0..TRIES {
            let command = self.edited(destination, &change)?;
            let (reply, index) = self.write(command).await?;
            if done(&reply)? {
                return Ok(index);
            }
        }
        Err(RpcError::Conflict(format!("the intentions for {destination} keep changing; try again")))
    }

    /// The command that makes a change, as the entry stands now.
    fn edited(
        &self,
        destination: &Destination,
        change: impl Fn(&mut Reader) -> Result<Change, RpcError>,
    ) -> Result<command::EditIntention, RpcError> {
        let mut reader = self.view().read();
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
}

/// The intention with an id, if it is one of that destination.
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

/// What was written without ids cannot be edited by them.
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

/// Two intentions for one pair. `at` is where the first of them stands.
fn repeated(at: usize, own: &SourceIntention) -> RpcError {
    RpcError::Rejected(format!("Sources[{}] defines {:?} more than once", at + 1, own.source.name.as_str()))
}
