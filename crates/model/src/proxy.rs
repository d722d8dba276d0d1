//! What a proxy is registered to do: kinds of service, upstreams, opaque settings.

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
    /// A gateway into the mesh, by routes.
    ApiGateway,
}

impl ServiceKind {
    /// As written in the API; the ordinary kind is the empty text.
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

    /// Reads the API's form.
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

/// Free-form settings, as the user wrote them.
pub type Settings = BTreeMap<String, serde_json::Value>;

/// What a proxy or gateway does.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ProxyConfig {
    /// The service it stands before (sidecars).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_service: Option<ServiceName>,
    /// The instance it stands before (sidecars on the same agent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_service_id: Option<InstanceId>,
    /// Where the service itself listens; empty means 127.0.0.1.
    #[serde(default)]
    pub local_service_address: String,
    /// The port at which the service itself listens; 0 if there is none.
    #[serde(default)]
    pub local_service_port: u16,
    /// The unix socket at which the service itself listens; empty if there is none.
    #[serde(default)]
    pub local_service_socket_path: String,
    /// How traffic reaches the proxy: empty, `direct` or `transparent`.
    #[serde(default)]
    pub mode: String,
    /// How traffic reaches it in transparent mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transparent: Option<TransparentProxy>,
    /// How to cross to another network, where an upstream does not say: empty, `none`, `local` or `remote`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mesh_gateway_mode: String,
    /// What it lets through without the mesh's TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expose: Option<Box<Expose>>,
    /// Opaque settings of the proxy.
    #[serde(default)]
    pub config: Settings,
    /// What the service calls through the proxy.
    #[serde(default)]
    pub upstreams: Vec<Upstream>,
}

/// How traffic reaches a proxy in transparent mode.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct TransparentProxy {
    /// The port to which the service's calls are led; 0 for the default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub outbound_listener_port: u16,
    /// Whether callers may reach the instance at its own address.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dialed_directly: bool,
}

/// What a proxy lets through without the mesh's TLS.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Expose {
    /// The paths of the service's checks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub checks: bool,
    /// These paths.
    #[serde(default, skip_serializing_if = "is_default")]
    pub paths: Vec<ExposedPath>,
}

/// A path that a proxy lets through.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ExposedPath {
    /// The port at which the proxy listens for it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub listener_port: u16,
    /// The path.
    #[serde(default, skip_serializing_if = "is_default")]
    pub path: String,
    /// The service's port that it leads to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub local_path_port: u16,
    /// `http` or `http2`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: String,
    /// Whether a check of the service names it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub parsed_from_check: bool,
}

/// What an upstream leads to.
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
    /// As written in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::PreparedQuery => "prepared_query",
        }
    }
}

/// Something a service calls through its proxy.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Upstream {
    /// What it leads to.
    #[serde(default)]
    pub kind: UpstreamKind,
    /// Partition of the destination.
    #[serde(default)]
    pub partition: Partition,
    /// Namespace of the destination.
    #[serde(default)]
    pub namespace: Namespace,
    /// Peered cluster of the destination; `None` for our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// Name of the destination.
    pub name: ServiceName,
    /// Datacenter of the destination; `None` for our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<Datacenter>,
    /// Address the proxy listens at for it; empty means 127.0.0.1.
    #[serde(default)]
    pub local_bind_address: String,
    /// Port the proxy listens at for it; 0 if there is none.
    #[serde(default)]
    pub local_bind_port: u16,
    /// Unix socket the proxy listens at for it; empty if there is none.
    #[serde(default)]
    pub local_bind_socket_path: String,
    /// Mode of that socket, in octal digits; empty for the default.
    #[serde(default)]
    pub local_bind_socket_mode: String,
    /// Opaque settings of the upstream.
    #[serde(default)]
    pub config: Settings,
    /// How to cross to another network: empty, `none`, `local` or `remote`.
    #[serde(default)]
    pub mesh_gateway_mode: String,
}

impl Upstream {
    /// The name under which its listener and clusters are known: `name`, `name?dc=<dc>`,
    /// `name?peer=<peer>`, `prepared_query:<name>`; partition and namespace only if not default.
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
