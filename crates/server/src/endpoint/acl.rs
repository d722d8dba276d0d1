//! Tokens and policies.

mod words;

use std::sync::Arc;

use concord_acl::{Level, Policy, Right, Scalar};
use concord_ca::seal;
use concord_model::ca::Sealed;
use concord_model::token::{
    ANONYMOUS_ACCESSOR, ANONYMOUS_SECRET, AclPolicy, GLOBAL_MANAGEMENT, HIDDEN, Identities, NodeLink,
    PolicyLink, ServiceLink, Token, is_reserved, policy_name,
};
use concord_model::{Stamp, Timestamp, Uuid};
use concord_rpc::request::{
    BootstrapAcl, CloneToken, DeletePolicy, DeleteToken, ExpandToken, ExpandedToken, ListPolicies,
    ListTokens, PolicyChoice, ReadOwnToken, ReadPolicy, ReadToken, ResolveToken, ResolvedToken, SetPolicy,
    SetToken, TokenRecord,
};
use concord_rpc::{Answer, RpcError};
use concord_runtime::World;
use concord_state::builtin::{GLOBAL_MANAGEMENT_NAME, hash_secret};
use concord_state::command::{self, SetMode};
use concord_state::reply::AclRefusal;
use concord_state::{AclBootstrap, CommandReply, Reader};
use sha2::{Digest, Sha256};

use crate::caller::all_policies;
use crate::config::ServerConfig;
use crate::reading::Reading;
use crate::writing::Writing;

/// Shortest lifetime of a token that expires.
const LIFE_MIN: std::time::Duration = std::time::Duration::from_secs(60);

/// Encrypts a token's secret, so that callers with `acl:write` can read it again.
pub(crate) fn seal_secret(
    config: &ServerConfig,
    world: &World,
    accessor: Uuid,
    secret: &str,
) -> Result<Sealed, RpcError> {
    let mut fill = |buffer: &mut [u8]| world.entropy.fill(buffer);
    seal::seal(&purpose(accessor), secret.as_bytes(), &config.keks, &mut fill)
        .map_err(|error| RpcError::Internal(error.to_string()))
}

fn purpose(accessor: Uuid) -> String {
    format!("acl token {accessor}")
}

pub(crate) fn resolve_token(reading: &mut Reading<'_>, _: &ResolveToken) -> Result<ResolvedToken, RpcError> {
    let token = reading.resolver.token(&mut reading.reader, reading.caller.token.as_ref(), reading.now)?;
    let Some(token) = token else {
        return Ok(ResolvedToken { accessor: ANONYMOUS_ACCESSOR, policies: Vec::new(), expires_at: None });
    };
    let policies = reading.resolver.policies(&mut reading.reader, &token);
    Ok(ResolvedToken {
        accessor: token.accessor,
        policies: policies.iter().map(|policy| (**policy).clone()).collect(),
        expires_at: token.expires_at,
    })
}

pub(crate) async fn bootstrap_acl(
    writing: Writing<'_>,
    request: BootstrapAcl,
) -> Result<Answer<TokenRecord>, RpcError> {
    let accessor = writing.log.uuid();
    let secret = match request.secret {
        Some(secret) => secret_text(secret.expose())?,
        None => writing.log.uuid().to_string(),
    };
    let named = reset_index(writing).await;
    // Anybody may ask. A refusal that is known already must not cost an entry of the log.
    if let Some(AclBootstrap { reset_index }) = writing.log.view().read().acl_bootstrap()
        && named != Some(reset_index)
    {
        return Err(words::bootstrap_refused(&AclRefusal::BootstrapDone { reset_index }.into(), named));
    }
    let token = Token {
        accessor,
        secret_hash: hash_secret(&secret),
        secret: Some(seal_secret(writing.config, writing.world(), accessor, &secret)?),
        description: "Bootstrap Token (Global Management)".to_owned(),
        policies: vec![PolicyLink { id: GLOBAL_MANAGEMENT, name: GLOBAL_MANAGEMENT_NAME.to_owned() }],
        identities: Identities::default(),
        local: false,
        expires_at: None,
        created_at: writing.log.now(),
        stamp: Stamp::default(),
    };
    let command = command::BootstrapAcl { token, allowed_reset_index: named };
    let (reply, index) = writing.log.propose(command).await?;
    match reply {
        CommandReply::Bootstrapped { token, .. } => Ok(writing.log.written(record(&token, secret), index)),
        CommandReply::Refused(refusal) => Err(words::bootstrap_refused(&refusal, named)),
        other => Err(unexpected(&other)),
    }
}

