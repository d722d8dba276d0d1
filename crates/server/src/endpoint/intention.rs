//! Intentions and configuration entries.

mod by_id;

use std::collections::BTreeMap;

use concord_acl::{Labelled, Level, Right};
use concord_mesh::explain::{self, Explanation};
use concord_mesh::intention::{EntryFault, Policy, Table, validate, validate_source};
use concord_model::entry::{Entry, EntryKind};
use concord_model::intention::{Destination, ServiceIntentions, Source, SourceIntention};
use concord_model::{Namespace, Partition, Pattern, ServiceName, ServiceRef, Stamp};
use concord_rpc::request::{
    ApplyEntry, CheckIntention, DeleteEntry, DeleteIntention, ExplainIntention, IntentionAnswer, ListEntries,
    ListIntentions, MatchBy, MatchIntentions, ReadEntry, ReadPair, UpsertIntention,
};
use concord_rpc::{Answer, Head, Need, Request, RpcError};
use concord_state::command::{self, EntryRef};
use concord_state::{IntentionHead, Reply, covering};

use crate::endpoint::acl::unexpected;
use crate::endpoint::catalog::seen_services;
use crate::paths::{Core, Eval};

/// The part of an entry the caller may see: all of it if they may see the destination's intentions, else
/// the sources whose intentions they may see.
fn visible(eval: &Eval<'_>, head: &IntentionHead) -> Option<ServiceIntentions> {
    let (entry, sees) = (eval.reader.whole(head), eval.caller.sees());
    if sees.intentions_to(&entry.destination) {
        return Some(entry);
    }
    let ServiceIntentions { destination, sources, .. } = entry;
    let sources = eval.keep(sources, |own| sees.intention(&destination, &own.source));
    (!sources.is_empty()).then(|| head.with(sources))
}

