//! Versions of Envoy: which are accepted, and which were tested.

use std::fmt;

/// The oldest that is accepted, major and minor.
pub const OLDEST: (u32, u32) = (1, 28);
/// Those against which concord is tested, major and minor, the newest first.
pub const TESTED: [(u32, u32); 2] = [(1, 40), (1, 36)];

/// The first whose rules can name the source of metadata.
const SOURCED_METADATA: (u32, u32) = (1, 33);

/// The first whose filter of tokens can be told to verify none that never ends. Older ones pass over the word.
const REQUIRED_EXPIRATION: (u32, u32) = (1, 31);

/// A version of Envoy.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Version {
    /// Major.
    pub major: u32,
    /// Minor.
    pub minor: u32,
    /// Patch.
    pub patch: u32,
}

/// Whether a version can be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Support {
    /// Concord is tested against it.
    Tested,
    /// It is accepted; nobody has tested it.
    Untested,
    /// It is older than what is accepted.
    TooOld,
}

impl Version {
    /// The first `major.minor.patch` in what `envoy --version` prints.
    #[must_use]
    pub fn find(printed: &str) -> Option<Self> {
        printed.split(|one: char| !(one.is_ascii_digit() || one == '.')).find_map(Self::parse)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut next = || parts.next()?.parse().ok();
        Some(Self { major: next()?, minor: next()?, patch: next()? })
    }

    /// Whether its rules can name the source of metadata. Older ones would find no condition there, and refuse the rules.
    #[must_use]
    pub fn knows_sourced_metadata(self) -> bool {
        (self.major, self.minor) >= SOURCED_METADATA
    }

    /// Whether its filter of tokens can be told to verify none that never ends.
    #[must_use]
    pub fn knows_required_expiration(self) -> bool {
        (self.major, self.minor) >= REQUIRED_EXPIRATION
    }

    /// Whether it can be used.
    #[must_use]
    pub fn support(self) -> Support {
        let own = (self.major, self.minor);
        if own < OLDEST {
            Support::TooOld
        } else if TESTED.contains(&own) {
            Support::Tested
        } else {
            Support::Untested
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(printed: &str, expected: Option<(&str, Support)>) {
        let found = Version::find(printed).map(|found| (found.to_string(), found.support()));
        assert_eq!(found, expected.map(|(text, support)| (text.to_owned(), support)), "{printed}");
    }

    #[test]
    fn versions_are_found_and_judged() {
        let line = |version: &str| {
            format!("\nenvoy  version: 69958e4fe32da561376d8b1d/{version}/Clean/RELEASE/BoringSSL\n")
        };
        check(&line("1.40.0"), Some(("1.40.0", Support::Tested)));
        check(&line("1.28.0-dev"), Some(("1.28.0", Support::Untested)));
        check(&line("1.27.9"), Some(("1.27.9", Support::TooOld)));
        check(&line("0.99.1"), Some(("0.99.1", Support::TooOld)));
        check(&line("2.0.0"), Some(("2.0.0", Support::Untested)));
        check("envoy version: x/y", None);
    }
}