/// Reads the index that an operator wrote into `acl-bootstrap-reset`, and removes the file.
async fn reset_index(writing: Writing<'_>) -> Option<u64> {
    const FILE: &str = "acl-bootstrap-reset";
    let disk = Arc::clone(&writing.world().disk);
    let read = move || {
        let bytes = disk.read(FILE).ok()?;
        let index = std::str::from_utf8(&bytes).ok()?.trim().parse().ok();
        if let Err(error) = disk.remove(FILE) {
            // If the file stays, anybody could use it again.
            tracing::error!(%error, "cannot remove {FILE}; it is not used");
            return None;
        }
        index
    };
    writing.scope().spawn_blocking("bootstrap reset", read).join().await.ok().flatten()
}

pub(crate) fn read_own_token(reading: &mut Reading<'_>, _: &ReadOwnToken) -> Result<TokenRecord, RpcError> {
    let token = reading.resolver.token(&mut reading.reader, reading.caller.token.as_ref(), reading.now)?;
    // A caller without a token asks about a token that does not exist. The anonymous rights it may have do not change
    // that.
    let secret = reading.secret().ok_or(RpcError::TokenNotFound)?.expose().to_owned();
    let token = token.ok_or(RpcError::TokenNotFound)?;
    Ok(record(&linked(&mut reading.reader, &token), secret))
}

pub(crate) fn read_token(
    reading: &mut Reading<'_>,
    request: &ReadToken,
) -> Result<Option<TokenRecord>, RpcError> {
    let token = reading.reader.token_by_accessor(request.accessor, reading.now);
    Ok(token.map(|token| shown(reading, &token)))
}

pub(crate) fn expand_token(
    reading: &mut Reading<'_>,
    request: &ExpandToken,
) -> Result<Option<ExpandedToken>, RpcError> {
    let Some(token) = reading.reader.token_by_accessor(request.accessor, reading.now) else {
        return Ok(None);
    };
    let policies = all_policies(&mut reading.reader, &token);
    let policies = policies.iter().map(|policy| (**policy).clone()).collect();
    let default_policy = reading.config.acl.default_policy;
    let token = shown(reading, &token);
    let resolved_by = reading.config.node.clone();
    Ok(Some(ExpandedToken { token, policies, default_policy, resolved_by }))
}

pub(crate) fn list_tokens(
    reading: &mut Reading<'_>,
    request: &ListTokens,
) -> Result<Vec<TokenRecord>, RpcError> {
    let wanted = |token: &&Arc<Token>| {
        let services = &token.identities.services;
        request.policy.is_none_or(|policy| token.policies.iter().any(|link| link.id == policy))
            && request
                .service
                .as_ref()
                .is_none_or(|service| services.iter().any(|link| link.service == *service))
    };
    let tokens = reading.reader.tokens(reading.now);
    Ok(tokens.iter().filter(wanted).map(|token| shown(reading, token)).collect())
}

/// A token in the form that the caller of a query may see.
fn shown(reading: &mut Reading<'_>, token: &Token) -> TokenRecord {
    let token = linked(&mut reading.reader, token);
    let may_see = reading.caller.may(&Right::whole(Scalar::Acl, Level::Write));
    let secret = if may_see { secret_of(reading.config, &token) } else { HIDDEN.to_owned() };
    record(&token, secret)
}

/// The secret of a token, for callers that may write tokens.
fn secret_of(config: &ServerConfig, token: &Token) -> String {
    if token.accessor == ANONYMOUS_ACCESSOR {
        return ANONYMOUS_SECRET.to_owned();
    }
    let opened = token.secret.as_ref().and_then(|sealed| open_secret(config, token.accessor, sealed));
    opened.unwrap_or_else(|| HIDDEN.to_owned())
}

