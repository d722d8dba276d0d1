//! The proxy settings of a service definition: the service that it serves, and its upstreams.

use std::collections::BTreeSet;

use concord_model::proxy::{
    Expose, ExposedPath, MutualTlsMode, ProxyConfig, ServiceKind, Settings, TransparentProxy, Upstream,
    UpstreamKind,
};
use concord_model::{InstanceId, Pattern, ServiceName};
use concord_syntax::Node;
use serde::{Deserialize, Serialize};

use super::field;
use crate::fault::Fault;
use crate::limits::{EXPOSED_PATHS_MAX, UPSTREAMS_MAX};
use crate::shape::{null_default, says_something};

/// The settings of a proxy or gateway, as a user writes them.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ProxyDefinition {
    /// The service that it serves.
    pub destination_service_name: String,
    /// The instance that it serves.
    #[serde(rename = "DestinationServiceID")]
    pub destination_service_id: String,
    /// The address at which the service itself listens.
    pub local_service_address: String,
    /// The port at which the service itself listens.
    pub local_service_port: i64,
    /// The unix socket at which the service itself listens.
    pub local_service_socket_path: String,
    /// Empty, `direct` or `transparent`.
    pub mode: String,
    /// Opaque settings.
    #[serde(deserialize_with = "null_default")]
    pub config: Settings,
    /// The services that the service calls.
    #[serde(deserialize_with = "null_default")]
    pub upstreams: Vec<UpstreamDefinition>,
    /// The mesh gateway mode for upstreams without their own.
    mesh_gateway: MeshGatewayDefinition,
    /// What the proxy exposes without the mesh's TLS.
    expose: ExposeDefinition,
    /// Settings of transparent mode.
    transparent_proxy: Option<TransparentProxyDefinition>,
    /// Not available yet.
    envoy_extensions: Vec<Node>,
    /// Not available yet.
    access_logs: Option<Node>,
    /// Exists in answers, but users must not set it.
    #[serde(rename = "MutualTLSMode")]
    mutual_tls_mode: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "PascalCase")]
struct MeshGatewayDefinition {
    mode: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "PascalCase")]
struct ExposeDefinition {
    checks: bool,
    #[serde(deserialize_with = "null_default")]
    paths: Vec<ExposedPathDefinition>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "PascalCase")]
struct ExposedPathDefinition {
    listener_port: i64,
    path: String,
    local_path_port: i64,
    protocol: String,
    parsed_from_check: bool,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "PascalCase")]
struct TransparentProxyDefinition {
    outbound_listener_port: i64,
    dialed_directly: bool,
}

/// An upstream of a proxy, as a user writes it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct UpstreamDefinition {
    /// `service` (also if empty) or `prepared_query`.
    pub destination_type: String,
    /// Another namespace than `default` is refused.
    pub destination_namespace: String,
    /// Another partition than `default` is refused.
    pub destination_partition: String,
    /// Peered cluster of the destination.
    pub destination_peer: String,
    /// The service or prepared query.
    pub destination_name: String,
    /// Datacenter of the destination.
    pub datacenter: String,
    /// Address to listen at.
    pub local_bind_address: String,
    /// Port to listen at.
    pub local_bind_port: i64,
    /// Unix socket to listen at.
    pub local_bind_socket_path: String,
    /// Mode of that socket, octal.
    pub local_bind_socket_mode: String,
    /// Opaque settings.
    #[serde(deserialize_with = "null_default")]
    pub config: Settings,
    /// The mesh gateway mode.
    mesh_gateway: MeshGatewayDefinition,
    /// Exists in answers, but users must not set it.
    centrally_configured: bool,
}

