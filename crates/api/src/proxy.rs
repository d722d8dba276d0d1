//! The JSON of a proxy's settings: one form in the catalog and in health, one at the agent.
//!
//! They differ in which empty fields are left out, and in the order of an upstream's fields.

use concord_model::proxy::{self, AccessLogs, EnvoyExtension, ProxyConfig, ServiceKind, Settings, Upstream};
use concord_model::{Datacenter, InstanceId, PeerName, ServiceName};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::shape::{is_default, null_default, settings};
use crate::spelled::Spelled;

/// `MeshGateway`, printed as `{}` when nothing is set.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct MeshGateway {
    /// `none`, `local`, `remote` or empty.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: String,
}

/// `Expose`, printed as `{}` when nothing is set.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Expose {
    /// Whether the paths of the service's HTTP checks are exposed.
    #[serde(skip_serializing_if = "is_default")]
    pub checks: bool,
    /// The exposed paths.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<ExposedPath>,
}

/// A path that a proxy serves without the mesh's TLS.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ExposedPath {
    /// The port at which the proxy listens for it.
    #[serde(skip_serializing_if = "is_default")]
    pub listener_port: u16,
    /// The path.
    #[serde(skip_serializing_if = "is_default")]
    pub path: String,
    /// The service's port that serves it.
    #[serde(skip_serializing_if = "is_default")]
    pub local_path_port: u16,
    /// `http` or `http2`.
    #[serde(skip_serializing_if = "is_default")]
    pub protocol: String,
    /// Whether it comes from a check of the service. Agents always print it, the catalog only if it is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parsed_from_check: Option<bool>,
}

/// `TransparentProxy`, printed if any of its fields is set.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct TransparentProxy {
    /// The port to which the service's outgoing connections are redirected.
    #[serde(skip_serializing_if = "is_default")]
    pub outbound_listener_port: u16,
    /// Whether callers may reach the instance at its own address.
    #[serde(skip_serializing_if = "is_default")]
    pub dialed_directly: bool,
}

/// The proxy part of a service in catalog and health answers. Printed for every kind of service.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CatalogProxy {
    /// Settings of transparent mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transparent_proxy: Option<TransparentProxy>,
    /// Its access logs.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub(crate) access_logs: Option<Spelled<AccessLogs>>,
    /// Extensions of Envoy's configuration.
    #[serde(skip_deserializing, skip_serializing_if = "Vec::is_empty")]
    pub(crate) envoy_extensions: Vec<Spelled<EnvoyExtension>>,
    /// The service that it serves.
    #[serde(skip_serializing_if = "is_default")]
    pub destination_service_name: String,
    /// The instance that it serves.
    #[serde(rename = "DestinationServiceID", skip_serializing_if = "is_default")]
    pub destination_service_id: String,
    /// The address at which the service itself listens.
    #[serde(skip_serializing_if = "is_default")]
    pub local_service_address: String,
    /// The port at which the service itself listens.
    #[serde(skip_serializing_if = "is_default")]
    pub local_service_port: u16,
    /// The unix socket at which the service itself listens.
    #[serde(skip_serializing_if = "is_default")]
    pub local_service_socket_path: String,
    /// Empty, `direct` or `transparent`; always printed.
    pub mode: String,
    /// Opaque settings.
    #[serde(with = "settings", skip_serializing_if = "Settings::is_empty")]
    pub config: Settings,
    /// The services that the service calls.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<CatalogUpstream>,
    /// Always printed.
    pub mesh_gateway: MeshGateway,
    /// Always printed.
    pub expose: Expose,
}

/// An upstream in catalog and health answers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CatalogUpstream {
    /// `service` or `prepared_query`.
    pub destination_type: String,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub destination_namespace: String,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub destination_partition: String,
    /// The peered cluster.
    #[serde(skip_serializing_if = "is_default")]
    pub destination_peer: String,
    /// The service or prepared query.
    pub destination_name: String,
    /// Always printed.
    pub datacenter: String,
    /// Address the proxy listens at.
    #[serde(skip_serializing_if = "is_default")]
    pub local_bind_address: String,
    /// Port the proxy listens at.
    #[serde(skip_serializing_if = "is_default")]
    pub local_bind_port: u16,
    /// Socket the proxy listens at.
    #[serde(skip_serializing_if = "is_default")]
    pub local_bind_socket_path: String,
    /// Mode of that socket.
    #[serde(skip_serializing_if = "is_default")]
    pub local_bind_socket_mode: String,
    /// Opaque settings.
    #[serde(with = "settings", skip_serializing_if = "Settings::is_empty")]
    pub config: Settings,
    /// Always printed.
    pub mesh_gateway: MeshGateway,
    /// Whether it only holds settings from configuration entries.
    #[serde(skip_serializing_if = "is_default")]
    pub centrally_configured: bool,
}

