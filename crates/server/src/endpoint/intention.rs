//! Intentions: one by one, matched, judged and explained.

mod by_id;

use std::collections::BTreeMap;

use concord_acl::{Labelled, Level, Right};
use concord_mesh::entry::{check_source, validate_source};
use concord_mesh::explain::{self, Explanation};
use concord_mesh::intention::{Policy, Table};
use concord_model::entry::EntryName;
use concord_model::intention::{Destination, ServiceIntentions, SourceIntention};
use concord_model::{Pattern, ServiceRef, Stamp};
use concord_rpc::request::{
    CheckIntention, DeleteIntention, ExplainIntention, IntentionAnswer, ListIntentions, MatchBy,
    MatchIntentions, ReadPair, UpsertIntention,
};
use concord_rpc::{Answer, Head, Request, RpcError};
use concord_state::{IntentionHead, command, covering};

use crate::endpoint::catalog::seen_services;
use crate::endpoint::entry::{in_scope, invalid, source_in_scope};
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
        self.read(head, &request.need(), |eval| {
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
        let UpsertIntention { destination, intention, meta } = request;
        let _turn = self.turn_of(head, &EntryName::intentions(&destination)).await?;
        if intention.source.peer.is_some() {
            let text = "SourcePeer: intentions for peered sources are written as config entries of kind service-intentions";
            return Err(RpcError::Invalid(text.to_owned()));
        }
        let mut reader = self.view().read();
        let head = reader.intention_head(&destination);
        let (stamp, all) = of_head(head.as_deref());
        if !meta.is_empty() && head.is_none_or(|head| head.meta != meta) {
            let text = "Meta must not be specified, or should be unchanged during an update.";
            return Err(RpcError::Invalid(text.to_owned()));
        }
        let existing = reader.intention(&destination, &intention.source);
        drop(reader);
        if existing.as_deref() == Some(&intention) {
            return self.unchanged(stamp.modify).await.map(|answer| answer.map(|_| ()));
        }
        valid_source(&destination, all - usize::from(existing.is_some()), &intention)?;
        check_source(&*self.view(), &destination, &intention)
            .map_err(|fault| RpcError::Rejected(fault.to_string()))?;
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
}

fn write_intentions_of(destination: &Destination) -> Right<'static> {
    Right::named(Labelled::Intention, destination.name.as_str().to_owned(), Level::Write)
}

/// One source that is to stand beside `others`, none of which is looked at again.
fn valid_source(destination: &Destination, others: usize, own: &SourceIntention) -> Result<(), RpcError> {
    in_scope(destination)?;
    source_in_scope(own)?;
    validate_source(destination, others, own).map_err(|faults| invalid(&faults))
}

/// When a destination's entry changed, and how many sources it has; there may be none.
fn of_head(head: Option<&IntentionHead>) -> (Stamp, usize) {
    head.map_or_else(|| (Stamp::default(), 0), |head| (head.stamp, head.sources))
}
