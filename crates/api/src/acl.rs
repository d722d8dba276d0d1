//! ACL tokens and policies: the JSON of answers and of request bodies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use concord_model::intention::Action;
use concord_model::token::{self, AclPolicy, HIDDEN};
use concord_model::{Datacenter, NodeName, Secret};
use serde::{Deserialize, Serialize};

use crate::Moment;
use crate::fingerprint::hash256;
use crate::shape::{exposed, null_default, null_if_empty};

mod body;
mod link;

pub use self::body::{Expiry, PolicyRef, PolicyUpsert, TokenUpsert, decode_bootstrap};
pub use self::link::{NodeIdentity, PolicyLink, ServiceIdentity};

#[cfg(test)]
mod tests;

/// A token: in `acl/token/…` and, with the same fields, in the list.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Token {
    /// The public id of the token.
    #[serde(rename = "AccessorID")]
    pub accessor_id: String,
    /// The secret; `<hidden>` for readers that may not see it.
    #[serde(rename = "SecretID", with = "exposed")]
    pub secret_id: Secret,
    /// A description for people.
    #[serde(default)]
    pub description: String,
    /// Its policies.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyLink>,
    /// Services whose identity it has.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub service_identities: Vec<ServiceIdentity>,
    /// Nodes whose identity it has.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub node_identities: Vec<NodeIdentity>,
    /// Whether it is valid in this datacenter only.
    #[serde(default)]
    pub local: bool,
    /// When it expires; left out if never.
    #[serde(default, skip_serializing_if = "Moment::is_zero")]
    pub expiration_time: Moment,
    /// When it was created.
    #[serde(default)]
    pub create_time: Moment,
    /// Fingerprint of the content, base64.
    #[serde(default)]
    pub hash: String,
    /// Index of its creation.
    #[serde(default)]
    pub create_index: u64,
    /// Index of its last change.
    #[serde(default)]
    pub modify_index: u64,
}

/// The default of `acl.down_policy`.
const DOWN_POLICY: &str = "extend-cache";

/// A token with everything that decides its rights: `acl/token/:accessor?expanded`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TokenExpanded {
    /// The token.
    #[serde(flatten)]
    pub token: Token,
    /// Its existing policies with their rules, and the policies that its identities stand for; `null` if there are
    /// none.
    #[serde(deserialize_with = "null_default", serialize_with = "null_if_empty")]
    pub expanded_policies: Vec<Policy>,
    /// Always `null`: tokens have no roles yet.
    pub expanded_roles: (),
    /// Always `null`: there is one namespace.
    #[serde(rename = "NamespaceDefaultPolicyIDs")]
    pub namespace_default_policy_ids: (),
    /// Always `null`: there is one namespace.
    #[serde(rename = "NamespaceDefaultRoleIDs")]
    pub namespace_default_role_ids: (),
    /// The policy where no rule matches.
    #[serde(rename = "AgentACLDefaultPolicy")]
    pub agent_acl_default_policy: String,
    /// The policy while tokens cannot be resolved.
    #[serde(rename = "AgentACLDownPolicy")]
    pub agent_acl_down_policy: String,
    /// The node that answered.
    pub resolved_by_agent: String,
}

/// Answer of `acl/bootstrap`. It has the secret also as `ID`, for the oldest clients.
#[derive(Clone, Debug, Serialize)]
pub struct Bootstrapped {
    /// The secret.
    #[serde(rename = "ID", with = "exposed")]
    pub id: Secret,
    /// The token.
    #[serde(flatten)]
    pub token: Token,
}

/// A policy.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Policy {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// A description for people.
    pub description: String,
    /// The rules.
    pub rules: String,
    /// Datacenters it is valid in; left out if all.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub datacenters: Vec<String>,
    /// Fingerprint of the content, base64.
    pub hash: String,
    /// Index of its creation.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

