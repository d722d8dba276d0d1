//! Configuration entries of every kind.

use std::sync::Arc;

use concord_ca::pair::check_pair;
use concord_mesh::entry::{Change, EntryFault, check_graph, validate};
use concord_model::entry::{Entry, EntryName, InlineCertificate};
use concord_model::intention::{Destination, SourceIntention};
use concord_model::{Namespace, Partition, Pattern};
use concord_rpc::request::{Acceptance, ApplyEntry, DeleteEntry, ListEntries, ReadAcceptance, ReadEntry};
use concord_rpc::{Answer, Request, RpcError};
use concord_state::{CommandReply, View, command};
use tokio::sync::MutexGuard;

use crate::endpoint::acl::unexpected;
use crate::reading::Reading;
use crate::writing::Writing;

pub(crate) fn read_entry(
    reading: &mut Reading<'_>,
    request: &ReadEntry,
) -> Result<Option<Arc<Entry>>, RpcError> {
    Ok(reading.reader.entry(&request.name))
}

pub(crate) fn read_acceptance(
    reading: &mut Reading<'_>,
    request: &ReadAcceptance,
) -> Result<Option<Acceptance>, RpcError> {
    let found = reading.reader.entry_time(&request.name);
    Ok(found.map(|(stamp, at)| Acceptance { modify: stamp.modify, at }))
}

pub(crate) fn list_entries(
    reading: &mut Reading<'_>,
    request: &ListEntries,
) -> Result<Vec<Arc<Entry>>, RpcError> {
    let rows = reading.reader.entry_rows(request.kind);
    let seen = reading.keep(rows, |row| reading.caller.sees().entry(&row.name()));
    Ok(seen.iter().map(|row| reading.reader.whole_entry(row)).collect())
}

pub(crate) async fn apply_entry(writing: Writing<'_>, request: ApplyEntry) -> Result<Answer<bool>, RpcError> {
    let need = request.need();
    let ApplyEntry { entry, cas } = request;
    valid(&entry)?;
    let name = entry.name();
    let (_turn, caller) = writing.turn(name.as_str()).await?;
    caller.meet(&need)?;
    match to_write(&writing.log.view(), entry, cas)? {
        // The stored entry already has this content, so the write succeeds whatever index `cas` names.
        ToWrite::Nothing { modify } => unchanged(writing, modify).await,
        ToWrite::Entry(entry) => {
            let (reply, index) = writing.log.write(command::SetEntry { entry: *entry, cas }).await?;
            Ok(writing.log.written(done(&reply)?, index))
        }
    }
}

/// What a write of a valid entry has to write.
pub(super) enum ToWrite {
    /// The stored entry says the same, since this index.
    Nothing { modify: u64 },
    /// The entry, which goes with the stored ones.
    Entry(Box<Entry>),
}

/// Compares a valid entry with what is stored.
pub(super) fn to_write(view: &View, entry: Entry, cas: Option<u64>) -> Result<ToWrite, RpcError> {
    let name = entry.name();
    let existing = view.read().entry(&name);
    // Users write no status: what they send back is replaced by the stored one.
    let entry = entry.with_status_of(existing.as_deref());
    if let Some(existing) = existing.as_ref().filter(|existing| existing.says_the_same(&entry)) {
        return Ok(ToWrite::Nothing { modify: existing.stamp().modify });
    }
    // An entry that has changed since is not written, so that it does not matter whether it fits.
    let last = existing.map_or(0, |existing| existing.stamp().modify);
    if cas.is_none_or(|cas| cas == last) {
        fits(view, Change { name: &name, to: Some(&entry) })?;
    }
    Ok(ToWrite::Entry(Box::new(entry)))
}

pub(crate) async fn delete_entry(
    writing: Writing<'_>,
    request: DeleteEntry,
) -> Result<Answer<bool>, RpcError> {
    let DeleteEntry { name: entry, cas } = request;
    fits(&writing.log.view(), Change { name: &entry, to: None })?;
    let (reply, index) = writing.log.write(command::DeleteEntry { entry, cas }).await?;
    let gone = match reply {
        // The entry does not exist, so the delete succeeds whatever index `cas` names.
        CommandReply::CasFailed { current: 0 } => true,
        reply => done(&reply)?,
    };
    Ok(writing.log.written(gone, index))
}

/// Refuses a change that conflicts with the stored entries. Applying the command checks again, because others may
/// write in the meantime.
pub(super) fn fits(view: &View, change: Change<'_>) -> Result<(), RpcError> {
    check_graph(view, change).map_err(|fault| RpcError::Rejected(fault.to_string()))
}

/// Takes the caller's turn with an entry, then checks the write right again.
pub(super) async fn turn_of<'a>(
    writing: Writing<'a>,
    name: &EntryName,
) -> Result<MutexGuard<'a, ()>, RpcError> {
    let (turn, caller) = writing.turn(name.as_str()).await?;
    caller.meet(&DeleteEntry { name: name.clone(), cas: None }.need())?;
    Ok(turn)
}

/// The answer to a write that changes nothing. It writes nothing to the log, but confirms that this server still
/// leads: another leader could have newer data.
pub(super) async fn unchanged(writing: Writing<'_>, index: u64) -> Result<Answer<bool>, RpcError> {
    writing.log.barrier().await?;
    Ok(writing.log.written(true, index))
}

/// Whether a conditional command was carried out.
pub(super) fn done(reply: &CommandReply) -> Result<bool, RpcError> {
    match reply {
        CommandReply::Done { .. } => Ok(true),
        CommandReply::CasFailed { .. } => Ok(false),
        other => Err(unexpected(other)),
    }
}

/// Refuses an entry that is invalid in itself.
pub(crate) fn valid(entry: &Entry) -> Result<(), RpcError> {
    in_scope(&entry.name().scope)?;
    if let Entry::ServiceIntentions(intentions) = entry {
        intentions.sources.iter().try_for_each(source_in_scope)?;
    }
    validate(entry).map_err(|faults| invalid(&faults))?;
    match entry {
        Entry::InlineCertificate(own) => pair(&own.said),
        _ => Ok(()),
    }
}

/// Refuses a certificate that cannot be read, and a key that is not its own.
fn pair(own: &InlineCertificate) -> Result<(), RpcError> {
    let InlineCertificate { certificate, private_key } = own;
    check_pair(certificate, &private_key.0)
        .map_err(|refusal| RpcError::Invalid(format!("{} {refusal}", refusal.field())))
}

/// Refuses an entry for another partition or namespace: only `default` exists, so the entry would have no effect.
pub(super) fn in_scope(scope: &Destination) -> Result<(), RpcError> {
    only_default(&scope.partition, &scope.namespace)
}

pub(super) fn source_in_scope(own: &SourceIntention) -> Result<(), RpcError> {
    only_default(&own.source.partition, &own.source.namespace)
}

fn only_default(partition: &Partition, namespace: &Pattern<Namespace>) -> Result<(), RpcError> {
    let all = partition.is_default() && namespace.exact().is_some_and(Namespace::is_default);
    if all { Ok(()) } else { Err(RpcError::NotAvailable("partitions and namespaces".to_owned())) }
}

pub(super) fn invalid(faults: &[EntryFault]) -> RpcError {
    let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    RpcError::Invalid(texts.join("; "))
}
