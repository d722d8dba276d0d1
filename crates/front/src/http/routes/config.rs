//! `config`: configuration entries.

mod plan;
mod status;

use std::sync::Arc;

use concord_api::entry::{ConfigEntry, decode_entry, parse_kind, parse_name, parse_name_to_remove};
use concord_api::select::{self, SERVICE_DEFAULTS};
use concord_model::entry::{EntryKind, EntryName};
use concord_rpc::request::{ApplyEntry, DeleteEntry, ListEntries, PlanEntries, ReadEntry, ReadEntryStatus};
use http::StatusCode;
use serde::Serialize;

use self::plan::planning;
use super::endpoints;
use crate::http::context::Ctx;
use crate::http::{Call, HttpError, Reply, Right};

endpoints! {
    /// Writes an entry.
    Apply: PUT "/v1/config", Right::asked::<(ApplyEntry,)>() => apply;
    /// What would change if entries were written. Nothing is written.
    Planning: POST "/v1/config/plan", Right::asked::<(PlanEntries,)>() => planning;
    /// What an entry does as it stands.
    Status: GET "/v1/config/status/:kind/:name", Right::asked::<(ReadEntryStatus,)>() => status;
    /// All entries of a kind.
    List: GET "/v1/config/:kind", Right::asked::<(ListEntries,)>() => list;
    /// An entry.
    Read: GET "/v1/config/:kind/:name", Right::asked::<(ReadEntry,)>() => read;
    /// Removes an entry.
    Delete: DELETE "/v1/config/:kind/:name", Right::asked::<(DeleteEntry,)>() => delete;
    /// Answers that the name is missing in the path.
    DeleteKind: DELETE "/v1/config/:kind", Right::Open("removes nothing") => delete_kind;
}

/// The answer `{}`.
#[derive(Serialize)]
struct Done {}

/// The entry kind in the path. An invalid token is reported before any other error.
pub(super) async fn kind(ctx: &Ctx, call: &Call) -> Result<EntryKind, HttpError> {
    match parse_kind(call.capture(0)) {
        Ok(kind) => Ok(kind),
        Err(faults) => {
            ctx.caller(call).await?;
            Err(faults.into())
        }
    }
}

/// `?cas=`: the modify index that the entry must have.
fn cas(call: &Call) -> Result<Option<u64>, HttpError> {
    let Some(text) = call.parameter("cas").filter(|text| !text.is_empty()) else { return Ok(None) };
    let index =
        text.parse().map_err(|_| HttpError::bad_request("Invalid cas value; use the entry's ModifyIndex"))?;
    Ok(Some(index))
}

async fn apply(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (entry, cas) = (decode_entry(&call.body)?, cas(&call)?);
    let (done, _) = ctx.ask(&call, ApplyEntry { entry, cas }).await?;
    Ok(Reply::json(done))
}

async fn list(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let kind = kind(&ctx, &call).await?;
    let filter = Ctx::filter(&call)?;
    if filter.is_some() && kind != EntryKind::ServiceDefaults {
        let text = format!("filtering not supported for config entry kind={}", kind.as_str());
        return Err(HttpError::bad_request(text));
    }
    let (entries, mut meta) = ctx.ask(&call, ListEntries { kind }).await?;
    meta.consistency = None;
    let shown = entries.iter().map(|entry| ConfigEntry::from_model(entry)).collect();
    Ok(Reply::json(select::keep(filter.as_ref(), &SERVICE_DEFAULTS, shown)?).with_meta(&meta))
}

async fn read(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let name = parse_name(kind(&ctx, &call).await?, call.capture(1))?;
    let (entry, mut meta) = ctx.ask(&call, ReadEntry { name: name.clone() }).await?;
    meta.consistency = None;
    match entry {
        Some(entry) => Ok(Reply::json(ConfigEntry::from_model(&entry)).with_meta(&meta)),
        // The 404 carries an index, so that a client can wait for the entry to appear.
        None => Ok(missing(&name).with_meta(&meta)),
    }
}

pub(super) fn missing(name: &EntryName) -> Reply {
    let missing = concord_api::fault::CONFIG_ENTRY_NOT_FOUND;
    let text = format!("{missing} for {:?} / {:?}", name.kind.as_str(), name.as_str());
    Reply::text(text).with_status(StatusCode::NOT_FOUND)
}

async fn status(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let name = parse_name(kind(&ctx, &call).await?, call.capture(1))?;
    let (found, mut meta) = ctx.ask(&call, ReadEntryStatus { name: name.clone() }).await?;
    meta.consistency = None;
    Ok(match found {
        Some(found) => Reply::json(status::shape(&found)).with_meta(&meta),
        None => missing(&name).with_meta(&meta),
    })
}

async fn delete_kind(_: Arc<Ctx>, _: Call) -> Result<Reply, HttpError> {
    Err(HttpError::not_found("Must provide both a kind and name to delete"))
}

async fn delete(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (name, cas) = (parse_name_to_remove(kind(&ctx, &call).await?, call.capture(1))?, cas(&call)?);
    let (done, _) = ctx.ask(&call, DeleteEntry { name, cas }).await?;
    Ok(if cas.is_some() { Reply::json(done) } else { Reply::json(Done {}) })
}
