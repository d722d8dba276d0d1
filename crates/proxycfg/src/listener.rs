//! Listeners: the addresses at which a proxy accepts connections, and what it does with them.

use std::fmt;
use std::time::Duration;

use concord_model::entry::PassiveHealthCheck;
use concord_model::proxy::Settings;
use serde::{Deserialize, Serialize};

use crate::address::{BindAddress, LocalTarget};
use crate::chain::ChainId;
use crate::id::UpstreamId;
use crate::refusal::Refusal;

/// The name of a listener within its proxy.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ListenerId {
    /// The listener for connections from the mesh.
    Inbound,
    /// The listener for the local service's connections to an upstream.
    Upstream(UpstreamId),
}

impl fmt::Display for ListenerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inbound => f.write_str("the proxy itself"),
            Self::Upstream(id) => write!(f, "upstream {id}"),
        }
    }
}

/// An address at which a proxy accepts connections, and what it does with them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Listener {
    /// Accepts connections from the mesh for the local service.
    Inbound(InboundListener),
    /// Accepts the local service's connections to an upstream.
    Outbound(OutboundListener),
}

/// Accepts connections from the mesh for the local service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct InboundListener {
    /// The address at which it listens.
    pub bind: BindAddress,
    /// The address of the service; `None`: the registration has none, and connections are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalTarget>,
    /// Time limit for connecting to the local service; `None`: the proxy's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_connect_timeout: Option<Duration>,
    /// Time limit of a caller's handshake; `None`: [`crate::HANDSHAKE_TIMEOUT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshake_timeout: Option<Duration>,
    /// Concurrent connections; `None`: the proxy's own limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
}

/// Accepts the local service's connections to an upstream.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OutboundListener {
    /// The upstream.
    pub upstream: UpstreamId,
    /// The address at which it listens; `None` only if its connections are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind: Option<BindAddress>,
    /// Where its connections go.
    pub leads: Leads,
    /// Its limits.
    #[serde(default)]
    pub limits: UpstreamLimits,
    /// When an instance that fails gets nothing for a while; `None`: the proxy's own rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passive_health_check: Option<PassiveHealthCheck>,
    /// All opaque settings as written, for the keys of other proxies.
    #[serde(default)]
    pub settings: Settings,
}

/// Where the connections of an upstream go.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Leads {
    /// Through this chain.
    Chain(ChainId),
    /// Nowhere: the upstream cannot be served as configured, and its connections must not go anywhere else.
    Refused(Refusal),
}

/// Limits of an upstream; `None`: the proxy's own.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct UpstreamLimits {
    /// Concurrent connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Requests that wait for a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pending_requests: Option<u32>,
    /// Concurrent requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent_requests: Option<u32>,
}

impl Listener {
    /// Its name.
    pub fn id(&self) -> ListenerId {
        match self {
            Self::Inbound(_) => ListenerId::Inbound,
            Self::Outbound(own) => ListenerId::Upstream(own.upstream.clone()),
        }
    }

    /// The chain of its connections; `None`: they go to the local service, or nowhere.
    pub fn chain(&self) -> Option<&ChainId> {
        match self {
            Self::Outbound(OutboundListener { leads: Leads::Chain(chain), .. }) => Some(chain),
            Self::Outbound(OutboundListener { leads: Leads::Refused(_), .. }) | Self::Inbound(_) => None,
        }
    }
}
