//! Tokens and policies.

mod words;

use std::sync::Arc;

use concord_acl::{DefaultPolicy, Level, Policy, Right, Scalar};
use concord_ca::seal;
use concord_model::ca::Sealed;
use concord_model::intention::Action;
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
use concord_rpc::{Answer, Caller, Head, Request, RpcError};
use concord_state::builtin::{GLOBAL_MANAGEMENT_NAME, hash_secret};
use concord_state::command::{self, SetMode};
use concord_state::{CommandReply, Reader};
use sha2::{Digest, Sha256};

use crate::caller::all_policies;
use crate::paths::{Core, Eval};

/// Shortest life of a token that expires.
const LIFE_MIN: std::time::Duration = std::time::Duration::from_secs(60);

/// Seals a token's secret for those who may read it again.
pub(crate) fn seal_secret(core: &Core, accessor: Uuid, secret: &str) -> Result<Sealed, RpcError> {
    let mut fill = |buffer: &mut [u8]| core.world.entropy.fill(buffer);
    seal::seal(&purpose(accessor), secret.as_bytes(), &core.config.keks, &mut fill)
        .map_err(|error| RpcError::Internal(error.to_string()))
}

fn purpose(accessor: Uuid) -> String {
    format!("acl token {accessor}")
}

impl Core {
    pub(crate) fn acls_enabled(&self) -> Result<(), RpcError> {
        if self.config.acl.enabled { Ok(()) } else { Err(RpcError::AclDisabled) }
    }

    pub(crate) async fn resolve_token(
        &self,
        head: &Head,
        request: ResolveToken,
    ) -> Result<Answer<ResolvedToken>, RpcError> {
        self.acls_enabled()?;
        let secret = head.token.clone();
        self.read(head, &request.need(), |eval| {
            let token = self.resolver.token(&mut eval.reader, secret.as_ref(), eval.now)?;
            let Some(token) = token else {
                return Ok(ResolvedToken {
                    accessor: ANONYMOUS_ACCESSOR,
                    policies: Vec::new(),
                    expires_at: None,
                });
            };
            let policies = self.resolver.policies(&mut eval.reader, &token);
            Ok(ResolvedToken {
                accessor: token.accessor,
                policies: policies.iter().map(|policy| (**policy).clone()).collect(),
                expires_at: token.expires_at,
            })
        })
        .await
    }

    pub(crate) async fn bootstrap_acl(
        &self,
        head: &Head,
        request: BootstrapAcl,
    ) -> Result<Answer<TokenRecord>, RpcError> {
        self.acls_enabled()?;
        self.authorise(head, &request.need()).await?;
        let accessor = self.uuid();
        let secret = match request.secret {
            Some(secret) => secret_text(secret.expose())?,
            None => self.uuid().to_string(),
        };
        let token = Token {
            accessor,
            secret_hash: hash_secret(&secret),
            secret: Some(seal_secret(self, accessor, &secret)?),
            description: "Bootstrap Token (Global Management)".to_owned(),
            policies: vec![PolicyLink { id: GLOBAL_MANAGEMENT, name: GLOBAL_MANAGEMENT_NAME.to_owned() }],
            identities: Identities::default(),
            local: false,
            expires_at: None,
            created_at: self.now(),
            stamp: Stamp::default(),
        };
        let named = self.reset_index().await;
        let command = command::BootstrapAcl { token, allowed_reset_index: named };
        let (reply, index) = self.propose(command).await?;
        match reply {
            CommandReply::Bootstrapped { token, .. } => Ok(self.written(record(&token, secret), index)),
            CommandReply::Refused(refusal) => Err(words::bootstrap_refused(&refusal, named)),
            other => Err(unexpected(&other)),
        }
    }

    /// The index an operator wrote into `acl-bootstrap-reset`; the file is used up by reading it.
    async fn reset_index(&self) -> Option<u64> {
        const FILE: &str = "acl-bootstrap-reset";
        let disk = Arc::clone(&self.world.disk);
        let read = move || {
            let bytes = disk.read(FILE).ok()?;
            let index = std::str::from_utf8(&bytes).ok()?.trim().parse().ok();
            if let Err(error) = disk.remove(FILE) {
                // One that stays could be used again by whoever comes next.
                tracing::error!(%error, "cannot remove {FILE}; it is not used");
                return None;
            }
            index
        };
        self.scope.spawn_blocking("bootstrap reset", read).join().await.ok().flatten()
    }

