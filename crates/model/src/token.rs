//! ACL tokens and policies, as kept in the state.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ca::Sealed;
use crate::name::{Datacenter, IdentityName, PolicyName};
use crate::{Stamp, Timestamp, Uuid};

/// Accessor of the token that stands for requests without one.
pub const ANONYMOUS_ACCESSOR: Uuid = reserved(2);
/// What the anonymous token's secret is called.
pub const ANONYMOUS_SECRET: &str = "anonymous";
/// Id of the built-in policy `global-management`.
pub const GLOBAL_MANAGEMENT: Uuid = reserved(1);
/// Id of the built-in policy `builtin/global-read-only`.
pub const GLOBAL_READ_ONLY: Uuid = reserved(2);
/// What a token's secret is shown as to those who may not see it.
pub const HIDDEN: &str = "<hidden>";

/// Ids `00000000-0000-0000-0000-0000000000xx` are reserved for what is built in.
pub const fn reserved(last: u8) -> Uuid {
    let mut bits = [0u8; 16];
    bits[15] = last;
    Uuid(bits)
}

/// Whether an id is one of those reserved for what is built in.
pub fn is_reserved(id: Uuid) -> bool {
    id.0[..15].iter().all(|byte| *byte == 0)
}

/// SHA-256 of a token's secret: how tokens are found. The secret itself is never stored in clear.
#[derive(Clone, Copy, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct SecretHash(pub [u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// A reference to a policy, by id, with its name as it was when linked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PolicyLink {
    /// The policy's id.
    pub id: Uuid,
    /// The policy's name.
    pub name: String,
}

/// A service that a token is the identity of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServiceLink {
    /// The service.
    pub service: IdentityName,
    /// Datacenters in which it is; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub datacenters: Vec<Datacenter>,
}

/// A node that a token is the identity of, in its datacenter alone.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NodeLink {
    /// The node.
    pub node: IdentityName,
    /// Where it is.
    pub datacenter: Datacenter,
}

/// What a token is the identity of, beside what its policies say.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Identities {
    /// Services, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceLink>,
    /// Nodes, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeLink>,
}

impl Identities {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty() && self.nodes.is_empty()
    }

    /// Adds a service. One that is there already is in the datacenters that either of the two names.
    pub fn add_service(&mut self, link: ServiceLink) {
        let at = self.services.iter().position(|known| known.service == link.service);
        let at = at.unwrap_or_else(|| {
            self.services.push(ServiceLink { service: link.service, datacenters: Vec::new() });
            self.services.len() - 1
        });
        let datacenters = &mut self.services[at].datacenters;
        datacenters.extend(link.datacenters);
        datacenters.sort();
        datacenters.dedup();
    }

    /// Adds a node, unless it is there already.
    pub fn add_node(&mut self, link: NodeLink) {
        if !self.nodes.contains(&link) {
            self.nodes.push(link);
        }
    }
}

/// Reads the name of a service or node that a token is to be the identity of: it begins and ends with a letter
/// or digit.
pub fn identity_name(text: &str) -> Option<IdentityName> {
    let at_the_ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends_well = text.starts_with(at_the_ends) && text.ends_with(at_the_ends);
    IdentityName::parse(text).ok().filter(|_| ends_well)
}

/// A token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Token {
    /// How people speak of it.
    pub accessor: Uuid,
    /// How it is found from its secret.
    pub secret_hash: SecretHash,
    /// The secret, sealed, for those who may read it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Sealed>,
    /// What people noted about it.
    #[serde(default)]
    pub description: String,
    /// Its policies.
    #[serde(default)]
    pub policies: Vec<PolicyLink>,
    /// What it is the identity of.
    #[serde(default, skip_serializing_if = "Identities::is_empty")]
    pub identities: Identities,
    /// Whether it is valid in this datacenter only.
    #[serde(default)]
    pub local: bool,
    /// When it stops being valid; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

