//! `ContentHash`: the hash of a local service that Consul's agent returns and that hash-based blocking uses.
//!
//! Clients store this hash and compare it, some across agents. So it is computed as in Consul: by the rules of
//! `mitchellh/hashstructure` (version 1), over the structures of Consul 1.21's Go client. That is FNV-1 of each
//! scalar, an ordered pair for each field, item or entry, and exclusive-or where the order does not matter.
//! Namespace, partition, datacenter and locality are not included.

use concord_model::proxy::Settings;
use serde_json::Value;

use super::AgentService;
use crate::catalog::{ServiceAddress, ServiceConnect, Weights};
use crate::proxy::{AgentProxy, AgentUpstream, Expose, ExposedPath, MeshGateway, TransparentProxy};

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

impl AgentService {
    /// The service with the hash of its content, which hash-based blocking queries compare.
    #[must_use]
    pub fn hashed(mut self) -> Self {
        self.content_hash = of(&self);
        self
    }
}

/// The hash of a service, as it is printed.
pub(super) fn of(service: &AgentService) -> String {
    let AgentService {
        kind,
        id,
        service,
        tags,
        meta,
        port,
        address,
        socket_path,
        tagged_addresses,
        weights,
        enable_tag_override,
        create_index,
        modify_index,
        content_hash: _,
        proxy,
        connect,
        peer_name,
        namespace: _,
        partition: _,
        datacenter: _,
        locality: _,
    } = service;
    let hash = Structure::named("AgentService")
        .with("Kind", text(kind))
        .with("ID", text(id))
        .with("Service", text(service))
        .with("Tags", list(tags.iter().map(|tag| text(tag))))
        .with("Meta", map(meta.iter().map(|(key, value)| (text(key), text(value)))))
        .with("Port", number((*port).into()))
        .with("Address", text(address))
        .with("SocketPath", text(socket_path))
        .with("TaggedAddresses", map(tagged_addresses.iter().map(|(tag, one)| (text(tag), address_of(one)))))
        .with("Weights", weights_of(*weights))
        .with("EnableTagOverride", flag(*enable_tag_override))
        .with("CreateIndex", index(*create_index))
        .with("ModifyIndex", index(*modify_index))
        // The hash is computed before this field is set.
        .with("ContentHash", text(""))
        .with("Proxy", proxy.as_ref().map_or_else(nothing, proxy_of))
        .with("Connect", connect.map_or_else(nothing, connect_of))
        .with("PeerName", text(peer_name));
    format!("{:x}", hash.0)
}

fn address_of(address: &ServiceAddress) -> u64 {
    let ServiceAddress { address, port } = address;
    Structure::named("ServiceAddress").with("Address", text(address)).with("Port", number((*port).into())).0
}

fn weights_of(weights: Weights) -> u64 {
    let Weights { passing, warning } = weights;
    let structure = Structure::named("AgentWeights");
    structure.with("Passing", number(passing.into())).with("Warning", number(warning.into())).0
}

fn connect_of(connect: ServiceConnect) -> u64 {
    let ServiceConnect { native } = connect;
    Structure::named("AgentServiceConnect").with("Native", flag(native)).with("SidecarService", nothing()).0
}

fn proxy_of(proxy: &AgentProxy) -> u64 {
    let AgentProxy {
        destination_service_name,
        destination_service_id,
        local_service_address,
        local_service_port,
        local_service_socket_path,
        mode,
        transparent_proxy,
        config,
        upstreams,
        mesh_gateway,
        expose,
    } = proxy;
    Structure::named("AgentServiceConnectProxyConfig")
        .with("EnvoyExtensions", list([]))
        .with("DestinationServiceName", text(destination_service_name))
        .with("DestinationServiceID", text(destination_service_id))
        .with("LocalServiceAddress", text(local_service_address))
        .with("LocalServicePort", number((*local_service_port).into()))
        .with("LocalServiceSocketPath", text(local_service_socket_path))
        .with("Mode", text(mode))
        .with("TransparentProxy", transparent_proxy.map_or_else(nothing, transparent_of))
        .with("Config", settings(config))
        .with("Upstreams", list(upstreams.iter().map(upstream_of)))
        .with("MeshGateway", gateway_of(mesh_gateway))
        .with("Expose", expose_of(expose))
        .with("AccessLogs", nothing())
        .0
}

fn transparent_of(proxy: TransparentProxy) -> u64 {
    let TransparentProxy { outbound_listener_port, dialed_directly } = proxy;
    Structure::named("TransparentProxyConfig")
        .with("OutboundListenerPort", number(outbound_listener_port.into()))
        .with("DialedDirectly", flag(dialed_directly))
        .0
}

fn gateway_of(gateway: &MeshGateway) -> u64 {
    let MeshGateway { mode } = gateway;
    Structure::named("MeshGatewayConfig").with("Mode", text(mode)).0
}

fn expose_of(expose: &Expose) -> u64 {
    let Expose { checks, paths } = expose;
    let structure = Structure::named("ExposeConfig").with("Checks", flag(*checks));
    structure.with("Paths", list(paths.iter().map(path_of))).0
}

fn path_of(path: &ExposedPath) -> u64 {
    let ExposedPath { listener_port, path, local_path_port, protocol, parsed_from_check } = path;
    Structure::named("ExposePath")
        .with("ListenerPort", number((*listener_port).into()))
        .with("Path", text(path))
        .with("LocalPathPort", number((*local_path_port).into()))
        .with("Protocol", text(protocol))
        .with("ParsedFromCheck", flag(parsed_from_check.unwrap_or_default()))
        .0
}

