//! `connect/intentions`: which service may call which, and the reasons.

mod by_id;
mod explain;
mod shape;

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_agent::IntentionsTo;
use concord_api::intention::{
    Intention, IntentionBody, IntentionCheck, IntentionUpsert, parse_any_service, parse_destination,
    parse_service, parse_source,
};
use concord_mesh::intention::Intention as Flat;
use concord_model::ServiceRef;
use concord_model::intention::{Destination, ServiceIntentions, Source};
use concord_rpc::request::{
    CheckIntention, CreateIntention, DeleteIntention, DeleteIntentionById, ExplainIntention, ListIntentions,
    MatchBy, MatchIntentions, ReadIntention, ReadPair, UpdateIntention, UpsertIntention,
};
use concord_rpc::{Head, RpcError};
use futures::future::{select_all, try_join_all};

use self::by_id::{create, delete_by_id, read_by_id, update_by_id};
use self::shape::{shape, shapes};
use super::endpoints;
use crate::http::context::{Ctx, FromCache};
use crate::http::reply::Meta;
use crate::http::select::{self, INTENTION};
use crate::http::{Call, HttpError, Reply, Right};

/// Services that one `match` request may name. Each needs its own query.
const MATCH_NAMES_MAX: usize = 64;

endpoints! {
    /// All intentions.
    List: GET "/v1/connect/intentions", Right::asked::<(ListIntentions,)>() => list;
    /// Creates one through the older API, which gives it an id.
    Create: POST "/v1/connect/intentions", Right::asked::<(CreateIntention,)>() => create;
    /// The intention with an id.
    ReadById: GET "/v1/connect/intentions/:id", Right::asked::<(ReadIntention,)>() => read_by_id;
    /// Changes the intention with an id.
    UpdateById: PUT "/v1/connect/intentions/:id", Right::asked::<(UpdateIntention,)>() => update_by_id;
    /// Removes the intention with an id.
    DeleteById: DELETE "/v1/connect/intentions/:id", Right::asked::<(DeleteIntentionById,)>() => delete_by_id;
    /// The intention of one source and one destination.
    Read: GET "/v1/connect/intentions/exact", Right::asked::<(ReadPair,)>() => read;
    /// Creates or replaces the intention of one source and one destination.
    Upsert: PUT "/v1/connect/intentions/exact", Right::asked::<(UpsertIntention,)>() => upsert;
    /// Removes the intention of one source and one destination.
    Delete: DELETE "/v1/connect/intentions/exact", Right::asked::<(DeleteIntention,)>() => delete;
    /// The intentions that can decide about calls to or from a service.
    Match: GET "/v1/connect/intentions/match", Right::asked::<(MatchIntentions,)>() => matching;
    /// Whether a connection would be allowed.
    Check: GET "/v1/connect/intentions/check", Right::asked::<(CheckIntention,)>() => check;
    /// Why a connection would be allowed or denied, and which change would reverse that.
    Explain: GET "/v1/connect/intentions/explain", Right::asked::<(ExplainIntention,)>() => explain;
}

async fn list(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let filter = Ctx::filter(&call)?;
    let (entries, mut meta) = ctx.ask(&call, ListIntentions {}).await?;
    meta.consistency = None;
    let kept = select::keep(filter.as_ref(), &INTENTION, shapes(&entries))?;
    Ok(Reply::json(kept).with_meta(&meta))
}

fn pair(call: &Call) -> Result<(Source, Destination), HttpError> {
    let source = parse_source(call.required("source")?)?;
    let destination = parse_destination(call.required("destination")?)?;
    Ok((source, destination))
}

async fn read(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (source, destination) = pair(&call)?;
    let (entry, mut meta) = ctx.ask(&call, ReadPair { destination, source }).await?;
    meta.consistency = None;
    match entry.as_ref().and_then(|entry| Flat::of_entry(entry).next()) {
        Some(flat) => Ok(Reply::json(shape(&flat)).with_meta(&meta)),
        None => Err(HttpError::not_found("Intention not found")),
    }
}

async fn upsert(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (source, destination) = pair(&call)?;
    let IntentionUpsert { destination, intention, meta } =
        IntentionBody::decode(&call.body)?.resolve(source, destination)?;
    ctx.ask(&call, UpsertIntention { destination, intention, meta }).await?;
    Ok(Reply::json(true))
}

async fn delete(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (source, destination) = pair(&call)?;
    ctx.ask(&call, DeleteIntention { destination, source }).await?;
    Ok(Reply::json(true))
}

