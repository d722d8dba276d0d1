//! `service-defaults`: what holds for all instances of a service, and for its calls.

use serde::{Deserialize, Serialize};

use super::proxying::{EnvoyExtension, MeshGateway, MutualTlsMode, Protocol, ProxyMode};
use crate::is_default;
use crate::name::serde_text::{some_text, text_or_default};
use crate::name::{Namespace, Partition, PeerName, ServiceName};
use crate::proxy::{Expose, TransparentProxy};
use crate::time::Span;
use crate::words::words;

words! {
    /// How a proxy spreads connections over its threads.
    Balance, "a way to balance connections" {
        /// As the kernel does.
        Unset = "",
        /// Evenly.
        Exact = "exact_balance",
    }
}

/// What holds for a service.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ServiceDefaults {
    /// What it speaks.
    pub protocol: Protocol,
    /// How traffic reaches its proxies.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: ProxyMode,
    /// How traffic reaches them in transparent mode.
    pub transparent_proxy: TransparentProxy,
    /// Whether connections without the mesh's TLS are let in.
    #[serde(skip_serializing_if = "is_default")]
    pub mutual_tls_mode: MutualTlsMode,
    /// How its calls cross to another network.
    pub mesh_gateway: MeshGateway,
    /// What its proxies let through without the mesh's TLS.
    pub expose: Expose,
    /// The name by which it is asked for outside of the mesh.
    #[serde(skip_serializing_if = "is_default")]
    pub external_sni: String,
    /// What holds for its calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_config: Option<UpstreamDefaults>,
    /// Where it is, if it is no service of the mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<OutsideDestination>,
    /// How many connections an instance takes; 0: no limit of this kind.
    #[serde(skip_serializing_if = "is_default")]
    pub max_inbound_connections: u32,
    /// How long a proxy tries to connect to its service, in milliseconds; 0: the proxy's default.
    #[serde(skip_serializing_if = "is_default")]
    pub local_connect_timeout_ms: u32,
    /// How long the service may take for a request, in milliseconds; 0: the proxy's default.
    #[serde(skip_serializing_if = "is_default")]
    pub local_request_timeout_ms: u32,
    /// How a proxy spreads incoming connections over its threads.
    #[serde(skip_serializing_if = "is_default")]
    pub balance_inbound_connections: Balance,
    /// What Envoy is extended with.
    #[serde(skip_serializing_if = "is_default")]
    pub envoy_extensions: Vec<EnvoyExtension>,
}

/// What holds for the calls of a service.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct UpstreamDefaults {
    /// For calls to some services.
    #[serde(skip_serializing_if = "is_default")]
    pub overrides: Vec<UpstreamOverride>,
    /// For calls to all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<UpstreamOverride>,
}

/// What holds for calls to a service.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct UpstreamOverride {
    /// The service; only among the overrides.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub name: Option<ServiceName>,
    /// The service's partition.
    #[serde(deserialize_with = "text_or_default", skip_serializing_if = "Partition::is_default")]
    pub partition: Partition,
    /// The service's namespace.
    #[serde(deserialize_with = "text_or_default", skip_serializing_if = "Namespace::is_default")]
    pub namespace: Namespace,
    /// The peered cluster that the service is in; only among the overrides.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// Takes the place of Envoy's listener.
    #[serde(skip_serializing_if = "is_default")]
    pub envoy_listener_json: String,
    /// Takes the place of Envoy's cluster.
    #[serde(skip_serializing_if = "is_default")]
    pub envoy_cluster_json: String,
    /// What is spoken.
    #[serde(skip_serializing_if = "is_default")]
    pub protocol: Protocol,
    /// How long to try to connect, in milliseconds; 0: the default, 5 seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub connect_timeout_ms: u32,
    /// How much at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<UpstreamLimits>,
    /// When an instance is left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passive_health_check: Option<PassiveHealthCheck>,
    /// How to cross to another network.
    pub mesh_gateway: MeshGateway,
    /// How connections are spread over the proxy's threads.
    #[serde(skip_serializing_if = "is_default")]
    pub balance_outbound_connections: Balance,
}

/// How much may go to a service at a time.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct UpstreamLimits {
    /// Connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Requests that wait for a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pending_requests: Option<u32>,
    /// Requests under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrent_requests: Option<u32>,
}

/// When an instance that fails is left alone.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct PassiveHealthCheck {
    /// How often it is decided.
    #[serde(skip_serializing_if = "is_default")]
    pub interval: Span,
    /// Failures in a row.
    #[serde(skip_serializing_if = "is_default")]
    pub max_failures: u32,
    /// How likely it is then left alone, in percent.
    #[serde(skip_serializing_if = "Option::is_none", rename = "enforcing_consecutive_5xx")]
    pub enforcing_consecutive_5xx: Option<u32>,
    /// How many of all instances at most, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ejection_percent: Option<u32>,
    /// For how long the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_ejection_time: Option<Span>,
}

/// Where something is that is no service of the mesh.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct OutsideDestination {
    /// Addresses or names of hosts.
    #[serde(skip_serializing_if = "is_default")]
    pub addresses: Vec<String>,
    /// The port.
    #[serde(skip_serializing_if = "is_default")]
    pub port: u16,
}
