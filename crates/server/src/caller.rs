//! Who asks: a token resolved to what it may do, anew for every evaluation.
//!
//! Resolution reads the same view as the query it is for, so that an answer never mixes the
//! rights of one moment with the data of another; what it read is waited on, too, so that a
//! revoked token ends its blocking queries.

use std::collections::HashMap;
use std::sync::Arc;

use concord_acl::{Access, Authorizer, DefaultPolicy, PermissionDenied, Policy, Right, identity};
use concord_model::token::{
    ANONYMOUS_ACCESSOR, ANONYMOUS_SECRET, AclPolicy, HIDDEN, NodeLink, ServiceLink, Token,
};
use concord_model::{Datacenter, Secret, Stamp, Timestamp, Uuid};
use concord_rpc::{Need, RpcError, Sight};
use concord_state::Reader;
use concord_state::builtin::hash_secret;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::limits::AUTHORIZERS;

/// How ACLs are set up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AclSettings {
    /// Whether tokens are asked for at all.
    pub enabled: bool,
    /// What holds where no rule speaks.
    pub default_policy: DefaultPolicy,
}

/// A caller, as far as rights go.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Accessor of the token; `None` while ACLs are off.
    pub accessor: Option<Uuid>,
    /// What it may do.
    pub authorizer: Authorizer,
}

impl Caller {
    /// Somebody who may do everything: while ACLs are off, and for the server's own work.
    pub fn unrestricted() -> Self {
        Self { accessor: None, authorizer: Authorizer::manage_all() }
    }

    /// Whether the caller has no token of its own.
    pub fn is_anonymous(&self) -> bool {
        self.accessor == Some(ANONYMOUS_ACCESSOR)
    }

    /// Whether the caller has a right.
    pub fn may(&self, right: &Right<'_>) -> bool {
        self.authorizer.check(right) == Access::Allow
    }

    /// Which records the caller may see.
    pub fn sees(&self) -> Sight<'_> {
        Sight::of(&self.authorizer)
    }

    /// Succeeds if the caller has a right, else says which one is missing.
    pub fn require(&self, right: &Right<'_>) -> Result<(), RpcError> {
        if self.may(right) {
            return Ok(());
        }
        let accessor = self.accessor.map_or_else(String::new, |accessor| accessor.to_string());
        Err(RpcError::Denied(PermissionDenied::new(accessor, right.clone()).to_string()))
    }

    /// Succeeds if the caller has what a request needs before anything is read.
    pub fn meet(&self, need: &Need) -> Result<(), RpcError> {
        match need {
            Need::Open | Need::Filtered | Need::CheckedAt(_) | Need::OwnToken => Ok(()),
            Need::Right(right) => self.require(right),
            Need::All(rights) => rights.iter().try_for_each(|right| self.require(right)),
        }
    }
}

/// Resolves tokens; keeps the authorizers it built.
#[derive(Debug)]
pub(crate) struct Resolver {
    pub(crate) settings: AclSettings,
    pub(crate) datacenter: Datacenter,
    built: Mutex<HashMap<Vec<(Uuid, u64)>, Authorizer>>,
}

impl Resolver {
    pub(crate) fn new(settings: AclSettings, datacenter: Datacenter) -> Self {
        Self { settings, datacenter, built: Mutex::default() }
    }