fn open_secret(config: &ServerConfig, accessor: Uuid, sealed: &Sealed) -> Option<String> {
    let opened = seal::open(&purpose(accessor), sealed, &config.keks).ok()?;
    String::from_utf8(opened.expose().to_vec()).ok()
}

pub(crate) async fn set_token(
    writing: Writing<'_>,
    request: SetToken,
) -> Result<Answer<TokenRecord>, RpcError> {
    store_token(writing, &request).await
}

pub(crate) async fn clone_token(
    writing: Writing<'_>,
    request: CloneToken,
) -> Result<Answer<Option<TokenRecord>>, RpcError> {
    let CloneToken { accessor, description } = request;
    let mut reader = writing.log.view().read();
    let Some(like) = reader.token_by_accessor(accessor, writing.log.now()) else {
        return Ok(writing.log.written(None, reader.finish().index()));
    };
    let like = linked(&mut reader, &like);
    let made = SetToken {
        accessor: None,
        new_accessor: None,
        secret: None,
        description: description.unwrap_or_else(|| like.description.clone()),
        policies: like.policies.iter().map(|link| PolicyChoice::Id(link.id)).collect(),
        identities: like.identities.clone(),
        local: like.local,
        expires_at: like.expires_at,
        expires_after: None,
    };
    store_token(writing, &made).await.map(|answer| answer.map(Some))
}

async fn store_token(writing: Writing<'_>, request: &SetToken) -> Result<Answer<TokenRecord>, RpcError> {
    if request.local
        && let Some(link) = request.identities.services.iter().find(|link| !link.datacenters.is_empty())
    {
        return Err(words::datacenters_of_a_local_token(&link.service));
    }
    let mut reader = writing.log.view().read();
    let policies = links(&mut reader, &request.policies)?;
    let now = writing.log.now();
    let (token, secret, mode) = match request.accessor {
        None => new_token(writing, &mut reader, request, policies, now)?,
        Some(accessor) => changed_token(writing, &mut reader, accessor, request, policies)?,
    };
    let (reply, index) = writing.log.propose(command::SetTokens { tokens: vec![token], mode }).await?;
    match reply {
        CommandReply::Refused(refusal) => Err(words::token_refused(&refusal)),
        CommandReply::Tokens { tokens } => match tokens.first() {
            Some(token) => Ok(writing.log.written(record(token, secret), index)),
            None => Err(RpcError::Internal("a stored token is missing from the reply".to_owned())),
        },
        other => Err(unexpected(&other)),
    }
}

fn new_token(
    writing: Writing<'_>,
    reader: &mut Reader,
    request: &SetToken,
    policies: Vec<PolicyLink>,
    now: Timestamp,
) -> Result<(Token, String, SetMode), RpcError> {
    let accessor = request.new_accessor.unwrap_or_else(|| writing.log.uuid());
    if is_reserved(accessor) {
        return Err(words::reserved("AccessorID"));
    }
    // An accessor must differ from every secret, and a secret from every accessor. The state itself refuses a
    // repeated accessor or a repeated secret.
    if reader.token_by_secret_hash(&hash_secret(&accessor.to_string()), now).is_some() {
        return Err(words::in_use("AccessorID"));
    }
    let secret = match &request.secret {
        Some(secret) => secret_text(secret.expose())?,
        None => writing.log.uuid().to_string(),
    };
    if Uuid::parse(&secret).is_ok_and(|bits| reader.token_by_accessor(bits, now).is_some()) {
        return Err(words::in_use("SecretID"));
    }
    let token = Token {
        accessor,
        secret_hash: hash_secret(&secret),
        secret: Some(seal_secret(writing.config, writing.world(), accessor, &secret)?),
        description: request.description.clone(),
        policies,
        identities: request.identities.clone(),
        local: request.local,
        expires_at: end_of(request, now)?,
        created_at: now,
        stamp: Stamp::default(),
    };
    Ok((token, secret, SetMode::Create))
}