    pub(crate) async fn read_own_token(
        &self,
        head: &Head,
        request: ReadOwnToken,
    ) -> Result<Answer<TokenRecord>, RpcError> {
        self.acls_enabled()?;
        let secret = head.token.clone();
        self.read(head, &request.need(), |eval| {
            let token = self.resolver.token(&mut eval.reader, secret.as_ref(), eval.now)?;
            // Whoever sends none asks whether none is a valid token. It is not, though it may have rights.
            let secret =
                secret.as_ref().filter(|secret| !secret.is_empty()).ok_or(RpcError::TokenNotFound)?;
            let token = token.ok_or(RpcError::TokenNotFound)?;
            Ok(record(&linked(&mut eval.reader, &token), secret.expose().to_owned()))
        })
        .await
    }

    pub(crate) async fn read_token(
        &self,
        head: &Head,
        request: ReadToken,
    ) -> Result<Answer<Option<TokenRecord>>, RpcError> {
        self.acls_enabled()?;
        self.read(head, &request.need(), |eval| {
            let token = eval.reader.token_by_accessor(request.accessor, eval.now);
            Ok(token.map(|token| self.shown(eval.caller, &linked(&mut eval.reader, &token))))
        })
        .await
    }

    pub(crate) async fn expand_token(
        &self,
        head: &Head,
        request: ExpandToken,
    ) -> Result<Answer<Option<ExpandedToken>>, RpcError> {
        self.acls_enabled()?;
        self.read(head, &request.need(), |eval| {
            let Some(token) = eval.reader.token_by_accessor(request.accessor, eval.now) else {
                return Ok(None);
            };
            let policies = all_policies(&mut eval.reader, &token);
            let policies = policies.iter().map(|policy| (**policy).clone()).collect();
            let default_policy = match self.config.acl.default_policy {
                DefaultPolicy::Allow => Action::Allow,
                DefaultPolicy::Deny => Action::Deny,
            };
            let token = self.shown(eval.caller, &linked(&mut eval.reader, &token));
            let resolved_by = self.config.node.clone();
            Ok(Some(ExpandedToken { token, policies, default_policy, resolved_by }))
        })
        .await
    }

    pub(crate) async fn list_tokens(
        &self,
        head: &Head,
        request: ListTokens,
    ) -> Result<Answer<Vec<TokenRecord>>, RpcError> {
        self.acls_enabled()?;
        self.read(head, &request.need(), |eval| {
            let wanted = |token: &&Arc<Token>| {
                let services = &token.identities.services;
                request.policy.is_none_or(|policy| token.policies.iter().any(|link| link.id == policy))
                    && request
                        .service
                        .as_ref()
                        .is_none_or(|service| services.iter().any(|link| link.service == *service))
            };
            let tokens = eval.reader.tokens(eval.now);
            let shown = tokens.iter().filter(wanted);
            Ok(shown.map(|token| self.shown(eval.caller, &linked(&mut eval.reader, token))).collect())
        })
        .await
    }

    fn shown(&self, caller: &Caller, token: &Token) -> TokenRecord {
        let may_see = caller.may(&Right::whole(Scalar::Acl, Level::Write));
        let secret = if may_see { self.secret_of(token) } else { HIDDEN.to_owned() };
        record(token, secret)
    }

    /// The secret of a token, for who may write tokens.
    fn secret_of(&self, token: &Token) -> String {
        if token.accessor == ANONYMOUS_ACCESSOR {
            return ANONYMOUS_SECRET.to_owned();
        }
        let opened = token.secret.as_ref().and_then(|sealed| self.open_secret(token.accessor, sealed));
        opened.unwrap_or_else(|| HIDDEN.to_owned())
    }

    fn open_secret(&self, accessor: Uuid, sealed: &Sealed) -> Option<String> {
        let opened = seal::open(&purpose(accessor), sealed, &self.config.keks).ok()?;
        String::from_utf8(opened.expose().to_vec()).ok()
    }

