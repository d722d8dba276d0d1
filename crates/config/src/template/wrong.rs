//! The error of a template.

use std::fmt;

/// The error of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Wrong(pub(super) String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
