//! `acl`: tokens and policies.

mod probe;

use std::sync::Arc;

use concord_acl::{Level, Right as Rule, Scalar};
use concord_api::acl::{
    Bootstrapped, Expiry, Policy, PolicyRef, PolicyStub, PolicyUpsert, Token, TokenExpanded, TokenUpsert,
    decode_bootstrap,
};
use concord_api::decode;
use concord_model::token::{self, SecretHash};
use concord_model::{IdentityName, Secret, Uuid};
use concord_rpc::RpcError;
use concord_rpc::request::{
    BootstrapAcl, CloneToken, DeletePolicy, DeleteToken, ExpandToken, ExpandedToken, ListPolicies,
    ListTokens, PolicyChoice, ReadOwnToken, ReadPolicy, ReadToken, SetPolicy, SetToken, TokenRecord,
};
use serde::Deserialize;

use self::probe::probe;
use super::endpoints;
use crate::http::context::Ctx;
use crate::http::{Call, HttpError, Reply, Right};

endpoints! {
    /// Makes the first management token.
    Bootstrap: PUT "/v1/acl/bootstrap", Right::asked::<(BootstrapAcl,)>() => bootstrap;
    /// All tokens.
    Tokens: GET "/v1/acl/tokens", Right::asked::<(ListTokens,)>() => tokens;
    /// Makes a token.
    CreateToken: PUT "/v1/acl/token", Right::asked::<(SetToken,)>() => create_token;
    /// The token the request is made with.
    OwnToken: GET "/v1/acl/token/self", Right::asked::<(ReadOwnToken,)>() => own_token;
    /// A token.
    TokenByAccessor: GET "/v1/acl/token/:accessor", Right::asked::<(ReadToken, ExpandToken)>() => token;
    /// Changes a token.
    UpdateToken: PUT "/v1/acl/token/:accessor", Right::asked::<(SetToken,)>() => update_token;
    /// Removes a token.
    RemoveToken: DELETE "/v1/acl/token/:accessor", Right::asked::<(DeleteToken,)>() => delete_token;
    /// Makes a token like another one.
    TokenClone: PUT "/v1/acl/token/:accessor/clone", Right::asked::<(CloneToken,)>() => clone_token;
    /// All policies, without their rules.
    Policies: GET "/v1/acl/policies", Right::asked::<(ListPolicies,)>() => policies;
    /// Makes a policy.
    CreatePolicy: PUT "/v1/acl/policy", Right::asked::<(SetPolicy,)>() => create_policy;
    /// A policy.
    PolicyById: GET "/v1/acl/policy/:id", Right::asked::<(ReadPolicy,)>() => policy;
    /// A policy by its name.
    PolicyByName: GET "/v1/acl/policy/name/:name", Right::asked::<(ReadPolicy,)>() => policy_by_name;
    /// Changes a policy.
    UpdatePolicy: PUT "/v1/acl/policy/:id", Right::asked::<(SetPolicy,)>() => update_policy;
    /// Removes a policy.
    RemovePolicy: DELETE "/v1/acl/policy/:id", Right::asked::<(DeletePolicy,)>() => delete_policy;
    /// Answers which rights the request's token has, for a list of resources.
    Probe: POST "/v1/internal/acl/authorize", Right::Open("tells a caller only about itself") => probe;
}

/// A token in the form in which its reader may see it.
fn shown(record: TokenRecord) -> Token {
    let TokenRecord {
        accessor,
        secret,
        description,
        policies,
        identities,
        local,
        expires_at,
        created_at,
        hash: _,
        stamp,
    } = record;
    let token = token::Token {
        accessor,
        // The JSON form does not contain the hash.
        secret_hash: SecretHash([0; 32]),
        secret: None,
        description,
        policies,
        identities,
        local,
        expires_at,
        created_at,
        stamp,
    };
    Token::from_model(&token, Some(&Secret::new(secret)))
}

/// A missing token gets 403 with Consul's text, by which Consul's Go client recognises it.
fn known<T>(found: Option<T>) -> Result<T, HttpError> {
    found.ok_or_else(|| HttpError::forbidden(format!("token does not exist: {}", RpcError::TokenNotFound)))
}

