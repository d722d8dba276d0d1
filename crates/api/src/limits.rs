//! The limits of this crate, each with its reason.

use std::time::Duration;

/// Metadata pairs of a node, service or entry. Consul's documented limit.
pub const META_PAIRS_MAX: usize = 64;
/// Bytes of a metadata key. Consul's documented limit.
pub const META_KEY_BYTES_MAX: usize = 128;
/// Bytes of a metadata value. Consul's documented limit.
pub const META_VALUE_BYTES_MAX: usize = 512;
/// Prefix of metadata keys that are reserved for the product.
pub const META_RESERVED_PREFIX: &str = "consul-";
/// The largest weight: DNS answers have 16 bits for it.
pub const WEIGHT_MAX: i64 = 65_535;
/// The shortest time until a critical service is deregistered. Consul's documented limit.
pub const DEREGISTER_AFTER_MIN: Duration = Duration::from_secs(60);
/// Interval of the default check of a sidecar. Consul's documented default.
pub const SIDECAR_CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// The shortest lifetime of a token. Consul's documented limit.
pub const TOKEN_TTL_MIN: Duration = Duration::from_secs(60);
/// Checks in one definition: far above real ones; each may become a task.
pub const CHECKS_MAX: usize = 256;
/// Upstreams of one proxy. Each is a listener.
pub const UPSTREAMS_MAX: usize = 4096;
/// Paths that one proxy exposes. Each is a listener; a service has a few of them.
pub const EXPOSED_PATHS_MAX: usize = 256;
/// Sources of one entry: as many as fit into a Raft entry of reasonable size.
pub const SOURCES_MAX: usize = 16_384;
/// The most errors that one answer lists. A person corrects a screenful at a time.
pub const FAULTS_MAX: usize = 64;
