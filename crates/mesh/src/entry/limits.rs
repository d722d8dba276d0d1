//! The largest size of one entry. Each limit is far above real use, and keeps one write from slowing down every
//! reader.

/// Sources of one entry: ten times the services of the largest meshes. A compiled policy then needs about 100 MB.
pub const SOURCES_MAX: usize = 100_000;
/// Permissions of one source: every request tries them one after another.
pub const PERMISSIONS_MAX: usize = 256;
/// Header conditions of one permission: every request checks all of them.
pub const HEADERS_MAX: usize = 64;
/// Bytes of a regular expression: every proxy of the destination compiles it.
pub const PATTERN_BYTES_MAX: usize = 1024;
/// Different regular expressions of one entry: each takes a millisecond, and ten at worst, of the server that takes it.
pub const PATTERNS_MAX: usize = 512;
/// Bytes of a regular expression of a permission when it is compiled: `[^/]{1,255}` has half as many.
pub const COMPILED_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a path, a header name or a header value: as much as servers accept in a request line.
pub const TEXT_BYTES_MAX: usize = 8192;
/// Token providers of one requirement.
pub const PROVIDERS_MAX: usize = 64;
/// Claims that are verified per provider.
pub const CLAIMS_MAX: usize = 64;
/// Steps of the path to a claim: deeper than the nesting of any token.
pub const CLAIM_DEPTH_MAX: usize = 16;
/// Bytes of a key set or of certificates in an entry: hundreds of keys, and far below the largest command of the log.
pub const KEY_SET_BYTES_MAX: usize = 256 * 1024;
/// Audiences of one issuer of tokens: every token is compared with all of them.
pub const AUDIENCES_MAX: usize = 256;
/// Places where a request may carry a token: every request is searched in all of them.
pub const LOCATIONS_MAX: usize = 64;
/// Paths that proxies expose: each is a separate listener.
pub const EXPOSED_PATHS_MAX: usize = 1024;
/// Metadata pairs (Consul's limit).
pub const META_PAIRS_MAX: usize = 64;
/// Bytes of a metadata key (Consul's limit).
pub const META_KEY_BYTES_MAX: usize = 128;
/// Bytes of a metadata value (Consul's limit).
pub const META_VALUE_BYTES_MAX: usize = 512;
