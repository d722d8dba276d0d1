//! Intentions: read and write single ones, match, check and explain.

pub(crate) mod by_id;
mod way;

use std::collections::BTreeMap;

use concord_acl::{Labelled, Level, Right};
use concord_mesh::entry::{check_source, validate_patterns, validate_source};
use concord_mesh::explain::request::{ASKED_BYTES_MAX, RequestExplanation, Universe};
use concord_mesh::explain::{self, Explanation};
use concord_mesh::intention::{Policy, Table};
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol, RequestNormalization};
use concord_model::intention::{Destination, ServiceIntentions, SourceIntention};
use concord_model::{Pattern, ServiceRef, Stamp};
use concord_rpc::request::{
    CheckIntention, DeleteIntention, ExplainIntention, ExplainRequest, IntentionAnswer, ListIntentions,
    MATCHES_MAX, MatchBy, MatchIntentions, Matched, ReadPair, UpsertIntention,
};
use concord_rpc::{Answer, RpcError};
use concord_state::{IntentionHead, command, covering};

use self::way::Told;
use crate::endpoint::catalog::seen_services;
use crate::endpoint::entry::{in_scope, invalid, source_in_scope, turn_of, unchanged};
use crate::reading::Reading;
use crate::writing::Writing;

/// The part of an entry that the caller may see. A right to the destination's intentions shows all of it. Otherwise
/// the caller sees the sources whose intentions it may read.
pub(super) fn visible(reading: &Reading<'_>, head: &IntentionHead) -> Option<ServiceIntentions> {
    let (entry, sees) = (reading.reader.whole(head), reading.caller.sees());
    if sees.intentions_to(&entry.destination) {
        return Some(entry);
    }
    let ServiceIntentions { destination, sources, .. } = entry;
    let sources = reading.keep(sources, |own| sees.intention(&destination, &own.source));
    (!sources.is_empty()).then(|| head.with(sources))
}

pub(crate) fn list_intentions(
    reading: &mut Reading<'_>,
    _: &ListIntentions,
) -> Result<Vec<ServiceIntentions>, RpcError> {
    let heads = reading.reader.intention_heads();
    Ok(heads.iter().filter_map(|head| visible(reading, head)).collect())
}

pub(crate) fn match_intentions(
    reading: &mut Reading<'_>,
    request: &MatchIntentions,
) -> Result<Matched, RpcError> {
    if request.all().count() > MATCHES_MAX {
        return Err(RpcError::Invalid(format!("at most {MATCHES_MAX} names are allowed in one request")));
    }
    Ok(Matched::of(request.all().map(|by| matched(reading, by))))
}

/// The right to a destination shows its whole entries. A query by source shows only the part about that source.
fn matched(reading: &mut Reading<'_>, by: &MatchBy) -> Vec<ServiceIntentions> {
    match by {
        MatchBy::Destination(service) => reading.reader.intentions_to(service),
        MatchBy::Source(service) => reading.reader.intentions_from(service),
        MatchBy::AnyDestination => {
            let heads = reading.reader.intention_heads();
            let any = heads.iter().filter(|head| head.destination.name == Pattern::Any);
            any.map(|head| reading.reader.whole(head)).collect()
        }
        MatchBy::AnySource => {
            let heads = reading.reader.intention_heads();
            let told = heads.iter().map(|head| reading.reader.about_any(head));
            told.filter(|entry| !entry.sources.is_empty()).collect()
        }
    }
}

pub(crate) fn check_intention(
    reading: &mut Reading<'_>,
    request: &CheckIntention,
) -> Result<IntentionAnswer, RpcError> {
    let heads = reading.reader.heads_to(&request.destination);
    let heads = heads.iter();
    // Only the parts of the entries that cover the source can decide.
    let (told, source): (Vec<_>, _) = match &request.source {
        Some(source) => {
            let covering = covering(source);
            // So can an entry that demands a token, whoever its sources are.
            let demand = |head: &IntentionHead| head.jwt.is_some().then(|| head.with(Vec::new()));
            (
                heads
                    .filter_map(|head| reading.reader.part(head, &covering).or_else(|| demand(head)))
                    .collect(),
                source,
            )
        }
        // Without a source, the wildcard source is meant: only intentions that cover every source count.
        None => (heads.map(|head| reading.reader.about_any(head)).collect(), &request.destination),
    };
    let policy = Policy::compile(&request.destination, &told);
    let verdict = policy.decide(source, reading.config.intention_default);
    Ok(IntentionAnswer { allowed: verdict.allowed, reason: verdict.reason() })
}

pub(crate) fn explain_intention(
    reading: &mut Reading<'_>,
    request: &ExplainIntention,
) -> Result<Explanation, RpcError> {
    let ExplainIntention { source, destination } = request;
    let entries = reading.reader.intentions();
    let table = Table::compile(&entries);
    let (known, default) = (callers(reading), reading.config.intention_default);
    let explained = |service: &ServiceRef| explain::explain(&table, source, service, default, &known);
    let Told { way, reached } = way::of_connection(reading, (&table, default), request, &explained);
    let here = reached.iter().find(|one| one.destination == *destination).cloned();
    Ok(Explanation { way: Some(way), reached, ..here.unwrap_or_else(|| explained(destination)) })
}

