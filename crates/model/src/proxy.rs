//! The configuration of proxies: kinds of services, upstreams, and opaque settings.

mod settings;

use serde::{Deserialize, Serialize};

use crate::is_default;
use crate::name::{Datacenter, InstanceId, Namespace, Partition, Pattern, PeerName, ServiceName};
use crate::words::words;

pub use self::settings::{Pairs, Settings};

/// The kind of a registered service.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceKind {
    /// An ordinary service.
    #[default]
    Typical,
    /// A sidecar.
    ConnectProxy,
    /// A gateway between networks.
    MeshGateway,
    /// A gateway out of the mesh.
    TerminatingGateway,
    /// A gateway into the mesh.
    IngressGateway,
    /// A gateway into the mesh that uses routes.
    ApiGateway,
}

impl ServiceKind {
    /// The text in the API. It is empty for the ordinary kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Typical => "",
            Self::ConnectProxy => "connect-proxy",
            Self::MeshGateway => "mesh-gateway",
            Self::TerminatingGateway => "terminating-gateway",
            Self::IngressGateway => "ingress-gateway",
            Self::ApiGateway => "api-gateway",
        }
    }

    /// Reads the text of the API.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "typical" => Some(Self::Typical),
            "connect-proxy" => Some(Self::ConnectProxy),
            "mesh-gateway" => Some(Self::MeshGateway),
            "terminating-gateway" => Some(Self::TerminatingGateway),
            "ingress-gateway" => Some(Self::IngressGateway),
            "api-gateway" => Some(Self::ApiGateway),
            _ => None,
        }
    }
}

/// The configuration of a proxy or gateway.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ProxyConfig {
    /// The service of a sidecar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_service: Option<ServiceName>,
    /// The instance of a sidecar, on the same agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_service_id: Option<InstanceId>,
    /// The address at which the service itself listens. Empty means 127.0.0.1.
    #[serde(default)]
    pub local_service_address: String,
    /// The port at which the service itself listens. 0 if there is none.
    #[serde(default)]
    pub local_service_port: u16,
    /// The unix socket at which the service itself listens. Empty if there is none.
    #[serde(default)]
    pub local_service_socket_path: String,
    /// How traffic reaches the proxy: empty, `direct` or `transparent`.
    #[serde(default)]
    pub mode: String,
    /// How traffic reaches it in transparent mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transparent: Option<TransparentProxy>,
    /// How upstreams without their own mode reach another network: empty, `none`, `local` or `remote`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mesh_gateway_mode: String,
    /// The paths that it serves without the mesh's TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expose: Option<Box<Expose>>,
    /// Opaque settings of the proxy.
    #[serde(default)]
    pub config: Settings,
    /// The upstreams of the service.
    #[serde(default)]
    pub upstreams: Vec<Upstream>,
    /// Whether it accepts connections without the mesh's TLS. Only configuration entries set it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mutual_tls_mode: MutualTlsMode,
    /// Its access logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_logs: Option<Box<AccessLogs>>,
    /// Extensions of Envoy's configuration. Only configuration entries set them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub envoy_extensions: Vec<EnvoyExtension>,
}

words! {
    /// Whether a proxy accepts connections without the mesh's TLS.
    MutualTlsMode, "a mode of mutual TLS" {
        /// Not set: the next more general setting applies; strict if there is none.
        Unset = "",
        /// The proxy refuses them.
        Strict = "strict",
        /// The proxy accepts them at the service's own port.
        Permissive = "permissive",
    }
}

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

/// How traffic reaches a proxy in transparent mode.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct TransparentProxy {
    /// The port to which the service's outgoing connections are redirected. 0 means the default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub outbound_listener_port: u16,
    /// Whether callers may connect to the instance's own address.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dialed_directly: bool,
}

/// The paths that a proxy serves without the mesh's TLS.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Expose {
    /// Whether to expose the paths of the service's checks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub checks: bool,
    /// Further paths.
    #[serde(default, skip_serializing_if = "is_default")]
    pub paths: Vec<ExposedPath>,
}

/// A path that a proxy exposes.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ExposedPath {
    /// The port at which the proxy listens for this path.
    #[serde(default, skip_serializing_if = "is_default")]
    pub listener_port: u16,
    /// The path.
    #[serde(default, skip_serializing_if = "is_default")]
    pub path: String,
    /// The service's port for this path.
    #[serde(default, skip_serializing_if = "is_default")]
    pub local_path_port: u16,
    /// `http` or `http2`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: String,
    /// Whether the path comes from a check of the service.
    #[serde(default, skip_serializing_if = "is_default")]
    pub parsed_from_check: bool,
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

/// An extension of Envoy's configuration.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct EnvoyExtension {
    /// The extension's name.
    pub name: String,
    /// Whether the proxy's configuration fails if the extension cannot be applied.
    pub required: bool,
    /// The extension's arguments.
    pub arguments: Settings,
    /// The versions of Consul that support it.
    pub consul_version: String,
    /// The versions of Envoy that support it.
    pub envoy_version: String,
}

/// The kind of an upstream's destination.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamKind {
    /// A service.
    #[default]
    Service,
    /// A prepared query.
    PreparedQuery,
}

impl UpstreamKind {
    /// The text in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::PreparedQuery => "prepared_query",
        }
    }
}

/// A destination that a service calls through its proxy.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Upstream {
    /// The kind of destination.
    #[serde(default)]
    pub kind: UpstreamKind,
    /// Partition of the destination.
    #[serde(default)]
    pub partition: Partition,
    /// Namespace of the destination.
    #[serde(default)]
    pub namespace: Namespace,
    /// Peered cluster of the destination. `None` for our own cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// Name of the destination. `*` holds the settings of all destinations without settings of their own; only
    /// configuration entries set it.
    pub name: Pattern<ServiceName>,
    /// Datacenter of the destination. `None` for our own datacenter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<Datacenter>,
    /// The address at which the proxy listens for it. Empty means 127.0.0.1.
    #[serde(default)]
    pub local_bind_address: String,
    /// The port at which the proxy listens for it. 0 if there is none.
    #[serde(default)]
    pub local_bind_port: u16,
    /// The unix socket at which the proxy listens for it. Empty if there is none.
    #[serde(default)]
    pub local_bind_socket_path: String,
    /// Mode of this socket as octal digits. Empty means the default.
    #[serde(default)]
    pub local_bind_socket_mode: String,
    /// Opaque settings of the upstream.
    #[serde(default)]
    pub config: Settings,
    /// How to reach another network: empty, `none`, `local` or `remote`.
    #[serde(default)]
    pub mesh_gateway_mode: String,
    /// Whether it is not registered, but only holds the settings of a destination from configuration entries.
    #[serde(default, skip_serializing_if = "is_default")]
    pub centrally_configured: bool,
}

impl Upstream {
    /// The name of its listener and clusters: `name`, `name?dc=<dc>`, `name?peer=<peer>` or `prepared_query:<name>`.
    /// Partition and namespace are only included if they are not the default.
    pub fn id(&self) -> String {
        let mut id = String::new();
        if self.kind == UpstreamKind::PreparedQuery {
            id.push_str("prepared_query:");
        }
        if !self.partition.is_default() {
            id.push_str(&format!("{}/{}/", self.partition, self.namespace));
        } else if !self.namespace.is_default() {
            id.push_str(&format!("{}/", self.namespace));
        }
        id.push_str(self.name.as_str());
        if let Some(peer) = &self.peer {
            id.push_str(&format!("?peer={peer}"));
        } else if let Some(datacenter) = &self.datacenter {
            id.push_str(&format!("?dc={datacenter}"));
        }
        id
    }
}