impl ProxyDefinition {
    /// Decodes the fields. [`validate`] checks the rules that depend on the kind of service.
    pub(super) fn resolve(&self, faults: &mut Vec<Fault>) -> ProxyConfig {
        self.refuse_missing(faults);
        if self.upstreams.len() > UPSTREAMS_MAX {
            let text = format!("Proxy.Upstreams: at most {UPSTREAMS_MAX} upstreams are allowed");
            faults.push(Fault::rule("Proxy.Upstreams", text));
        }
        let upstreams = self.upstreams.iter().enumerate().filter_map(|(at, upstream)| {
            let mut found = Vec::new();
            let resolved = upstream.resolve(&mut found);
            faults.extend(found.into_iter().map(|fault| fault.within(&format!("Proxy.Upstreams[{at}]"))));
            resolved
        });
        let upstreams = upstreams.collect();
        ProxyConfig {
            destination_service: self.destination(faults),
            destination_service_id: field::optional_name::<InstanceId>(
                "Proxy.DestinationServiceID",
                &self.destination_service_id,
                faults,
            ),
            local_service_address: self.local_service_address.clone(),
            local_service_port: field::port("Proxy.LocalServicePort", self.local_service_port, faults),
            local_service_socket_path: self.local_service_socket_path.clone(),
            mode: self.mode.clone(),
            transparent: self.transparent(faults),
            mesh_gateway_mode: gateway_mode(&self.mesh_gateway, "Proxy.MeshGateway.Mode", faults),
            expose: self.expose.resolve(faults),
            config: self.config.clone(),
            upstreams,
            mutual_tls_mode: MutualTlsMode::Unset,
            access_logs: None,
            envoy_extensions: Vec::new(),
        }
    }

    fn destination(&self, faults: &mut Vec<Fault>) -> Option<ServiceName> {
        // Keep the name exactly as written, so that a sidecar serves this service and no other. Only blanks count as
        // no name.
        let written = &self.destination_service_name;
        let name = if written.trim().is_empty() { "" } else { written };
        if name.trim() == "*" {
            let text = "Proxy.DestinationServiceName must not be a wildcard for Connect proxy services";
            faults.push(Fault::rule("Proxy.DestinationServiceName", text));
            return None;
        }
        field::optional_name("Proxy.DestinationServiceName", name, faults)
    }

    fn transparent(&self, faults: &mut Vec<Fault>) -> Option<TransparentProxy> {
        let TransparentProxyDefinition { outbound_listener_port, dialed_directly } =
            self.transparent_proxy.as_ref()?;
        let field = "Proxy.TransparentProxy.OutboundListenerPort";
        let outbound_listener_port = field::port(field, *outbound_listener_port, faults);
        let read = TransparentProxy { outbound_listener_port, dialed_directly: *dialed_directly };
        (read != TransparentProxy::default()).then_some(read)
    }

    fn refuse_missing(&self, faults: &mut Vec<Fault>) {
        let extensions = !self.envoy_extensions.is_empty();
        field::not_available("Proxy.EnvoyExtensions", extensions, "Proxy.EnvoyExtensions", faults);
        let logs = self.access_logs.as_ref().is_some_and(says_something);
        field::not_available("Proxy.AccessLogs", logs, "Proxy.AccessLogs", faults);
        let mtls = !self.mutual_tls_mode.is_empty();
        field::not_available("Proxy.MutualTLSMode", mtls, "Proxy.MutualTLSMode", faults);
        if !matches!(self.mode.as_str(), "" | "direct" | "transparent") {
            let text = format!(
                "Proxy.Mode: {:?} is not a mode; use \"direct\" or \"transparent\", or leave it out",
                self.mode
            );
            faults.push(Fault::rule("Proxy.Mode", text));
        }
    }
}

