//! `health`: the servers' view of nodes, services and their checks.

use std::sync::Arc;

use concord_api::health::{HealthCheck, ServiceEntry};
use concord_api::select::{self, CHECK, SERVICE_ENTRY};
use concord_model::catalog::{CheckStatus, NodeScope};
use concord_model::{NodeName, ServiceName, ServiceRef};
use concord_rpc::request::{
    CheckState, ChecksInState, InstanceHealth, NodeChecks, ServiceChecks, ServiceHealth,
};

use super::catalog::{Which, selection};
use super::endpoints;
use crate::http::context::Ctx;
use crate::http::{Call, HttpError, Reply, Right};

endpoints! {
    /// Checks of a node and of its services.
    Node: GET "/v1/health/node/:node", Right::asked::<(NodeChecks,)>() => node;
    /// Checks of a service's instances.
    Checks: GET "/v1/health/checks/:service", Right::asked::<(ServiceChecks,)>() => checks;
    /// Checks in one state, on all nodes.
    State: GET "/v1/health/state/:state", Right::asked::<(ChecksInState,)>() => state;
    /// Instances of a service with their health.
    Service: GET "/v1/health/service/:service", Right::asked::<(ServiceHealth,)>() => service;
    /// Instances that accept mesh traffic for a service, with their health.
    Connect: GET "/v1/health/connect/:service", Right::asked::<(ServiceHealth,)>() => connect;
    /// Instances of the ingress gateways that serve a service, with their health.
    Ingress: GET "/v1/health/ingress/:service", Right::asked::<(ServiceHealth,)>() => ingress;
}

async fn node(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (node, filter) = (call.named(0, NodeName::parse)?, Ctx::filter(&call)?);
    let (checks, meta) = ctx.ask(&call, NodeChecks { node: node.clone() }).await?;
    let scope = NodeScope::default();
    let shown = checks.iter().map(|check| HealthCheck::from_model(&scope, &node, check)).collect();
    Ok(Reply::json(select::keep(filter.as_ref(), &CHECK, shown)?).with_meta(&meta))
}

async fn checks(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (service, filter) = (call.named(0, ServiceName::parse)?, Ctx::filter(&call)?);
    let request = ServiceChecks { service: ServiceRef::local(service), node_meta: call.node_meta() };
    let (checks, meta) = ctx.ask(&call, request).await?;
    let scope = NodeScope::default();
    let shown = checks.iter().map(|one| HealthCheck::from_model(&scope, &one.node, &one.check)).collect();
    Ok(Reply::json(select::keep(filter.as_ref(), &CHECK, shown)?).with_meta(&meta))
}

/// An unknown word selects a state that no check has, as in Consul.
fn state_named(word: &str) -> CheckState {
    match word {
        "any" => CheckState::Any,
        word => CheckStatus::parse(word).map_or(CheckState::Never, CheckState::Is),
    }
}

async fn state(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let filter = Ctx::filter(&call)?;
    let request = ChecksInState { state: state_named(call.capture(0)), node_meta: call.node_meta() };
    let (checks, meta) = ctx.ask(&call, request).await?;
    let scope = NodeScope::default();
    let shown = checks.iter().map(|one| HealthCheck::from_model(&scope, &one.node, &one.check)).collect();
    Ok(Reply::json(select::keep(filter.as_ref(), &CHECK, shown)?).with_meta(&meta))
}

async fn service(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    instances(ctx, call, Which::Own).await
}

async fn connect(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    instances(ctx, call, Which::Connect).await
}

async fn ingress(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    instances(ctx, call, Which::Ingress).await
}

async fn instances(ctx: Arc<Ctx>, call: Call, which: Which) -> Result<Reply, HttpError> {
    let filter = Ctx::filter(&call)?;
    let worst = call.flag("passing")?.then_some(CheckStatus::Passing);
    let question = ServiceHealth { select: selection(&call, which)?, worst };
    let shown = |all: &[InstanceHealth]| {
        let shapes = all.iter().map(|one| ServiceEntry::from_model(&one.node, &one.service, &one.checks));
        select::keep(filter.as_ref(), &SERVICE_ENTRY, shapes.collect())
    };
    if let Some((instances, meta, cached)) = ctx.ask_cache(&call, &question).await? {
        return Ok(Reply::json(shown(&instances)?).with_meta(&meta).with_cache(cached.hit, cached.age));
    }
    let (instances, meta) = ctx.ask(&call, question).await?;
    Ok(Reply::json(shown(&instances)?).with_meta(&meta))
}
