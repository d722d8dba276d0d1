//! `agent/service`, `agent/check`, `agent/health`: the services and checks registered with this agent.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_acl::{Labelled, Level};
use concord_agent::Maintenance;
use concord_api::agent::CheckUpdate;
use concord_api::definition::{CheckDefinition, ServiceDefinition};
use concord_api::health::HealthCheck;
use concord_api::select::{self, AGENT_SERVICE, CHECK};
use concord_api::service::AgentService;
use concord_model::catalog::CheckStatus;
use concord_model::{CheckId, InstanceId};
use concord_rpc::{Caller, RpcError};
use http::StatusCode;
use serde::Serialize;

use super::endpoints;
use crate::http::call::go_bool;
use crate::http::context::Ctx;
use crate::http::{Call, HttpError, Reply, Right};

endpoints! {
    /// Services, by id.
    Services: GET "/v1/agent/services", Right::Filtered => services;
    /// A service. With `?hash=`, waits until the service differs from that hash.
    Service: GET "/v1/agent/service/:id", Right::Agent => service;
    /// Registers a service.
    RegisterService: PUT "/v1/agent/service/register",
        Right::Agent => register_service;
    /// Removes a service.
    DeregisterService: PUT "/v1/agent/service/deregister/:id",
        Right::Agent => deregister_service;
    /// Checks, by id.
    Checks: GET "/v1/agent/checks", Right::Filtered => checks;
    /// Registers a check.
    RegisterCheck: PUT "/v1/agent/check/register", Right::Agent => register_check;
    /// Removes a check.
    DeregisterCheck: PUT "/v1/agent/check/deregister/:id",
        Right::Agent => deregister_check;
    /// The service reports the check as passing.
    Pass: PUT "/v1/agent/check/pass/:id", Right::Agent => pass;
    /// The service reports the check as warning.
    Warn: PUT "/v1/agent/check/warn/:id", Right::Agent => warn;
    /// The service reports the check as critical.
    Fail: PUT "/v1/agent/check/fail/:id", Right::Agent => fail;
    /// The service reports a state together with output.
    Update: PUT "/v1/agent/check/update/:id", Right::Agent => update;
    /// Turns maintenance mode of the node on or off.
    MaintainNode: PUT "/v1/agent/maintenance", Right::Agent => maintain_node;
    /// Turns maintenance mode of a service on or off.
    MaintainService: PUT "/v1/agent/service/maintenance/:id", Right::Agent
        => maintain_service;
    /// Health of one instance, by id.
    HealthById: GET "/v1/agent/health/service/id/:id", Right::Agent => health_by_id;
    /// Health of all instances of a service on this agent.
    HealthByName: GET "/v1/agent/health/service/name/:name", Right::Here(|call, _| Ok(read(call.capture(0))))
        => health_by_name;
}

async fn services(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (caller, filter) = (ctx.caller(&call).await?, Ctx::filter(&call)?);
    let listed = ctx.agent.listing.services(&caller);
    let kept = select::keep_values(filter.as_ref(), &AGENT_SERVICE, listed.value)?;
    let shown: BTreeMap<String, AgentService> =
        kept.into_iter().map(|(id, one)| (id.to_string(), one)).collect();
    Ok(Reply::json(shown).with_filtered(listed.filtered && !caller.is_anonymous()))
}

async fn service(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let caller = ctx.caller(&call).await?;
    let id = call.named(0, InstanceId::parse)?;
    // Only the hash is waited for, but an invalid index is refused here as everywhere.
    call.index()?;
    let service = ctx.agent.listing.service(&caller, &id, call.parameter("hash"), call.wait()?).await?;
    let hash = service.content_hash.clone();
    Ok(Reply::json(service).with_content_hash(&hash))
}

async fn register_service(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let definition = ServiceDefinition::decode(&call.body)?;
    let replace = call.flag("replace-existing-checks")?;
    let caller = ctx.caller(&call).await?;
    ctx.agent.registrar.register_service(&caller, &definition, replace).await?;
    Ok(Reply::empty())
}

async fn deregister_service(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let caller = ctx.caller(&call).await?;
    ctx.agent.registrar.deregister_service(&caller, &call.named(0, InstanceId::parse)?).await?;
    Ok(Reply::empty())
}

async fn checks(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (caller, filter) = (ctx.caller(&call).await?, Ctx::filter(&call)?);
    let listed = ctx.agent.listing.checks(&caller);
    let kept = select::keep_values(filter.as_ref(), &CHECK, listed.value)?;
    let shown: BTreeMap<String, HealthCheck> =
        kept.into_iter().map(|(id, one)| (id.to_string(), one)).collect();
    Ok(Reply::json(shown).with_filtered(listed.filtered && !caller.is_anonymous()))
}

async fn register_check(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let definition = CheckDefinition::decode(&call.body)?;
    let caller = ctx.caller(&call).await?;
    ctx.agent.registrar.register_check(&caller, &definition).await?;
    Ok(Reply::empty())
}

async fn deregister_check(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let caller = ctx.caller(&call).await?;
    ctx.agent.registrar.deregister_check(&caller, &call.named(0, CheckId::parse)?).await?;
    Ok(Reply::empty())
}

async fn pass(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    noted(&ctx, &call, CheckStatus::Passing).await
}

async fn warn(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    noted(&ctx, &call, CheckStatus::Warning).await
}

async fn fail(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    noted(&ctx, &call, CheckStatus::Critical).await
}

