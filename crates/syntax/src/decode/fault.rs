//! Faults of an input and their positions.

use std::fmt;

use crate::limits::QUOTED_CHARS_MAX;
use crate::tree::Pos;

/// A fault of an input, with all the information that a person needs to correct it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// The name of the text: a file name, `-hcl`, `request body`.
    pub source: String,
    /// The position of the fault. Line 0 if the value does not come from a text.
    pub pos: Pos,
    /// The path of keys as written, such as `services[1].port`. Empty for the whole input.
    pub path: String,
    /// The kind of fault.
    pub fault: Fault,
}

/// The kinds of faults of a value or key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The key has no field.
    #[error("unknown key {}{}", quoted(key), suggested(suggestion.as_deref()))]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The nearest field, if one is near, spelt as the options require.
        suggestion: Option<String>,
    },
    /// The key is repeated, but only one value is allowed.
    #[error("given {count} times; only one is allowed here")]
    Repeated {
        /// How often the key occurs.
        count: usize,
    },
    /// A field is given by keys that are spelt differently.
    #[error("{} is the same field as {}, which is given, too; write it once", quoted(key), quoted(other))]
    TwoSpellings {
        /// The later key as written.
        key: String,
        /// The earlier one.
        other: String,
    },
    /// The value cannot be converted. The text says what was found and what was expected.
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

/// The first characters of a text of any length.
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
