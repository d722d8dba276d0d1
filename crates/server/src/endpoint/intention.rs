//! Intentions and configuration entries.

mod by_id;

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_acl::{Labelled, Level, Right};
use concord_mesh::explain::{self, Explanation};
use concord_mesh::intention::{Policy, Table, validate};
use concord_model::entry::{Entry, EntryKind};
use concord_model::intention::{Destination, ServiceIntentions, Source, SourceIntention};
use concord_model::{Namespace, Partition, Pattern, ServiceName, ServiceRef};
use concord_rpc::request::{
    ApplyEntry, CheckIntention, DeleteEntry, DeleteIntention, ExplainIntention, IntentionAnswer, ListEntries,
    ListIntentions, MatchBy, MatchIntentions, ReadEntry, UpsertIntention,
};
use concord_rpc::{Answer, Head, Need, Request, RpcError};
use concord_state::command::{self, EntryRef};
use concord_state::{Reply, ServiceScope};

use crate::caller::Caller;
use crate::endpoint::acl::unexpected;
use crate::paths::{Core, Eval};

fn reads_intentions_of(caller: &Caller, name: &str) -> bool {
    caller.may(&Right::named(Labelled::Intention, name, Level::Read))
}

fn intentions(entry: &Arc<Entry>) -> &ServiceIntentions {
    match &**entry {
        Entry::ServiceIntentions(intentions) => intentions,
    }
}

/// The part of an entry the caller may see: all of it if they may read the destination's
/// intentions, else the sources whose intentions they may read.
fn visible(eval: &Eval<'_>, entry: &ServiceIntentions) -> Option<ServiceIntentions> {
    if reads_intentions_of(eval.caller, entry.destination.name.as_str()) {
        return Some(entry.clone());
    }
    let sources = eval.keep(entry.sources.iter(), |source| {
        source.source.peer.is_none() && reads_intentions_of(eval.caller, source.source.name.as_str())
    });
    let sources: Vec<_> = sources.into_iter().cloned().collect();
    (!sources.is_empty()).then(|| ServiceIntentions { sources, ..entry.clone() })
}

/// Whether an intention is about all sources here.
fn is_any(source: &Source) -> bool {
    source.peer.is_none() && source.name == Pattern::Any
}

/// The part of an entry that is about some of its sources.
fn about(wanted: impl Fn(&Source) -> bool, entry: &ServiceIntentions) -> ServiceIntentions {
    let sources = entry.sources.iter().filter(|own| wanted(&own.source)).cloned().collect();
    ServiceIntentions { sources, ..entry.clone() }
}

impl Core {
    pub(crate) async fn list_intentions(
        &self,
        head: &Head,
        request: ListIntentions,
    ) -> Result<Answer<Vec<ServiceIntentions>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            let entries = eval.reader.intentions();
            Ok(entries.iter().map(intentions).filter_map(|entry| visible(eval, entry)).collect())
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
                MatchBy::Destination(service) => {
                    let entries = eval.reader.intentions_to(service);
                    entries.iter().map(|entry| intentions(entry).clone()).collect()
                }
                MatchBy::Source(service) => {
                    let entries = eval.reader.intentions_from(service);
                    let of = |own: &Source| own.covers(service);
                    entries.iter().map(|entry| about(of, intentions(entry))).collect()
                }
                MatchBy::AnyDestination => {
                    let entries = eval.reader.intentions();
                    let any = |entry: &&ServiceIntentions| entry.destination.name == Pattern::Any;
                    entries.iter().map(intentions).filter(any).cloned().collect()
                }
                MatchBy::AnySource => {
                    let entries = eval.reader.intentions();
                    let told = entries.iter().map(|entry| about(is_any, intentions(entry)));
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
            let entries = eval.reader.intentions_to(&request.destination);
            let entries = entries.iter().map(intentions);
            let (policy, source) = match &request.source {
                Some(source) => (Policy::compile(&request.destination, entries), source),
                None => {
                    let told: Vec<_> = entries.map(|entry| about(is_any, entry)).collect();
                    // What is about all is about any, this one too.
                    (Policy::compile(&request.destination, &told), &request.destination)
                }
            };
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
            let table = Table::compile(entries.iter().map(intentions));
            let services = eval.reader.services(&ServiceScope::default());
            // Pairs with services the caller may not see are not listed.
            let seen = eval.keep(services, |row| {
                eval.caller.may(&Right::named(Labelled::Service, row.service.name.as_str(), Level::Read))
            });
            let universe: Vec<ServiceRef> = seen.iter().map(|row| row.service.clone()).collect();
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
        // As it will stand: the entry with this source in it.
        let existing = self.view().read().entry(&EntryRef::ServiceIntentions(destination.clone()));
        let mut entry = match existing.as_deref() {
            Some(Entry::ServiceIntentions(entry)) => entry.clone(),
            None => empty(&destination),
        };
        if entry.sources.contains(&intention) {
            return self.unchanged(entry.stamp.modify).await.map(|answer| answer.map(|_| ()));
        }
        entry.sources.retain(|source| source.source != intention.source);
        entry.sources.push(intention.clone());
        valid(&entry)?;
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

    pub(crate) async fn read_entry(
        &self,
        head: &Head,
        request: ReadEntry,
    ) -> Result<Answer<Option<Entry>>, RpcError> {
        let entry = entry_ref(request.kind, &request.name)?;
        self.read(head, &request.need(), |eval| Ok(eval.reader.entry(&entry).map(|entry| (*entry).clone())))
            .await
    }

    pub(crate) async fn list_entries(
        &self,
        head: &Head,
        request: ListEntries,
    ) -> Result<Answer<Vec<Entry>>, RpcError> {
        self.read(head, &request.need(), |eval| {
            let entries = match request.kind {
                EntryKind::ServiceIntentions => eval.reader.intentions(),
            };
            let seen = eval.keep(entries, |entry| {
                reads_intentions_of(eval.caller, intentions(entry).destination.name.as_str())
            });
            Ok(seen.iter().map(|entry| (**entry).clone()).collect())
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
        if let Some(Entry::ServiceIntentions(existing)) = existing.as_deref()
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
fn in_scope(entry: &ServiceIntentions) -> bool {
    let default = |partition: &Partition, namespace: &Pattern<Namespace>| {
        partition.is_default() && namespace.exact().is_some_and(Namespace::is_default)
    };
    default(&entry.destination.partition, &entry.destination.namespace)
        && entry.sources.iter().all(|own| default(&own.source.partition, &own.source.namespace))
}

/// Refuses an entry that is nonsense in itself.
pub(crate) fn valid(entry: &ServiceIntentions) -> Result<(), RpcError> {
    if !in_scope(entry) {
        return Err(RpcError::NotAvailable("partitions and namespaces".to_owned()));
    }
    validate(entry).map_err(|faults| {
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        RpcError::Invalid(texts.join("; "))
    })
}

fn empty(destination: &Destination) -> ServiceIntentions {
    ServiceIntentions {
        destination: destination.clone(),
        sources: Vec::new(),
        jwt: None,
        meta: BTreeMap::new(),
        stamp: concord_model::Stamp::default(),
    }
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
