//! `agent/connect`: requests that services and proxies of this node make for every connection. Answered from memory.

use std::sync::Arc;
use std::time::Duration;

use concord_api::connect::{AuthorizeBody, Authorized, Leaf, Roots};
use concord_model::ServiceName;

use super::endpoints;
use crate::http::context::{Ctx, cached};
use crate::http::reply::Meta;
use crate::http::{Call, HttpError, Reply, Right};

endpoints! {
    /// Decides whether a connection is allowed.
    Authorize: POST "/v1/agent/connect/authorize", Right::Agent => authorize;
    /// The root certificates.
    AgentRoots: GET "/v1/agent/connect/ca/roots", Right::Open("the public trust bundle") => roots;
    /// Certificate and key of a service.
    AgentLeaf: GET "/v1/agent/connect/ca/leaf/:service", Right::Agent => leaf;
}

async fn authorize(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let question = AuthorizeBody::decode(&call.body)?;
    let caller = ctx.caller(&call).await?;
    let answer = match ctx.agent.connect.authorize_now(&caller, &question)? {
        Some(answer) => answer,
        None => ctx.agent.connect.authorize(&caller, &question).await?,
    };
    let shape = Authorized { authorized: answer.authorized, reason: answer.reason };
    Ok(Reply::json(shape).with_cache(answer.hit, answer.age))
}

async fn roots(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let answer = ctx.agent.connect.roots(&call.head()?).await?;
    let (index, hit, age) = (answer.index, answer.hit, answer.age);
    // Consul's Go client ignores the cache headers if these headers are missing.
    let meta =
        Meta { index, known_leader: age.is_zero(), last_contact: age, filtered: false, consistency: None };
    Ok(Reply::json(Roots::from_model(&answer.value)).with_meta(&meta).with_cache(hit, age))
}

async fn leaf(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let service = call.named(0, ServiceName::parse)?;
    let caller = ctx.caller(&call).await?;
    let answer = ctx.agent.connect.leaf(&caller, &service, &ctx.head(&call)?).await?;
    let (leaf, meta, cached) = cached(answer, &caller);
    let shape = Leaf::from_model(&service, &leaf.certificate, &leaf.key);
    // A leaf's age is the time since it was signed. It says nothing about the contact with the servers.
    let meta = Meta {
        index: meta.index,
        known_leader: true,
        last_contact: Duration::ZERO,
        filtered: false,
        consistency: None,
    };
    Ok(Reply::json(shape).with_meta(&meta).with_cache(cached.hit, cached.age))
}
