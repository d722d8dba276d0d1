//! Errors and warnings about configuration, with their positions.

use std::fmt;

use concord_syntax::Pos;

/// Where a value was written.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Origin {
    /// A file name, `-hcl` or a flag; empty for a value that nobody wrote.
    pub source: String,
    /// The position in it; line 0 for flags.
    pub pos: Pos,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The agent starts, but a person should know.
    Warning,
    /// The agent does not start.
    Error,
}

/// One error or warning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where it was written.
    pub origin: Origin,
    /// The key, such as `ports.http`; empty for a whole source.
    pub key: String,
    /// The problem, with the value and the remedy.
    pub message: String,
}

impl Diagnostic {
    /// An error, which prevents the start.
    pub fn error(origin: Origin, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, origin, key: key.into(), message: message.into() }
    }

    /// A warning for the operator.
    pub fn warning(origin: Origin, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, origin, key: key.into(), message: message.into() }
    }
}

impl fmt::Display for Origin {
    /// `agent.hcl:3:5`, or the flag.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.source.is_empty() { "configuration" } else { &self.source })?;
        if self.pos.line > 0 { write!(f, ":{}", self.pos) } else { Ok(()) }
    }
}

impl fmt::Display for Diagnostic {
    /// `agent.hcl:3:5: ports.http: 70000 is not a port; use …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() && !names(&self.message, &self.key) {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Whether a message contains a key as a whole word.
fn names(message: &str, key: &str) -> bool {
    let within = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    message.match_indices(key).any(|(at, _)| {
        let before = message[..at].chars().next_back();
        let after = message[at + key.len()..].chars().next();
        !before.is_some_and(within) && !after.is_some_and(|c| within(c) && c != '.')
    })
}