/// The proxy part of a service in agent answers. Printed for proxies and gateways only.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct AgentProxy {
    /// The service that it serves.
    #[serde(skip_serializing_if = "is_default")]
    pub destination_service_name: String,
    /// The instance that it serves.
    #[serde(rename = "DestinationServiceID", skip_serializing_if = "is_default")]
    pub destination_service_id: String,
    /// The address at which the service itself listens.
    #[serde(skip_serializing_if = "is_default")]
    pub local_service_address: String,
    /// The port at which the service itself listens.
    #[serde(skip_serializing_if = "is_default")]
    pub local_service_port: u16,
    /// The unix socket at which the service itself listens.
    #[serde(skip_serializing_if = "is_default")]
    pub local_service_socket_path: String,
    /// Empty, `direct` or `transparent`.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: String,
    /// Settings of transparent mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transparent_proxy: Option<TransparentProxy>,
    /// Opaque settings.
    #[serde(with = "settings", skip_serializing_if = "Settings::is_empty")]
    pub config: Settings,
    /// The services that the service calls.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<AgentUpstream>,
    /// Always printed.
    pub mesh_gateway: MeshGateway,
    /// Always printed.
    pub expose: Expose,
    /// Its access logs.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub(crate) access_logs: Option<Spelled<AccessLogs>>,
}

/// An upstream in agent answers.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct AgentUpstream {
    /// `service` or `prepared_query`.
    #[serde(skip_serializing_if = "is_default")]
    pub destination_type: String,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub destination_partition: String,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub destination_namespace: String,
    /// The peered cluster.
    #[serde(skip_serializing_if = "is_default")]
    pub destination_peer: String,
    /// The service or prepared query.
    pub destination_name: String,
    /// Its datacenter.
    #[serde(skip_serializing_if = "is_default")]
    pub datacenter: String,
    /// Address the proxy listens at.
    #[serde(skip_serializing_if = "is_default")]
    pub local_bind_address: String,
    /// Port the proxy listens at.
    #[serde(skip_serializing_if = "is_default")]
    pub local_bind_port: u16,
    /// Socket the proxy listens at.
    #[serde(skip_serializing_if = "is_default")]
    pub local_bind_socket_path: String,
    /// Mode of that socket.
    #[serde(skip_serializing_if = "is_default")]
    pub local_bind_socket_mode: String,
    /// Opaque settings.
    #[serde(with = "settings", skip_serializing_if = "Settings::is_empty")]
    pub config: Settings,
    /// Always printed.
    pub mesh_gateway: MeshGateway,
    /// Whether it only holds settings from configuration entries.
    #[serde(skip_serializing_if = "is_default")]
    pub centrally_configured: bool,
}

// === impl CatalogProxy ===

impl CatalogProxy {
    /// What a filter can select, as in [`crate::service::NodeService::selectors`].
    pub(crate) fn selectors() -> Value {
        json!({
            "DestinationServiceName": "", "DestinationServiceID": "", "LocalServiceAddress": "",
            "LocalServicePort": 0, "LocalServiceSocketPath": "", "Mode": "", "MeshGateway": {"Mode": ""},
            "Upstreams": [{
                "DestinationType": "", "DestinationNamespace": "", "DestinationPartition": "",
                "DestinationPeer": "", "DestinationName": "", "Datacenter": "", "LocalBindAddress": "",
                "LocalBindPort": 0, "LocalBindSocketPath": "", "LocalBindSocketMode": "",
                "MeshGateway": {"Mode": ""},
            }],
        })
    }

    /// The JSON of an instance's proxy settings; empty for a service that is no proxy.
    pub fn from_model(proxy: Option<&ProxyConfig>) -> Self {
        let Some(proxy) = proxy else { return Self::default() };
        let ProxyConfig {
            destination_service,
            destination_service_id,
            local_service_address,
            local_service_port,
            local_service_socket_path,
            mode,
            transparent,
            mesh_gateway_mode,
            expose,
            config,
            upstreams,
            // Consul's answers do not show it.
            mutual_tls_mode: _,
            access_logs,
            envoy_extensions,
        } = proxy;
        Self {
            transparent_proxy: transparent.map(TransparentProxy::from_model),
            access_logs: access_logs.as_deref().map(|logs| Spelled(logs.clone())),
            envoy_extensions: envoy_extensions.iter().cloned().map(Spelled).collect(),
            destination_service_name: text(destination_service.as_ref().map(ServiceName::as_str)),
            destination_service_id: text(destination_service_id.as_ref().map(InstanceId::as_str)),
            local_service_address: local_service_address.clone(),
            local_service_port: *local_service_port,
            local_service_socket_path: local_service_socket_path.clone(),
            mode: mode.clone(),
            config: config.clone(),
            upstreams: upstreams.iter().map(CatalogUpstream::from_model).collect(),
            mesh_gateway: MeshGateway { mode: mesh_gateway_mode.clone() },
            expose: expose.as_deref().map(Expose::from_model).unwrap_or_default(),
        }
    }
}