impl ExposeDefinition {
    fn resolve(&self, faults: &mut Vec<Fault>) -> Option<Box<Expose>> {
        if self.paths.len() > EXPOSED_PATHS_MAX {
            let text = format!("Proxy.Expose.Paths: at most {EXPOSED_PATHS_MAX} paths are allowed");
            faults.push(Fault::rule("Proxy.Expose.Paths", text));
            return None;
        }
        let mut ports = BTreeSet::new();
        let mut paths = Vec::new();
        for (at, path) in self.paths.iter().enumerate() {
            let within = format!("Proxy.Expose.Paths[{at}]");
            let mut rule = |field: &str, text: String| {
                faults.push(Fault::rule(format!("{within}.{field}"), text));
            };
            if path.path.is_empty() {
                rule("Path", "expose.paths: empty path exposed".to_owned());
            }
            if !(1..=65535).contains(&path.listener_port) {
                rule("ListenerPort", format!("expose.paths: invalid listener port: {}", path.listener_port));
            } else if !ports.insert(path.listener_port) {
                rule("ListenerPort", "expose.paths: duplicate listener ports exposed".to_owned());
            }
            if !matches!(path.protocol.as_str(), "" | "http" | "http2") {
                let text = format!(
                    "protocol '{}' not supported for path: {}, must be in: [http http2]",
                    path.protocol, path.path
                );
                rule("Protocol", text);
            }
            let mut port = |name: &str, port| field::port(&format!("{within}.{name}"), port, faults);
            paths.push(ExposedPath {
                listener_port: port("ListenerPort", path.listener_port.clamp(0, 65535)),
                path: path.path.clone(),
                local_path_port: port("LocalPathPort", path.local_path_port),
                protocol: path.protocol.clone(),
                parsed_from_check: path.parsed_from_check,
            });
        }
        (self.checks || !paths.is_empty()).then(|| Box::new(Expose { checks: self.checks, paths }))
    }
}

/// Checks the mode of a mesh gateway.
fn gateway_mode(written: &MeshGatewayDefinition, field: &str, faults: &mut Vec<Fault>) -> String {
    let mode = written.mode.as_str();
    if !matches!(mode, "" | "none" | "local" | "remote") {
        let text = format!("{field}: {mode:?} is not a mode; use none, local or remote");
        faults.push(Fault::rule(field, text));
    }
    mode.to_owned()
}

impl UpstreamDefinition {
    fn resolve(&self, faults: &mut Vec<Fault>) -> Option<Upstream> {
        field::enterprise("DestinationNamespace", &self.destination_namespace, faults);
        field::enterprise("DestinationPartition", &self.destination_partition, faults);
        let rule = |field: &str, text: &str| Fault::rule(field, text);
        let kind = match self.destination_type.as_str() {
            "" | "service" => UpstreamKind::Service,
            "prepared_query" => UpstreamKind::PreparedQuery,
            other => {
                let text = format!("unknown upstream destination type: {other:?}");
                faults.push(Fault::rule("DestinationType", text));
                return None;
            }
        };
        match self.destination_name.as_str() {
            "" => faults.push(rule("DestinationName", "upstream destination name cannot be empty")),
            "*" => faults.push(rule("DestinationName", "upstream destination name cannot be a wildcard")),
            _ => {}
        }
        let peer = !self.destination_peer.is_empty();
        if peer && !self.datacenter.is_empty() {
            let text = "upstream cannot specify both destination peer and datacenter";
            faults.push(rule("DestinationPeer", text));
        }
        let port = field::port("LocalBindPort", self.local_bind_port, faults);
        match (self.local_bind_port != 0, !self.local_bind_socket_path.is_empty()) {
            (false, false) => faults.push(rule(
                "LocalBindPort",
                "upstream local bind port or local socket path must be defined and nonzero",
            )),
            (true, true) => faults.push(rule(
                "LocalBindPort",
                "only one of upstream local bind port or local socket path can be defined and nonzero",
            )),
            (true, false) | (false, true) => {}
        }
        let mode = gateway_mode(&self.mesh_gateway, "MeshGateway.Mode", faults);
        if self.centrally_configured {
            let text =
                "CentrallyConfigured marks what comes from configuration entries; leave this upstream out";
            faults.push(rule("CentrallyConfigured", text));
        }
        if matches!(self.destination_name.as_str(), "" | "*") {
            return None;
        }
        Some(Upstream {
            kind,
            partition: field::partition(),
            namespace: field::namespace(),
            peer: field::optional_name("DestinationPeer", &self.destination_peer, faults),
            name: Pattern::Exact(field::name("DestinationName", &self.destination_name, faults)?),
            datacenter: field::optional_name("Datacenter", &self.datacenter, faults),
            local_bind_address: self.local_bind_address.clone(),
            local_bind_port: port,
            local_bind_socket_path: self.local_bind_socket_path.clone(),
            local_bind_socket_mode: self.local_bind_socket_mode.clone(),
            config: self.config.clone(),
            mesh_gateway_mode: mode,
            centrally_configured: false,
        })
    }
}

