//! `proxy-defaults`: settings of all proxies and gateways.

use serde::{Deserialize, Serialize};

use super::proxying::{EnvoyExtension, MeshGateway, MutualTlsMode, ProxyMode};
use crate::is_default;
use crate::proxy::{Expose, Settings, TransparentProxy};
use crate::words::words;

words! {
    /// Where a proxy writes its access log.
    AccessLogSink, "a sink of access logs" {
        /// Not set: the standard output.
        Unset = "",
        /// The standard output.
        StandardOutput = "stdout",
        /// The standard error.
        StandardError = "stderr",
        /// A file.
        File = "file",
    }
}

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

/// The access logs of a proxy.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct AccessLogs {
    /// Whether there are access logs.
    #[serde(skip_serializing_if = "is_default")]
    pub enabled: bool,
    /// Do not log connections that Envoy rejects because no listener filter matches.
    #[serde(skip_serializing_if = "is_default")]
    pub disable_listener_logs: bool,
    /// Where the log is written.
    #[serde(rename = "type", skip_serializing_if = "is_default")]
    pub sink: AccessLogSink,
    /// The path of the file.
    #[serde(skip_serializing_if = "is_default")]
    pub path: String,
    /// The format of a line, as JSON.
    #[serde(skip_serializing_if = "is_default")]
    pub json_format: String,
    /// The format of a line, as text.
    #[serde(skip_serializing_if = "is_default")]
    pub text_format: String,
}
