//! Limits and defaults of a proxy's configuration.

use std::time::Duration;

/// Upstreams of one proxy: each needs a port, a loopback address, and a watch.
pub const UPSTREAMS_MAX: usize = 512;
/// Sections that a receiver holds. 512 upstreams have a listener, a chain and a target each; while they are replaced,
/// old and new ones exist at the same time.
pub const SECTIONS_MAX: usize = 8 * UPSTREAMS_MAX;
/// Endpoints of one target in a snapshot: 10,000 instances of a service are about 3 MB.
pub const ENDPOINTS_MAX: usize = 10_000;
/// Longest timeout that can be configured: a day. A longer one is most likely a mistake in the unit.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// Time limit of a caller's TLS handshake (`handshake_timeout_ms`).
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_millis(10_000);
/// Time for connecting to the local service, built-in proxy (`local_connect_timeout_ms`).
pub const LOCAL_CONNECT_TIMEOUT_BUILT_IN: Duration = Duration::from_millis(1_000);
/// Time for connecting to the local service, Envoy (`local_connect_timeout_ms`).
pub const LOCAL_CONNECT_TIMEOUT_ENVOY: Duration = Duration::from_millis(5_000);
/// Time for connecting to an upstream's instance, built-in proxy (`connect_timeout_ms`).
pub const CONNECT_TIMEOUT_BUILT_IN: Duration = Duration::from_millis(10_000);
/// Time for connecting to an upstream's instance, Envoy (`connect_timeout_ms`).
pub const CONNECT_TIMEOUT_ENVOY: Duration = Duration::from_millis(5_000);