    pub(crate) async fn set_token(
        &self,
        head: &Head,
        request: SetToken,
    ) -> Result<Answer<TokenRecord>, RpcError> {
        self.acls_enabled()?;
        self.authorise(head, &request.need()).await?;
        self.store_token(&request).await
    }

    pub(crate) async fn clone_token(
        &self,
        head: &Head,
        request: CloneToken,
    ) -> Result<Answer<Option<TokenRecord>>, RpcError> {
        self.acls_enabled()?;
        self.authorise(head, &request.need()).await?;
        let CloneToken { accessor, description } = request;
        let mut reader = self.view().read();
        let Some(like) = reader.token_by_accessor(accessor, self.now()) else {
            return Ok(self.written(None, reader.finish().index()));
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
        self.store_token(&made).await.map(|answer| answer.map(Some))
    }

    async fn store_token(&self, request: &SetToken) -> Result<Answer<TokenRecord>, RpcError> {
        if request.local
            && let Some(link) = request.identities.services.iter().find(|link| !link.datacenters.is_empty())
        {
            return Err(words::datacenters_of_a_local_token(&link.service));
        }
        let mut reader = self.view().read();
        let policies = links(&mut reader, &request.policies)?;
        let now = self.now();
        let (token, secret, mode) = match request.accessor {
            None => self.new_token(&mut reader, request, policies, now)?,
            Some(accessor) => self.changed_token(&mut reader, accessor, request, policies)?,
        };
        let (reply, index) = self.propose(command::SetTokens { tokens: vec![token], mode }).await?;
        match reply {
            CommandReply::Refused(refusal) => Err(words::token_refused(&refusal)),
            CommandReply::Tokens { tokens } => match tokens.first() {
                Some(token) => Ok(self.written(record(token, secret), index)),
                None => Err(RpcError::Internal("a stored token is missing from the reply".to_owned())),
            },
            other => Err(unexpected(&other)),
        }
    }

    fn new_token(
        &self,
        reader: &mut Reader,
        request: &SetToken,
        policies: Vec<PolicyLink>,
        now: Timestamp,
    ) -> Result<(Token, String, SetMode), RpcError> {
        let accessor = request.new_accessor.unwrap_or_else(|| self.uuid());
        if is_reserved(accessor) {
            return Err(words::reserved("AccessorID"));
        }
        // What is somebody's accessor is nobody else's secret, and the other way round. The same kind twice
        // is found out where it is stored.
        if reader.token_by_secret_hash(&hash_secret(&accessor.to_string()), now).is_some() {
            return Err(words::in_use("AccessorID"));
        }
        let secret = match &request.secret {
            Some(secret) => secret_text(secret.expose())?,
            None => self.uuid().to_string(),
        };
        if Uuid::parse(&secret).is_ok_and(|bits| reader.token_by_accessor(bits, now).is_some()) {
            return Err(words::in_use("SecretID"));
        }
        let token = Token {
            accessor,
            secret_hash: hash_secret(&secret),
            secret: Some(seal_secret(self, accessor, &secret)?),
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
        &self,
        reader: &mut Reader,
        accessor: Uuid,
        request: &SetToken,
        policies: Vec<PolicyLink>,
    ) -> Result<(Token, String, SetMode), RpcError> {
        let existing = reader.token_by_accessor(accessor, self.now());
        let existing = existing.ok_or_else(|| words::unknown_token(accessor))?;
        if request.secret.as_ref().is_some_and(|secret| hash_secret(secret.expose()) != existing.secret_hash)
        {
            return Err(words::secret_changed());
        }
        if request.local != existing.local {
            return Err(RpcError::Rejected(format!("Cannot toggle local mode of {accessor}")));
        }
        if request.expires_after.is_some()
            || request.expires_at.is_some_and(|at| Some(at) != existing.expires_at)
        {
            return Err(RpcError::Rejected(format!("Cannot change expiration time of {accessor}")));
        }
        let secret = self.secret_of(&existing);
        let token = Token {
            description: request.description.clone(),
            policies,
            identities: request.identities.clone(),
            ..(*existing).clone()
        };
        Ok((token, secret, SetMode::Update))
    }

    pub(crate) async fn delete_token(
        &self,
        head: &Head,
        request: DeleteToken,
    ) -> Result<Answer<()>, RpcError> {
        self.acls_enabled()?;
        let caller = self.authorise(head, &request.need()).await?;
        if request.accessor == ANONYMOUS_ACCESSOR {
            return Err(RpcError::Rejected(
                "Delete operation not permitted on the anonymous token".to_owned(),
            ));
        }
        if caller.accessor == Some(request.accessor) {
            return Err(RpcError::Rejected(
                "Deletion of the request's authorization token is not permitted".to_owned(),
            ));
        }
        if self.view().read().token_by_accessor(request.accessor, self.now()).is_none() {
            return Err(RpcError::NotFound("Cannot find token to delete".to_owned()));
        }
        let (_, index) = self.write(command::DeleteTokens { accessors: vec![request.accessor] }).await?;
        Ok(self.written((), index))
    }

    pub(crate) async fn read_policy(
        &self,
        head: &Head,
        request: ReadPolicy,
    ) -> Result<Answer<Option<AclPolicy>>, RpcError> {
        self.acls_enabled()?;
        self.read(
            head,
            &request.need(),
            |eval| Ok(find(eval, &request.which).map(|policy| (*policy).clone())),
        )
        .await
    }

    pub(crate) async fn list_policies(
        &self,
        head: &Head,
        request: ListPolicies,
    ) -> Result<Answer<Vec<AclPolicy>>, RpcError> {
        self.acls_enabled()?;
        self.read(head, &request.need(), |eval| {
            let mut policies: Vec<_> = eval.reader.policies().iter().map(|own| (**own).clone()).collect();
            // Consul's order: by name, whatever its case.
            policies.sort_by_cached_key(|policy| policy.name.to_lowercase());
            Ok(policies)
        })
        .await
    }

    pub(crate) async fn set_policy(
        &self,
        head: &Head,
        request: SetPolicy,
    ) -> Result<Answer<AclPolicy>, RpcError> {
        self.acls_enabled()?;
        self.authorise(head, &request.need()).await?;
        Policy::parse(&request.rules).map_err(|error| RpcError::Invalid(error.to_string()))?;
        let (id, mode) = match request.id {
            None => (self.uuid(), SetMode::Create),
            Some(id) => (id, SetMode::Update),
        };
        if let Some(existing) = self.view().read().policy_by_id(id).filter(|_| is_reserved(id)) {
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
        let (reply, index) = self.propose(command::SetPolicies { policies: vec![policy], mode }).await?;
        reply.accepted().map_err(|refusal| words::policy_refused(&refusal, mode))?;
        let stored = self.view().read().policy_by_id(id);
        let stored =
            stored.ok_or_else(|| RpcError::Conflict("the policy was deleted meanwhile".to_owned()))?;
        Ok(self.written((*stored).clone(), index))
    }

    pub(crate) async fn delete_policy(
        &self,
        head: &Head,
        request: DeletePolicy,
    ) -> Result<Answer<()>, RpcError> {
        self.acls_enabled()?;
        self.authorise(head, &request.need()).await?;
        let Some(existing) = self.view().read().policy_by_id(request.id) else {
            return Err(RpcError::NotFound("Cannot find policy to delete".to_owned()));
        };
        if is_reserved(request.id) {
            return Err(RpcError::Rejected(format!(
                "Delete operation not permitted on the builtin {} policy",
                existing.name
            )));
        }
        let (_, index) = self.write(command::DeletePolicy { id: request.id }).await?;
        Ok(self.written((), index))
    }
}

fn find(eval: &mut Eval<'_>, which: &PolicyChoice) -> Option<Arc<AclPolicy>> {
    match which {
        PolicyChoice::Id(id) => eval.reader.policy_by_id(*id),
        PolicyChoice::Name(name) => eval.reader.policy_by_name(name),
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

/// A token with its links as they lead now: a deleted policy leaves none behind, a renamed one is told by
/// its new name. So what was read can be sent back.
fn linked(reader: &mut Reader, token: &Token) -> Token {
    let policies = token.policies.iter().filter_map(|link| reader.policy_by_id(link.id));
    let policies = policies.map(|policy| PolicyLink { id: policy.id, name: policy.name.clone() }).collect();
    Token { policies, ..token.clone() }
}

/// When a new token stops being valid.
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

/// A secret given by a caller: 128 bits in UUID form, so that its hash cannot be guessed.
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