impl Core {
    pub(crate) async fn list_intentions(
        &self,
        head: &Head,
        request: ListIntentions,
    ) -> Result<Answer<Vec<ServiceIntentions>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            let heads = eval.reader.intention_heads();
            Ok(heads.iter().filter_map(|head| visible(eval, head)).collect())
        })
        .await
    }

    pub(crate) async fn match_intentions(
        &self,
        head: &Head,
        request: MatchIntentions,
    ) -> Result<Answer<Vec<ServiceIntentions>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            // Whoever asks by destination may read all about it; by source, what is said of that source.
            Ok(match &request.by {
                MatchBy::Destination(service) => eval.reader.intentions_to(service),
                MatchBy::Source(service) => eval.reader.intentions_from(service),
                MatchBy::AnyDestination => {
                    let heads = eval.reader.intention_heads();
                    let any = heads.iter().filter(|head| head.destination.name == Pattern::Any);
                    any.map(|head| eval.reader.whole(head)).collect()
                }
                MatchBy::AnySource => {
                    let heads = eval.reader.intention_heads();
                    let told = heads.iter().map(|head| eval.reader.about_any(head));
                    told.filter(|entry| !entry.sources.is_empty()).collect()
                }
            })
        })
        .await
    }

    pub(crate) async fn check_intention(
        &self,
        head: &Head,
        request: CheckIntention,
    ) -> Result<Answer<IntentionAnswer>, RpcError> {
        // As in Consul nobody waits here: who wants to know when it changes watches the match.
        let head = Head { min_index: 0, ..head.clone() };
        self.read(&head, &request.need(), |eval| {
            let heads = eval.reader.heads_to(&request.destination);
            let heads = heads.iter();
            // What does not cover the source cannot decide about it.
            let (told, source): (Vec<_>, _) = match &request.source {
                Some(source) => {
                    let covering = covering(source);
                    (heads.filter_map(|head| eval.reader.part(head, &covering)).collect(), source)
                }
                // What is about all is about any, this one too.
                None => (heads.map(|head| eval.reader.about_any(head)).collect(), &request.destination),
            };
            let policy = Policy::compile(&request.destination, &told);
            let verdict = policy.decide(source, self.config.intention_default);
            Ok(IntentionAnswer { allowed: verdict.allowed, reason: verdict.reason() })
        })
        .await
    }

    pub(crate) async fn explain_intention(
        &self,
        head: &Head,
        request: ExplainIntention,
    ) -> Result<Answer<Explanation>, RpcError> {
        self.read(head, &request.need(), |eval| {
            let entries = eval.reader.intentions();
            let table = Table::compile(&entries);
            // Pairs with services the caller may not see are not listed.
            let seen = seen_services(eval, &BTreeMap::new());
            let universe: Vec<ServiceRef> = seen.into_keys().map(ServiceRef::local).collect();
            Ok(explain::explain(
                &table,
                &request.source,
                &request.destination,
                self.config.intention_default,
                &universe,
            ))
        })
        .await
    }

    pub(crate) async fn upsert_intention(
        &self,
        head: &Head,
        request: UpsertIntention,
    ) -> Result<Answer<()>, RpcError> {
        self.authorise(head, &request.need()).await?;
        let UpsertIntention { destination, intention } = request;
        let _turn = self.turn_of(head, &Need::Right(write_intentions_of(&destination)), &destination).await?;
        if intention.source.peer.is_some() {
            let text = "SourcePeer: intentions for peered sources are written as config entries of kind service-intentions";
            return Err(RpcError::Invalid(text.to_owned()));
        }
        let mut reader = self.view().read();
        let (stamp, all) = of_head(reader.intention_head(&destination).as_deref());
        let existing = reader.intention(&destination, &intention.source);
        drop(reader);
        if existing.as_deref() == Some(&intention) {
            return self.unchanged(stamp.modify).await.map(|answer| answer.map(|_| ()));
        }
        valid_source(&destination, all - usize::from(existing.is_some()), &intention)?;
        let (_, index) = self.write(command::UpsertIntention { destination, intention }).await?;
        Ok(self.written((), index))
    }

    pub(crate) async fn delete_intention(
        &self,
        head: &Head,
        request: DeleteIntention,
    ) -> Result<Answer<()>, RpcError> {
        self.authorise(head, &request.need()).await?;
        let DeleteIntention { destination, source } = request;
        let (_, index) = self.write(command::DeleteIntention { destination, source }).await?;
        Ok(self.written((), index))
    }

    pub(crate) async fn read_pair(
        &self,
        head: &Head,
        request: ReadPair,
    ) -> Result<Answer<Option<ServiceIntentions>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            let ReadPair { destination, source } = &request;
            if !eval.caller.sees().intention(destination, source) {
                let name = destination.name.as_str().to_owned();
                eval.caller.require(&Right::named(Labelled::Intention, name, Level::Read))?;
            }
            let found = eval.reader.intention_head(destination);
            let part = |head: &IntentionHead| eval.reader.part(head, std::slice::from_ref(source));
            Ok(found.map(|head| part(&head).unwrap_or_else(|| head.with(Vec::new()))))
        })
        .await
    }

    pub(crate) async fn read_entry(
        &self,
        head: &Head,
        request: ReadEntry,
    ) -> Result<Answer<Option<Entry>>, RpcError> {
        let entry = entry_ref(request.kind, &request.name)?;
        self.read(head, &request.need(), |eval| Ok(eval.reader.entry(&entry))).await
    }

    pub(crate) async fn list_entries(
        &self,
        head: &Head,
        request: ListEntries,
    ) -> Result<Answer<Vec<Entry>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            let heads = match request.kind {
                EntryKind::ServiceIntentions => eval.reader.intention_heads(),
            };
            let seen = eval.keep(heads, |head| eval.caller.sees().intentions_to(&head.destination));
            Ok(seen.iter().map(|head| Entry::ServiceIntentions(eval.reader.whole(head))).collect())
        })
        .await
    }

    pub(crate) async fn apply_entry(
        &self,
        head: &Head,
        request: ApplyEntry,
    ) -> Result<Answer<bool>, RpcError> {
        self.authorise(head, &request.need()).await?;
        let ApplyEntry { entry, cas } = request;
        let Entry::ServiceIntentions(wanted) = &entry;
        valid(wanted)?;
        let destination = &wanted.destination;
        let _turn = self.turn_of(head, &Need::Right(write_intentions_of(destination)), destination).await?;
        let existing = self.view().read().entry(&EntryRef::of(&entry));
        // What stands already is no lost race, whatever index the writer has seen.
        if let Some(Entry::ServiceIntentions(existing)) = &existing
            && says_the_same(existing, wanted)
        {
            return self.unchanged(existing.stamp.modify).await;
        }
        let (reply, index) = self.write(command::SetEntry { entry, cas }).await?;
        Ok(self.written(done(&reply)?, index))
    }

    /// The caller's turn with a destination's entry; what they may is looked at again once they have it.
    async fn turn_of(
        &self,
        head: &Head,
        need: &Need,
        destination: &Destination,
    ) -> Result<tokio::sync::MutexGuard<'_, ()>, RpcError> {
        let turn = self.turns.take(destination.name.as_str()).await;
        self.caller(head.token.as_ref())?.meet(need)?;
        Ok(turn)
    }

    /// The answer to a write of what stands already: nothing goes through the log, but that this server
    /// still leads is confirmed, else another one could know better.
    async fn unchanged(&self, index: u64) -> Result<Answer<bool>, RpcError> {
        self.barrier().await?;
        Ok(self.written(true, index))
    }

    pub(crate) async fn delete_entry(
        &self,
        head: &Head,
        request: DeleteEntry,
    ) -> Result<Answer<bool>, RpcError> {
        self.authorise(head, &request.need()).await?;
        let entry = entry_ref(request.kind, &request.name)?;
        let (reply, index) = self.write(command::DeleteEntry { entry, cas: request.cas }).await?;
        let gone = match reply {
            // What is not there is as it was to be, whatever index it had.
            Reply::CasFailed { current: 0 } => true,
            reply => done(&reply)?,
        };
        Ok(self.written(gone, index))
    }
}

