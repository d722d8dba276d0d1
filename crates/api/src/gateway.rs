//! The JSON of gateways and of exported services: `catalog/gateway-services` and `exported-services`.

use serde::{Deserialize, Serialize};

use crate::shape::is_default;

/// A service as these answers name it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Named {
    /// Its name.
    pub name: String,
}

/// A service that a gateway serves.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct GatewayService {
    /// The gateway.
    pub gateway: Named,
    /// The service.
    pub service: Named,
    /// `ingress-gateway` or `terminating-gateway`.
    pub gateway_kind: String,
    /// The port of an ingress gateway's listener.
    #[serde(skip_serializing_if = "is_default")]
    pub port: u16,
    /// That listener's protocol.
    #[serde(skip_serializing_if = "is_default")]
    pub protocol: String,
    /// The hosts by which the service is requested.
    #[serde(skip_serializing_if = "is_default")]
    pub hosts: Vec<String>,
    /// A file with the authorities that a terminating gateway trusts.
    #[serde(rename = "CAFile", skip_serializing_if = "is_default")]
    pub ca_file: String,
    /// A file with its certificate.
    #[serde(skip_serializing_if = "is_default")]
    pub cert_file: String,
    /// A file with the key of that certificate.
    #[serde(skip_serializing_if = "is_default")]
    pub key_file: String,
    /// The TLS server name that it asks for.
    #[serde(rename = "SNI", skip_serializing_if = "is_default")]
    pub sni: String,
    /// Whether `*` stands for the service.
    #[serde(skip_serializing_if = "is_default")]
    pub from_wildcard: bool,
    /// `service`, `destination`, or empty if nothing is known of the service.
    #[serde(skip_serializing_if = "is_default")]
    pub service_kind: String,
    /// Index of the last change of the gateway's entry.
    pub create_index: u64,
    /// The same index.
    pub modify_index: u64,
    /// Whether a terminating gateway rewrites the host of requests.
    #[serde(skip_serializing_if = "is_default")]
    pub auto_host_rewrite: bool,
}

/// A service that peered clusters may use.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ResolvedExportedService {
    /// The service.
    pub service: String,
    /// Who may use it.
    pub consumers: ResolvedConsumers,
}

/// Who may use a service.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ResolvedConsumers {
    /// The peered clusters.
    #[serde(skip_serializing_if = "is_default")]
    pub peers: Vec<String>,
}
