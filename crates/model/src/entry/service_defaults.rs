//! `service-defaults`: settings of all instances of a service, and of its upstreams.

use serde::{Deserialize, Serialize};

use super::proxying::{MeshGateway, Protocol, ProxyMode};
use crate::is_default;
use crate::name::serde_text::{some_text, text_or_default};
use crate::name::{Namespace, Partition, PeerName, ServiceName};
use crate::proxy::{EnvoyExtension, Expose, MutualTlsMode, TransparentProxy};
use crate::time::Span;
use crate::words::words;

words! {
    /// How a proxy distributes connections to its threads.
    Balance, "a way to balance connections" {
        /// Not set: the kernel distributes them.
        Unset = "",
        /// Evenly.
        Exact = "exact_balance",
    }
}

/// Settings of a service.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ServiceDefaults {
    /// Its protocol.
    pub protocol: Protocol,
    /// How traffic reaches its proxies.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: ProxyMode,
    /// How traffic reaches them in transparent mode.
    pub transparent_proxy: TransparentProxy,
    /// Whether connections without the mesh's TLS are accepted.
    #[serde(skip_serializing_if = "is_default")]
    pub mutual_tls_mode: MutualTlsMode,
    /// How its connections reach another network.
    pub mesh_gateway: MeshGateway,
    /// The paths that its proxies serve without the mesh's TLS.
    pub expose: Expose,
    /// The TLS server name (SNI) by which an external system knows the service.
    #[serde(skip_serializing_if = "is_default")]
    pub external_sni: String,
    /// Settings of its upstreams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_config: Option<UpstreamDefaults>,
    /// Its address, if it is outside of the mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<OutsideDestination>,
    /// Maximum number of connections to an instance. 0 means that there is no such limit.
    #[serde(skip_serializing_if = "is_default")]
    pub max_inbound_connections: u32,
    /// Time-out of the proxy's connection to its service, in milliseconds. 0 means the proxy's default.
    #[serde(skip_serializing_if = "is_default")]
    pub local_connect_timeout_ms: u32,
    /// Time-out of a request to the service, in milliseconds. 0 means the proxy's default.
    #[serde(skip_serializing_if = "is_default")]
    pub local_request_timeout_ms: u32,
    /// How a proxy distributes incoming connections to its threads.
    #[serde(skip_serializing_if = "is_default")]
    pub balance_inbound_connections: Balance,
    /// Extensions of Envoy's configuration.
    #[serde(skip_serializing_if = "is_default")]
    pub envoy_extensions: Vec<EnvoyExtension>,
}

/// Settings of a service's upstreams.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct UpstreamDefaults {
    /// Settings of particular upstreams.
    #[serde(skip_serializing_if = "is_default")]
    pub overrides: Vec<UpstreamOverride>,
    /// Settings of all other upstreams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<UpstreamOverride>,
}

/// Settings of an upstream.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct UpstreamOverride {
    /// The upstream's service. Only set in an override.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub name: Option<ServiceName>,
    /// The upstream's partition.
    #[serde(deserialize_with = "text_or_default", skip_serializing_if = "Partition::is_default")]
    pub partition: Partition,
    /// The upstream's namespace.
    #[serde(deserialize_with = "text_or_default", skip_serializing_if = "Namespace::is_default")]
    pub namespace: Namespace,
    /// The upstream's peered cluster. Only set in an override.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// Replaces Envoy's listener.
    #[serde(skip_serializing_if = "is_default")]
    pub envoy_listener_json: String,
    /// Replaces Envoy's cluster.
    #[serde(skip_serializing_if = "is_default")]
    pub envoy_cluster_json: String,
    /// The upstream's protocol.
    #[serde(skip_serializing_if = "is_default")]
    pub protocol: Protocol,
    /// Time-out of a connection, in milliseconds. 0 means the default of 5 seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub connect_timeout_ms: u32,
    /// Limits on concurrent use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<UpstreamLimits>,
    /// When a failing instance is ejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passive_health_check: Option<PassiveHealthCheck>,
    /// How connections reach another network.
    pub mesh_gateway: MeshGateway,
    /// How connections are distributed to the proxy's threads.
    #[serde(skip_serializing_if = "is_default")]
    pub balance_outbound_connections: Balance,
}

/// Limits on the concurrent use of an upstream.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct UpstreamLimits {
    /// Maximum number of connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Maximum number of requests that wait for a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pending_requests: Option<u32>,
    /// Maximum number of running requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrent_requests: Option<u32>,
}

/// When a failing instance is ejected, which means that it gets no traffic for a while.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct PassiveHealthCheck {
    /// The time between two decisions.
    #[serde(skip_serializing_if = "is_default")]
    pub interval: Span,
    /// The number of failures in a row after which an instance is ejected.
    #[serde(skip_serializing_if = "is_default")]
    pub max_failures: u32,
    /// The probability that it is ejected then, in percent.
    #[serde(skip_serializing_if = "Option::is_none", rename = "enforcing_consecutive_5xx")]
    pub enforcing_consecutive_5xx: Option<u32>,
    /// The maximum share of ejected instances, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ejection_percent: Option<u32>,
    /// The time of the first ejection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_ejection_time: Option<Span>,
}

/// The address of a service outside of the mesh.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct OutsideDestination {
    /// IP addresses or host names.
    #[serde(skip_serializing_if = "is_default")]
    pub addresses: Vec<String>,
    /// The port.
    #[serde(skip_serializing_if = "is_default")]
    pub port: u16,
}