/// Whether a command with a condition took hold.
fn done(reply: &Reply) -> Result<bool, RpcError> {
    match reply {
        Reply::Done { .. } => Ok(true),
        Reply::CasFailed { .. } => Ok(false),
        other => Err(unexpected(other)),
    }
}

/// Whether two entries differ in nothing but the order of their sources and when they were written.
pub(crate) fn says_the_same(one: &ServiceIntentions, other: &ServiceIntentions) -> bool {
    let ServiceIntentions { destination, sources, jwt, meta, stamp: _ } = one;
    (destination, jwt, meta) == (&other.destination, &other.jwt, &other.meta)
        && by_source(sources) == by_source(&other.sources)
}

fn by_source(sources: &[SourceIntention]) -> BTreeMap<&Source, &SourceIntention> {
    sources.iter().map(|intention| (&intention.source, intention)).collect()
}

fn write_intentions_of(destination: &Destination) -> Right<'static> {
    Right::named(Labelled::Intention, destination.name.as_str().to_owned(), Level::Write)
}

/// Only one partition and one namespace are there; an entry for another would decide about nothing.
fn in_scope<'a>(
    destination: &Destination,
    mut sources: impl Iterator<Item = &'a SourceIntention>,
) -> Result<(), RpcError> {
    let default = |partition: &Partition, namespace: &Pattern<Namespace>| {
        partition.is_default() && namespace.exact().is_some_and(Namespace::is_default)
    };
    let all = default(&destination.partition, &destination.namespace)
        && sources.all(|own| default(&own.source.partition, &own.source.namespace));
    if all { Ok(()) } else { Err(RpcError::NotAvailable("partitions and namespaces".to_owned())) }
}

/// Refuses an entry that is nonsense in itself.
pub(crate) fn valid(entry: &ServiceIntentions) -> Result<(), RpcError> {
    in_scope(&entry.destination, entry.sources.iter())?;
    validate(entry).map_err(|faults| invalid(&faults))
}

/// One source that is to stand beside `others`, none of which is looked at again.
fn valid_source(destination: &Destination, others: usize, own: &SourceIntention) -> Result<(), RpcError> {
    in_scope(destination, std::iter::once(own))?;
    validate_source(destination, others, own).map_err(|faults| invalid(&faults))
}

fn invalid(faults: &[EntryFault]) -> RpcError {
    let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    RpcError::Invalid(texts.join("; "))
}

/// When a destination's entry changed, and how many sources it has; there may be none.
fn of_head(head: Option<&IntentionHead>) -> (Stamp, usize) {
    head.map_or_else(|| (Stamp::default(), 0), |head| (head.stamp, head.sources))
}

fn entry_ref(kind: EntryKind, name: &str) -> Result<EntryRef, RpcError> {
    match kind {
        EntryKind::ServiceIntentions => {
            let name =
                Pattern::<ServiceName>::parse(name).map_err(|error| RpcError::Invalid(error.to_string()))?;
            Ok(EntryRef::ServiceIntentions(Destination {
                partition: Partition::default(),
                namespace: Pattern::Exact(Namespace::default()),
                name,
            }))
        }
    }
}
