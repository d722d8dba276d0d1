//! `agent`: information about the agent itself, and commands for its operator.

mod exposition;
mod monitor;
mod proxies;

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_acl::Level;
use concord_agent::{AgentConfig, TokenKind};
use concord_api::decode::{self, REQUEST_DECODE_FAILED};
use concord_api::select::{self, MEMBER};
use concord_model::{Secret, Timestamp};
use concord_rpc::RpcError;
use concord_rpc::request::{ReadAcceptance, ReadStatus, ServerStatus};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use self::monitor::monitor;
use self::proxies::{delivery, proxies};
use super::endpoints;
use crate::http::context::Ctx;
use crate::http::{Call, HttpError, Reply, Right};

endpoints! {
    /// Configuration, ports and counters.
    AgentSelf: GET "/v1/agent/self", Right::Here(|_, ctx| Ok(ctx.own(Level::Read))) => about;
    /// The version that was built.
    Version: GET "/v1/agent/version", Right::Open("tells nothing a port scan would not") => version;
    /// Members of the gossip pool.
    Members: GET "/v1/agent/members", Right::Filtered => members;
    /// Leaves the cluster and ends.
    Leave: PUT "/v1/agent/leave", Right::Here(|_, ctx| Ok(ctx.own(Level::Write))) => leave;
    /// Reads the configuration again.
    Reload: PUT "/v1/agent/reload", Right::Here(|_, ctx| Ok(ctx.own(Level::Write))) => reload;
    /// Changes one of the agent's own tokens.
    Token: PUT "/v1/agent/token/:kind", Right::Here(|_, ctx| Ok(ctx.own(Level::Write))) => token;
    /// The log while it is written.
    Monitor: GET "/v1/agent/monitor", Right::Here(|_, ctx| Ok(ctx.own(Level::Read))) => monitor;
    /// Which proxy that is attached here has what.
    Proxies: GET "/v1/agent/proxies", Right::Filtered => proxies;
    /// Which proxy that is attached here has an entry.
    EntryDelivery: GET "/v1/agent/proxies/entry/:kind/:name", Right::asked::<(ReadAcceptance,)>() => delivery;
    /// All metrics.
    Metrics: GET "/v1/agent/metrics", Right::Here(|_, ctx| Ok(ctx.own(Level::Read))) => metrics;
}

async fn about(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let caller = ctx.caller(&call).await?;
    let mut about = ctx.agent.report.about(&caller)?;
    // A server adds the state of its log. If that query fails, it is left out of the answer.
    if ctx.agent.config.about.role.is_server()
        && let Ok((status, _)) = ctx.ask(&call, ReadStatus {}).await
    {
        about.stats.insert("consul".to_owned(), server_stats(&status, &ctx.agent.config));
        about.stats.insert("raft".to_owned(), log_stats(status));
    }
    Ok(Reply::json(about))
}

fn server_stats(status: &ServerStatus, config: &AgentConfig) -> BTreeMap<String, String> {
    let acl = if config.acl.enabled { "enabled" } else { "disabled" };
    BTreeMap::from([
        ("server".to_owned(), "true".to_owned()),
        ("leader".to_owned(), status.is_leader.to_string()),
        ("leader_addr".to_owned(), status.leader.clone()),
        ("acl".to_owned(), acl.to_owned()),
        ("bootstrap".to_owned(), config.about.role.may_bootstrap().to_string()),
        ("known_datacenters".to_owned(), "1".to_owned()),
    ])
}

fn log_stats(status: ServerStatus) -> BTreeMap<String, String> {
    let state = if status.is_leader { "Leader" } else { "Follower" };
    let mut stats = BTreeMap::from([
        ("state".to_owned(), state.to_owned()),
        ("term".to_owned(), status.term.to_string()),
        ("commit_index".to_owned(), status.commit_index.to_string()),
        ("applied_index".to_owned(), status.applied_index.to_string()),
        ("last_log_index".to_owned(), status.last_log_index.to_string()),
        ("last_log_term".to_owned(), status.last_log_term.to_string()),
        ("num_peers".to_owned(), status.peers.len().saturating_sub(1).to_string()),
        ("last_snapshot_index".to_owned(), status.snapshot_index.to_string()),
    ]);
    let troubles = [("read_only", status.read_only), ("snapshot_failure", status.snapshot_failure)];
    stats.extend(troubles.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?))));
    stats
}

