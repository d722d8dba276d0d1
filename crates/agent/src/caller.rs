//! Who asks: a token with what it may do.

use concord_acl::{Access, Authorizer, DefaultPolicy, Labelled, Level, PermissionDenied, Policy, Right};
use concord_model::token::{ANONYMOUS_ACCESSOR, ANONYMOUS_SECRET};
use concord_model::{Secret, Timestamp, Uuid};
use concord_rpc::request::ResolvedToken;
use concord_rpc::{Need, RpcError, Sight};
use sha2::{Digest, Sha256};

/// A caller, as far as rights go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Accessor of the token; `None` while ACLs are off.
    pub accessor: Option<Uuid>,
    /// What it may do.
    pub authorizer: Authorizer,
    /// The token requests are made with: the caller's, else the agent's default; `None`: anonymous.
    pub token: Option<Secret>,
    /// What the caller may see, as a part of cache keys.
    pub(crate) rights: RightsKey,
}

/// Stands for "what may be seen": accessor and versions of its policies. Never the secret.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct RightsKey([u8; 32]);

/// Stands for a token without revealing it: SHA-256 of the secret.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct TokenKey([u8; 32]);

/// What a token may do, as the servers told it.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) accessor: Uuid,
    pub(crate) authorizer: Authorizer,
    pub(crate) rights: RightsKey,
    pub(crate) expires_at: Option<Timestamp>,
}

// === impl Caller ===

impl Caller {
    /// Somebody who may do everything: while ACLs are off, and for the agent's own work.
    pub fn unrestricted(token: Option<Secret>) -> Self {
        Self { accessor: None, authorizer: Authorizer::manage_all(), token, rights: RightsKey([0; 32]) }
    }

    pub(crate) fn of(resolved: &Resolved, token: Option<Secret>) -> Self {
        Self {
            accessor: Some(resolved.accessor),
            authorizer: resolved.authorizer.clone(),
            token,
            rights: resolved.rights,
        }
    }

    /// Whether the caller has no token of its own.
    pub fn is_anonymous(&self) -> bool {
        self.accessor == Some(ANONYMOUS_ACCESSOR)
    }

    /// Whether the caller has a right.
    pub fn may(&self, right: &Right<'_>) -> bool {
        self.authorizer.check(right) == Access::Allow
    }

    /// Succeeds if the caller has a right, else says which one is missing.
    pub fn require(&self, right: Right<'_>) -> Result<(), RpcError> {
        if self.may(&right) {
            return Ok(());
        }
        let accessor = self.accessor.map_or_else(String::new, |accessor| accessor.to_string());
        Err(RpcError::Denied(PermissionDenied::new(accessor, right).to_string()))
    }

    /// Succeeds if the caller has what a request needs before anything is read.
    pub fn meet(&self, need: &Need) -> Result<(), RpcError> {
        match need {
            Need::Open | Need::Filtered | Need::CheckedAt(_) | Need::OwnToken => Ok(()),
            Need::Right(right) => self.require(right.clone()),
            Need::All(rights) => rights.iter().try_for_each(|right| self.require(right.clone())),
        }
    }

    /// Succeeds if the caller may change a service.
    pub fn require_service_write(&self, service: &str) -> Result<(), RpcError> {
        self.require(Right::named(Labelled::Service, service, Level::Write))
    }

    /// Which records the caller may see.
    pub(crate) fn sees(&self) -> Sight<'_> {
        Sight::of(&self.authorizer)
    }
}

// === impl Resolved ===

impl Resolved {
    /// Builds the rights of a token. A policy that cannot be read denies everything: nothing may
    /// open because of it.
    pub(crate) fn build(token: &ResolvedToken, default: DefaultPolicy) -> Self {
        let parsed: Result<Vec<Policy>, _> =
            token.policies.iter().map(|policy| Policy::parse(&policy.rules)).collect();
        let authorizer = match parsed {
            Ok(policies) => Authorizer::new(&policies.iter().collect::<Vec<_>>(), default),
            Err(error) => {
                tracing::warn!(accessor = %token.accessor, %error, "an ACL policy cannot be read; its tokens may do nothing");
                Authorizer::deny_all()
            }
        };
        Self {
            accessor: token.accessor,
            authorizer,
            rights: RightsKey::of(token),
            expires_at: token.expires_at,
        }
    }

    pub(crate) fn is_valid_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

// === impl RightsKey, TokenKey ===

impl RightsKey {
    fn of(token: &ResolvedToken) -> Self {
        let mut policies: Vec<_> = token.policies.iter().collect();
        policies.sort_by_key(|policy| policy.id);
        let mut digest = Sha256::new();
        digest.update(token.accessor.0);
        for policy in policies {
            digest.update(policy.id.0);
            digest.update(policy.stamp.modify.to_be_bytes());
            digest.update(Sha256::digest(policy.rules.as_bytes()));
        }
        Self(digest.finalize().into())
    }
}

impl TokenKey {
    pub(crate) fn of(token: Option<&Secret>) -> Self {
        let text = token.map_or(ANONYMOUS_SECRET, Secret::expose);
        Self(Sha256::digest(text.as_bytes()).into())
    }
}