fn changed_token(
    writing: Writing<'_>,
    reader: &mut Reader,
    accessor: Uuid,
    request: &SetToken,
    policies: Vec<PolicyLink>,
) -> Result<(Token, String, SetMode), RpcError> {
    let existing = reader.token_by_accessor(accessor, writing.log.now());
    let existing = existing.ok_or_else(|| words::unknown_token(accessor))?;
    if request.secret.as_ref().is_some_and(|secret| hash_secret(secret.expose()) != existing.secret_hash) {
        return Err(words::secret_changed());
    }
    if request.local != existing.local {
        return Err(RpcError::Rejected(format!("Cannot toggle local mode of {accessor}")));
    }
    if request.expires_after.is_some() || request.expires_at.is_some_and(|at| Some(at) != existing.expires_at)
    {
        return Err(RpcError::Rejected(format!("Cannot change expiration time of {accessor}")));
    }
    let secret = secret_of(writing.config, &existing);
    let token = Token {
        description: request.description.clone(),
        policies,
        identities: request.identities.clone(),
        ..(*existing).clone()
    };
    Ok((token, secret, SetMode::Update))
}

pub(crate) async fn delete_token(writing: Writing<'_>, request: DeleteToken) -> Result<Answer<()>, RpcError> {
    if request.accessor == ANONYMOUS_ACCESSOR {
        return Err(RpcError::Rejected("Delete operation not permitted on the anonymous token".to_owned()));
    }
    if writing.caller.accessor == Some(request.accessor) {
        return Err(RpcError::Rejected(
            "Deletion of the request's authorization token is not permitted".to_owned(),
        ));
    }
    if writing.log.view().read().token_by_accessor(request.accessor, writing.log.now()).is_none() {
        return Err(RpcError::NotFound("Cannot find token to delete".to_owned()));
    }
    let (_, index) = writing.log.write(command::DeleteTokens { accessors: vec![request.accessor] }).await?;
    Ok(writing.log.written((), index))
}

pub(crate) fn read_policy(
    reading: &mut Reading<'_>,
    request: &ReadPolicy,
) -> Result<Option<AclPolicy>, RpcError> {
    Ok(find(reading, &request.which).map(|policy| (*policy).clone()))
}

pub(crate) fn list_policies(reading: &mut Reading<'_>, _: &ListPolicies) -> Result<Vec<AclPolicy>, RpcError> {
    let mut policies: Vec<_> = reading.reader.policies().iter().map(|own| (**own).clone()).collect();
    // Consul's order: by name, ignoring case.
    policies.sort_by_cached_key(|policy| policy.name.to_lowercase());
    Ok(policies)
}

pub(crate) async fn set_policy(
    writing: Writing<'_>,
    request: SetPolicy,
) -> Result<Answer<AclPolicy>, RpcError> {
    Policy::parse(&request.rules).map_err(|error| RpcError::Invalid(error.to_string()))?;
    let (id, mode) = match request.id {
        None => (writing.log.uuid(), SetMode::Create),
        Some(id) => (id, SetMode::Update),
    };
    if let Some(existing) = writing.log.view().read().policy_by_id(id).filter(|_| is_reserved(id)) {
        if existing.rules != request.rules {
            let name = &existing.name;
            return Err(RpcError::Rejected(format!(
                "Changing the Rules for the builtin {name} policy is not permitted"
            )));
        }
    } else {
        policy_name(&request.name)
            .map_err(|error| RpcError::Invalid(format!("Invalid Policy: invalid Name. {error}")))?;
    }
    let SetPolicy { id: _, name, description, rules, datacenters } = request;
    let policy = AclPolicy { id, name, description, rules, datacenters, stamp: Stamp::default() };
    let (reply, index) = writing.log.propose(command::SetPolicies { policies: vec![policy], mode }).await?;
    reply.accepted().map_err(|refusal| words::policy_refused(&refusal, mode))?;
    let stored = writing.log.view().read().policy_by_id(id);
    let stored = stored.ok_or_else(|| RpcError::Conflict("the policy was deleted meanwhile".to_owned()))?;
    Ok(writing.log.written((*stored).clone(), index))
}