/// The shape of `agent/version`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Built {
    #[serde(rename = "SHA")]
    sha: String,
    build_date: String,
    human_version: String,
    #[serde(rename = "FIPS")]
    fips: &'static str,
}

async fn version(ctx: Arc<Ctx>, _: Call) -> Result<Reply, HttpError> {
    let about = &ctx.agent.config.about;
    Ok(Reply::json(Built {
        sha: about.revision.clone(),
        build_date: about.build_date.clone(),
        human_version: about.version.clone(),
        fips: "",
    }))
}

async fn members(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    if call.flag("wan")? {
        return Err(HttpError::not_available("members of other datacenters"));
    }
    if call.parameter("segment").is_some_and(|segment| !matches!(segment, "" | "_all")) {
        return Err(HttpError::not_available("network segments"));
    }
    let (caller, filter) = (ctx.caller(&call).await?, Ctx::filter(&call)?);
    let listed = ctx.agent.report.members(&caller);
    let shown = select::keep(filter.as_ref(), &MEMBER, listed.value)?;
    Ok(Reply::json(shown).with_filtered(listed.filtered && !caller.is_anonymous()))
}

async fn leave(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let caller = ctx.caller(&call).await?;
    ctx.agent.program.leave(&caller).await?;
    Ok(Reply::empty())
}

async fn reload(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let caller = ctx.caller(&call).await?;
    Ok(Reply::json(ctx.agent.program.reload(&caller).await?))
}

/// Body of `agent/token/:kind`. It has no `Debug`, because it holds a secret.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct TokenBody {
    token: String,
}

/// The token kind that a path names; old names are accepted. An unknown name gives the error to answer.
fn token_kind(name: &str) -> Result<TokenKind, HttpError> {
    match name {
        "default" | "acl_token" => Ok(TokenKind::Default),
        "agent" | "acl_agent_token" => Ok(TokenKind::Agent),
        "config_file_service_registration" => Ok(TokenKind::ConfigFileServiceRegistration),
        "agent_recovery" | "agent_master" | "acl_agent_master_token" => {
            Err(HttpError::not_available("agent recovery tokens"))
        }
        "replication" | "acl_replication_token" => Err(HttpError::not_available("ACL replication")),
        "dns" | "dns_token" => Ok(TokenKind::Dns),
        other => Err(HttpError::not_found(format!("Token {other:?} is unknown"))),
    }
}

async fn token(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    if !ctx.agent.config.acl.enabled {
        return Err(RpcError::AclDisabled.into());
    }
    let TokenBody { token } = decode::body(&call.body, REQUEST_DECODE_FAILED)?;
    let (kind, caller) = (token_kind(call.capture(0))?, ctx.caller(&call).await?);
    ctx.agent.own_tokens.set(&caller, kind, Secret::new(token)).await?;
    Ok(Reply::empty())
}

async fn metrics(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let accepts = call.headers.get("accept").and_then(|value| value.to_str().ok()).unwrap_or("");
    let text =
        call.parameter("format") == Some("prometheus") || accepts.contains("application/openmetrics-text");
    match (&ctx.metrics, text) {
        (Some(render), true) => Ok(Reply::bytes("text/plain; version=0.0.4; charset=utf-8", render())),
        (Some(render), false) => {
            let now = Timestamp::from_nanos(ctx.agent.scope.clock().wall_nanos());
            Ok(Reply::json(exposition::tables(&render(), now)))
        }
        (None, true) => {
            let text = "Prometheus is not enabled since its retention time is not positive";
            Err(HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
        }
        (None, false) => Err(HttpError::not_available("metrics of an agent that keeps none")),
    }
}
