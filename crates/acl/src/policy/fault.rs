//! What is wrong with the rules of a policy.

use concord_syntax::Pos;

/// How many faults one reading reports.
pub(super) const FAULTS_MAX: usize = 32;

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