/// Checks the proxy settings by the rules that depend on the kind of service.
pub(super) fn validate(kind: ServiceKind, proxy: Option<&ProxyConfig>, faults: &mut Vec<Fault>) {
    match kind {
        ServiceKind::Typical => {}
        ServiceKind::ConnectProxy => validate_sidecar(proxy, faults),
        ServiceKind::MeshGateway
        | ServiceKind::TerminatingGateway
        | ServiceKind::IngressGateway
        | ServiceKind::ApiGateway => validate_gateway(kind, proxy, faults),
    }
}

fn validate_sidecar(proxy: Option<&ProxyConfig>, faults: &mut Vec<Fault>) {
    if proxy.and_then(|proxy| proxy.destination_service.as_ref()).is_none()
        && !faults.iter().any(|fault| fault.field == "Proxy.DestinationServiceName")
    {
        let text = "Proxy.DestinationServiceName must be non-empty for Connect proxy services";
        faults.push(Fault::rule("Proxy.DestinationServiceName", text));
    }
    let (mut targets, mut binds) = (BTreeSet::new(), BTreeSet::new());
    for upstream in proxy.map(|proxy| proxy.upstreams.as_slice()).unwrap_or_default() {
        if !targets.insert(upstream.id()) {
            let text = format!("upstreams cannot contain duplicates of {}", upstream.id());
            faults.push(Fault::rule("Proxy.Upstreams", text));
            continue;
        }
        let bind = bind_address(upstream);
        if !binds.insert(bind.clone()) {
            let text = format!(
                "upstreams cannot contain duplicates by local bind address and port or unix path; {bind:?} is \
                 specified twice"
            );
            faults.push(Fault::rule("Proxy.Upstreams", text));
        }
    }
}

/// The address at which the proxy listens for an upstream: `address:port`, or the socket's path.
fn bind_address(upstream: &Upstream) -> String {
    if !upstream.local_bind_socket_path.is_empty() {
        return upstream.local_bind_socket_path.clone();
    }
    let host = match upstream.local_bind_address.as_str() {
        "" => "127.0.0.1",
        host => host,
    };
    field::host_port(host, upstream.local_bind_port)
}

fn validate_gateway(kind: ServiceKind, proxy: Option<&ProxyConfig>, faults: &mut Vec<Fault>) {
    let Some(proxy) = proxy else { return };
    let set = [
        ("DestinationServiceName", proxy.destination_service.is_some()),
        ("DestinationServiceID", proxy.destination_service_id.is_some()),
        ("LocalServiceAddress", !proxy.local_service_address.is_empty()),
        ("LocalServicePort", proxy.local_service_port != 0),
        ("LocalServiceSocketPath", !proxy.local_service_socket_path.is_empty()),
        ("Upstreams", !proxy.upstreams.is_empty()),
    ];
    for (name, _) in set.into_iter().filter(|(_, set)| *set) {
        let text = format!("The Proxy.{name} configuration is invalid for a {}", kind.as_str());
        faults.push(Fault::rule(format!("Proxy.{name}"), text));
    }
}
