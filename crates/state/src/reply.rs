//! The replies to commands, including refusals. A refusal is an ordinary, deterministic result of applying a command:
//! every server gets the same one.

use std::sync::Arc;

use concord_mesh::entry::GraphFault;
use concord_model::token::Token;
use concord_model::{CheckId, InstanceId, NodeName, ServiceRef, Uuid};

/// The result of applying a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CommandReply {
    /// The command is in effect. `changed` is false if it was in effect before: then nothing was written and no index
    /// changed.
    Done {
        /// Whether anything was written.
        changed: bool,
    },
    /// The record last changed at another index than the command named.
    CasFailed {
        /// The index at which it last changed; 0 if there is no record.
        current: u64,
    },
    /// Reply to [`AllocateSerials`](crate::command::AllocateSerials).
    Serials {
        /// The first serial number; the others follow it.
        first: u64,
        /// How many.
        count: u32,
    },
    /// Reply to [`BootstrapAcl`](crate::command::BootstrapAcl).
    Bootstrapped {
        /// The token as stored.
        token: Arc<Token>,
        /// The index that a later bootstrap has to name.
        reset_index: u64,
    },
    /// Reply to the commands that store tokens: the stored tokens.
    Tokens {
        /// In the order of the command.
        tokens: Vec<Arc<Token>>,
    },
    /// Reply to [`ReapExpiredTokens`](crate::command::ReapExpiredTokens).
    Reaped {
        /// How many tokens had expired.
        count: usize,
    },
    /// Reply to [`SetManualAddresses`](crate::command::SetManualAddresses).
    Addressed {
        /// Whether the service has a virtual address. If not, nothing was written.
        found: bool,
        /// The services that have lost an address.
        taken_from: Vec<ServiceRef>,
    },
    /// The command was refused; nothing was written.
    Refused(Refusal),
}

impl CommandReply {
    /// The reply, or the refusal as an error.
    pub fn accepted(self) -> Result<Self, Refusal> {
        match self {
            Self::Refused(refusal) => Err(refusal),
            accepted => Ok(accepted),
        }
    }
}

/// Who has to act on a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Blame {
    /// The command itself is wrong.
    Caller,
    /// The command conflicts with what others have written in the meantime: read again and decide.
    Conflict,
}

/// Why a command was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// About the catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogRefusal),
    /// About configuration entries.
    #[error(transparent)]
    Entry(#[from] EntryRefusal),
    /// About the certificate authority.
    #[error(transparent)]
    Ca(#[from] CaRefusal),
    /// About tokens and policies.
    #[error(transparent)]
    Acl(#[from] AclRefusal),
    /// About the cluster as a whole.
    #[error(transparent)]
    Cluster(#[from] ClusterRefusal),
}

impl Refusal {
    /// Who has to act.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Catalog(refusal) => refusal.blame(),
            Self::Entry(refusal) => refusal.blame(),
            Self::Ca(refusal) => refusal.blame(),
            Self::Acl(refusal) => refusal.blame(),
            Self::Cluster(_) => Blame::Conflict,
        }
    }
}

/// Why a registration was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CatalogRefusal {
    /// A check names an instance that is not registered on its node.
    #[error("check {check} is for service {service}, which is not registered on node {node}")]
    UnknownService {
        /// The node.
        node: NodeName,
        /// The instance's id.
        service: InstanceId,
        /// The check.
        check: CheckId,
    },
    /// All virtual addresses are in use.
    #[error("all virtual addresses of services are in use; remove services or entries that are not needed")]
    NoAddress,
    /// Another node, which is not known to have failed, has this id.
    #[error(
        "node id {id} belongs to node {holder}, which is not known to have failed; \
         deregister {holder} first, or start {node} with an id of its own"
    )]
    NodeIdTaken {
        /// The id.
        id: Uuid,
        /// The node that has the id.
        holder: NodeName,
        /// The node that asked for it.
        node: NodeName,
    },
    /// Another node, which is not known to have failed, has this name.
    #[error(
        "node name {node} belongs to the node with id {holder}, which is not known to have failed; \
         deregister it first, or choose another name"
    )]
    NodeNameTaken {
        /// The name.
        node: NodeName,
        /// The id of the node that has the name.
        holder: Uuid,
    },
}

impl CatalogRefusal {
    fn blame(&self) -> Blame {
        match self {
            Self::UnknownService { .. }
            | Self::NoAddress
            | Self::NodeIdTaken { .. }
            | Self::NodeNameTaken { .. } => Blame::Conflict,
        }
    }
}