async fn matching(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (by, any): (fn(ServiceRef) -> MatchBy, _) = match call.required("by")? {
        "source" => (MatchBy::Source, MatchBy::AnySource),
        "destination" => (MatchBy::Destination, MatchBy::AnyDestination),
        _ => return Err(HttpError::bad_request("'by' parameter must be one of 'source' or 'destination'")),
    };
    call.required("name")?;
    let mut wanted: Vec<(String, MatchBy)> = Vec::new();
    for name in call.parameters("name") {
        let service = parse_any_service("name", name)?;
        wanted.push((name.to_owned(), service.map_or_else(|| any.clone(), by)));
    }
    if wanted.len() > MATCH_NAMES_MAX {
        return Err(HttpError::bad_request(format!(
            "at most {MATCH_NAMES_MAX} names are allowed in one request"
        )));
    }
    let Matched { lists, meta, cached } = match_all(&ctx, &call, &wanted).await?;
    let shown: BTreeMap<String, Option<Vec<Intention>>> =
        wanted.into_iter().map(|(name, _)| name).zip(lists).collect();
    let reply = Reply::json(shown).with_meta(&meta);
    Ok(match cached {
        Some(FromCache { hit, age }) => reply.with_cache(hit, age),
        None => reply,
    })
}

/// The answer of `match`: one list per name. An empty list is `null`, as in Consul.
struct Matched {
    lists: Vec<Option<Vec<Intention>>>,
    meta: Meta,
    cached: Option<FromCache>,
}

/// Sends one query per name. They wait together; the first query with a new answer ends the wait.
async fn match_all(ctx: &Ctx, call: &Call, wanted: &[(String, MatchBy)]) -> Result<Matched, HttpError> {
    let head = ctx.head(call)?;
    if let [(_, by)] = wanted {
        return match_one(ctx, call, head, by).await;
    }
    let ask = |head: Head| wanted.iter().map(move |(_, by)| Box::pin(match_one(ctx, call, head.clone(), by)));
    let now = joined(try_join_all(ask(Head { min_index: 0, ..head.clone() })).await?);
    if head.min_index == 0 || now.meta.index > head.min_index {
        return Ok(now);
    }
    select_all(ask(head.clone())).await.0?;
    let then = joined(try_join_all(ask(Head { min_index: 0, ..head })).await?);
    // The first answers may have missed the cache and filled it. So the reply is a cache hit only if they were hits,
    // too.
    let was_there = now.cached.is_some_and(|now| now.hit);
    let cached = then.cached.map(|then| FromCache { hit: then.hit && was_there, ..then });
    Ok(Matched { cached, ..then })
}

async fn match_one(ctx: &Ctx, call: &Call, head: Head, by: &MatchBy) -> Result<Matched, HttpError> {
    if let MatchBy::Destination(service) = by
        && let Some((set, meta, cached)) =
            ctx.ask_cache_with(call, &head, &IntentionsTo(service.clone())).await?
    {
        // The agent uses the same cache entry for its own decisions.
        return Ok(Matched::one(set.entries.iter().map(|entry| &**entry), meta, Some(cached)));
    }
    let question = MatchIntentions { by: by.clone() };
    if let Some((entries, meta, cached)) = ctx.ask_cache_with(call, &head, &question).await? {
        return Ok(Matched::one(&*entries, meta, Some(cached)));
    }
    let (entries, meta) = ctx.ask_with(call, head, question).await?;
    Ok(Matched::one(&entries, meta, None))
}

/// Joins the answers to all names. The newest index counts; it is a cache hit only if all are.
fn joined(answers: Vec<Matched>) -> Matched {
    let both = |a: Matched, b: Matched| Matched {
        meta: if a.meta.index > b.meta.index { a.meta } else { b.meta },
        cached: a.cached.zip(b.cached).map(|(a, b)| FromCache { hit: a.hit && b.hit, age: a.age.max(b.age) }),
        lists: [a.lists, b.lists].concat(),
    };
    answers.into_iter().reduce(both).expect("at least one name was given")
}

impl Matched {
    fn one<'a>(
        entries: impl IntoIterator<Item = &'a ServiceIntentions>,
        meta: Meta,
        cached: Option<FromCache>,
    ) -> Self {
        let shapes = shapes(entries);
        Self { lists: vec![(!shapes.is_empty()).then_some(shapes)], meta, cached }
    }
}

fn require_consul_source(call: &Call) -> Result<(), HttpError> {
    if call.parameter("source-type").is_some_and(|kind| !matches!(kind, "" | "consul")) {
        return Err(HttpError::from(RpcError::Invalid("'source-type' must be consul".to_owned())));
    }
    Ok(())
}

async fn check(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    require_consul_source(&call)?;
    let source = parse_any_service("source", call.required("source")?)?;
    let destination = parse_service("destination", call.required("destination")?)?;
    let (answer, _) = ctx.ask(&call, CheckIntention { source, destination }).await?;
    Ok(Reply::json(IntentionCheck { allowed: answer.allowed }))
}

async fn explain(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    require_consul_source(&call)?;
    let source = parse_service("source", call.required("source")?)?;
    let destination = parse_service("destination", call.required("destination")?)?;
    let (explanation, mut meta) = ctx.ask(&call, ExplainIntention { source, destination }).await?;
    meta.consistency = None;
    Ok(Reply::json(explain::shape(&explanation)).with_meta(&meta))
}
