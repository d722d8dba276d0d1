//! `proxy-defaults`: settings of all proxies and gateways.

use serde::{Deserialize, Serialize};

use super::proxying::{MeshGateway, ProxyMode};
use crate::is_default;
use crate::proxy::{AccessLogs, EnvoyExtension, Expose, MutualTlsMode, Settings, TransparentProxy};

/// Settings of all proxies.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ProxyDefaults {
    /// Opaque settings. `protocol` is the protocol of services that do not set their own.
    pub config: Settings,
    /// How traffic reaches proxies.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: ProxyMode,
    /// How traffic reaches them in transparent mode.
    pub transparent_proxy: TransparentProxy,
    /// Whether connections without the mesh's TLS are accepted.
    #[serde(skip_serializing_if = "is_default")]
    pub mutual_tls_mode: MutualTlsMode,
    /// How connections reach another network.
    pub mesh_gateway: MeshGateway,
    /// The paths that proxies serve without the mesh's TLS.
    pub expose: Expose,
    /// The access logs of proxies.
    pub access_logs: AccessLogs,
    /// Extensions of Envoy's configuration.
    #[serde(skip_serializing_if = "is_default")]
    pub envoy_extensions: Vec<EnvoyExtension>,
}
