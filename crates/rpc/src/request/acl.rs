//! Tokens and policies.

use concord_model::intention::Action;
use concord_model::token::{AclPolicy, Identities, PolicyLink};
use concord_model::{Datacenter, IdentityName, NodeName, Secret, Stamp, Timestamp, Uuid};
use serde::{Deserialize, Serialize};

/// What the request's token may do, for agents that authorise by themselves.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ResolveToken {}

/// What a token may do.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ResolvedToken {
    /// The token's accessor.
    pub accessor: Uuid,
    /// The rules of its policies and identities, as far as they hold in the datacenter that answers.
    pub policies: Vec<AclPolicy>,
    /// When it stops being valid.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// Makes the first management token.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct BootstrapAcl {
    /// The secret it should have; `None`: a random one.
    #[serde(default, with = "crate::exposed")]
    pub secret: Option<Secret>,
}

/// A token as its readers see it.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct TokenRecord {
    /// Its accessor.
    pub accessor: Uuid,
    /// Its secret, or [`concord_model::token::HIDDEN`] for who may not see it.
    pub secret: String,
    /// What people noted about it.
    pub description: String,
    /// Its policies.
    pub policies: Vec<PolicyLink>,
    /// What it is the identity of.
    #[serde(default)]
    pub identities: Identities,
    /// Whether it is valid in this datacenter only.
    pub local: bool,
    /// When it stops being valid.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Digest of what it may do.
    pub hash: Vec<u8>,
    /// When it changed.
    pub stamp: Stamp,
}

impl std::fmt::Debug for TokenRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenRecord").field("accessor", &self.accessor).finish_non_exhaustive()
    }
}

/// The token the request was made with.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadOwnToken {}

/// A token by its accessor.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadToken {
    /// The accessor.
    pub accessor: Uuid,
}

/// A token by its accessor, with all that decides on what it may do.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ExpandToken {
    /// The accessor.
    pub accessor: Uuid,
}

/// A token, and all that decides on what it may do.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ExpandedToken {
    /// The token.
    pub token: TokenRecord,
    /// Its policies that exist, each once, and the rules its identities stand for; also those of other datacenters.
    pub policies: Vec<AclPolicy>,
    /// What holds where no rule speaks, at the server that answered.
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
    /// Only those that are the identity of this service.
    #[serde(default)]
    pub service: Option<IdentityName>,
}

/// Makes or changes a token.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SetToken {
    /// The token to change; `None`: make a new one.
    #[serde(default)]
    pub accessor: Option<Uuid>,
    /// Make it with this accessor.
    #[serde(default)]
    pub new_accessor: Option<Uuid>,
    /// Make it with this secret.
    #[serde(default, with = "crate::exposed")]
    pub secret: Option<Secret>,
    /// What people note about it.
    #[serde(default)]
    pub description: String,
    /// Its policies, by id or by name.
    #[serde(default)]
    pub policies: Vec<PolicyChoice>,
    /// What it is the identity of.
    #[serde(default)]
    pub identities: Identities,
    /// Valid in this datacenter only.
    #[serde(default)]
    pub local: bool,
    /// When it stops being valid.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// How long it is valid from now on; instead of a moment.
    #[serde(default)]
    pub expires_after: Option<std::time::Duration>,
}

/// Makes a token like another one, with an accessor and a secret of its own.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CloneToken {
    /// The accessor of the other.
    pub accessor: Uuid,
    /// What people note about the new one; `None`: as about the other.
    #[serde(default)]
    pub description: Option<String>,
}

/// A policy meant by its id or by its name.
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

/// Makes or changes a policy.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SetPolicy {
    /// The policy to change; `None`: make a new one.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Its name.
    pub name: String,
    /// What people note about it.
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