/// Why a change of a configuration entry was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EntryRefusal {
    /// An invalid intention. The leader refuses it before it reaches the log, unless another version or a fault let
    /// it through.
    #[error("{0}")]
    Invalid(String),
    /// A change that conflicts with the stored entries.
    #[error(transparent)]
    Graph(#[from] GraphFault),
}

impl EntryRefusal {
    fn blame(&self) -> Blame {
        match self {
            Self::Invalid(_) => Blame::Caller,
            Self::Graph(_) => Blame::Conflict,
        }
    }
}

/// Why a change of the certificate authority was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CaRefusal {
    /// Not exactly one root is active, or the active root is not the named one.
    #[error("a set of roots needs exactly one active root, the one it names; {active} are active")]
    ActiveRoots {
        /// How many are active.
        active: usize,
    },
    /// Two roots have one id.
    #[error("the set of roots holds root {id} twice")]
    DuplicateRoot {
        /// The id.
        id: String,
    },
    /// The roots belong to another trust domain than the published ones.
    #[error("roots of trust domain {asked} cannot replace those of {current}")]
    TrustDomain {
        /// The published trust domain.
        current: String,
        /// The trust domain in the command.
        asked: String,
    },
    /// The configuration belongs to another cluster.
    #[error("the CA configuration is for cluster {asked}; this is cluster {current}")]
    ClusterId {
        /// The configured cluster id.
        current: Uuid,
        /// The cluster id in the command.
        asked: Uuid,
    },
    /// The count is zero, or more serial numbers than one command may allocate.
    #[error("{count} serial numbers asked for; between 1 and {max} can be had at a time")]
    SerialCount {
        /// The count in the command.
        count: u32,
        /// The limit.
        max: u32,
    },
    /// All serial numbers are used up.
    #[error("all certificate serial numbers are used up")]
    SerialsExhausted,
}

impl CaRefusal {
    fn blame(&self) -> Blame {
        match self {
            Self::ActiveRoots { .. } | Self::DuplicateRoot { .. } | Self::SerialCount { .. } => Blame::Caller,
            Self::TrustDomain { .. } | Self::ClusterId { .. } | Self::SerialsExhausted => Blame::Conflict,
        }
    }
}

/// Why a change of tokens or policies was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AclRefusal {
    /// The ACL system has already been bootstrapped.
    #[error("ACL bootstrap no longer allowed (reset index: {reset_index})")]
    BootstrapDone {
        /// The index that a later bootstrap has to name.
        reset_index: u64,
    },
    /// The id is reserved for built-in records, or a reserved id is needed and this is none.
    #[error("{0} is built in, or reserved for what is: it cannot be changed this way")]
    Reserved(Uuid),
    /// A token of that accessor exists.
    #[error("a token with accessor {0} exists already")]
    AccessorTaken(Uuid),
    /// Another token has this secret. The reply does not say which one.
    #[error("the token's secret is in use already")]
    SecretTaken,
    /// The secret of a token cannot change.
    #[error("the secret of token {0} cannot be changed")]
    SecretChanged(Uuid),
    /// There is no such token.
    #[error("there is no token with accessor {0}")]
    UnknownToken(Uuid),
    /// There is no such policy.
    #[error("there is no policy with id {0}")]
    UnknownPolicy(Uuid),
    /// A policy of that id exists.
    #[error("a policy with id {0} exists already")]
    PolicyIdTaken(Uuid),
    /// Another policy has that name.
    #[error("a policy named {0:?} exists already")]
    PolicyNameTaken(String),
}

impl AclRefusal {
    fn blame(&self) -> Blame {
        match self {
            Self::Reserved(_) | Self::SecretChanged(_) => Blame::Caller,
            Self::BootstrapDone { .. }
            | Self::AccessorTaken(_)
            | Self::SecretTaken
            | Self::UnknownToken(_)
            | Self::UnknownPolicy(_)
            | Self::PolicyIdTaken(_)
            | Self::PolicyNameTaken(_) => Blame::Conflict,
        }
    }
}

/// Why a change of the cluster as a whole was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClusterRefusal {
    /// The cluster already has an id.
    #[error("this is cluster {current}; a cluster keeps its identity")]
    ClusterIdSet {
        /// The cluster id.
        current: Uuid,
    },
    /// A rule set can only be raised.
    #[error("rule set {current} is in force; it cannot go back to {asked}")]
    RuleSetLowered {
        /// The rule set in force.
        current: u32,
        /// The rule set in the command.
        asked: u32,
    },
}