/// Callers whom the asker may not see are not listed.
fn callers(reading: &mut Reading<'_>) -> Vec<ServiceRef> {
    let seen = seen_services(reading, &BTreeMap::new());
    seen.into_keys().map(ServiceRef::local).collect()
}

pub(crate) fn explain_request(
    reading: &mut Reading<'_>,
    request: &ExplainRequest,
) -> Result<RequestExplanation, RpcError> {
    let ExplainRequest { source, destination, asked } = request;
    if asked.is_too_large() {
        let text = format!("the request that is asked about must not exceed {ASKED_BYTES_MAX} bytes");
        return Err(RpcError::Invalid(text));
    }
    let known = callers(reading);
    let universe = Universe {
        entries: &[],
        default: reading.config.intention_default,
        protocol: Protocol::default(),
        settings: &normalization(reading),
        known: &known,
    };
    let Told { way, reached } = way::of_request(reading, universe, request);
    let here = reached.iter().find(|one| one.destination == *destination).cloned();
    let here = here.unwrap_or_else(|| {
        let entries = reading.reader.intentions_to(destination);
        let (protocol, protocol_note) = way::own_protocol(reading, destination);
        let universe = Universe { entries: &entries, protocol, ..universe };
        let explained = explain::request::explain_request(universe, source, destination, asked);
        RequestExplanation { protocol_note, ..explained }
    });
    Ok(RequestExplanation { way: Some(way), reached, ..here })
}

/// How the mesh makes requests canonical.
fn normalization(reading: &mut Reading<'_>) -> RequestNormalization {
    let mesh = reading.reader.entry(&EntryName::only(EntryKind::Mesh));
    let http = match mesh.as_deref() {
        Some(Entry::Mesh(mesh)) => mesh.said.http,
        _ => None,
    };
    http.and_then(|http| http.incoming?.request_normalization).unwrap_or_default()
}

pub(crate) async fn upsert_intention(
    writing: Writing<'_>,
    request: UpsertIntention,
) -> Result<Answer<()>, RpcError> {
    let UpsertIntention { destination, intention, meta, jwt } = request;
    let _turn = turn_of(writing, &EntryName::intentions(&destination)).await?;
    if intention.source.peer.is_some() {
        let text = "SourcePeer: intentions for peered sources are written as config entries of kind service-intentions";
        return Err(RpcError::Invalid(text.to_owned()));
    }
    let mut reader = writing.log.view().read();
    let head = reader.intention_head(&destination);
    let (stamp, all) = of_head(head.as_deref());
    if !meta.is_empty() && head.as_ref().is_none_or(|head| head.meta != meta) {
        let text = "Meta must not be specified, or should be unchanged during an update.";
        return Err(RpcError::Invalid(text.to_owned()));
    }
    if jwt.is_some() && head.is_none_or(|head| head.jwt != jwt) {
        let text = "JWT must not be specified, or should be unchanged during an update; it belongs to the whole \
                    service-intentions entry, so write that";
        return Err(RpcError::Invalid(text.to_owned()));
    }
    let existing = reader.intention(&destination, &intention.source);
    drop(reader);
    if existing.as_deref() == Some(&intention) {
        return unchanged(writing, stamp.modify).await.map(|answer| answer.map(|_| ()));
    }
    valid_source(&destination, all - usize::from(existing.is_some()), &intention)?;
    check_source(&*writing.log.view(), &destination, &intention)
        .map_err(|fault| RpcError::Rejected(fault.to_string()))?;
    let (_, index) = writing.log.write(command::UpsertIntention { destination, intention }).await?;
    Ok(writing.log.written((), index))
}

pub(crate) async fn delete_intention(
    writing: Writing<'_>,
    request: DeleteIntention,
) -> Result<Answer<()>, RpcError> {
    let DeleteIntention { destination, source } = request;
    let (_, index) = writing.log.write(command::DeleteIntention { destination, source }).await?;
    Ok(writing.log.written((), index))
}

pub(crate) fn read_pair(
    reading: &mut Reading<'_>,
    request: &ReadPair,
) -> Result<Option<ServiceIntentions>, RpcError> {
    let ReadPair { destination, source } = &request;
    if !reading.caller.sees().intention(destination, source) {
        let name = destination.name.as_str().to_owned();
        reading.caller.require(&Right::named(Labelled::Intention, name, Level::Read))?;
    }
    let found = reading.reader.intention_head(destination);
    let part = |head: &IntentionHead| reading.reader.part(head, std::slice::from_ref(source));
    Ok(found.map(|head| part(&head).unwrap_or_else(|| head.with(Vec::new()))))
}

fn write_intentions_of(destination: &Destination) -> Right<'static> {
    Right::named(Labelled::Intention, destination.name.as_str().to_owned(), Level::Write)
}

/// Validates one new source beside `others` existing ones, which are not validated again.
fn valid_source(destination: &Destination, others: usize, own: &SourceIntention) -> Result<(), RpcError> {
    in_scope(destination)?;
    source_in_scope(own)?;
    validate_source(destination, others, own).map_err(|faults| invalid(&faults))?;
    validate_patterns(others, own).map_err(|faults| invalid(&faults))
}

/// When a destination's entry changed and how many sources it has; zero if there is none.
fn of_head(head: Option<&IntentionHead>) -> (Stamp, usize) {
    head.map_or_else(|| (Stamp::default(), 0), |head| (head.stamp, head.sources))
}
