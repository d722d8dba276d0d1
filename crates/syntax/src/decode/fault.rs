//! What is wrong with an input, and where.

use std::fmt;

use crate::limits::QUOTED_CHARS_MAX;
use crate::tree::Pos;

/// One fault of an input, with all a person needs to mend it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// What the text was: a file name, `-hcl`, `request body`.
    pub source: String,
    /// Where the fault is; line 0 if the value was not read from a text.
    pub pos: Pos,
    /// The keys down to the fault as they were written, `services[1].port`; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with one value or key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// No field is named for this key.
    #[error("unknown key {}{}", quoted(key), suggested(suggestion.as_deref()))]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The nearest field, if one is near, spelt as the options want it.
        suggestion: Option<String>,
    },
    /// The key is given more than once and only one value has a meaning here.
    #[error("given {count} times; only one is allowed here")]
    Repeated {
        /// How often it is given.
        count: usize,
    },
    /// The value cannot become what is wanted; the text says what was found and what is wanted.
    #[error("{0}")]
    Value(String),
}

impl fmt::Display for Diagnostic {
    /// `agent.hcl:3:5: ports.htp: unknown key "htp", did you mean "http"?`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if self.pos.line > 0 {
            write!(f, ":{}", self.pos)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.fault)
    }
}

impl std::error::Error for Diagnostic {}

/// The first characters of a text that may be of any length.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text))
}

fn suggested(suggestion: Option<&str>) -> String {
    suggestion.map(|key| format!(", did you mean {key:?}?")).unwrap_or_default()
}