impl Token {
    /// Whether the token is still valid at `now`.
    pub fn valid_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// A policy: rules under a name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AclPolicy {
    /// Its id.
    pub id: Uuid,
    /// Its name. Built-in policies may have names that [`PolicyName`] refuses.
    pub name: String,
    /// What people noted about it.
    #[serde(default)]
    pub description: String,
    /// The rules, as written.
    pub rules: String,
    /// Datacenters it is valid in; empty: all.
    #[serde(default)]
    pub datacenters: Vec<Datacenter>,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

/// Longest name of a policy, in bytes.
pub const POLICY_NAME_BYTES_MAX: usize = 128;

/// Before the names of built-in policies.
const BUILT_IN: &str = "builtin/";

/// What is wrong with the name of a policy, in Consul's words.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyNameError {
    /// It is empty or too long.
    #[error("Length must be greater than 0 and less than {POLICY_NAME_BYTES_MAX}")]
    Length,
    /// It begins as only built-in ones do.
    #[error("Names cannot be prefixed with '/' or '{BUILT_IN}'")]
    Prefix,
    /// It contains something else than is allowed.
    #[error("Only alphanumeric characters, a single '/', '-' and '_' are allowed")]
    Character,
}

/// Checks a policy name given by a user.
pub fn policy_name(text: &str) -> Result<PolicyName, PolicyNameError> {
    if text.is_empty() || text.len() > POLICY_NAME_BYTES_MAX {
        return Err(PolicyNameError::Length);
    }
    if text.starts_with('/') || text.starts_with(BUILT_IN) {
        return Err(PolicyNameError::Prefix);
    }
    if text.matches('/').count() > 1 {
        return Err(PolicyNameError::Character);
    }
    PolicyName::parse(text).map_err(|_| PolicyNameError::Character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_named_as_strictly_as_consul_does() {
        for good in ["web", "w", "web-v2", "a_b", "9"] {
            assert_eq!(identity_name(good).unwrap().as_str(), good);
        }
        for bad in ["", "Web", "-web", "web-", "_w", "a b", "a/b", "a.b", "*", "w\"eb", &"x".repeat(300)] {
            assert_eq!(identity_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn identities_of_one_name_are_one() {
        let datacenter = |name: &str| Datacenter::parse(name).unwrap();
        let service = |at: &[&str]| ServiceLink {
            service: identity_name("web").unwrap(),
            datacenters: at.iter().map(|name| datacenter(name)).collect(),
        };
        let merged = |parts: &[&[&str]]| {
            let mut all = Identities::default();
            parts.iter().for_each(|at| all.add_service(service(at)));
            all.services
        };
        assert_eq!(merged(&[&["dc2"], &["dc1", "dc2"]]), [service(&["dc1", "dc2"])]);
        // As in Consul: who names a datacenter somewhere means that one.
        assert_eq!(merged(&[&[], &["dc1"]]), [service(&["dc1"])]);
        assert_eq!(merged(&[&[], &[]]), [service(&[])]);
        let node = |at: &str| NodeLink { node: identity_name("n").unwrap(), datacenter: datacenter(at) };
        let mut all = Identities::default();
        ["dc1", "dc2", "dc1"].into_iter().for_each(|at| all.add_node(node(at)));
        assert_eq!(all.nodes, [node("dc1"), node("dc2")]);
    }

    #[test]
    fn a_policy_name_may_have_one_slash_within() {
        for good in ["a", "team/a", "a/", "A-b_1", &"x".repeat(128)] {
            assert_eq!(policy_name(good).unwrap().as_str(), good);
        }
        let check = |text: &str, error| assert_eq!(policy_name(text), Err(error), "{text}");
        check("", PolicyNameError::Length);
        check(&"x".repeat(129), PolicyNameError::Length);
        check("/a", PolicyNameError::Prefix);
        check("builtin/a", PolicyNameError::Prefix);
        for text in ["a/b/c", "a b", "a.b", "a\\b", "*"] {
            check(text, PolicyNameError::Character);
        }
        let text = PolicyNameError::Prefix.to_string();
        assert_eq!(text, "Names cannot be prefixed with '/' or 'builtin/'");
    }
}
