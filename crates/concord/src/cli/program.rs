//! The name the program goes by, of which it has two.

use std::path::Path;

/// The name the program was started under.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Program {
    Concord,
    /// For those who come from Consul: the same program, which then says `consul` where it says its name.
    Consul,
}

impl Program {
    /// From the path the program was started by.
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
