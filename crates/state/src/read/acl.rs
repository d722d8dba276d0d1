//! Queries about tokens and policies. A token that has expired is not there, whether or not it
//! was reaped; the answer says until when it holds.

use std::sync::Arc;

use concord_model::token::{AclPolicy, SecretHash, Token};
use concord_model::{Timestamp, Uuid};

use crate::keys::{self, Class};
use crate::read::Reader;
use crate::row::AclBootstrap;

impl Reader {
    /// The valid token with that secret.
    pub fn token_by_secret_hash(&mut self, hash: &SecretHash, now: Timestamp) -> Option<Arc<Token>> {
        let found = self.row(keys::token_secrets::row(hash));
        self.valid(found, now)
    }

    /// The valid token of that accessor.
    pub fn token_by_accessor(&mut self, accessor: Uuid, now: Timestamp) -> Option<Arc<Token>> {
        let found = self.row(keys::tokens::row(accessor));
        self.valid(found, now)
    }

    /// All valid tokens, by accessor.
    pub fn tokens(&mut self, now: Timestamp) -> Vec<Arc<Token>> {
        let all = self.rows(Class::<keys::tokens::Rows>::all());
        all.into_iter().filter_map(|token| self.valid(Some(token), now)).collect()
    }

    /// Accessors of tokens that have expired, at most `limit`, those that expired first first. The
    /// answer holds until the next one expires.
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

    /// The policy of that id.
    pub fn policy_by_id(&mut self, id: Uuid) -> Option<Arc<AclPolicy>> {
        self.row(keys::policies::row(id))
    }

    /// The policy of that name.
    pub fn policy_by_name(&mut self, name: &str) -> Option<Arc<AclPolicy>> {
        self.row(keys::policy_names::row(name))
    }

    /// All policies, by id.
    pub fn policies(&mut self) -> Vec<Arc<AclPolicy>> {
        self.rows(Class::<keys::policies::Rows>::all())
    }

    /// Whether the ACL system was bootstrapped, and what has to be named to do it once more.
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
