//! The syntax tree of expressions, and its canonical text.

use std::fmt::{self, Write};

use super::pattern::Pattern;

/// A parsed filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// Holds if at least one of these parts holds. There are at least two.
    Or(Vec<Self>),
    /// Holds if all of these parts hold. There are at least two.
    And(Vec<Self>),
    /// Holds if this part does not hold.
    Not(Box<Self>),
    /// A condition on one selector.
    Match(Match),
}

/// A condition on one selector.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// The selected value.
    pub selector: Selector,
    /// The condition on this value.
    pub operator: Operator,
}

/// The condition on a value. Numbers and booleans are written as text and compared by their value.
#[derive(Clone, Debug, PartialEq)]
pub enum Operator {
    /// The value equals this.
    Equal(String),
    /// The value does not equal this.
    NotEqual(String),
    /// This is a part of the text, an element of the list, or a key of the map.
    In(String),
    /// The opposite of `In`.
    NotIn(String),
    /// The value has no characters, elements or keys.
    Empty,
    /// The opposite of `Empty`.
    NotEmpty,
    /// The regular expression matches a part of the text.
    Matches(Pattern),
    /// The opposite of `Matches`.
    NotMatches(Pattern),
}

/// The path to a value: names of fields and keys of maps.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Selector {
    /// The parts of the path. There is at least one, and the first is a name.
    pub path: Vec<String>,
}

// === impl Expression ===

impl fmt::Display for Expression {
    /// The canonical form. Parsing it results in the same expression.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Or(parts) => join(f, parts, " or ", |part| matches!(part, Self::Or(_))),
            Self::And(parts) => join(f, parts, " and ", |part| matches!(part, Self::Or(_) | Self::And(_))),
            Self::Not(part) => {
                f.write_str("not ")?;
                grouped(f, part, matches!(**part, Self::Or(_) | Self::And(_)))
            }
            Self::Match(question) => question.fmt(f),
        }
    }
}

fn join(
    f: &mut fmt::Formatter<'_>,
    parts: &[Expression],
    word: &str,
    needs_group: fn(&Expression) -> bool,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        grouped(f, part, needs_group(part))?;
    }
    Ok(())
}

fn grouped(f: &mut fmt::Formatter<'_>, part: &Expression, group: bool) -> fmt::Result {
    if group { write!(f, "({part})") } else { write!(f, "{part}") }
}

// === impl Match ===

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (selector, word) = (&self.selector, self.operator.as_str());
        match &self.operator {
            Operator::Equal(value) | Operator::NotEqual(value) => {
                write!(f, "{selector} {word} {}", quoted(value))
            }
            Operator::In(value) | Operator::NotIn(value) => write!(f, "{} {word} {selector}", quoted(value)),
            Operator::Empty | Operator::NotEmpty => write!(f, "{selector} {word}"),
            Operator::Matches(pattern) | Operator::NotMatches(pattern) => {
                write!(f, "{selector} {word} {}", quoted(pattern.as_str()))
            }
        }
    }
}

// === impl Operator ===

impl Operator {
    /// The text of the operator.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Equal(_) => "==",
            Self::NotEqual(_) => "!=",
            Self::In(_) => "in",
            Self::NotIn(_) => "not in",
            Self::Empty => "is empty",
            Self::NotEmpty => "is not empty",
            Self::Matches(_) => "matches",
            Self::NotMatches(_) => "not matches",
        }
    }
}

// === impl Selector ===

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.path.iter().enumerate() {
            if index == 0 {
                f.write_str(part)?;
            } else if is_name(part) || !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) {
                write!(f, ".{part}")?;
            } else {
                write!(f, "[{}]", quoted(part))?;
            }
        }
        Ok(())
    }
}

/// Whether a selector may contain this part without quotes.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_name_char)
}

/// Whether a name may contain this character after its first one.
pub(crate) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '/')
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' || c == '\u{7f}' => {
                write!(out, "\\x{:02x}", u32::from(c)).expect("a String takes all")
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
