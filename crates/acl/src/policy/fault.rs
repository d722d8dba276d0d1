//! Faults in the rules of a policy.

use concord_syntax::Pos;

/// Maximum number of faults that are reported.
pub(super) const FAULTS_MAX: usize = 32;

/// A fault and its position.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{pos}: {path}: {fault}")]
pub struct PolicyFault {
    /// The position of the fault.
    pub pos: Pos,
    /// The path of keys to the fault.
    pub path: String,
    /// The kind of fault.
    pub fault: Fault,
}

/// The kinds of faults in a rule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// An unknown resource or an unknown part of a rule. Keys must be lower case.
    #[error("unknown key{}", .known.map(|key| format!(", did you mean {key:?}?")).unwrap_or_default())]
    UnknownKey {
        /// The known key that differs only in case or style.
        known: Option<&'static str>,
    },
    /// The same key twice in one policy, so the meaning is ambiguous.
    #[error("given more than once")]
    Repeated,
    /// A part of the rule language that needs namespaces, partitions or Sentinel.
    #[error("{field:?} is a Consul Enterprise feature and is not supported")]
    Enterprise {
        /// The unsupported key.
        field: &'static str,
    },
    /// An unknown level for this resource.
    #[error("invalid level, expected one of {}", .expected.join(", "))]
    Level {
        /// The known levels.
        expected: &'static [&'static str],
    },
    /// A rule for names without a `policy`.
    #[error("the rule has no \"policy\"")]
    NoPolicy,
    /// A value that does not have the form of a rule.
    #[error("expected {expected}")]
    Shape {
        /// The expected form.
        expected: &'static str,
    },
}
