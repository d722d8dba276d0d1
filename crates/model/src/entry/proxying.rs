//! Settings that `service-defaults` and `proxy-defaults` have in common.

use serde::{Deserialize, Serialize};

use crate::is_default;
use crate::words::words;

words! {
    /// The protocol of a service.
    Protocol, "a protocol" {
        /// Not set: the protocol of `proxy-defaults`, or TCP.
        Unset = "",
        /// Bytes without a known protocol.
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
    /// Whether it consists of requests.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Http2 | Self::Grpc)
    }
}

words! {
    /// How traffic reaches a proxy.
    ProxyMode, "a mode of proxies" {
        /// Not set: as registered.
        Unset = "",
        /// Callers connect to the proxy's own listeners.
        Direct = "direct",
        /// Connections are redirected to the proxy; callers do not notice it.
        Transparent = "transparent",
    }
}

words! {
    /// How a connection reaches another network.
    GatewayMode, "a mode of mesh gateways" {
        /// Not set: the next more general setting applies.
        Unset = "",
        /// Without a gateway.
        None = "none",
        /// Through a gateway in the caller's network.
        Local = "local",
        /// Through a gateway in the other network.
        Remote = "remote",
    }
}

/// How connections reach another network.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct MeshGateway {
    /// The mode.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: GatewayMode,
}
