//! The three answers of a condition.

use concord_model::intention::Action;
use serde::{Deserialize, Serialize};

/// What a condition says about a request.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// It does not hold.
    No,
    /// It holds in some readings of the request, or cannot be told.
    Unclear,
    /// It holds.
    Yes,
}

impl Fit {
    /// Whether a permission with this action applies.
    pub fn applies(self, action: Action) -> bool {
        match action {
            Action::Allow => self == Self::Yes,
            Action::Deny => self >= Self::Unclear,
        }
    }

    pub(super) fn of(all: bool, any: bool) -> Self {
        match (all, any) {
            (true, true) => Self::Yes,
            (_, true) => Self::Unclear,
            (_, false) => Self::No,
        }
    }

    pub(super) fn inverted(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unclear => Self::Unclear,
            Self::Yes => Self::No,
        }
    }
}

impl From<bool> for Fit {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}
