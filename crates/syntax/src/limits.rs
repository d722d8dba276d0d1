//! The limits of this crate, with the reason for each value.

/// Maximum nesting of objects and lists. It is below the 127 levels that `serde_json` reads, far above real files
/// (about 20), and recursion uses only a small part of a 2 MiB stack.
pub const NESTING_MAX: usize = 96;

/// Maximum number of faults that one decoding reports. A person corrects a screenful at a time, and the faults of a
/// hostile body full of unknown keys must not take more memory than the body.
pub const DIAGNOSTICS_MAX: usize = 64;

/// Maximum number of characters of a key or value in a message. Messages get into logs and error bodies.
pub const QUOTED_CHARS_MAX: usize = 64;

/// Maximum length of a key for which a similar key is suggested. The search is quadratic in the length.
pub const SUGGESTED_KEY_CHARS_MAX: usize = 48;
