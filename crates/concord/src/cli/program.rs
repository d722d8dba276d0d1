//! The two names of the program.

use std::path::Path;

/// The name under which the program was started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Program {
    Concord,
    /// The program was started as `consul`, for users of Consul. It then uses this name for itself.
    Consul,
}

impl Program {
    /// From the path by which the program was started.
    pub(crate) fn of(path: &str) -> Self {
        match Path::new(path).file_stem().and_then(|stem| stem.to_str()) {
            Some("consul") => Self::Consul,
            _ => Self::Concord,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Concord => "concord",
            Self::Consul => "consul",
        }
    }
}
