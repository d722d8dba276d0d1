//! The older API, where each intention has an id of its own.
//!
//! Its intentions live in the destinations' entries like all others, with their ids beside them. An entry
//! that was also written otherwise is beyond this API: it could not say all that stands there.

use concord_acl::{Labelled, Level, Right};
use concord_model::Uuid;
use concord_model::entry::Entry;
use concord_model::intention::{Decision, Destination, LegacyFields, ServiceIntentions, SourceIntention};
use concord_rpc::request::{
    CreateIntention, DeleteIntentionById, PlainIntention, ReadIntention, UpdateIntention,
};
use concord_rpc::{Answer, Head, Need, Request, RpcError};
use concord_state::Reader;
use concord_state::command::{self, EntryRef};

use super::{done, empty, intentions, reads_intentions_of, valid, write_intentions_of};
use crate::caller::Caller;
use crate::paths::Core;

/// Tries of a change whose entry is removed or replaced by others meanwhile.
const TRIES: usize = 4;

impl Core {
    pub(crate) async fn read_intention(
        &self,
        head: &Head,
        request: ReadIntention,
    ) -> Result<Answer<Option<ServiceIntentions>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            let found = find(&mut eval.reader, request.id);
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
            .edit(head, &destination, |entry| {
                if let Some(at) = entry.sources.iter().position(|own| own.source == made.source) {
                    return Err(repeated(at, &made));
                }
                entry.sources.push(made.clone());
                Ok(())
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
            .edit(head, &destination, |entry| {
                let at = entry.sources.iter().position(|own| has(own, id)).ok_or_else(gone)?;
                let own = &mut entry.sources[at];
                let created = own.legacy.as_ref().map_or(now, |fields| fields.create_time);
                let meta = intention.meta.clone();
                let fields = LegacyFields { id, meta, create_time: created, update_time: now };
                *own = source_of(intention.clone(), fields);
                let own = own.clone();
                let mut others = entry.sources.iter().enumerate().filter(|(other, _)| *other != at);
                match others.find(|(_, other)| other.source == own.source) {
                    Some((other, _)) => Err(repeated(other.min(at), &own)),
                    None => Ok(()),
                }
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
            .edit(head, &destination, |entry| {
                let at = entry.sources.iter().position(|own| has(own, id)).ok_or_else(gone)?;
                entry.sources.remove(at);
                Ok(())
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
        let entry = find(&mut self.view().read(), id).ok_or_else(gone)?;
        caller.require(&write_intentions_of(&entry.destination))?;
        Ok(entry.destination)
    }

    /// Changes a destination's entry in the caller's turn, on the condition that it is still the one
    /// looked at. An entry without sources is removed.
    async fn edit(
        &self,
        head: &Head,
        destination: &Destination,
        change: impl Fn(&mut ServiceIntentions) -> Result<(), RpcError>,
    ) -> Result<u64, RpcError> {
        let need = Need::Right(write_intentions_of(destination));
        let _turn = self.turn_of(head, &need, destination).await?;
        let name = EntryRef::ServiceIntentions(destination.clone());
        for _ in 0..TRIES {
            let existing = self.view().read().entry(&name);
            let mut entry = match &existing {
                Some(existing) => intentions(existing).clone(),
                None => empty(destination),
            };
            only_with_ids(&entry)?;
            let cas = Some(entry.stamp.modify);
            change(&mut entry)?;
            let (reply, index) = if entry.sources.is_empty() {
                self.write(command::DeleteEntry { entry: name.clone(), cas }).await?
            } else {
                valid(&entry)?;
                self.write(command::SetEntry { entry: Entry::ServiceIntentions(entry), cas }).await?
            };
            if done(&reply)? {
                return Ok(index);
            }
        }
        Err(RpcError::Conflict(format!("the intentions for {destination} keep changing; try again")))
    }
}

fn may_read(caller: &Caller, entry: &ServiceIntentions) -> Result<(), RpcError> {
    let by_source = |own: &SourceIntention| {
        own.source.peer.is_none() && reads_intentions_of(caller, own.source.name.as_str())
    };
    if entry.sources.iter().all(by_source) {
        return Ok(());
    }
    let destination = entry.destination.name.as_str();
    caller.require(&Right::named(Labelled::Intention, destination.to_owned(), Level::Read))
}

fn has(own: &SourceIntention, id: Uuid) -> bool {
    own.legacy.as_ref().is_some_and(|fields| fields.id == id)
}

/// The entry that holds an id, with nothing but its source.
fn find(reader: &mut Reader, id: Uuid) -> Option<ServiceIntentions> {
    reader.intentions().iter().map(intentions).find_map(|entry| {
        let source = entry.sources.iter().find(|own| has(own, id))?;
        Some(ServiceIntentions { sources: vec![source.clone()], ..entry.clone() })
    })
}

fn source_of(intention: PlainIntention, fields: LegacyFields) -> SourceIntention {
    let PlainIntention { destination: _, source, action, description, meta: _ } = intention;
    SourceIntention { source, decision: Decision::Connection(action), description, legacy: Some(fields) }
}

/// What was written without ids cannot be edited by them.
fn only_with_ids(entry: &ServiceIntentions) -> Result<(), RpcError> {
    if entry.sources.iter().all(|own| own.legacy.is_some()) && entry.meta.is_empty() && entry.jwt.is_none() {
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