/// A policy in the list: without its rules, and with `null` for all datacenters.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PolicyStub {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// A description for people.
    pub description: String,
    /// Datacenters it is valid in.
    #[serde(deserialize_with = "null_default", serialize_with = "null_if_empty")]
    pub datacenters: Vec<String>,
    /// Fingerprint of the content, base64.
    pub hash: String,
    /// Index of its creation.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

impl Token {
    /// The JSON of a token. `secret` is `None` if the reader may not see it.
    pub fn from_model(token: &token::Token, secret: Option<&Secret>) -> Self {
        let token::Token {
            accessor,
            secret_hash: _,
            secret: _,
            description,
            policies,
            identities,
            local,
            expires_at,
            created_at,
            stamp,
        } = token;
        let service_identities =
            identities.services.iter().map(ServiceIdentity::from_model).collect::<Vec<_>>();
        let node_identities = identities.nodes.iter().map(NodeIdentity::from_model).collect::<Vec<_>>();
        let hidden = || Secret::new(HIDDEN.to_owned());
        let links: Vec<_> = policies
            .iter()
            .map(|link| PolicyLink { id: link.id.to_string(), name: link.name.clone() })
            .collect();
        let ids = links.iter().map(|link| link.id.as_str());
        let services = service_identities.iter().flat_map(|one| {
            ["service", one.service_name.as_str()]
                .into_iter()
                .chain(one.datacenters.iter().map(String::as_str))
        });
        let nodes = node_identities
            .iter()
            .flat_map(|one| ["node", one.node_name.as_str(), one.datacenter.as_str()].into_iter());
        let parts = [description.as_str(), if *local { "local" } else { "global" }].into_iter();
        let parts = parts.chain(ids).chain(services).chain(nodes);
        Self {
            accessor_id: accessor.to_string(),
            secret_id: secret.cloned().unwrap_or_else(hidden),
            hash: fingerprint(parts),
            description: description.clone(),
            policies: links,
            service_identities,
            node_identities,
            local: *local,
            expiration_time: Moment(*expires_at),
            create_time: Moment::from(*created_at),
            create_index: stamp.create,
            modify_index: stamp.modify,
        }
    }
}

impl TokenExpanded {
    /// The JSON of a token with its policies, as the server on a node resolved it.
    pub fn new(token: Token, policies: &[AclPolicy], default: Action, resolved_by: &NodeName) -> Self {
        Self {
            token,
            expanded_policies: policies.iter().map(Policy::from_model).collect(),
            expanded_roles: (),
            namespace_default_policy_ids: (),
            namespace_default_role_ids: (),
            agent_acl_default_policy: default.as_str().to_owned(),
            agent_acl_down_policy: DOWN_POLICY.to_owned(),
            resolved_by_agent: resolved_by.to_string(),
        }
    }
}

impl Bootstrapped {
    /// The answer for the first management token.
    pub fn new(token: Token) -> Self {
        Self { id: token.secret_id.clone(), token }
    }
}

impl Policy {
    /// The shape of a policy.
    pub fn from_model(policy: &AclPolicy) -> Self {
        let AclPolicy { id, name, description, rules, datacenters, stamp } = policy;
        let datacenters: Vec<_> = datacenters.iter().map(Datacenter::to_string).collect();
        let parts = [name.as_str(), description, rules];
        Self {
            id: id.to_string(),
            name: name.clone(),
            description: description.clone(),
            rules: rules.clone(),
            hash: fingerprint(parts.into_iter().chain(datacenters.iter().map(String::as_str))),
            datacenters,
            create_index: stamp.create,
            modify_index: stamp.modify,
        }
    }
}

impl PolicyStub {
    /// The shape of a policy in the list.
    pub fn from_model(policy: &AclPolicy) -> Self {
        let Policy { id, name, description, rules: _, datacenters, hash, create_index, modify_index } =
            Policy::from_model(policy);
        Self { id, name, description, datacenters, hash, create_index, modify_index }
    }
}

/// Base64 of a 32-byte hash over the parts. Each part is preceded by its length, so that different lists give
/// different input.
fn fingerprint<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    STANDARD.encode(hash256(&bytes))
}
