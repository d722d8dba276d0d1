//! `mesh`: settings of the whole mesh.

use serde::{Deserialize, Serialize};

use crate::is_default;
use crate::words::words;

words! {
    /// A version of TLS.
    TlsVersion, "a version of TLS" {
        /// Not set: the proxy's default.
        Unset = "",
        /// Explicitly the proxy's default.
        Auto = "TLS_AUTO",
        /// 1.0.
        Tls10 = "TLSv1_0",
        /// 1.1.
        Tls11 = "TLSv1_1",
        /// 1.2.
        Tls12 = "TLSv1_2",
        /// 1.3.
        Tls13 = "TLSv1_3",
    }
}

words! {
    /// What the proxy does with a request whose path has escaped slashes.
    EscapedSlashes, "an action for escaped slashes" {
        /// Not set: the proxy's default.
        Unset = "",
        /// Explicitly the proxy's default.
        ProxyDefault = "IMPLEMENTATION_SPECIFIC_DEFAULT",
        /// It does not change the path.
        Keep = "KEEP_UNCHANGED",
        /// It refuses the request.
        Reject = "REJECT_REQUEST",
        /// It redirects the client to the path with plain slashes.
        Redirect = "UNESCAPE_AND_REDIRECT",
        /// It forwards the request with plain slashes in the path.
        Forward = "UNESCAPE_AND_FORWARD",
    }
}

words! {
    /// What the proxy does with a request that has headers with underscores.
    Underscores, "an action for headers with underscores" {
        /// Not set: it forwards the request.
        Unset = "",
        /// It forwards the request.
        Allow = "ALLOW",
        /// It refuses the request.
        Reject = "REJECT_REQUEST",
        /// It removes these headers and forwards the request.
        Drop = "DROP_HEADER",
    }
}

/// Settings of the whole mesh.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Mesh {
    /// Settings for transparent mode.
    pub transparent_proxy: MeshTransparentProxy,
    /// Whether the configuration may let proxies accept connections without the mesh's TLS.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_enabling_permissive_mutual_tls: bool,
    /// Whether Envoy refuses routes to missing clusters.
    #[serde(skip_serializing_if = "is_default")]
    pub validate_clusters: bool,
    /// TLS between proxies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<MeshTls>,
    /// HTTP at proxies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<MeshHttp>,
    /// Settings of peerings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peering: Option<MeshPeering>,
}

/// Settings for transparent mode.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct MeshTransparentProxy {
    /// Whether connections to destinations outside of the mesh are refused.
    pub mesh_destinations_only: bool,
}

/// TLS between proxies.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct MeshTls {
    /// For connections that a proxy accepts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incoming: Option<TlsLimits>,
    /// For connections that a proxy opens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<TlsLimits>,
}

/// The allowed versions and cipher suites of TLS.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct TlsLimits {
    /// The oldest version.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_min_version: TlsVersion,
    /// The newest version.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_max_version: TlsVersion,
    /// The cipher suites for TLS 1.2 and older, by their IANA names.
    #[serde(skip_serializing_if = "is_default")]
    pub cipher_suites: Vec<String>,
}

/// HTTP at proxies.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct MeshHttp {
    /// Whether the proxy removes a caller's header with the details of a client certificate.
    pub sanitize_x_forwarded_client_cert: bool,
    /// For requests that a proxy accepts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incoming: Option<MeshHttpIncoming>,
}

/// Settings for requests that a proxy accepts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct MeshHttpIncoming {
    /// How requests are normalized before rules are applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_normalization: Option<RequestNormalization>,
}

/// How requests are normalized before rules are applied.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct RequestNormalization {
    /// Whether paths are not normalized. Then a request can bypass rules on paths.
    pub insecure_disable_path_normalization: bool,
    /// Whether several slashes in a row become one.
    pub merge_slashes: bool,
    /// The action for escaped slashes.
    pub path_with_escaped_slashes_action: EscapedSlashes,
    /// The action for headers with underscores.
    pub headers_with_underscores_action: Underscores,
}

/// Settings of peerings.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct MeshPeering {
    /// Whether servers connect to the servers of peers through mesh gateways.
    pub peer_through_mesh_gateways: bool,
}
