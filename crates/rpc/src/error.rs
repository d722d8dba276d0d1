//! Errors, grouped by who must act.

use serde::{Deserialize, Serialize};

/// Why a request was not answered.
///
/// Each interface maps the variants to its own codes in one place. Where clients of Consul match a text, it is
/// exactly that text.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum RpcError {
    // The caller sent an invalid request.
    /// The request is malformed or breaks a rule; the text names field and remedy.
    #[error("{0}")]
    Invalid(String),
    /// The named thing does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The datacenter is unknown.
    #[error("No path to datacenter")]
    UnknownDatacenter,
    /// The state has changed since the caller read it.
    #[error("{0}")]
    Conflict(String),
    /// The stored data does not allow the request; the text is that of Consul's servers. They do not distinguish such
    /// refusals from internal errors, and clients match both the text and status 500.
    #[error("{0}")]
    Rejected(String),

    // The caller is not allowed.
    /// The token lacks a right.
    #[error("{0}")]
    Denied(String),
    /// The token is unknown, expired or was deleted.
    #[error("ACL not found")]
    TokenNotFound,
    /// The token is unknown, and no token exists yet: the ACL system has not been bootstrapped.
    #[error(
        "ACL system must be bootstrapped before making any requests that require authorization: ACL not found"
    )]
    NotBootstrapped,
    /// ACLs are disabled, so there is nothing to manage.
    #[error("ACL support disabled")]
    AclDisabled,

    // Not now: retry.
    /// No server leads at the moment.
    #[error("No cluster leader")]
    NoLeader,
    /// The servers could not be reached; the text has the reason.
    #[error("the agent cannot be reached: {0}")]
    Unreachable(String),
    /// The request was sent but not confirmed: it may have been carried out, or may still be.
    #[error("timed out waiting for the log; the write may or may not have been applied")]
    OutcomeUnknown,
    /// The limit for signatures is reached.
    #[error("Rate limit reached, try again later")]
    RateLimited,
    /// A limit is reached; the text names it.
    #[error("{0}")]
    Busy(String),
    /// The servers' disk is full; nothing was written. The text has the remedy.
    #[error("{0}")]
    ReadOnly(String),
    /// The server or agent is stopping.
    #[error("shutting down")]
    ShuttingDown,

    // Something on our side is missing or broken.
    /// The certificate authority has no active root yet, or cannot sign.
    #[error("CA is uninitialized and unable to sign certificates yet: {0}")]
    CaNotReady(String),
    /// Documented in Consul, not built here yet.
    #[error("not available yet: {0}")]
    NotAvailable(String),
    /// An internal error; the text is for operators.
    #[error("internal error: {0}")]
    Internal(String),
}

impl RpcError {
    /// Whether the same request may succeed later without a change.
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

    /// Whether the error is about the caller's rights.
    pub fn is_denial(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::TokenNotFound | Self::NotBootstrapped)
    }
}
