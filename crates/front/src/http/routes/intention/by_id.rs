//! The older API with ids. The official command line and Terraform still use it.

use std::sync::Arc;

use concord_api::intention::{IntentionBody, IntentionWithId};
use concord_mesh::intention::Intention as Flat;
use concord_model::Uuid;
use concord_rpc::request::{
    CreateIntention, DeleteIntentionById, PlainIntention, ReadIntention, UpdateIntention,
};
use serde::Serialize;

use super::shape::shape;
use crate::http::context::Ctx;
use crate::http::{Call, HttpError, Reply};

/// The id of the intention that was written.
#[derive(Serialize)]
struct Written {
    #[serde(rename = "ID")]
    id: String,
}

fn id(call: &Call) -> Result<Uuid, HttpError> {
    let refused = |error| HttpError::bad_request(format!("Invalid intention ID, it must be a UUID: {error}"));
    Uuid::parse(call.capture(0)).map_err(refused)
}

fn plain(body: IntentionWithId) -> PlainIntention {
    let IntentionWithId { destination, source, action, description, meta } = body;
    PlainIntention { destination, source, action, description, meta }
}

pub(super) async fn create(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let intention = plain(IntentionBody::decode(&call.body)?.resolve_new()?);
    let (id, _) = ctx.ask(&call, CreateIntention { intention }).await?;
    Ok(Reply::json(Written { id: id.to_string() }))
}

pub(super) async fn read_by_id(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (entry, mut meta) = ctx.ask(&call, ReadIntention { id: id(&call)? }).await?;
    meta.consistency = None;
    match entry.iter().flat_map(Flat::of_entry).next() {
        Some(flat) => Ok(Reply::json(shape(&flat)).with_meta(&meta)),
        None => Err(HttpError::not_found("Intention not found")),
    }
}

pub(super) async fn update_by_id(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let id = id(&call)?;
    let intention = plain(IntentionBody::decode(&call.body)?.resolve_with_id()?);
    ctx.ask(&call, UpdateIntention { id, intention }).await?;
    Ok(Reply::json(Written { id: id.to_string() }))
}

pub(super) async fn delete_by_id(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    ctx.ask(&call, DeleteIntentionById { id: id(&call)? }).await?;
    Ok(Reply::json(true))
}