/// Refuses the request if ACLs are disabled.
fn enabled(ctx: &Ctx) -> Result<(), HttpError> {
    if ctx.agent.config.acl.enabled { Ok(()) } else { Err(RpcError::AclDisabled.into()) }
}

/// Returns the parsed request. The text of a parse error is shown only to a caller that has the right; others get
/// 403.
async fn checked<T>(
    ctx: &Ctx,
    call: &Call,
    level: Level,
    read: Result<T, impl Into<HttpError>>,
) -> Result<T, HttpError> {
    enabled(ctx)?;
    match read {
        Ok(value) => Ok(value),
        Err(error) => {
            ctx.caller(call).await?.require(&Rule::whole(Scalar::Acl, level))?;
            Err(error.into())
        }
    }
}

fn uuid(call: &Call, what: &str) -> Result<Uuid, HttpError> {
    Uuid::parse(call.capture(0)).map_err(|error| HttpError::bad_request(format!("Invalid {what}: {error}")))
}

async fn bootstrap(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    enabled(&ctx)?;
    let secret = decode_bootstrap(&call.body)?;
    let request = BootstrapAcl { secret };
    let (record, _) = ctx.ask(&call, request).await?;
    Ok(Reply::json(Bootstrapped::new(shown(record))))
}

async fn tokens(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let wanted = checked(&ctx, &call, Level::Read, wanted(&call)).await?;
    let (records, mut meta) = ctx.ask(&call, wanted).await?;
    meta.consistency = None;
    let shown: Vec<Token> = records.into_iter().map(shown).collect();
    Ok(Reply::json(shown).with_meta(&meta))
}

/// The tokens that the query asks for: those with a policy, or those of a service.
fn wanted(call: &Call) -> Result<ListTokens, HttpError> {
    for (parameter, what) in [("role", "ACL roles"), ("authmethod", "ACL auth methods")] {
        if call.parameter(parameter).is_some_and(|value| !value.is_empty()) {
            return Err(HttpError::not_available(what));
        }
    }
    let policy = call.parameter("policy").filter(|id| !id.is_empty()).map(Uuid::parse).transpose();
    let policy = policy.map_err(|error| HttpError::bad_request(format!("policy: {error}")))?;
    let service = call.parameter("servicename").filter(|name| !name.is_empty()).map(IdentityName::parse);
    let service =
        service.transpose().map_err(|error| HttpError::bad_request(format!("servicename: {error}")))?;
    Ok(ListTokens { policy, service })
}

/// Turns a body into a request. With `accessor` it updates that token; without, it creates one.
fn set_token(upsert: TokenUpsert, accessor: Option<Uuid>) -> SetToken {
    let TokenUpsert { accessor: written, secret, description, policies, identities, local, expires } = upsert;
    let choice = |policy: PolicyRef| match policy {
        PolicyRef::Id(id) => PolicyChoice::Id(id),
        PolicyRef::Name(name) => PolicyChoice::Name(name),
    };
    let (expires_at, expires_after) = match expires {
        Expiry::Never => (None, None),
        Expiry::At(at) => (Some(at), None),
        Expiry::After(life) => (None, Some(life)),
    };
    SetToken {
        accessor,
        new_accessor: if accessor.is_none() { written } else { None },
        secret,
        description,
        policies: policies.into_iter().map(choice).collect(),
        identities,
        local,
        expires_at,
        expires_after,
    }
}

async fn create_token(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let upsert = checked(&ctx, &call, Level::Write, TokenUpsert::decode(&call.body, None)).await?;
    let request = set_token(upsert, None);
    let (record, _) = ctx.ask(&call, request).await?;
    Ok(Reply::json(shown(record)))
}

async fn update_token(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let accessor = checked(&ctx, &call, Level::Write, uuid(&call, "AccessorID")).await?;
    let upsert = checked(&ctx, &call, Level::Write, TokenUpsert::decode(&call.body, Some(accessor))).await?;
    let request = set_token(upsert, Some(accessor));
    let (record, _) = ctx.ask(&call, request).await?;
    Ok(Reply::json(shown(record)))
}

async fn own_token(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let unknown = HttpError::from(RpcError::TokenNotFound);
    enabled(&ctx)?;
    let asked = ctx.ask(&call, ReadOwnToken {}).await;
    let (record, mut meta) =
        asked.or_else(|error| if error == unknown { known(None) } else { Err(error) })?;
    meta.consistency = None;
    Ok(Reply::json(shown(record)).with_meta(&meta))
}