fn upstream_of(upstream: &AgentUpstream) -> u64 {
    let AgentUpstream {
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
    } = upstream;
    Structure::named("Upstream")
        .with("DestinationType", text(destination_type))
        .with("DestinationPartition", text(destination_partition))
        .with("DestinationNamespace", text(destination_namespace))
        .with("DestinationPeer", text(destination_peer))
        .with("DestinationName", text(destination_name))
        .with("Datacenter", text(datacenter))
        .with("LocalBindAddress", text(local_bind_address))
        .with("LocalBindPort", number((*local_bind_port).into()))
        .with("LocalBindSocketPath", text(local_bind_socket_path))
        .with("LocalBindSocketMode", text(local_bind_socket_mode))
        .with("Config", settings(config))
        .with("MeshGateway", gateway_of(mesh_gateway))
        .with("CentrallyConfigured", flag(false))
        .0
}

fn settings(settings: &Settings) -> u64 {
    map(settings.iter().map(|(key, one)| (text(key), value(one))))
}

/// The hash of a JSON value. In Go all JSON numbers are floats.
fn value(value: &Value) -> u64 {
    match value {
        Value::Null => nothing(),
        Value::Bool(value) => flag(*value),
        Value::Number(value) => bytes(&value.as_f64().unwrap_or_default().to_le_bytes()),
        Value::String(value) => text(value),
        Value::Array(items) => list(items.iter().map(self::value)),
        Value::Object(members) => map(members.iter().map(|(key, one)| (text(key), self::value(one)))),
    }
}

/// The hash of a structure, for the fields added so far.
struct Structure(u64);

impl Structure {
    fn named(name: &str) -> Self {
        Self(text(name))
    }

    /// Adds a field. The order of fields does not matter.
    fn with(self, field: &str, hash: u64) -> Self {
        Self(self.0 ^ ordered(text(field), hash))
    }
}

fn list(items: impl IntoIterator<Item = u64>) -> u64 {
    items.into_iter().fold(0, ordered)
}

fn map(entries: impl IntoIterator<Item = (u64, u64)>) -> u64 {
    entries.into_iter().fold(0, |hash, (key, value)| hash ^ ordered(key, value))
}

fn ordered(first: u64, second: u64) -> u64 {
    fnv1(fnv1(BASIS, &first.to_le_bytes()), &second.to_le_bytes())
}

fn text(text: &str) -> u64 {
    bytes(text.as_bytes())
}

fn number(number: i64) -> u64 {
    bytes(&number.to_le_bytes())
}

fn index(index: u64) -> u64 {
    bytes(&index.to_le_bytes())
}

fn flag(flag: bool) -> u64 {
    bytes(&[u8::from(flag)])
}

/// The hash of an absent value, which counts as the number 0.
fn nothing() -> u64 {
    number(0)
}

fn bytes(bytes: &[u8]) -> u64 {
    fnv1(BASIS, bytes)
}

/// FNV-1: multiply first, then combine with the byte. (FNV-1a does it in the other order.)
fn fnv1(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed, |hash, byte| hash.wrapping_mul(PRIME) ^ u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values were computed by hashstructure over the structures of the Go client.
    #[track_caller]
    fn check(service: &str, expected: &str) {
        assert_eq!(of(&serde_json::from_str(service).unwrap()), expected);
    }

    #[test]
    fn a_services_hash_is_consuls() {
        let plain = r#"{"ID":"foo","Service":"foo","Tags":["bar","baz"],"Meta":{},"Port":8000,
            "Weights":{"Passing":1,"Warning":1}}"#;
        check(plain, "3e352f348d44f7eb");
        // Fields that are not included do not change the hash, and neither does the hash field itself.
        check(&plain.replacen('{', r#"{"Datacenter":"dc9","ContentHash":"x","#, 1), "3e352f348d44f7eb");
        let native = r#"{"ID":"n","Service":"n","Port":1,"Weights":{"Passing":1,"Warning":1},
            "Connect":{"Native":true}}"#;
        check(native, "f76ee53c563f438c");
    }

    #[test]
    fn a_proxys_hash_is_consuls() {
        check(
            r#"{"Kind":"connect-proxy","ID":"p","Service":"p","Tags":[],"Meta":{"a":"b","c":"d"},"Port":20000,
            "Address":"10.0.0.1","SocketPath":"/s","TaggedAddresses":{"lan":{"Address":"10.0.0.1","Port":20000},
            "wan":{"Address":"1.2.3.4","Port":80}},"Weights":{"Passing":5,"Warning":2},"EnableTagOverride":true,
            "Proxy":{"DestinationServiceName":"web","DestinationServiceID":"web-1","LocalServiceAddress":"127.0.0.1",
            "LocalServicePort":8080,"LocalServiceSocketPath":"/l","Mode":"transparent",
            "TransparentProxy":{"OutboundListenerPort":15001,"DialedDirectly":true},
            "Config":{"protocol":"http","n":1500,"f":1.5,"t":true,"z":null,"l":[1,"x",{"k":[]}],"o":{}},
            "Upstreams":[{"DestinationType":"service","DestinationName":"db","Datacenter":"dc1",
            "LocalBindAddress":"127.0.0.2","LocalBindPort":9001,"Config":{"a":1},"MeshGateway":{"Mode":"local"}},
            {"DestinationType":"service","DestinationName":"cache","LocalBindSocketPath":"/u",
            "LocalBindSocketMode":"0600"}],"MeshGateway":{"Mode":"local"},"Expose":{"Checks":true,
            "Paths":[{"ListenerPort":2,"Path":"/h","LocalPathPort":1,"Protocol":"http2"}]}}}"#,
            "321fb375170263da",
        );
    }
}
