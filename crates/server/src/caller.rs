//! Resolves the token of a request to its rights, anew for every evaluation.
//!
//! The token is read from the same view as the data, so that an answer never mixes old rights with new data. The read
//! set includes the token and its policies, so that revoking a token ends its blocking queries.

use std::collections::HashMap;
use std::sync::Arc;

use concord_acl::identity;
use concord_model::intention::Action;
use concord_model::token::{
    ANONYMOUS_ACCESSOR, ANONYMOUS_SECRET, AclPolicy, HIDDEN, NodeLink, ServiceLink, Token,
};
use concord_model::{Datacenter, Secret, Stamp, Timestamp, Uuid};
use concord_rpc::{Caller, Rights, RpcError};
use concord_state::Reader;
use concord_state::builtin::hash_secret;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::limits::AUTHORIZERS;

/// The ACL settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AclSettings {
    /// Whether ACLs are enabled.
    pub enabled: bool,
    /// The policy where no rule matches.
    pub default_policy: Action,
}

/// Resolves tokens and caches the authorizers that it builds.
#[derive(Debug)]
pub(crate) struct Resolver {
    pub(crate) settings: AclSettings,
    pub(crate) datacenter: Datacenter,
    built: Mutex<HashMap<Vec<(Uuid, u64)>, Rights>>,
}

impl Resolver {
    pub(crate) fn new(settings: AclSettings, datacenter: Datacenter) -> Self {
        Self { settings, datacenter, built: Mutex::default() }
    }

    /// The caller with this secret. The reader records what was read.
    pub(crate) fn resolve(
        &self,
        reader: &mut Reader,
        secret: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Caller, RpcError> {
        if !self.settings.enabled {
            return Ok(Caller::unrestricted(secret.cloned()));
        }
        let token = self.token(reader, secret, now)?;
        let policies = token.as_ref().map(|token| self.policies(reader, token)).unwrap_or_default();
        let accessor = token.map_or(ANONYMOUS_ACCESSOR, |token| token.accessor);
        Ok(Caller { accessor: Some(accessor), rights: self.rights(&policies), token: secret.cloned() })
    }

    /// The token with this secret. `None` if no token was sent and no anonymous token is stored.
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

    /// The policies of a token, including those that its identities stand for, as far as they apply in this
    /// datacenter. A link to a deleted policy grants nothing.
    pub(crate) fn policies(&self, reader: &mut Reader, token: &Token) -> Vec<Arc<AclPolicy>> {
        let mut all = all_policies(reader, token);
        all.retain(|policy| policy.datacenters.is_empty() || policy.datacenters.contains(&self.datacenter));
        all
    }

    fn rights(&self, policies: &[Arc<AclPolicy>]) -> Rights {
        let mut key: Vec<(Uuid, u64)> =
            policies.iter().map(|policy| (policy.id, policy.stamp.modify)).collect();
        key.sort_unstable();
        key.dedup();
        let mut built = self.built.lock();
        if let Some(rights) = built.get(&key) {
            return rights.clone();
        }
        let rights = Rights::of(policies.iter().map(|policy| &**policy), self.settings.default_policy);
        if built.len() >= AUTHORIZERS {
            built.clear();
        }
        built.insert(key, rights.clone());
        rights
    }
}

/// The policies of a token, including those that its identities stand for, for all datacenters.
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

/// A policy that is not stored. Its id is derived from its content, so that caches keyed by the id stay correct.
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
