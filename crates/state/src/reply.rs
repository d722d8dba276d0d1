//! What a command answers, refusals among it. A refusal is an ordinary, deterministic result of
//! applying a command: every server comes to the same one.

use std::sync::Arc;

use concord_mesh::entry::GraphFault;
use concord_model::token::Token;
use concord_model::{CheckId, InstanceId, NodeName, Uuid};

/// What applying a command came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CommandReply {
    /// The command holds. `changed` is false if it held already: nothing was written and no index
    /// moved.
    Done {
        /// Whether anything was written.
        changed: bool,
    },
    /// The record last changed at another index than the one the command named.
    CasFailed {
        /// The index it last changed at; 0 if there is no record.
        current: u64,
    },
    /// Answer of [`AllocateSerials`](crate::command::AllocateSerials).
    Serials {
        /// The first of the numbers; the others follow it.
        first: u64,
        /// How many.
        count: u32,
    },
    /// Answer of [`BootstrapAcl`](crate::command::BootstrapAcl).
    Bootstrapped {
        /// The token as stored.
        token: Arc<Token>,
        /// What has to be named to bootstrap once more.
        reset_index: u64,
    },
    /// Answer of the commands that store tokens: the tokens as stored.
    Tokens {
        /// In the order of the command.
        tokens: Vec<Arc<Token>>,
    },
    /// Answer of [`ReapExpiredTokens`](crate::command::ReapExpiredTokens).
    Reaped {
        /// How many tokens had expired.
        count: usize,
    },
    /// The command does not apply; nothing was written.
    Refused(Refusal),
}

impl CommandReply {
    /// The reply, or why the command was refused.
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
    /// The command is wrong as it is.
    Caller,
    /// The command is at odds with what others have written meanwhile; read again and decide.
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
    /// A check speaks for an instance that is not registered on its node.
    #[error("check {check} is for service {service}, which is not registered on node {node}")]
    UnknownService {
        /// The node.
        node: NodeName,
        /// The instance's id.
        service: InstanceId,
        /// The check.
        check: CheckId,
    },
    /// A node that is not known to be dead has that id under another name.
    #[error(
        "node id {id} belongs to node {holder}, which is not known to have failed; \
         deregister {holder} first, or start {node} with an id of its own"
    )]
    NodeIdTaken {
        /// The id.
        id: Uuid,
        /// Who has it.
        holder: NodeName,
        /// Who asked for it.
        node: NodeName,
    },
    /// A node that is not known to be dead has that name with another id.
    #[error(
        "node name {node} belongs to the node with id {holder}, which is not known to have failed; \
         deregister it first, or choose another name"
    )]
    NodeNameTaken {
        /// The name.
        node: NodeName,
        /// The id of who has it.
        holder: Uuid,
    },
}

impl CatalogRefusal {
    fn blame(&self) -> Blame {
        match self {
            Self::UnknownService { .. } | Self::NodeIdTaken { .. } | Self::NodeNameTaken { .. } => {
                Blame::Conflict
            }
        }
    }
}

/// Why a change of a configuration entry was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EntryRefusal {
    /// An intention that must not be. The leader has refused it before it came into the log, unless
    /// another version or a fault let it through.
    #[error("{0}")]
    Invalid(String),
    /// A change that cannot stand beside what is kept.
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
    /// Not exactly one root is active, or it is not the one named as active.
    #[error("a set of roots needs exactly one active root, the one it names; {active} are active")]
    ActiveRoots {
        /// How many are.
        active: usize,
    },
    /// Two roots have one id.
    #[error("the set of roots holds root {id} twice")]
    DuplicateRoot {
        /// The id.
        id: String,
    },
    /// The roots vouch for another trust domain than those published.
    #[error("roots of trust domain {asked} cannot replace those of {current}")]
    TrustDomain {
        /// As published.
        current: String,
        /// As in the command.
        asked: String,
    },
    /// The configuration is of another cluster.
    #[error("the CA configuration is for cluster {asked}; this is cluster {current}")]
    ClusterId {
        /// As configured.
        current: Uuid,
        /// As in the command.
        asked: Uuid,
    },
    /// None, or more serial numbers than one command may take.
    #[error("{count} serial numbers asked for; between 1 and {max} can be had at a time")]
    SerialCount {
        /// As asked.
        count: u32,
        /// The bound.
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
    /// The ACL system was bootstrapped already.
    #[error("ACL bootstrap no longer allowed (reset index: {reset_index})")]
    BootstrapDone {
        /// What has to be named to bootstrap once more.
        reset_index: u64,
    },
    /// The id is one of those kept for what is built in, or is not where one of those is needed.
    #[error("{0} is built in, or reserved for what is: it cannot be changed this way")]
    Reserved(Uuid),
    /// A token of that accessor exists.
    #[error("a token with accessor {0} exists already")]
    AccessorTaken(Uuid),
    /// Another token has that secret. Which one is not said.
    #[error("the token's secret is in use already")]
    SecretTaken,
    /// A token keeps its secret.
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
    /// The cluster has its identity.
    #[error("this is cluster {current}; a cluster keeps its identity")]
    ClusterIdSet {
        /// The identity.
        current: Uuid,
    },
    /// Rules are only raised.
    #[error("rule set {current} is in force; it cannot go back to {asked}")]
    RuleSetLowered {
        /// In force.
        current: u32,
        /// As asked.
        asked: u32,
    },
}
