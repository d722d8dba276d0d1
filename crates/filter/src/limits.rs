//! The bounds of this crate, each with its reason.

/// The longest expression. A URL's query is about as long at most; nobody reads longer ones.
pub const EXPRESSION_BYTES_MAX: usize = 16 * 1024;

/// How deep parentheses and `not` may nest; evaluation is recursive.
pub const NESTING_MAX: usize = 64;

/// How many regular expressions one expression may have; each may cost its full size in memory.
pub const PATTERNS_MAX: usize = 16;

/// The size in bytes of a compiled regular expression. Counted repetitions grow beyond it first.
pub const PATTERN_BYTES_MAX: usize = 256 * 1024;

/// How deep groups of a regular expression may nest; its parser is recursive.
pub const PATTERN_NESTING_MAX: u32 = 64;
