//! ACL tokens and policies, as the state stores them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ca::Sealed;
use crate::name::{Datacenter, IdentityName, PolicyName};
use crate::{Stamp, Timestamp, Uuid};

/// Accessor of the token for requests without a token.
pub const ANONYMOUS_ACCESSOR: Uuid = reserved(2);
/// The secret of the anonymous token.
pub const ANONYMOUS_SECRET: &str = "anonymous";
/// Id of the built-in policy `global-management`.
pub const GLOBAL_MANAGEMENT: Uuid = reserved(1);
/// Id of the built-in policy `builtin/global-read-only`.
pub const GLOBAL_READ_ONLY: Uuid = reserved(2);
/// Shown instead of a token's secret to clients that may not read it.
pub const HIDDEN: &str = "<hidden>";

/// The reserved ids `00000000-0000-0000-0000-0000000000xx` of built-in objects.
pub const fn reserved(last: u8) -> Uuid {
    let mut bits = [0u8; 16];
    bits[15] = last;
    Uuid(bits)
}

/// Whether an id is reserved for built-in objects.
pub fn is_reserved(id: Uuid) -> bool {
    id.0[..15].iter().all(|byte| *byte == 0)
}

/// SHA-256 of a token's secret, by which the token is found. The secret itself is never stored in clear.
#[derive(Clone, Copy, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct SecretHash(pub [u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// A reference to a policy by id, with the policy's name at the time of linking.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PolicyLink {
    /// The policy's id.
    pub id: Uuid,
    /// The policy's name.
    pub name: String,
}

/// A service identity of a token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServiceLink {
    /// The service.
    pub service: IdentityName,
    /// Datacenters of the identity. Empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub datacenters: Vec<Datacenter>,
}

/// A node identity of a token, in one datacenter.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NodeLink {
    /// The node.
    pub node: IdentityName,
    /// The node's datacenter.
    pub datacenter: Datacenter,
}

/// The identities of a token. They give rights in addition to its policies.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Identities {
    /// Service identities, each service at most once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceLink>,
    /// Node identities, each at most once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeLink>,
}

impl Identities {
    /// Whether there are no identities.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty() && self.nodes.is_empty()
    }

    /// Adds a service identity. If the service is already there, its datacenters are combined.
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

    /// Adds a node identity, unless it is already there.
    pub fn add_node(&mut self, link: NodeLink) {
        if !self.nodes.contains(&link) {
            self.nodes.push(link);
        }
    }
}

/// Reads the service or node name of a token's identity. It must start and end with a letter or digit.
pub fn identity_name(text: &str) -> Option<IdentityName> {
    let at_the_ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends_well = text.starts_with(at_the_ends) && text.ends_with(at_the_ends);
    IdentityName::parse(text).ok().filter(|_| ends_well)
}

/// A token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Token {
    /// Its public id.
    pub accessor: Uuid,
    /// The hash of its secret, by which it is found.
    pub secret_hash: SecretHash,
    /// The sealed secret, for clients that may read it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Sealed>,
    /// Description for people.
    #[serde(default)]
    pub description: String,
    /// Its policies.
    #[serde(default)]
    pub policies: Vec<PolicyLink>,
    /// Its service and node identities.
    #[serde(default, skip_serializing_if = "Identities::is_empty")]
    pub identities: Identities,
    /// Whether it is valid only in this datacenter.
    #[serde(default)]
    pub local: bool,
    /// When it expires. `None` means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

impl Token {
    /// Whether the token is valid at `now`.
    pub fn valid_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// A named set of rules.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AclPolicy {
    /// Its id.
    pub id: Uuid,
    /// Its name. Built-in policies may have names that [`PolicyName`] refuses.
    pub name: String,
    /// Description for people.
    #[serde(default)]
    pub description: String,
    /// The text of the rules, as written.
    pub rules: String,
    /// Datacenters in which it is valid. Empty means all.
    #[serde(default)]
    pub datacenters: Vec<Datacenter>,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

/// Maximum length of a policy's name, in bytes.
pub const POLICY_NAME_BYTES_MAX: usize = 128;

/// Prefix of the names of built-in policies.
const BUILT_IN: &str = "builtin/";

/// Why the name of a policy is refused, with Consul's texts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyNameError {
    /// It is empty or too long.
    #[error("Length must be greater than 0 and less than {POLICY_NAME_BYTES_MAX}")]
    Length,
    /// It starts like the name of a built-in policy.
    #[error("Names cannot be prefixed with '/' or '{BUILT_IN}'")]
    Prefix,
    /// It contains a character that is not allowed.
    #[error("Only alphanumeric characters, a single '/', '-' and '_' are allowed")]
    Character,
}

/// Checks a policy name that a user has chosen.
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
        // As in Consul: if one of them names datacenters, only these apply.
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
