//! What the refused are told. The wording is public interface: tools match it.

use std::fmt;

use super::right::Right;

/// The accessor id of the token that stands in where a request has none.
pub const ANONYMOUS_ACCESSOR_ID: &str = "00000000-0000-0000-0000-000000000002";

/// A right was asked for and not granted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PermissionDenied {
    /// The accessor id of the token that asked; empty where none is known.
    pub accessor_id: String,
    /// What it asked for.
    pub right: Right<'static>,
}

/// A secret does not lead to a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// No token has this secret, or it has expired.
    #[error("ACL not found")]
    NotFound,
    /// ACLs are off and the operation is about them.
    #[error("ACL support disabled")]
    Disabled,
    /// The secret names something reserved.
    #[error("Cannot resolve root ACL")]
    RootDenied,
}

impl PermissionDenied {
    /// Says which token lacks which right.
    pub fn new(accessor_id: impl Into<String>, right: Right<'_>) -> Self {
        Self { accessor_id: accessor_id.into(), right: right.into_owned() }
    }
}

impl fmt::Display for PermissionDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.accessor_id == ANONYMOUS_ACCESSOR_ID {
            return write!(
                f,
                "Permission denied: anonymous token lacks permission {}. The anonymous token is used implicitly \
                 when a request does not specify a token.",
                self.right
            );
        }
        write!(
            f,
            "Permission denied: token with AccessorID '{}' lacks permission {}",
            self.accessor_id, self.right
        )
    }
}

impl std::error::Error for PermissionDenied {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::right::{Labelled, Level, Scalar};

    #[track_caller]
    fn check(accessor: &str, right: Right<'_>, expected: &str) {
        assert_eq!(PermissionDenied::new(accessor, right).to_string(), expected);
    }

    #[test]
    fn the_refusal_names_token_right_and_name() {
        check(
            "4a7e",
            Right::named(Labelled::Service, "web", Level::Write),
            "Permission denied: token with AccessorID '4a7e' lacks permission 'service:write' on \"web\"",
        );
        check(
            "4a7e",
            Right::whole(Scalar::Operator, Level::Read),
            "Permission denied: token with AccessorID '4a7e' lacks permission 'operator:read'",
        );
        check(
            "4a7e",
            Right::named(Labelled::Node, "a\nb", Level::Read),
            "Permission denied: token with AccessorID '4a7e' lacks permission 'node:read' on \"a\u{fffd}b\"",
        );
    }

    #[test]
    fn the_anonymous_are_told_that_they_are() {
        check(
            ANONYMOUS_ACCESSOR_ID,
            Right::named(Labelled::Intention, "web", Level::Read),
            "Permission denied: anonymous token lacks permission 'intention:read' on \"web\". The anonymous token is \
             used implicitly when a request does not specify a token.",
        );
    }
}
