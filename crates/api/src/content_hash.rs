//! `ContentHash`: the hash of a local service that Consul's agent returns and that hash-based blocking uses.
//!
//! Clients store this hash and compare it, some across agents. So it is computed as in Consul: by the rules of
//! `mitchellh/hashstructure` (version 1), over the structures of Consul 1.21's Go client. That is FNV-1 of each
//! scalar, an ordered pair for each field, item or entry, and exclusive-or where the order does not matter.
//! Namespace, partition, datacenter and locality are not included. Here are the rules and the structures of a proxy;
//! [`hashed`] says beside each other shape what of it is covered.

use std::collections::BTreeMap;

use concord_model::proxy::{AccessLogs, Settings};
use serde_json::Value;

use crate::proxy::{AgentProxy, AgentUpstream, Expose, ExposedPath, MeshGateway, TransparentProxy};
use crate::spelled::Spelled;

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Something that a hash covers.
pub(crate) trait Hashed {
    /// Its hash.
    fn content_hash(&self) -> u64;
}

/// Declares how a structure is hashed: its name in Consul's client and, for each field, the name there. `with` gives
/// fields that only Consul has and their values, `without` the fields that are not covered. The order does not matter. A
/// field that is in none of these lists does not compile (`pattern requires ..`).
macro_rules! hashed {
    (
        $Shape:ident is $name:literal: $($field:ident $key:literal),+
        $(; with $($other:literal $value:expr),+)? $(; without $($uncovered:ident),+)?
    ) => {
        impl $crate::content_hash::Hashed for $Shape {
            fn content_hash(&self) -> u64 {
                let Self { $($field,)+ $($($uncovered: _,)+)? } = self;
                $name.content_hash()
                    $(^ $crate::content_hash::pair($key, $field))+
                    $($(^ $crate::content_hash::pair($other, &$value))+)?
            }
        }
    };
}
pub(crate) use hashed;

hashed!(AgentProxy is "AgentServiceConnectProxyConfig":
    destination_service_name "DestinationServiceName", destination_service_id "DestinationServiceID",
    local_service_address "LocalServiceAddress", local_service_port "LocalServicePort",
    local_service_socket_path "LocalServiceSocketPath", mode "Mode", transparent_proxy "TransparentProxy",
    config "Config", upstreams "Upstreams", mesh_gateway "MeshGateway", expose "Expose", access_logs "AccessLogs";
    with "EnvoyExtensions" Vec::<bool>::new());
hashed!(TransparentProxy is "TransparentProxyConfig":
    outbound_listener_port "OutboundListenerPort", dialed_directly "DialedDirectly");
hashed!(MeshGateway is "MeshGatewayConfig": mode "Mode");
hashed!(Expose is "ExposeConfig": checks "Checks", paths "Paths");
hashed!(AgentUpstream is "Upstream":
    destination_type "DestinationType", destination_partition "DestinationPartition",
    destination_namespace "DestinationNamespace", destination_peer "DestinationPeer",
    destination_name "DestinationName", datacenter "Datacenter", local_bind_address "LocalBindAddress",
    local_bind_port "LocalBindPort", local_bind_socket_path "LocalBindSocketPath",
    local_bind_socket_mode "LocalBindSocketMode", config "Config", mesh_gateway "MeshGateway",
    centrally_configured "CentrallyConfigured");

impl Hashed for Spelled<AccessLogs> {
    fn content_hash(&self) -> u64 {
        let AccessLogs { enabled, disable_listener_logs, sink, path, json_format, text_format } = &self.0;
        "AccessLogsConfig".content_hash()
            ^ pair("Enabled", enabled)
            ^ pair("DisableListenerLogs", disable_listener_logs)
            ^ pair("Type", sink.as_str())
            ^ pair("Path", path)
            ^ pair("JSONFormat", json_format)
            ^ pair("TextFormat", text_format)
    }
}

impl Hashed for ExposedPath {
    fn content_hash(&self) -> u64 {
        let Self { listener_port, path, local_path_port, protocol, parsed_from_check } = self;
        "ExposePath".content_hash()
            ^ pair("ListenerPort", listener_port)
            ^ pair("Path", path)
            ^ pair("LocalPathPort", local_path_port)
            ^ pair("Protocol", protocol)
            ^ pair("ParsedFromCheck", &parsed_from_check.unwrap_or_default())
    }
}

/// The hash of a field or entry.
pub(crate) fn pair(key: &str, value: &(impl Hashed + ?Sized)) -> u64 {
    ordered(key.content_hash(), value.content_hash())
}

fn ordered(first: u64, second: u64) -> u64 {
    fnv1(fnv1(BASIS, &first.to_le_bytes()), &second.to_le_bytes())
}

/// FNV-1: multiply first, then combine with the byte. (FNV-1a does it in the other order.)
fn fnv1(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed, |hash, byte| hash.wrapping_mul(PRIME) ^ u64::from(*byte))
}

impl Hashed for str {
    fn content_hash(&self) -> u64 {
        fnv1(BASIS, self.as_bytes())
    }
}

impl Hashed for String {
    fn content_hash(&self) -> u64 {
        self.as_str().content_hash()
    }
}

impl Hashed for bool {
    fn content_hash(&self) -> u64 {
        fnv1(BASIS, &[u8::from(*self)])
    }
}

impl Hashed for u64 {
    fn content_hash(&self) -> u64 {
        fnv1(BASIS, &self.to_le_bytes())
    }
}

/// Go's numbers of no stated size have eight bytes.
impl Hashed for u32 {
    fn content_hash(&self) -> u64 {
        u64::from(*self).content_hash()
    }
}

impl Hashed for u16 {
    fn content_hash(&self) -> u64 {
        u64::from(*self).content_hash()
    }
}

/// An absent value counts as the number 0.
impl<T: Hashed> Hashed for Option<T> {
    fn content_hash(&self) -> u64 {
        self.as_ref().map_or_else(|| 0_u64.content_hash(), T::content_hash)
    }
}

impl<T: Hashed> Hashed for Vec<T> {
    fn content_hash(&self) -> u64 {
        self.iter().map(T::content_hash).fold(0, ordered)
    }
}

impl<T: Hashed> Hashed for BTreeMap<String, T> {
    fn content_hash(&self) -> u64 {
        self.iter().fold(0, |hash, (key, value)| hash ^ pair(key, value))
    }
}

impl Hashed for Settings {
    fn content_hash(&self) -> u64 {
        self.iter().fold(0, |hash, (key, value)| hash ^ pair(key, value))
    }
}

/// In Go all JSON numbers are floats.
impl Hashed for Value {
    fn content_hash(&self) -> u64 {
        match self {
            Self::Null => None::<bool>.content_hash(),
            Self::Bool(value) => value.content_hash(),
            Self::Number(value) => value.as_f64().unwrap_or_default().to_bits().content_hash(),
            Self::String(value) => value.content_hash(),
            Self::Array(items) => items.content_hash(),
            Self::Object(members) => members.iter().fold(0, |hash, (key, value)| hash ^ pair(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::service::AgentService;

    /// The expected values were computed by hashstructure over the structures of the Go client.
    #[track_caller]
    fn check(service: &str, expected: &str) {
        let service: AgentService = serde_json::from_str(service).unwrap();
        assert_eq!(service.hashed().content_hash, expected);
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
