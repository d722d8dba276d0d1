//! A caller: a token and its rights.
//!
//! Servers, agents and the HTTP API all use this type, and there is only one way from policies to rights.

use concord_acl::{Access, Authorizer, Labelled, Level, PermissionDenied, Policy, Right};
use concord_model::intention::Action;
use concord_model::token::{ANONYMOUS_ACCESSOR, AclPolicy};
use concord_model::{Secret, Uuid};
use sha2::{Digest, Sha256};

use crate::error::RpcError;
use crate::request::Need;
use crate::sight::Sight;

/// A caller with its rights. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Accessor of the token; `None` while ACLs are off.
    pub accessor: Option<Uuid>,
    /// Its rights.
    pub rights: Rights,
    /// The token for further requests; `None`: anonymous.
    pub token: Option<Secret>,
}

/// The rights of a caller.
#[derive(Clone, Debug)]
pub struct Rights {
    authorizer: Authorizer,
    version: RightsVersion,
}

/// Identifies rights: the SHA-256 hash of the policies they were built from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RightsVersion([u8; 32]);

/// Stands in cache keys for what this caller may see. Never contains the secret.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RightsKey {
    accessor: Option<Uuid>,
    version: RightsVersion,
}

impl Caller {
    /// A caller with all rights, used while ACLs are disabled and for internal work.
    pub fn unrestricted(token: Option<Secret>) -> Self {
        Self { accessor: None, rights: Rights::all(), token }
    }

    /// Whether the caller has no token of its own.
    pub fn is_anonymous(&self) -> bool {
        self.accessor == Some(ANONYMOUS_ACCESSOR)
    }

    /// Whether the caller has a right.
    pub fn may(&self, right: &Right<'_>) -> bool {
        self.rights.authorizer.check(right) == Access::Allow
    }

    /// Which records the caller may see.
    pub fn sees(&self) -> Sight<'_> {
        Sight::of(&self.rights.authorizer)
    }

    /// Succeeds if the caller has the right. Otherwise the error names the missing right.
    pub fn require(&self, right: &Right<'_>) -> Result<(), RpcError> {
        if self.may(right) {
            return Ok(());
        }
        let accessor = self.accessor.map_or_else(String::new, |accessor| accessor.to_string());
        Err(RpcError::Denied(PermissionDenied::new(accessor, right.clone()).to_string()))
    }

    /// Succeeds if the caller has any of the rights. Nobody has one of none.
    fn require_any(&self, rights: &[Right<'_>]) -> Result<(), RpcError> {
        match rights.split_last() {
            Some((_, others)) if others.iter().any(|right| self.may(right)) => Ok(()),
            Some((last, _)) => self.require(last),
            None => {
                Err(RpcError::Denied("Permission denied: only the servers themselves may do this".to_owned()))
            }
        }
    }

    /// Succeeds if the caller may write a service.
    pub fn require_service_write(&self, service: &str) -> Result<(), RpcError> {
        self.require(&Right::named(Labelled::Service, service, Level::Write))
    }

    /// Checks the rights that a request needs before anything is read.
    pub fn meet(&self, need: &Need) -> Result<(), RpcError> {
        match need {
            Need::Open | Need::Filtered | Need::CheckedAt(_) | Need::OwnToken => Ok(()),
            Need::Right(right) => self.require(right),
            Need::All(rights) => rights.iter().try_for_each(|right| self.require(right)),
            Need::AnyOf(rights) => self.require_any(rights),
        }
    }

    /// What the caller may see, in the form for cache keys.
    pub fn rights_key(&self) -> RightsKey {
        RightsKey { accessor: self.accessor, version: self.rights.version }
    }
}

impl Rights {
    /// All rights.
    fn all() -> Self {
        Self { authorizer: Authorizer::manage_all(), version: RightsVersion([0; 32]) }
    }

    /// The rights from policies. A policy that cannot be parsed denies everything: its rules were checked when it was
    /// written, so something is wrong, and that must not give anybody access.
    pub fn of<'a>(policies: impl IntoIterator<Item = &'a AclPolicy>, default: Action) -> Self {
        let mut policies: Vec<_> = policies.into_iter().collect();
        policies.sort_by_key(|policy| policy.id);
        policies.dedup_by_key(|policy| policy.id);
        let parsed = policies.iter().map(|policy| {
            Policy::parse(&policy.rules).inspect_err(|error| {
                tracing::warn!(policy = %policy.name, %error, "an ACL policy cannot be read; its tokens may do nothing");
            })
        });
        let authorizer = match parsed.collect::<Result<Vec<_>, _>>() {
            Ok(parsed) => Authorizer::new(&parsed.iter().collect::<Vec<_>>(), default),
            Err(_) => Authorizer::deny_all(),
        };
        Self { authorizer, version: RightsVersion::of(&policies) }
    }

    /// Identifies these rights.
    pub fn version(&self) -> RightsVersion {
        self.version
    }
}

impl RightsVersion {
    fn of(policies: &[&AclPolicy]) -> Self {
        let mut digest = Sha256::new();
        for policy in policies {
            digest.update(policy.id.0);
            digest.update(policy.stamp.modify.to_be_bytes());
            digest.update(Sha256::digest(policy.rules.as_bytes()));
        }
        Self(digest.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use concord_model::Stamp;

    use super::*;

    fn policy(id: u8, rules: &str, modify: u64) -> AclPolicy {
        AclPolicy {
            id: Uuid([id; 16]),
            name: format!("policy-{id}"),
            description: String::new(),
            rules: rules.to_owned(),
            datacenters: Vec::new(),
            stamp: Stamp { create: 1, modify },
        }
    }

    fn caller(policies: &[AclPolicy]) -> Caller {
        let rights = Rights::of(policies, Action::Deny);
        Caller { accessor: Some(Uuid([9; 16])), rights, token: None }
    }

    #[test]
    fn policies_give_what_they_say() {
        let caller = caller(&[policy(1, r#"service "web" { policy = "write" }"#, 1)]);
        assert!(caller.require_service_write("web").is_ok());
        let error = caller.require_service_write("db").unwrap_err();
        assert!(error.is_denial(), "{error}");
        assert!(error.to_string().contains("09090909"), "it says whose rights are too few: {error}");
    }

    #[test]
    fn one_policy_that_cannot_be_read_closes_everything() {
        let good = policy(1, r#"service "web" { policy = "write" }"#, 1);
        let caller = caller(&[good, policy(2, "serv ice", 1)]);
        assert!(caller.require_service_write("web").is_err());
    }

    #[test]
    fn other_rights_have_another_key() {
        let base = caller(&[policy(1, "", 1), policy(2, "", 1)]);
        let same = caller(&[policy(2, "", 1), policy(1, "", 1)]);
        assert_eq!(base.rights_key(), same.rights_key(), "their order says nothing");
        let others = [
            caller(&[policy(1, "", 1)]),
            caller(&[policy(1, "", 1), policy(2, "", 2)]),
            caller(&[policy(1, "", 1), policy(2, r#"operator = "read""#, 1)]),
            Caller { accessor: Some(Uuid([8; 16])), ..base.clone() },
        ];
        for other in others {
            assert_ne!(base.rights_key(), other.rights_key());
        }
    }
}
