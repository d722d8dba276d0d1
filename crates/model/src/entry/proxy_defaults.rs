//! `proxy-defaults`: what holds for all proxies and gateways.

use serde::{Deserialize, Serialize};

use super::proxying::{EnvoyExtension, MeshGateway, MutualTlsMode, ProxyMode};
use crate::is_default;
use crate::proxy::{Expose, Settings, TransparentProxy};
use crate::words::words;

words! {
    /// Where a proxy logs what it lets through.
    AccessLogSink, "a sink of access logs" {
        /// The standard output.
        Unset = "",
        /// The standard output, said so.
        StandardOutput = "stdout",
        /// The standard error.
        StandardError = "stderr",
        /// A file.
        File = "file",
    }
}

/// What holds for all proxies.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ProxyDefaults {
    /// Opaque settings; `protocol` among them is what services speak that say nothing themselves.
    pub config: Settings,
    /// How traffic reaches proxies.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: ProxyMode,
    /// How traffic reaches them in transparent mode.
    pub transparent_proxy: TransparentProxy,
    /// Whether connections without the mesh's TLS are let in.
    #[serde(skip_serializing_if = "is_default")]
    pub mutual_tls_mode: MutualTlsMode,
    /// How calls cross to another network.
    pub mesh_gateway: MeshGateway,
    /// What proxies let through without the mesh's TLS.
    pub expose: Expose,
    /// What is logged of what they let through.
    pub access_logs: AccessLogs,
    /// What Envoy is extended with.
    #[serde(skip_serializing_if = "is_default")]
    pub envoy_extensions: Vec<EnvoyExtension>,
}

/// What is logged of what a proxy lets through.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct AccessLogs {
    /// Whether anything is.
    #[serde(skip_serializing_if = "is_default")]
    pub enabled: bool,
    /// Leave out connections that no service takes.
    #[serde(skip_serializing_if = "is_default")]
    pub disable_listener_logs: bool,
    /// Where to.
    #[serde(rename = "type", skip_serializing_if = "is_default")]
    pub sink: AccessLogSink,
    /// The file.
    #[serde(skip_serializing_if = "is_default")]
    pub path: String,
    /// The form, as JSON.
    #[serde(skip_serializing_if = "is_default")]
    pub json_format: String,
    /// The form, as text.
    #[serde(skip_serializing_if = "is_default")]
    pub text_format: String,
}
