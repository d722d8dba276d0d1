//! The limits of this crate, with the reason for each value.

/// Maximum length of an expression, in bytes. It is about the maximum length of a URL's query.
pub const EXPRESSION_BYTES_MAX: usize = 16 * 1024;

/// Maximum nesting of parentheses and `not`. Evaluation is recursive.
pub const NESTING_MAX: usize = 64;

/// Maximum number of regular expressions in an expression. Each may take its full size in memory.
pub const PATTERNS_MAX: usize = 16;

/// Maximum size of a compiled regular expression, in bytes. Counted repetitions are the first to exceed it.
pub const PATTERN_BYTES_MAX: usize = 256 * 1024;

/// Maximum count of a repetition, together with the repetitions that it is in. It is that of Go's engine and of Envoy's.
pub const REPETITIONS_MAX: u32 = 1_000;

/// Maximum nesting of groups in a regular expression. Its parser is recursive.
pub const PATTERN_NESTING_MAX: u32 = 64;
