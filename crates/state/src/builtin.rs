//! The policies and tokens every cluster has.

use concord_model::token::{
    ANONYMOUS_ACCESSOR, ANONYMOUS_SECRET, AclPolicy, GLOBAL_MANAGEMENT, GLOBAL_READ_ONLY, Identities,
    SecretHash, Token,
};
use concord_model::{Stamp, Timestamp};
use sha2::{Digest, Sha256};

use crate::command::EnsureBuiltins;

/// Name of the policy that allows everything.
pub const GLOBAL_MANAGEMENT_NAME: &str = "global-management";
/// Name of the policy that allows to read everything.
pub const GLOBAL_READ_ONLY_NAME: &str = "builtin/global-read-only";

/// Resources with one access level for all of them.
const SCALARS: [&str; 5] = ["acl", "keyring", "mesh", "operator", "peering"];
/// Resources with an access level per name.
const LABELLED: [&str; 6] = ["agent", "event", "key", "node", "query", "session"];

/// The hash of a token's secret; tokens are looked up by it.
pub fn hash_secret(secret: &str) -> SecretHash {
    SecretHash(Sha256::digest(secret.as_bytes()).into())
}

impl EnsureBuiltins {
    /// The built-in policies and tokens of this version.
    pub fn standard(now: Timestamp) -> Self {
        let policy = |id, name: &str, description: &str, level| AclPolicy {
            id,
            name: name.to_owned(),
            description: description.to_owned(),
            rules: rules_for_everything(level),
            datacenters: Vec::new(),
            stamp: Stamp::default(),
        };
        Self {
            policies: vec![
                policy(GLOBAL_MANAGEMENT, GLOBAL_MANAGEMENT_NAME, "Allows everything", "write"),
                policy(GLOBAL_READ_ONLY, GLOBAL_READ_ONLY_NAME, "Allows reading everything", "read"),
            ],
            tokens: vec![Token {
                accessor: ANONYMOUS_ACCESSOR,
                secret_hash: hash_secret(ANONYMOUS_SECRET),
                secret: None,
                description: "Anonymous Token".to_owned(),
                policies: Vec::new(),
                identities: Identities::default(),
                local: false,
                expires_at: None,
                created_at: now,
                stamp: Stamp::default(),
            }],
        }
    }
}

fn rules_for_everything(level: &str) -> String {
    let mut rules = String::new();
    for resource in SCALARS {
        rules.push_str(&format!("{resource} = \"{level}\"\n"));
    }
    for resource in LABELLED {
        rules.push_str(&format!("{resource}_prefix \"\" {{\n  policy = \"{level}\"\n}}\n"));
    }
    rules.push_str(&format!(
        "service_prefix \"\" {{\n  policy = \"{level}\"\n  intentions = \"{level}\"\n}}\n"
    ));
    rules
}
