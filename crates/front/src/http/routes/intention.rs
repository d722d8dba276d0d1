//! `connect/intentions`: which service may call which, and the reasons.

mod by_id;
mod explain;
mod shape;

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_agent::IntentionsTo;
use concord_api::intention::{
    IntentionBody, IntentionCheck, IntentionUpsert, parse_any_service, parse_destination, parse_service,
    parse_source,
};
use concord_api::select::{self, INTENTION};
use concord_mesh::intention::Intention as Flat;
use concord_model::ServiceRef;
use concord_model::intention::{Destination, ServiceIntentions, Source};
use concord_rpc::RpcError;
use concord_rpc::request::{
    CheckIntention, CreateIntention, DeleteIntention, DeleteIntentionById, ExplainIntention, ExplainRequest,
    ListIntentions, MatchBy, MatchIntentions, ReadIntention, ReadPair, UpdateIntention, UpsertIntention,
};

use self::by_id::{create, delete_by_id, read_by_id, update_by_id};
use self::shape::shape;
pub(super) use self::shape::shapes;
use super::endpoints;
use crate::http::context::Ctx;
use crate::http::{Call, HttpError, Reply, Right};

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
    /// Why a connection or a request would be allowed or denied, and which change would reverse that.
    Explain: GET "/v1/connect/intentions/explain", Right::asked::<(ExplainIntention, ExplainRequest)>() => explain;
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
    let IntentionUpsert { destination, intention, meta, jwt } =
        IntentionBody::decode(&call.body)?.resolve(source, destination)?;
    ctx.ask(&call, UpsertIntention { destination, intention, meta, jwt }).await?;
    Ok(Reply::json(true))
}

async fn delete(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (source, destination) = pair(&call)?;
    ctx.ask(&call, DeleteIntention { destination, source }).await?;
    Ok(Reply::json(true))
}

async fn matching(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (side, any): (fn(ServiceRef) -> MatchBy, _) = match call.required("by")? {
        "source" => (MatchBy::Source, MatchBy::AnySource),
        "destination" => (MatchBy::Destination, MatchBy::AnyDestination),
        _ => return Err(HttpError::bad_request("'by' parameter must be one of 'source' or 'destination'")),
    };
    let by = |name: &str| -> Result<MatchBy, HttpError> {
        Ok(parse_any_service("name", name)?.map_or_else(|| any.clone(), side))
    };
    let first = by(call.required("name")?)?;
    let also = call.parameters("name").skip(1).map(by).collect::<Result<Vec<_>, _>>()?;
    if let (MatchBy::Destination(service), []) = (&first, &*also)
        && let Some((set, meta, cached)) = ctx.ask_cache(&call, &IntentionsTo(service.clone())).await?
    {
        // The agent uses the same cache entry for its own decisions.
        let entries = set.entries.iter().map(|entry| &**entry);
        return Ok(matched(&call, [entries]).with_meta(&meta).with_cache(cached.hit, cached.age));
    }
    let question = MatchIntentions { by: first, also };
    let services = question.all().count();
    if let Some((found, meta, cached)) = ctx.ask_cache(&call, &question).await? {
        let reply = matched(&call, found.lists(services)?);
        return Ok(reply.with_meta(&meta).with_cache(cached.hit, cached.age));
    }
    let (found, meta) = ctx.ask(&call, question).await?;
    Ok(matched(&call, found.lists(services)?).with_meta(&meta))
}

/// One list per name. An empty list is `null`, as in Consul.
fn matched<'a>(
    call: &Call,
    lists: impl IntoIterator<Item = impl IntoIterator<Item = &'a ServiceIntentions>>,
) -> Reply {
    let lists = lists.into_iter().map(shapes).map(|list| (!list.is_empty()).then_some(list));
    let names = call.parameters("name").map(ToOwned::to_owned);
    Reply::json(names.zip(lists).collect::<BTreeMap<_, _>>())
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
    if let Some(asked) = explain::request::asked(&call)? {
        let question = ExplainRequest { source, destination, asked };
        let (explanation, mut meta) = ctx.ask(&call, question).await?;
        meta.consistency = None;
        return Ok(Reply::json(explain::request::shape(&explanation)).with_meta(&meta));
    }
    let (explanation, mut meta) = ctx.ask(&call, ExplainIntention { source, destination }).await?;
    meta.consistency = None;
    Ok(Reply::json(explain::shape(&explanation)).with_meta(&meta))
}
