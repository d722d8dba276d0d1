//! The filter-expression language of the HTTP API, of resolver subsets and of binding rules.
//!
//! ```text
//! text ──► Expression::parse ──► Expression ──► matches(&impl Selectable) ──► true, false or why not
//! ```
//!
//! ```text
//! or      = and { "or" and }
//! and     = not { "and" not }
//! not     = "not" not | "(" or ")" | match
//! match   = selector ( "==" | "!=" | [ "not" ] "contains" | [ "not" ] "matches" ) value
//!         | selector "is" [ "not" ] "empty"
//!         | value [ "not" ] "in" selector
//! selector= name { "." name | "." digits | "[" string "]" }
//! value   = string | number | selector          a bare word is a value: Meta.version == v1
//! string  = "…" with Go's escapes | `…`
//! ```
//!
//! This crate knows no records and no selectors; records offer their selectors through [`Selectable`]. Callers must
//! filter after authorising: an expression must not see what its author may not see.

#![forbid(unsafe_code)]

mod evaluate;
mod expression;
pub mod limits;
mod parse;
mod pattern;

pub use evaluate::{Selectable, Selected, select_in_each, select_in_map};
pub use expression::{Expression, Match, Operator, Selector};
pub use pattern::Pattern;

/// Why an expression cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FilterError {
    /// The text is longer than [`limits::EXPRESSION_BYTES_MAX`].
    #[error(
        "the filter is {size} bytes long; shorten it to {} or filter in steps",
        limits::EXPRESSION_BYTES_MAX
    )]
    TooLong {
        /// The length of the text.
        size: usize,
    },
    /// Parentheses and `not` are nested too deeply.
    #[error(
        "filter, column {column}: nested more than {} levels deep; remove parentheses",
        limits::NESTING_MAX
    )]
    TooDeep {
        /// The position, in characters from 1.
        column: usize,
    },
    /// The expression has too many regular expressions.
    #[error(
        "filter, column {column}: more than {} regular expressions; join some with |",
        limits::PATTERNS_MAX
    )]
    TooManyPatterns {
        /// The position, in characters from 1.
        column: usize,
    },
    /// The text does not follow the grammar.
    #[error("filter, column {column}: expected {expected}, found {found}")]
    Syntax {
        /// The position, in characters from 1.
        column: usize,
        /// What the grammar allows here.
        expected: &'static str,
        /// The text that was found.
        found: String,
    },
    /// A regular expression is not usable.
    #[error("filter, column {column}: the regular expression is not usable: {reason}")]
    Pattern {
        /// The position, in characters from 1.
        column: usize,
        /// The reason.
        reason: String,
    },
    /// The records have no such selector.
    #[error(
        "filter: selector {selector:?} is not valid here; check its spelling against the fields of the result"
    )]
    UnknownSelector {
        /// The selector as text.
        selector: String,
    },
    /// The operator cannot be applied to this kind of value.
    #[error("filter: {operator:?} cannot be used on {selector:?}, which is {kind}")]
    Unsupported {
        /// The operator as text.
        operator: &'static str,
        /// The selector as text.
        selector: String,
        /// The kind of the selected value, in words.
        kind: &'static str,
    },
    /// The value cannot be converted to the kind of the selected value.
    #[error("filter: {value:?} cannot be compared with {selector:?}, which is {kind}")]
    Value {
        /// The value as written.
        value: String,
        /// The selector as text.
        selector: String,
        /// The kind of the selected value, in words.
        kind: &'static str,
    },
}
