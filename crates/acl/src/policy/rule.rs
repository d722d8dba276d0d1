//! One rule of a policy.

use crate::right::{Grant, Labelled, Scalar};

/// One rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rule {
    /// For a resource as a whole.
    Whole {
        /// The resource.
        resource: Scalar,
        /// The granted level, or deny.
        grant: Grant,
    },
    /// For names of a resource. Rules for intentions only come from the `intentions` of a service rule.
    Names {
        /// The resource.
        resource: Labelled,
        /// The names to which it applies.
        scope: Scope,
        /// The granted level, or deny.
        grant: Grant,
    },
}

/// The names to which a rule applies.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    /// This name.
    Exact(Box<str>),
    /// All names that start with this prefix.
    Prefix(Box<str>),
}

// === impl Rule ===

impl Rule {
    /// A rule for one name.
    pub fn exact(resource: Labelled, name: &str, grant: Grant) -> Self {
        Self::Names { resource, scope: Scope::Exact(name.into()), grant }
    }

    /// A rule for all names that start with a prefix.
    pub fn prefix(resource: Labelled, prefix: &str, grant: Grant) -> Self {
        Self::Names { resource, scope: Scope::Prefix(prefix.into()), grant }
    }

    /// The granted level, or deny.
    pub fn grant(&self) -> Grant {
        match self {
            Self::Whole { grant, .. } | Self::Names { grant, .. } => *grant,
        }
    }

    pub(super) fn grant_mut(&mut self) -> &mut Grant {
        match self {
            Self::Whole { grant, .. } | Self::Names { grant, .. } => grant,
        }
    }

    pub(super) fn is_for_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole { resource: a, .. }, Self::Whole { resource: b, .. }) => a == b,
            (Self::Names { resource: a, scope: x, .. }, Self::Names { resource: b, scope: y, .. }) => {
                a == b && x == y
            }
            (Self::Whole { .. }, Self::Names { .. }) | (Self::Names { .. }, Self::Whole { .. }) => false,
        }
    }
}
