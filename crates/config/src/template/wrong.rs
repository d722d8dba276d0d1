//! What is wrong with a template.

use std::fmt;

/// What is wrong with a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Wrong(pub(super) String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
