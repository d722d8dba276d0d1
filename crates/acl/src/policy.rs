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

use concord_syntax::{Pos, SyntaxError};

use super::right::{Grant, Labelled, Level, Scalar};

mod reading;

#[cfg(test)]
mod tests;

/// The longest rules text. Thousands of rules fit; anything larger is not a policy but an attack on the log.
pub const POLICY_BYTES_MAX: usize = 512 * 1024;

/// How many faults one reading reports.
const FAULTS_MAX: usize = 32;

/// The rules of one policy, each at most once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rule {
    /// For a resource as a whole.
    Whole {
        /// The resource.
        resource: Scalar,
        /// What it says.
        grant: Grant,
    },
    /// For names of a resource. Intentions have rules of their own only where a service rule names them.
    Names {
        /// The resource.
        resource: Labelled,
        /// For which names.
        scope: Scope,
        /// What it says.
        grant: Grant,
    },
}

/// Which names a rule is for.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    /// This one.
    Exact(Box<str>),
    /// All that begin with this.
    Prefix(Box<str>),
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

/// One fault of the rules.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{pos}: {path}: {fault}")]
pub struct PolicyFault {
    /// Where it is.
    pub pos: Pos,
    /// The keys down to it.
    pub path: String,
    /// What it is.
    pub fault: Fault,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// No such resource or part of a rule; keys are written in lower case.
    #[error("unknown key{}", .known.map(|key| format!(", did you mean {key:?}?")).unwrap_or_default())]
    UnknownKey {
        /// The key that differs only in case or style.
        known: Option<&'static str>,
    },
    /// The same key twice in one policy: it is not clear what was meant.
    #[error("given more than once")]
    Repeated,
    /// A part of the rule language that needs namespaces, partitions or Sentinel.
    #[error("{field:?} is a Consul Enterprise feature and is not supported")]
    Enterprise {
        /// The key.
        field: &'static str,
    },
    /// Not a level of this resource.
    #[error("invalid level, expected one of {}", .expected.join(", "))]
    Level {
        /// The levels there are.
        expected: &'static [&'static str],
    },
    /// A rule for names that does not say what is granted.
    #[error("the rule has no \"policy\"")]
    NoPolicy,
    /// Not the form a rule has.
    #[error("expected {expected}")]
    Shape {
        /// The form it should have.
        expected: &'static str,
    },
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

// === impl Rule ===

impl Rule {
    /// A rule for one name.
    pub fn exact(resource: Labelled, name: &str, grant: Grant) -> Self {
        Self::Names { resource, scope: Scope::Exact(name.into()), grant }
    }

    /// A rule for all names that begin with a prefix.
    pub fn prefix(resource: Labelled, prefix: &str, grant: Grant) -> Self {
        Self::Names { resource, scope: Scope::Prefix(prefix.into()), grant }
    }

    /// What the rule says.
    pub fn grant(&self) -> Grant {
        match self {
            Self::Whole { grant, .. } | Self::Names { grant, .. } => *grant,
        }
    }

    fn grant_mut(&mut self) -> &mut Grant {
        match self {
            Self::Whole { grant, .. } | Self::Names { grant, .. } => grant,
        }
    }

    fn is_for_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole { resource: a, .. }, Self::Whole { resource: b, .. }) => a == b,
            (Self::Names { resource: a, scope: x, .. }, Self::Names { resource: b, scope: y, .. }) => {
                a == b && x == y
            }
            (Self::Whole { .. }, Self::Names { .. }) | (Self::Names { .. }, Self::Whole { .. }) => false,
        }
    }
}

fn listed(faults: &[PolicyFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