async fn token(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let accessor = checked(&ctx, &call, Level::Read, uuid(&call, "AccessorID")).await?;
    // The parameter counts with any value.
    if call.parameter("expanded").is_some() {
        let (found, mut meta) = ctx.ask(&call, ExpandToken { accessor }).await?;
        meta.consistency = None;
        let mut shape = expanded(known(found)?);
        shape.agent_acl_down_policy = ctx.agent.config.acl.down_policy.as_str().to_owned();
        return Ok(Reply::json(shape).with_meta(&meta));
    }
    let (record, mut meta) = ctx.ask(&call, ReadToken { accessor }).await?;
    meta.consistency = None;
    Ok(Reply::json(shown(known(record)?)).with_meta(&meta))
}

fn expanded(found: ExpandedToken) -> TokenExpanded {
    let ExpandedToken { token, policies, default_policy, resolved_by } = found;
    TokenExpanded::new(shown(token), &policies, default_policy, &resolved_by)
}

async fn delete_token(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let accessor = checked(&ctx, &call, Level::Write, uuid(&call, "AccessorID")).await?;
    ctx.ask(&call, DeleteToken { accessor }).await?;
    Ok(Reply::json(true))
}

/// Body of `acl/token/:accessor/clone`, which may be empty.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct CloneBody {
    description: String,
}

async fn clone_token(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let accessor = checked(&ctx, &call, Level::Write, uuid(&call, "AccessorID")).await?;
    let body = match call.body.trim_ascii() {
        [] => Ok(CloneBody::default()),
        body => decode::body(body, "Token decoding failed"),
    };
    let CloneBody { description } = checked(&ctx, &call, Level::Write, body).await?;
    let description = Some(description).filter(|text| !text.is_empty());
    let (record, _) = ctx.ask(&call, CloneToken { accessor, description }).await?;
    Ok(Reply::json(shown(known(record)?)))
}

async fn policies(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    enabled(&ctx)?;
    let (policies, mut meta) = ctx.ask(&call, ListPolicies {}).await?;
    meta.consistency = None;
    let shown: Vec<PolicyStub> = policies.iter().map(PolicyStub::from_model).collect();
    Ok(Reply::json((!shown.is_empty()).then_some(shown)).with_meta(&meta))
}

async fn create_policy(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    set_policy(&ctx, &call, None).await
}

async fn update_policy(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let id = checked(&ctx, &call, Level::Write, uuid(&call, "policy id")).await?;
    set_policy(&ctx, &call, Some(id)).await
}

async fn set_policy(ctx: &Ctx, call: &Call, id: Option<Uuid>) -> Result<Reply, HttpError> {
    let upsert = checked(ctx, call, Level::Write, PolicyUpsert::decode(&call.body, id)).await?;
    let PolicyUpsert { id, name, description, rules, datacenters } = upsert;
    let (policy, _) = ctx.ask(call, SetPolicy { id, name, description, rules, datacenters }).await?;
    Ok(Reply::json(Policy::from_model(&policy)))
}

async fn policy(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let id = checked(&ctx, &call, Level::Read, uuid(&call, "policy id")).await?;
    let which = PolicyChoice::Id(id);
    read_policy(&ctx, &call, which).await
}

async fn policy_by_name(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let which = PolicyChoice::Name(call.capture(0).to_owned());
    read_policy(&ctx, &call, which).await
}

async fn read_policy(ctx: &Ctx, call: &Call, which: PolicyChoice) -> Result<Reply, HttpError> {
    let (policy, mut meta) = ctx.ask(call, ReadPolicy { which }).await?;
    meta.consistency = None;
    let missing =
        || HttpError::not_found(format!("Requested policy does not exist: {}", RpcError::TokenNotFound));
    Ok(Reply::json(Policy::from_model(&policy.ok_or_else(missing)?)).with_meta(&meta))
}

async fn delete_policy(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let id = checked(&ctx, &call, Level::Write, uuid(&call, "policy id")).await?;
    ctx.ask(&call, DeletePolicy { id }).await?;
    Ok(Reply::json(true))
}
