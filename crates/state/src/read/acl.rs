//! Queries about tokens and policies. An expired token counts as missing, even if it is not removed yet. The answer
//! records when the next token expires.

use std::sync::Arc;

use concord_model::token::{AclPolicy, SecretHash, Token};
use concord_model::{Timestamp, Uuid};

use crate::keys::{self, Class};
use crate::read::Reader;
use crate::row::AclBootstrap;

impl Reader {
    /// The valid token with this secret hash.
    pub fn token_by_secret_hash(&mut self, hash: &SecretHash, now: Timestamp) -> Option<Arc<Token>> {
        let found = self.row(keys::token_secrets::row(hash));
        self.valid(found, now)
    }

    /// The valid token with this accessor.
    pub fn token_by_accessor(&mut self, accessor: Uuid, now: Timestamp) -> Option<Arc<Token>> {
        let found = self.row(keys::tokens::row(accessor));
        self.valid(found, now)
    }

    /// All valid tokens, by accessor.
    pub fn tokens(&mut self, now: Timestamp) -> Vec<Arc<Token>> {
        let all = self.rows(Class::<keys::tokens::Rows>::all());
        all.into_iter().filter_map(|token| self.valid(Some(token), now)).collect()
    }

    /// Accessors of expired tokens, at most `limit`, in the order of expiry. The answer is valid until the next token
    /// expires.
    pub fn expired_tokens(&mut self, now: Timestamp, limit: usize) -> Vec<Uuid> {
        let mut expired = Vec::new();
        let mut next = None;
        for token in self.scan(Class::<keys::token_expiries::Rows>::all()) {
            if token.valid_at(now) {
                next = token.expires_at;
                break;
            }
            if expired.len() == limit {
                break;
            }
            expired.push(token.accessor);
        }
        next.into_iter().for_each(|at| self.note_expiry(at));
        expired
    }

    /// The policy with this id.
    pub fn policy_by_id(&mut self, id: Uuid) -> Option<Arc<AclPolicy>> {
        self.row(keys::policies::row(id))
    }

    /// The policy with this name.
    pub fn policy_by_name(&mut self, name: &str) -> Option<Arc<AclPolicy>> {
        self.row(keys::policy_names::row(name))
    }

    /// All policies, by id.
    pub fn policies(&mut self) -> Vec<Arc<AclPolicy>> {
        self.rows(Class::<keys::policies::Rows>::all())
    }

    /// Whether the ACL system was bootstrapped, and the index that a later bootstrap has to name.
    pub fn acl_bootstrap(&mut self) -> Option<AclBootstrap> {
        self.row(keys::acl_bootstrap::row()).map(|row| *row)
    }

    fn valid(&mut self, token: Option<Arc<Token>>, now: Timestamp) -> Option<Arc<Token>> {
        let token = token.filter(|token| token.valid_at(now))?;
        if let Some(at) = token.expires_at {
            self.note_expiry(at);
        }
        Some(token)
    }
}
