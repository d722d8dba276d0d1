//! Policies: parsed and checked rules.
//!
//! Rules protect the cluster, so they are read more strictly than configuration: keys and levels must be lower case,
//! and unknown or repeated keys are refused. The forms are:
//!
//! ```text
//! acl = "read"                                   one rule for the whole resource
//! key_prefix "app/" { policy = "list" }          all names with a prefix
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

/// Maximum length of the rules, in bytes. Thousands of rules fit; longer texts would only fill the log.
pub const POLICY_BYTES_MAX: usize = 512 * 1024;

/// The rules of one policy, each at most once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    rules: Vec<Rule>,
}

/// Why rules are refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// The text is longer than [`POLICY_BYTES_MAX`].
    #[error("the rules are {size} bytes long, at most {POLICY_BYTES_MAX} are allowed")]
    TooLarge {
        /// The length of the text.
        size: usize,
    },
    /// The text is neither HCL nor JSON.
    #[error("Failed to parse ACL rules: {0}")]
    Syntax(#[from] SyntaxError),
    /// The faults of the rules, in order.
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

    /// Builds a policy from rules. Several rules for the same names are merged, as those of several policies are.
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

    /// The rules in their original order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

fn listed(faults: &[PolicyFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
