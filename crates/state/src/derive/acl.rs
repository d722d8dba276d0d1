//! Tokens by secret and expiry, policies by name.

use std::sync::Arc;

use concord_model::Uuid;
use concord_model::token::{AclPolicy, Token};

use crate::keys;
use crate::table::Commit;
use crate::tables::Tables;

/// Stores a token. Returns whether it changed.
pub(crate) fn put_token(tables: &mut Tables, commit: &mut Commit, token: &Arc<Token>) -> bool {
    let key = keys::tokens::row(token.accessor);
    let old = tables.tokens.get(&key).cloned();
    if !tables.tokens.put(&key, Arc::clone(token), commit) {
        return false;
    }
    if let Some(old) = old {
        if old.secret_hash != token.secret_hash {
            tables.token_secrets.remove(&keys::token_secrets::row(&old.secret_hash), commit);
        }
        if old.expires_at != token.expires_at {
            forget_expiry(tables, commit, &old);
        }
    }
    tables.token_secrets.put(&keys::token_secrets::row(&token.secret_hash), Arc::clone(token), commit);
    if let Some(at) = token.expires_at {
        tables.token_expiries.put(&keys::token_expiries::key(at, token.accessor), Arc::clone(token), commit);
    }
    true
}

/// Removes a token. Returns whether there was one.
pub(crate) fn remove_token(tables: &mut Tables, commit: &mut Commit, accessor: Uuid) -> bool {
    let Some(old) = tables.tokens.remove(&keys::tokens::row(accessor), commit) else { return false };
    tables.token_secrets.remove(&keys::token_secrets::row(&old.secret_hash), commit);
    forget_expiry(tables, commit, &old);
    true
}

fn forget_expiry(tables: &mut Tables, commit: &mut Commit, token: &Token) {
    if let Some(at) = token.expires_at {
        tables.token_expiries.remove(&keys::token_expiries::key(at, token.accessor), commit);
    }
}

/// Stores a policy. Returns whether it changed.
pub(crate) fn put_policy(tables: &mut Tables, commit: &mut Commit, policy: &Arc<AclPolicy>) -> bool {
    let key = keys::policies::row(policy.id);
    let old = tables.policies.get(&key).cloned();
    if !tables.policies.put(&key, Arc::clone(policy), commit) {
        return false;
    }
    if let Some(old) = old.filter(|old| old.name != policy.name) {
        tables.policy_names.remove(&keys::policy_names::row(&old.name), commit);
    }
    tables.policy_names.put(&keys::policy_names::row(&policy.name), Arc::clone(policy), commit);
    true
}

/// Removes a policy. Returns whether there was one.
pub(crate) fn remove_policy(tables: &mut Tables, commit: &mut Commit, id: Uuid) -> bool {
    let Some(old) = tables.policies.remove(&keys::policies::row(id), commit) else { return false };
    tables.policy_names.remove(&keys::policy_names::row(&old.name), commit);
    true
}
