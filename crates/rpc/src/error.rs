//! What can go wrong, sorted by who must act.

use serde::{Deserialize, Serialize};

/// Why a request was not answered.
///
/// Faces map each variant to their own codes in one place; the texts are those clients of Consul
/// match on where such a text exists.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum RpcError {
    // The caller sent nonsense.
    /// The request is malformed or breaks a rule; the text names field and remedy.
    #[error("{0}")]
    Invalid(String),
    /// What was asked for by name is not there.
    #[error("{0}")]
    NotFound(String),
    /// No datacenter of that name is known.
    #[error("No path to datacenter")]
    UnknownDatacenter,
    /// The state has moved on since the caller looked.
    #[error("{0}")]
    Conflict(String),
    /// What is stored stands against the request, in the words of Consul's servers. They do not tell such
    /// refusals from faults of their own, and clients have learnt to match on both: the text and 500.
    #[error("{0}")]
    Rejected(String),

    // The caller is not allowed.
    /// The token lacks a right.
    #[error("{0}")]
    Denied(String),
    /// The token is unknown, expired or was deleted.
    #[error("ACL not found")]
    TokenNotFound,
    /// The token is unknown, and there can be none yet: nobody has bootstrapped the ACL system.
    #[error(
        "ACL system must be bootstrapped before making any requests that require authorization: ACL not found"
    )]
    NotBootstrapped,
    /// ACLs are off, so there is nothing to manage.
    #[error("ACL support disabled")]
    AclDisabled,

    // Not now: retry.
    /// No server leads at the moment.
    #[error("No cluster leader")]
    NoLeader,
    /// Whoever would have asked the servers cannot be reached; the text says what happened on the way.
    #[error("the agent cannot be reached: {0}")]
    Unreachable(String),
    /// It was sent but not confirmed: it may have happened or happen yet.
    #[error("timed out waiting for the log; the write may or may not have been applied")]
    OutcomeUnknown,
    /// The limit of signatures is reached.
    #[error("Rate limit reached, try again later")]
    RateLimited,
    /// A named limit is reached.
    #[error("{0}")]
    Busy(String),
    /// The servers' disk is full: nothing was written. The text says what helps.
    #[error("{0}")]
    ReadOnly(String),
    /// The server or agent is stopping.
    #[error("shutting down")]
    ShuttingDown,

    // Ours is missing or broken.
    /// The certificate authority has no active root yet, or cannot sign.
    #[error("CA is uninitialized and unable to sign certificates yet: {0}")]
    CaNotReady(String),
    /// Documented in Consul, not built here yet.
    #[error("not available yet: {0}")]
    NotAvailable(String),
    /// A fault of ours; the text is for operators.
    #[error("internal error: {0}")]
    Internal(String),
}

impl RpcError {
    /// Whether the same request can succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NoLeader
            | Self::Unreachable(_)
            | Self::OutcomeUnknown
            | Self::RateLimited
            | Self::Busy(_)
            | Self::ReadOnly(_)
            | Self::ShuttingDown
            | Self::CaNotReady(_) => true,
            Self::Invalid(_)
            | Self::NotFound(_)
            | Self::UnknownDatacenter
            | Self::Conflict(_)
            | Self::Rejected(_)
            | Self::Denied(_)
            | Self::TokenNotFound
            | Self::NotBootstrapped
            | Self::AclDisabled
            | Self::NotAvailable(_)
            | Self::Internal(_) => false,
        }
    }

    /// Whether the caller's rights are the reason.
    pub fn is_denial(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::TokenNotFound | Self::NotBootstrapped)
    }
}