pub(crate) async fn delete_policy(
    writing: Writing<'_>,
    request: DeletePolicy,
) -> Result<Answer<()>, RpcError> {
    let Some(existing) = writing.log.view().read().policy_by_id(request.id) else {
        return Err(RpcError::NotFound("Cannot find policy to delete".to_owned()));
    };
    if is_reserved(request.id) {
        return Err(RpcError::Rejected(format!(
            "Delete operation not permitted on the builtin {} policy",
            existing.name
        )));
    }
    let (_, index) = writing.log.write(command::DeletePolicy { id: request.id }).await?;
    Ok(writing.log.written((), index))
}

fn find(reading: &mut Reading<'_>, which: &PolicyChoice) -> Option<Arc<AclPolicy>> {
    match which {
        PolicyChoice::Id(id) => reading.reader.policy_by_id(*id),
        PolicyChoice::Name(name) => reading.reader.policy_by_name(name),
    }
}

fn links(reader: &mut Reader, choices: &[PolicyChoice]) -> Result<Vec<PolicyLink>, RpcError> {
    let mut links: Vec<PolicyLink> = Vec::new();
    for choice in choices {
        let policy = match choice {
            PolicyChoice::Id(id) => reader.policy_by_id(*id),
            PolicyChoice::Name(name) => reader.policy_by_name(name),
        };
        let policy = policy.ok_or_else(|| words::unknown_link(choice))?;
        if links.iter().all(|link| link.id != policy.id) {
            links.push(PolicyLink { id: policy.id, name: policy.name.clone() });
        }
    }
    Ok(links)
}

/// A token with its current links: a deleted policy is left out, and a renamed one has its new name. So a client can
/// send back what it read.
fn linked(reader: &mut Reader, token: &Token) -> Token {
    let policies = token.policies.iter().filter_map(|link| reader.policy_by_id(link.id));
    let policies = policies.map(|policy| PolicyLink { id: policy.id, name: policy.name.clone() }).collect();
    Token { policies, ..token.clone() }
}

/// When a new token expires.
fn end_of(request: &SetToken, now: Timestamp) -> Result<Option<Timestamp>, RpcError> {
    let end = match (request.expires_at, request.expires_after) {
        (Some(_), Some(_)) => {
            let text = "Token Expiration TTL and Expiration Time cannot both be set";
            return Err(RpcError::Invalid(text.to_owned()));
        }
        (at, after) => at.or_else(|| after.map(|life| now.plus(life))),
    };
    if end.is_some_and(|end| end.since(now) < LIFE_MIN) {
        let text = "ExpirationTime cannot be less than 1m0s in the future";
        return Err(RpcError::Invalid(text.to_owned()));
    }
    Ok(end)
}

fn record(token: &Token, secret: String) -> TokenRecord {
    let mut hash = Sha256::new();
    hash.update(token.description.as_bytes());
    hash.update([u8::from(token.local)]);
    for link in &token.policies {
        hash.update(link.id.0);
    }
    for ServiceLink { service, datacenters } in &token.identities.services {
        hash.update(service.as_str());
        datacenters.iter().for_each(|datacenter| hash.update(datacenter.as_str()));
    }
    for NodeLink { node, datacenter } in &token.identities.nodes {
        hash.update(node.as_str());
        hash.update(datacenter.as_str());
    }
    TokenRecord {
        accessor: token.accessor,
        secret,
        description: token.description.clone(),
        policies: token.policies.clone(),
        identities: token.identities.clone(),
        local: token.local,
        expires_at: token.expires_at,
        created_at: token.created_at,
        hash: hash.finalize().to_vec(),
        stamp: token.stamp,
    }
}

/// Checks a secret that a caller chose: it must be a UUID, whose 128 bits make its hash impossible to guess.
fn secret_text(secret: &str) -> Result<String, RpcError> {
    let wrong = |_| RpcError::Invalid("Invalid Token: SecretID - not a valid UUID".to_owned());
    let bits = Uuid::parse(secret).map_err(wrong)?;
    if is_reserved(bits) {
        return Err(words::reserved("SecretID"));
    }
    Ok(secret.to_owned())
}

pub(crate) fn unexpected(reply: &CommandReply) -> RpcError {
    RpcError::Internal(format!("a command was answered with another reply: {reply:?}"))
}
