//! The configuration of proxies: kinds of services, upstreams, and opaque settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::is_default;
use crate::name::{Datacenter, InstanceId, Namespace, Partition, PeerName, ServiceName};

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

/// Free-form settings as the user wrote them.
pub type Settings = BTreeMap<String, serde_json::Value>;

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
    /// Name of the destination.
    pub name: ServiceName,
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
