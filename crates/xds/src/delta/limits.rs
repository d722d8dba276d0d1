//! Limits of a stream.

/// Names that Envoy may ask for on one stream: many times what one proxy can be configured with.
pub const NAMES_MAX: usize = 65_536;
/// Bytes that are kept of what Envoy says of a response that it refuses.
pub const WORDS_BYTES_MAX: usize = 4 * 1024;
