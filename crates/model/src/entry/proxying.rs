//! What the defaults of services and those of all proxies have in common.

use serde::{Deserialize, Serialize};

use crate::is_default;
use crate::proxy::Settings;
use crate::words::words;

words! {
    /// What a service speaks.
    Protocol, "a protocol" {
        /// As the proxies' defaults say; bytes if they say nothing.
        Unset = "",
        /// Bytes.
        Tcp = "tcp",
        /// HTTP/1.1.
        Http = "http",
        /// HTTP/2.
        Http2 = "http2",
        /// gRPC.
        Grpc = "grpc",
    }
}

impl Protocol {
    /// Whether it has requests that can be told apart.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Http2 | Self::Grpc)
    }
}

words! {
    /// How traffic reaches a proxy.
    ProxyMode, "a mode of proxies" {
        /// As registered.
        Unset = "",
        /// Callers name the proxy's own listeners.
        Direct = "direct",
        /// Calls are led to the proxy without the caller's knowing.
        Transparent = "transparent",
    }
}

words! {
    /// How a call crosses to another network.
    GatewayMode, "a mode of mesh gateways" {
        /// As the next more general setting says.
        Unset = "",
        /// Without a gateway.
        None = "none",
        /// Through a gateway of the own network.
        Local = "local",
        /// Through a gateway of the other network.
        Remote = "remote",
    }
}

words! {
    /// Whether a proxy lets connections in that are without the mesh's TLS.
    MutualTlsMode, "a mode of mutual TLS" {
        /// As the next more general setting says; strict if none does.
        Unset = "",
        /// It does not.
        Strict = "strict",
        /// It does, at the service's own port.
        Permissive = "permissive",
    }
}

/// How calls cross to another network.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct MeshGateway {
    /// The way.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: GatewayMode,
}

/// What Envoy is extended with.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct EnvoyExtension {
    /// Which extension.
    pub name: String,
    /// Whether the proxy's configuration fails if it cannot be applied.
    pub required: bool,
    /// What it is told.
    pub arguments: Settings,
    /// The versions of Consul that it is for.
    pub consul_version: String,
    /// The versions of Envoy that it is for.
    pub envoy_version: String,
}
