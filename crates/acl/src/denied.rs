//! The error texts of refusals. Tools compare these texts, so they must not change.

use std::fmt;

use super::right::Right;

/// The accessor id of the token for requests without a token.
pub const ANONYMOUS_ACCESSOR_ID: &str = "00000000-0000-0000-0000-000000000002";

/// A right was requested and refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PermissionDenied {
    /// The accessor id of the requesting token. Empty if it is not known.
    pub accessor_id: String,
    /// The requested right.
    pub right: Right<'static>,
}

/// No token belongs to a secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// No token has this secret, or the token has expired.
    #[error("ACL not found")]
    NotFound,
    /// ACLs are disabled, and the operation needs them.
    #[error("ACL support disabled")]
    Disabled,
    /// The secret is a reserved name.
    #[error("Cannot resolve root ACL")]
    RootDenied,
}

impl PermissionDenied {
    /// The error for this token and right.
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
