//! The largest chain. Each limit is far above real use, and keeps entries that multiply each other from costing more
//! than a proxy could hold.

use concord_model::Timeout;

/// The time for a connection, unless a resolver says another one (Consul's default).
pub const CONNECT_TIMEOUT: Timeout = Timeout::from_nanos(5_000_000_000);
/// Services whose entries a chain reads: a chain of more has more targets than a proxy can follow.
pub const SERVICES_MAX: usize = 8192;
/// Redirects, default subsets and failovers that are followed: a few for each service.
pub const STEPS_MAX: usize = 65_536;
/// Parts of the splitters of a chain, after splitters of splitters have become one: each doubles the parts of the one
/// before, so that twenty services could make a million.
pub const SPLITS_JOINED_MAX: usize = 16_384;
