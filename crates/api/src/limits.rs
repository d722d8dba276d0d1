//! The bounds of this crate, each with its reason.

use std::time::Duration;

/// Pairs of metadata on a node, service or entry. Consul's documented bound.
pub const META_PAIRS_MAX: usize = 64;
/// Bytes of a metadata key. Consul's documented bound.
pub const META_KEY_BYTES_MAX: usize = 128;
/// Bytes of a metadata value. Consul's documented bound.
pub const META_VALUE_BYTES_MAX: usize = 512;
/// Prefix of metadata keys that are the product's own.
pub const META_RESERVED_PREFIX: &str = "consul-";
/// Weights are 16 bits in DNS answers.
pub const WEIGHT_MAX: i64 = 65_535;
/// Services are not deregistered sooner than this. Consul's documented bound.
pub const DEREGISTER_AFTER_MIN: Duration = Duration::from_secs(60);
/// How often the default check of a sidecar runs. Consul's documented default.
pub const SIDECAR_CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// A token lives at least this long. Consul's documented bound.
pub const TOKEN_TTL_MIN: Duration = Duration::from_secs(60);
/// Checks in one definition. Far above any real one; each may become a task.
pub const CHECKS_MAX: usize = 256;
/// Upstreams of one proxy. Each is a listener.
pub const UPSTREAMS_MAX: usize = 4096;
/// Paths one proxy exposes. Each is a listener; a service has a handful of them.
pub const EXPOSED_PATHS_MAX: usize = 256;
/// Sources of one entry. As many as fit a raft entry of reasonable size.
pub const SOURCES_MAX: usize = 16_384;
/// How many faults one answer lists. A person mends a screenful at a time.
pub const FAULTS_MAX: usize = 64;
