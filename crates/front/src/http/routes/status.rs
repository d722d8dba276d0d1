//! `status`: the leader and the voters.

use std::sync::Arc;

use concord_rpc::request::ReadStatus;

use super::endpoints;
use crate::http::context::Ctx;
use crate::http::{Call, HttpError, Reply, Right};

endpoints! {
    /// The leader's address.
    Leader: GET "/v1/status/leader", Right::asked::<(ReadStatus,)>() => leader;
    /// Addresses of all voters.
    Peers: GET "/v1/status/peers", Right::asked::<(ReadStatus,)>() => peers;
}

async fn leader(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (status, _) = ctx.ask(&call, ReadStatus {}).await?;
    Ok(Reply::json(status.leader))
}

async fn peers(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (status, _) = ctx.ask(&call, ReadStatus {}).await?;
    Ok(Reply::json(status.peers))
}
