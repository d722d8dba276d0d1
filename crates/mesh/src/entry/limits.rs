//! How much one entry may hold. Each bound is far above use and keeps one write from weighing on
//! every reader.

/// Sources of one entry: ten times the largest mesh's services; a compiled policy stays near 100 MB.
pub const SOURCES_MAX: usize = 100_000;
/// Permissions of one source: they are tried one after another, by every request.
pub const PERMISSIONS_MAX: usize = 256;
/// Header conditions of one permission: all of them are checked, by every request.
pub const HEADERS_MAX: usize = 64;
/// Bytes of a regular expression: compiled by every proxy of the destination.
pub const PATTERN_BYTES_MAX: usize = 1024;
/// Bytes of a path, a header's name or its value: what servers accept in a request line.
pub const TEXT_BYTES_MAX: usize = 8192;
/// Token providers of one requirement.
pub const PROVIDERS_MAX: usize = 64;
/// Claims verified of one provider's tokens.
pub const CLAIMS_MAX: usize = 64;
/// Steps of the path to a claim: nesting that no token has.
pub const CLAIM_DEPTH_MAX: usize = 16;
/// Paths that proxies let through: each is a listener of its own.
pub const EXPOSED_PATHS_MAX: usize = 1024;
/// Pairs of metadata (Consul's bound).
pub const META_PAIRS_MAX: usize = 64;
/// Bytes of a metadata key (Consul's bound).
pub const META_KEY_BYTES_MAX: usize = 128;
/// Bytes of a metadata value (Consul's bound).
pub const META_VALUE_BYTES_MAX: usize = 512;
