//! Tokens and policies.

use concord_model::intention::Action;
use concord_model::token::{AclPolicy, Identities, PolicyLink};
use concord_model::{Datacenter, IdentityName, NodeName, Secret, Stamp, Timestamp, Uuid};
use serde::{Deserialize, Serialize};

/// The rights of the request's token, for agents that authorise requests themselves.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ResolveToken {}

/// The rights of a token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ResolvedToken {
    /// The token's accessor.
    pub accessor: Uuid,
    /// The rules of its policies and identities, as far as they apply in the answering datacenter.
    pub policies: Vec<AclPolicy>,
    /// When it expires.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// Creates the first management token.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct BootstrapAcl {
    /// The secret that it should have; `None`: a random one.
    #[serde(default, with = "crate::exposed")]
    pub secret: Option<Secret>,
}

/// A token in the form that its reader may see.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct TokenRecord {
    /// Its accessor.
    pub accessor: Uuid,
    /// Its secret, or [`concord_model::token::HIDDEN`] for readers that may not see it.
    pub secret: String,
    /// A description for people.
    pub description: String,
    /// Its policies.
    pub policies: Vec<PolicyLink>,
    /// The services and nodes whose identity it has.
    #[serde(default)]
    pub identities: Identities,
    /// Whether it is valid in this datacenter only.
    pub local: bool,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Digest of its content.
    pub hash: Vec<u8>,
    /// Its create and modify indexes.
    pub stamp: Stamp,
}

impl std::fmt::Debug for TokenRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenRecord").field("accessor", &self.accessor).finish_non_exhaustive()
    }
}

/// The token of the request itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadOwnToken {}

/// A token by its accessor.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadToken {
    /// The accessor.
    pub accessor: Uuid,
}

/// A token by its accessor, with everything that decides its rights.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ExpandToken {
    /// The accessor.
    pub accessor: Uuid,
}

/// A token, with everything that decides its rights.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ExpandedToken {
    /// The token.
    pub token: TokenRecord,
    /// Its existing policies, each once, and the rules that its identities stand for. Includes those for other
    /// datacenters.
    pub policies: Vec<AclPolicy>,
    /// The default policy of the server that answered.
    pub default_policy: Action,
    /// The server that answered.
    pub resolved_by: NodeName,
}

/// All tokens.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ListTokens {
    /// Only those with this policy.
    #[serde(default)]
    pub policy: Option<Uuid>,
    /// Only those with the identity of this service.
    #[serde(default)]
    pub service: Option<IdentityName>,
}

/// Creates or changes a token.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SetToken {
    /// The token to change; `None`: create a new one.
    #[serde(default)]
    pub accessor: Option<Uuid>,
    /// The accessor of the new token.
    #[serde(default)]
    pub new_accessor: Option<Uuid>,
    /// The secret of the new token.
    #[serde(default, with = "crate::exposed")]
    pub secret: Option<Secret>,
    /// A description for people.
    #[serde(default)]
    pub description: String,
    /// Its policies, by id or by name.
    #[serde(default)]
    pub policies: Vec<PolicyChoice>,
    /// The services and nodes whose identity it has.
    #[serde(default)]
    pub identities: Identities,
    /// Valid in this datacenter only.
    #[serde(default)]
    pub local: bool,
    /// When it expires.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// How long it is valid from now on; instead of `expires_at`.
    #[serde(default)]
    pub expires_after: Option<std::time::Duration>,
}

/// Creates a copy of a token with a new accessor and a new secret.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CloneToken {
    /// The accessor of the original.
    pub accessor: Uuid,
    /// A description of the copy; `None`: as in the original.
    #[serde(default)]
    pub description: Option<String>,
}

/// A policy by its id or its name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyChoice {
    /// By id.
    Id(Uuid),
    /// By name.
    Name(String),
}

/// Removes a token.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeleteToken {
    /// The accessor.
    pub accessor: Uuid,
}

/// A policy.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadPolicy {
    /// Which.
    pub which: PolicyChoice,
}

/// All policies.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ListPolicies {}

/// Creates or changes a policy.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SetPolicy {
    /// The policy to change; `None`: create a new one.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Its name.
    pub name: String,
    /// A description for people.
    #[serde(default)]
    pub description: String,
    /// Its rules.
    pub rules: String,
    /// Datacenters it is valid in; empty: all.
    #[serde(default)]
    pub datacenters: Vec<Datacenter>,
}

/// Removes a policy.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeletePolicy {
    /// Its id.
    pub id: Uuid,
}
