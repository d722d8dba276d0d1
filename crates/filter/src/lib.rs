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
//! What this crate is not: it knows no record and no selector; records say what they offer through
//! [`Selectable`]. It never shows an expression what a caller may not see: filter after authorising.

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
    /// Longer than [`limits::EXPRESSION_BYTES_MAX`].
    #[error(
        "the filter is {size} bytes long; shorten it to {} or filter in steps",
        limits::EXPRESSION_BYTES_MAX
    )]
    TooLong {
        /// The length of the text.
        size: usize,
    },
    /// Parentheses and `not` nest too deep.
    #[error(
        "filter, column {column}: nested more than {} levels deep; remove parentheses",
        limits::NESTING_MAX
    )]
    TooDeep {
        /// Where, in characters from 1.
        column: usize,
    },
    /// Too many regular expressions.
    #[error(
        "filter, column {column}: more than {} regular expressions; join some with |",
        limits::PATTERNS_MAX
    )]
    TooManyPatterns {
        /// Where, in characters from 1.
        column: usize,
    },
    /// Not the language.
    #[error("filter, column {column}: expected {expected}, found {found}")]
    Syntax {
        /// Where, in characters from 1.
        column: usize,
        /// What would have been right.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A regular expression that cannot be used.
    #[error("filter, column {column}: the regular expression is not usable: {reason}")]
    Pattern {
        /// Where, in characters from 1.
        column: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The record has no such selector.
    #[error(
        "filter: selector {selector:?} is not valid here; check its spelling against the fields of the result"
    )]
    UnknownSelector {
        /// The selector as it would be written.
        selector: String,
    },
    /// The operator has no meaning for this kind of value.
    #[error("filter: {operator:?} cannot be used on {selector:?}, which is {kind}")]
    Unsupported {
        /// The operator as it is written.
        operator: &'static str,
        /// The selector as it would be written.
        selector: String,
        /// What the selector leads to, in words.
        kind: &'static str,
    },
    /// The value cannot be of the kind the selector leads to.
    #[error("filter: {value:?} cannot be compared with {selector:?}, which is {kind}")]
    Value {
        /// The value as given.
        value: String,
        /// The selector as it would be written.
        selector: String,
        /// What the selector leads to, in words.
        kind: &'static str,
    },
}
