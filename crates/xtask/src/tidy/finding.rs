//! The findings of rules.

use std::fmt;

/// A violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) rule: &'static str,
    /// Where to repair it: a file, a crate or an id.
    pub(crate) place: String,
    pub(crate) what: String,
}

// === impl Finding ===

impl Finding {
    pub(crate) fn new(rule: &'static str, place: impl fmt::Display, what: impl Into<String>) -> Self {
        Self { rule, place: place.to_string(), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<9} {}: {}", self.rule, self.place, self.what)
    }
}
