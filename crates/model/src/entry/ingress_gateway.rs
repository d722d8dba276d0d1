//! `ingress-gateway`: how traffic from outside reaches services of the mesh.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::headers::HeaderModifiers;
use super::mesh::TlsVersion;
use super::service_defaults::PassiveHealthCheck;
use crate::is_default;
use crate::name::serde_text::{some_text, text_or_default};
use crate::name::{Namespace, Partition, Pattern, ServiceName};
use crate::words::words;

words! {
    /// The protocol of a listener.
    ListenerProtocol, "a protocol of listeners" {
        /// Bytes without a known protocol. An entry without a protocol means this.
        Tcp = "tcp",
        /// HTTP/1.1.
        Http = "http",
        /// HTTP/2.
        Http2 = "http2",
        /// gRPC.
        Grpc = "grpc",
    }
}

/// A gateway for traffic from outside.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct IngressGateway {
    /// TLS of all listeners.
    pub tls: GatewayTls,
    /// Where it listens.
    pub listeners: Vec<IngressListener>,
    /// Limits for all services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<IngressLimits>,
}

/// TLS of a gateway or a listener.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct GatewayTls {
    /// Whether the gateway has a certificate of the mesh for its listeners.
    pub enabled: bool,
    /// Certificates from another source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sds: Option<SecretSource>,
    /// The minimum version.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_min_version: TlsVersion,
    /// The maximum version.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_max_version: TlsVersion,
    /// The allowed cipher suites.
    #[serde(skip_serializing_if = "is_default")]
    pub cipher_suites: Vec<String>,
}

/// A source of certificates (Envoy's secret discovery).
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct SecretSource {
    /// The cluster that provides them.
    #[serde(skip_serializing_if = "is_default")]
    pub cluster_name: String,
    /// Which of its certificates.
    #[serde(skip_serializing_if = "is_default")]
    pub cert_resource: String,
}

/// A port of the gateway.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct IngressListener {
    /// The port.
    pub port: u16,
    /// Its protocol.
    #[serde(deserialize_with = "some_protocol")]
    pub protocol: ListenerProtocol,
    /// TLS of this listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<GatewayTls>,
    /// The services behind it.
    pub services: Vec<IngressService>,
}

fn some_protocol<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<ListenerProtocol, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(ListenerProtocol::Tcp);
    }
    ListenerProtocol::deserialize(serde::de::value::StringDeserializer::new(text))
}

/// A service behind a listener.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct IngressService {
    /// The service, or `*` for all services of the listener's protocol. Required.
    #[serde(deserialize_with = "some_text")]
    pub name: Option<Pattern<ServiceName>>,
    /// The service's partition.
    #[serde(deserialize_with = "text_or_default", skip_serializing_if = "Partition::is_default")]
    pub partition: Partition,
    /// The service's namespace.
    #[serde(deserialize_with = "text_or_default", skip_serializing_if = "Namespace::is_default")]
    pub namespace: Namespace,
    /// The names of hosts by which it is requested.
    pub hosts: Vec<String>,
    /// TLS for requests for these hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<IngressServiceTls>,
    /// Changes of the request's headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_headers: Option<HeaderModifiers>,
    /// Changes of the response's headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_headers: Option<HeaderModifiers>,
    /// Maximum number of connections to the service. 0 means the gateway's limit.
    #[serde(skip_serializing_if = "is_default")]
    pub max_connections: u32,
    /// Maximum number of requests that wait for a connection. 0 means the gateway's limit.
    #[serde(skip_serializing_if = "is_default")]
    pub max_pending_requests: u32,
    /// Maximum number of running requests. 0 means the gateway's limit.
    #[serde(skip_serializing_if = "is_default")]
    pub max_concurrent_requests: u32,
    /// When a failing instance is ejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passive_health_check: Option<PassiveHealthCheck>,
    /// Metadata.
    #[serde(skip_serializing_if = "is_default")]
    pub meta: BTreeMap<String, String>,
}

/// TLS for requests for one service.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct IngressServiceTls {
    /// Certificates from another source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sds: Option<SecretSource>,
}

/// Limits for all services behind a gateway.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct IngressLimits {
    /// Maximum number of connections to a service. 0 means that there is no such limit.
    pub max_connections: u32,
    /// Maximum number of requests that wait for a connection. 0 means that there is no such limit.
    pub max_pending_requests: u32,
    /// Maximum number of running requests. 0 means that there is no such limit.
    pub max_concurrent_requests: u32,
    /// When a failing instance is ejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passive_health_check: Option<PassiveHealthCheck>,
}