async fn noted(ctx: &Ctx, call: &Call, status: CheckStatus) -> Result<Reply, HttpError> {
    report(ctx, call, status, call.parameter("note").unwrap_or("").to_owned()).await
}

async fn update(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (status, output) = CheckUpdate::decode(&call.body)?;
    report(&ctx, &call, status, output).await
}

async fn report(ctx: &Ctx, call: &Call, status: CheckStatus, output: String) -> Result<Reply, HttpError> {
    let caller = ctx.caller(call).await?;
    ctx.agent.registrar.report_check(&caller, &call.named(0, CheckId::parse)?, status, output)?;
    Ok(Reply::empty())
}

/// The kind of a maintenance check, and the status of a service that has one.
const MAINTENANCE: &str = "maintenance";

/// Health of one instance, as `agent/health` shows it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Health {
    aggregated_status: &'static str,
    /// `null` if the instance does not exist.
    service: Option<AgentService>,
    /// `null` if the service does not exist.
    checks: Option<Vec<HealthCheck>>,
}

async fn maintain_node(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let wish = maintenance(&call)?;
    let caller = ctx.caller(&call).await?;
    ctx.agent.maintainer.node(&caller, wish).await?;
    Ok(Reply::empty())
}

async fn maintain_service(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let wish = maintenance(&call)?;
    let caller = ctx.caller(&call).await?;
    ctx.agent.maintainer.service(&caller, &call.named(0, InstanceId::parse)?, wish).await?;
    Ok(Reply::empty())
}

/// The maintenance request: on or off, with a reason.
fn maintenance(call: &Call) -> Result<Maintenance, HttpError> {
    let enable =
        call.parameter("enable").ok_or_else(|| HttpError::bad_request("Missing value for enable"))?;
    match go_bool(enable) {
        Some(true) => Ok(Maintenance::Enter(call.parameter("reason").unwrap_or("").to_owned())),
        Some(false) => Ok(Maintenance::Leave),
        None => Err(HttpError::bad_request(format!("Invalid value for enable: {enable:?}"))),
    }
}

fn read(service: &str) -> concord_acl::Right<'static> {
    concord_acl::Right::named(Labelled::Service, service.to_owned(), Level::Read)
}

/// The services that match and that the caller may see. Each has its checks, those of the node, and the worst status
/// of all.
fn health(ctx: &Ctx, caller: &Caller, fits: impl Fn(&AgentService) -> bool) -> Vec<(CheckStatus, Health)> {
    let checks = ctx.agent.listing.checks(caller).value;
    let of = |service: AgentService| {
        let own =
            checks.values().filter(|check| check.service_id.is_empty() || check.service_id == service.id);
        let own: Vec<HealthCheck> = own.cloned().collect();
        let verdicts = own.iter().filter_map(|check| CheckStatus::parse(&check.status));
        let status = verdicts.max().unwrap_or(CheckStatus::Passing);
        // A service in maintenance has a status of its own.
        let on_purpose = own.iter().any(|check| check.kind == MAINTENANCE);
        let aggregated_status = if on_purpose { MAINTENANCE } else { status.as_str() };
        (status, Health { aggregated_status, service: Some(service), checks: Some(own) })
    };
    ctx.agent.listing.services(caller).value.into_values().filter(fits).map(of).collect()
}

fn verdict<T: Serialize + Send + 'static>(
    call: &Call,
    status: CheckStatus,
    reason: &'static str,
    shape: T,
) -> Reply {
    let code = match status {
        CheckStatus::Passing => StatusCode::OK,
        CheckStatus::Warning => StatusCode::TOO_MANY_REQUESTS,
        CheckStatus::Critical => StatusCode::SERVICE_UNAVAILABLE,
    };
    told(call, code, reason, shape)
}

/// An answer with its reason: as plain text for `format=text`, else as JSON.
fn told<T: Serialize + Send + 'static>(call: &Call, code: StatusCode, reason: &str, shape: T) -> Reply {
    let reply = match call.parameter("format") {
        Some("text") => Reply::text(reason),
        _ => Reply::json(shape),
    };
    reply.with_status(code).with_reason(reason)
}

async fn health_by_id(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let caller = ctx.caller(&call).await?;
    let id = call.capture(0);
    if let Ok(id) = InstanceId::parse(id) {
        match ctx.agent.listing.service(&caller, &id, None, None).await {
            // If the service is missing, this endpoint answers with its own text below.
            Ok(_) | Err(RpcError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let absent = Health { aggregated_status: "critical", service: None, checks: None };
    match health(&ctx, &caller, |service| service.id == id).pop() {
        Some((status, shape)) => Ok(verdict(&call, status, shape.aggregated_status, shape)),
        None => Ok(told(&call, StatusCode::NOT_FOUND, &format!("ServiceId {id} not found"), absent)),
    }
}

async fn health_by_name(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let caller = ctx.caller(&call).await?;
    let name = call.capture(0);
    let found = health(&ctx, &caller, |service| service.service == name);
    match found.iter().map(|(status, shape)| (*status, shape.aggregated_status)).max() {
        Some((worst, reason)) => {
            let shapes: Vec<Health> = found.into_iter().map(|(_, shape)| shape).collect();
            Ok(verdict(&call, worst, reason, shapes))
        }
        None => Ok(told(
            &call,
            StatusCode::NOT_FOUND,
            &format!("ServiceName {name} Not Found"),
            Vec::<Health>::new(),
        )),
    }
}
