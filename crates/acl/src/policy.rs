//! A policy: rules as they were written, checked.
//!
//! Rules are a security boundary, so their reading is stricter than that of configuration: keys and levels
//! only in lower case, no key twice, no unknown key, nothing that is only half understood. The forms:
//!
//! ```text
//! acl = "read"                                   one rule for the whole
//! key_prefix "app/" { policy = "list" }          names that begin so
//! service "web" { policy = "write" intentions = "read" }
//! ```

use concord_syntax::SyntaxError;

mod fault;
mod reading;
mod rule;

pub use self::fault::{Fault, PolicyFault};
pub use self::rule::{Rule, Scope};

#[cfg(test)]
mod tests;

/// The longest rules text. Thousands of rules fit; anything larger is not a policy but an attack on the log.
pub const POLICY_BYTES_MAX: usize = 512 * 1024;

/// The rules of one policy, each at most once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    rules: Vec<Rule>,
}

/// The rules were refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// More text than a policy may have.
    #[error("the rules are {size} bytes long, at most {POLICY_BYTES_MAX} are allowed")]
    TooLarge {
        /// The length of the text.
        size: usize,
    },
    /// Neither HCL nor JSON.
    #[error("Failed to parse ACL rules: {0}")]
    Syntax(#[from] SyntaxError),
    /// Every fault of the rules, in order.
    #[error("Failed to parse ACL rules: {}", listed(.0))]
    Rules(Vec<PolicyFault>),
}

// === impl Policy ===

impl Policy {
    /// Reads rules in HCL or JSON.
    pub fn parse(rules: &str) -> Result<Self, PolicyError> {
        if rules.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLarge { size: rules.len() });
        }
        reading::read(&concord_syntax::hcl::parse(rules)?)
            .map(|rules| Self { rules })
            .map_err(PolicyError::Rules)
    }

    /// Makes a policy of rules that were not read from a text; rules for the same merge as policies do.
    pub fn from_rules(rules: impl IntoIterator<Item = Rule>) -> Self {
        let mut merged: Vec<Rule> = Vec::new();
        for rule in rules {
            match merged.iter_mut().find(|other| other.is_for_same(&rule)) {
                Some(other) => *other.grant_mut() = other.grant().merge(rule.grant()),
                None => merged.push(rule),
            }
        }
        Self { rules: merged }
    }

    /// The rules in the order they were written.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

fn listed(faults: &[PolicyFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