// === impl TransparentProxy ===

impl TransparentProxy {
    fn from_model(model: proxy::TransparentProxy) -> Self {
        let proxy::TransparentProxy { outbound_listener_port, dialed_directly } = model;
        Self { outbound_listener_port, dialed_directly }
    }
}

// === impl Expose ===

impl Expose {
    fn from_model(model: &proxy::Expose) -> Self {
        let proxy::Expose { checks, paths } = model;
        Self { checks: *checks, paths: paths.iter().map(ExposedPath::from_model).collect() }
    }

    fn of_agent(mut self) -> Self {
        for path in &mut self.paths {
            path.parsed_from_check.get_or_insert(false);
        }
        self
    }
}

// === impl ExposedPath ===

impl ExposedPath {
    fn from_model(model: &proxy::ExposedPath) -> Self {
        let proxy::ExposedPath { listener_port, path, local_path_port, protocol, parsed_from_check } = model;
        Self {
            listener_port: *listener_port,
            path: path.clone(),
            local_path_port: *local_path_port,
            protocol: protocol.clone(),
            parsed_from_check: parsed_from_check.then_some(true),
        }
    }
}

// === impl CatalogUpstream ===

impl CatalogUpstream {
    /// The JSON of one upstream.
    pub fn from_model(upstream: &Upstream) -> Self {
        let Upstream {
            kind,
            partition,
            namespace,
            peer,
            name,
            datacenter,
            local_bind_address,
            local_bind_port,
            local_bind_socket_path,
            local_bind_socket_mode,
            config,
            mesh_gateway_mode,
            centrally_configured,
        } = upstream;
        Self {
            destination_type: kind.as_str().to_owned(),
            destination_namespace: text((!namespace.is_default()).then_some(namespace.as_str())),
            destination_partition: text((!partition.is_default()).then_some(partition.as_str())),
            destination_peer: text(peer.as_ref().map(PeerName::as_str)),
            destination_name: name.to_string(),
            datacenter: text(datacenter.as_ref().map(Datacenter::as_str)),
            local_bind_address: local_bind_address.clone(),
            local_bind_port: *local_bind_port,
            local_bind_socket_path: local_bind_socket_path.clone(),
            local_bind_socket_mode: local_bind_socket_mode.clone(),
            config: config.clone(),
            mesh_gateway: MeshGateway { mode: mesh_gateway_mode.clone() },
            centrally_configured: *centrally_configured,
        }
    }
}

// === impl AgentProxy ===

impl AgentProxy {
    /// The JSON of an instance's proxy settings; `None` for a service that is neither proxy nor gateway.
    pub fn from_model(kind: ServiceKind, proxy: Option<&ProxyConfig>) -> Option<Self> {
        if kind == ServiceKind::Typical {
            return None;
        }
        let CatalogProxy {
            transparent_proxy,
            access_logs,
            // Consul's agents do not show them.
            envoy_extensions: _,
            destination_service_name,
            destination_service_id,
            local_service_address,
            local_service_port,
            local_service_socket_path,
            mode,
            config,
            upstreams,
            mesh_gateway,
            expose,
        } = CatalogProxy::from_model(proxy);
        Some(Self {
            destination_service_name,
            destination_service_id,
            local_service_address,
            local_service_port,
            local_service_socket_path,
            mode,
            transparent_proxy,
            config,
            upstreams: upstreams.into_iter().map(AgentUpstream::from_catalog).collect(),
            mesh_gateway,
            expose: expose.of_agent(),
            access_logs,
        })
    }
}

// === impl AgentUpstream ===

impl AgentUpstream {
    fn from_catalog(upstream: CatalogUpstream) -> Self {
        let CatalogUpstream {
            destination_type,
            destination_namespace,
            destination_partition,
            destination_peer,
            destination_name,
            datacenter,
            local_bind_address,
            local_bind_port,
            local_bind_socket_path,
            local_bind_socket_mode,
            config,
            mesh_gateway,
            centrally_configured,
        } = upstream;
        Self {
            destination_type,
            destination_partition,
            destination_namespace,
            destination_peer,
            destination_name,
            datacenter,
            local_bind_address,
            local_bind_port,
            local_bind_socket_path,
            local_bind_socket_mode,
            config,
            mesh_gateway,
            centrally_configured,
        }
    }
}

/// The name, or the empty text if it is absent.
pub(crate) fn text(name: Option<&str>) -> String {
    name.unwrap_or_default().to_owned()
}
