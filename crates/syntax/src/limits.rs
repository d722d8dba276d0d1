//! The bounds of this crate, each with its reason.

/// How deep objects and lists may nest. Below the 127 that `serde_json` can read back, far above any real
/// file (about 20), and small enough that recursion never nears the end of a 2 MiB stack.
pub const NESTING_MAX: usize = 96;

/// How many faults one decoding reports. A person fixes a screenful at a time, and a hostile body full of
/// unknown keys must not cost more memory than itself.
pub const DIAGNOSTICS_MAX: usize = 64;

/// How many characters of a key or value a message quotes. Messages end up in logs and error bodies.
pub const QUOTED_CHARS_MAX: usize = 64;

/// The longest key for which a similar known key is looked for; the search is quadratic in the length.
pub const SUGGESTED_KEY_CHARS_MAX: usize = 48;