    /// The caller behind a secret. The reader records what was looked at.
    pub(crate) fn resolve(
        &self,
        reader: &mut Reader,
        secret: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Caller, RpcError> {
        if !self.settings.enabled {
            return Ok(Caller::unrestricted());
        }
        let token = self.token(reader, secret, now)?;
        let Some(token) = token else {
            return Ok(Caller { accessor: Some(ANONYMOUS_ACCESSOR), authorizer: self.authorizer(&[]) });
        };
        let policies = self.policies(reader, &token);
        Ok(Caller { accessor: Some(token.accessor), authorizer: self.authorizer(&policies) })
    }

    /// The token behind a secret; `None` if none was sent and no anonymous token is stored.
    pub(crate) fn token(
        &self,
        reader: &mut Reader,
        secret: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Option<Arc<Token>>, RpcError> {
        let secret = secret.filter(|secret| !secret.is_empty()).map_or(ANONYMOUS_SECRET, Secret::expose);
        if secret == HIDDEN {
            return Err(RpcError::TokenNotFound);
        }
        if secret == ANONYMOUS_SECRET {
            return Ok(reader.token_by_accessor(ANONYMOUS_ACCESSOR, now));
        }
        let token = reader.token_by_secret_hash(&hash_secret(secret), now);
        match token {
            Some(token) => Ok(Some(token)),
            None if reader.acl_bootstrap().is_none() => Err(RpcError::NotBootstrapped),
            None => Err(RpcError::TokenNotFound),
        }
    }

    /// The policies of a token, and those its identities stand for, that hold in this datacenter. A dangling
    /// link grants nothing.
    pub(crate) fn policies(&self, reader: &mut Reader, token: &Token) -> Vec<Arc<AclPolicy>> {
        let mut all = all_policies(reader, token);
        all.retain(|policy| policy.datacenters.is_empty() || policy.datacenters.contains(&self.datacenter));
        all
    }

    fn authorizer(&self, policies: &[Arc<AclPolicy>]) -> Authorizer {
        let mut key: Vec<(Uuid, u64)> =
            policies.iter().map(|policy| (policy.id, policy.stamp.modify)).collect();
        key.sort_unstable();
        key.dedup();
        let mut built = self.built.lock();
        if let Some(authorizer) = built.get(&key) {
            return authorizer.clone();
        }
        let authorizer = build(policies.iter().map(|policy| &**policy), self.settings.default_policy);
        if built.len() >= AUTHORIZERS {
            built.clear();
        }
        built.insert(key, authorizer.clone());
        authorizer
    }
}

/// The policies of a token, and those its identities stand for, whichever datacenter they are for.
pub(crate) fn all_policies(reader: &mut Reader, token: &Token) -> Vec<Arc<AclPolicy>> {
    let mut all: Vec<_> = token.policies.iter().filter_map(|link| reader.policy_by_id(link.id)).collect();
    all.extend(token.identities.services.iter().map(|link| {
        let ServiceLink { service, datacenters } = link;
        let what = format!("service identity {service}");
        Arc::new(standing_for(&what, identity::service_rules(service.as_str()), datacenters.clone()))
    }));
    all.extend(token.identities.nodes.iter().map(|link| {
        let NodeLink { node, datacenter } = link;
        let what = format!("node identity {node}");
        Arc::new(standing_for(&what, identity::node_rules(node.as_str()), vec![datacenter.clone()]))
    }));
    all
}

/// A policy that is not stored. Its id follows from what it says, so that whatever is kept by it stays true.
fn standing_for(what: &str, rules: String, datacenters: Vec<Datacenter>) -> AclPolicy {
    let mut digest = Sha256::new();
    digest.update(rules.as_bytes());
    for datacenter in &datacenters {
        digest.update([0]);
        digest.update(datacenter.as_str().as_bytes());
    }
    let mut id = [0; 16];
    id.copy_from_slice(&digest.finalize()[..16]);
    let id = Uuid(id);
    AclPolicy {
        id,
        name: format!("synthetic-policy-{id}"),
        description: format!("What the {what} stands for"),
        rules,
        datacenters,
        stamp: Stamp::default(),
    }
}

/// Builds an authorizer. A policy that cannot be read any more denies everything: its rules were
/// checked when it was written, so something is wrong, and nothing must open because of it.
fn build<'a>(policies: impl Iterator<Item = &'a AclPolicy>, default: DefaultPolicy) -> Authorizer {
    let mut parsed = Vec::new();
    for policy in policies {
        match Policy::parse(&policy.rules) {
            Ok(rules) => parsed.push(rules),
            Err(error) => {
                warn!(policy = %policy.name, %error, "an ACL policy cannot be read; its tokens may do nothing");
                return Authorizer::deny_all();
            }
        }
    }
    Authorizer::new(&parsed.iter().collect::<Vec<_>>(), default)
}
