//! How requests are distributed to the instances of a service.

use serde::{Deserialize, Serialize};

use crate::is_default;
use crate::time::Span;
use crate::words::words;

words! {
    /// How an instance is chosen.
    BalancingPolicy, "a load balancing policy" {
        /// Not set: the proxy's default.
        Unset = "",
        /// At random.
        Random = "random",
        /// One after the other.
        RoundRobin = "round_robin",
        /// The one with the fewest running requests, of some that are chosen at random.
        LeastRequest = "least_request",
        /// By a hash of the request, with a ring of hashes.
        RingHash = "ring_hash",
        /// By a hash of the request, with a table.
        Maglev = "maglev",
    }
}

impl BalancingPolicy {
    /// Whether a hash of the request chooses the instance.
    pub fn is_hash_based(self) -> bool {
        matches!(self, Self::RingHash | Self::Maglev)
    }
}

words! {
    /// The part of a request that is hashed.
    HashField, "a field to hash" {
        /// Not set.
        Unset = "",
        /// A header.
        Header = "header",
        /// A cookie.
        Cookie = "cookie",
        /// A parameter of the query.
        QueryParameter = "query_parameter",
    }
}

/// How requests are distributed.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct LoadBalancer {
    /// How an instance is chosen.
    #[serde(skip_serializing_if = "is_default")]
    pub policy: BalancingPolicy,
    /// Settings of the policy `ring_hash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring_hash_config: Option<RingHashConfig>,
    /// Settings of the policy `least_request`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least_request_config: Option<LeastRequestConfig>,
    /// What is hashed, by a policy that hashes.
    #[serde(skip_serializing_if = "is_default")]
    pub hash_policies: Vec<HashPolicy>,
}

/// Settings of the policy `ring_hash`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct RingHashConfig {
    /// The smallest number of points on the ring. 0 means the proxy's default.
    #[serde(skip_serializing_if = "is_default")]
    pub minimum_ring_size: u64,
    /// The largest number of points on the ring. 0 means the proxy's default.
    #[serde(skip_serializing_if = "is_default")]
    pub maximum_ring_size: u64,
}

/// Settings of the policy `least_request`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct LeastRequestConfig {
    /// The number of instances of which the best one is taken. 0 means the proxy's default.
    #[serde(skip_serializing_if = "is_default")]
    pub choice_count: u32,
}

/// One thing that is hashed.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct HashPolicy {
    /// The part of the request.
    #[serde(skip_serializing_if = "is_default")]
    pub field: HashField,
    /// The name of the header, cookie or parameter.
    #[serde(skip_serializing_if = "is_default")]
    pub field_value: String,
    /// The cookie that a client without one gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie_config: Option<CookieConfig>,
    /// Whether the caller's address is hashed.
    #[serde(skip_serializing_if = "is_default")]
    pub source_ip: bool,
    /// Whether the policies after this one are ignored if this one yields a hash.
    #[serde(skip_serializing_if = "is_default")]
    pub terminal: bool,
}

/// The cookie that a client without one gets.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct CookieConfig {
    /// Whether it ends with the client's session.
    #[serde(skip_serializing_if = "is_default")]
    pub session: bool,
    /// How long it lives.
    #[serde(skip_serializing_if = "is_default")]
    pub ttl: Span,
    /// Its path.
    #[serde(skip_serializing_if = "is_default")]
    pub path: String,
}
