//! What the servers reported about a token, and the key that stands for the token.

use concord_model::intention::Action;
use concord_model::token::ANONYMOUS_SECRET;
use concord_model::{Secret, Timestamp, Uuid};
use concord_rpc::request::ResolvedToken;
use concord_rpc::{Caller, Rights};
use sha2::{Digest, Sha256};

/// Identifies a token without revealing it: the SHA-256 hash of the secret.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct TokenKey([u8; 32]);

/// A token's rights, as the servers reported them.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) accessor: Uuid,
    pub(crate) rights: Rights,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Resolved {
    pub(crate) fn build(token: &ResolvedToken, default: Action) -> Self {
        Self {
            accessor: token.accessor,
            rights: Rights::of(&token.policies, default),
            expires_at: token.expires_at,
        }
    }

    /// The caller with this token; `None`: anonymous.
    pub(crate) fn caller(&self, token: Option<&Secret>) -> Caller {
        Caller { accessor: Some(self.accessor), rights: self.rights.clone(), token: token.cloned() }
    }

    pub(crate) fn is_valid_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

impl TokenKey {
    pub(crate) fn of(token: Option<&Secret>) -> Self {
        let text = token.map_or(ANONYMOUS_SECRET, Secret::expose);
        Self(Sha256::digest(text.as_bytes()).into())
    }
}
