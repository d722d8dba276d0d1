//! `mesh`: what holds for the whole mesh.

use serde::{Deserialize, Serialize};

use crate::is_default;
use crate::words::words;

words! {
    /// A version of TLS.
    TlsVersion, "a version of TLS" {
        /// The proxy's default.
        Unset = "",
        /// The proxy's default, said so.
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
    /// What becomes of a request whose path has escaped slashes.
    EscapedSlashes, "an action for escaped slashes" {
        /// As the proxy's default is.
        Unset = "",
        /// As the proxy's default is, said so.
        ProxyDefault = "IMPLEMENTATION_SPECIFIC_DEFAULT",
        /// They stay.
        Keep = "KEEP_UNCHANGED",
        /// It is refused.
        Reject = "REJECT_REQUEST",
        /// It is led to the path without them.
        Redirect = "UNESCAPE_AND_REDIRECT",
        /// It goes on with the path without them.
        Forward = "UNESCAPE_AND_FORWARD",
    }
}

words! {
    /// What becomes of a request that has headers with underscores.
    Underscores, "an action for headers with underscores" {
        /// It goes on.
        Unset = "",
        /// It goes on, said so.
        Allow = "ALLOW",
        /// It is refused.
        Reject = "REJECT_REQUEST",
        /// It goes on without them.
        Drop = "DROP_HEADER",
    }
}

/// What holds for the whole mesh.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Mesh {
    /// What holds in transparent mode.
    pub transparent_proxy: MeshTransparentProxy,
    /// Whether proxies may be told to let connections in without the mesh's TLS.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_enabling_permissive_mutual_tls: bool,
    /// Whether Envoy refuses routes to what is not there.
    #[serde(skip_serializing_if = "is_default")]
    pub validate_clusters: bool,
    /// TLS between proxies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<MeshTls>,
    /// HTTP at proxies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<MeshHttp>,
    /// What holds for peerings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peering: Option<MeshPeering>,
}

/// What holds in transparent mode.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct MeshTransparentProxy {
    /// Whether calls to what is not in the mesh are refused.
    pub mesh_destinations_only: bool,
}

/// TLS between proxies.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct MeshTls {
    /// Of connections that a proxy takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incoming: Option<TlsLimits>,
    /// Of connections that a proxy makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<TlsLimits>,
}

/// What TLS may be.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct TlsLimits {
    /// The oldest version.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_min_version: TlsVersion,
    /// The newest version.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_max_version: TlsVersion,
    /// The suites up to TLS 1.2, by their IANA names.
    #[serde(skip_serializing_if = "is_default")]
    pub cipher_suites: Vec<String>,
}

/// HTTP at proxies.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct MeshHttp {
    /// Whether what a caller says of its own certificate is taken out.
    pub sanitize_x_forwarded_client_cert: bool,
    /// Of requests that a proxy takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incoming: Option<MeshHttpIncoming>,
}

/// Requests that a proxy takes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct MeshHttpIncoming {
    /// What is made uniform before rules look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_normalization: Option<RequestNormalization>,
}

/// What is made uniform in requests before rules look.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct RequestNormalization {
    /// Whether paths stay as they come, which lets them slip past rules.
    pub insecure_disable_path_normalization: bool,
    /// Whether several slashes become one.
    pub merge_slashes: bool,
    /// What becomes of escaped slashes.
    pub path_with_escaped_slashes_action: EscapedSlashes,
    /// What becomes of headers with underscores.
    pub headers_with_underscores_action: Underscores,
}

/// What holds for peerings.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct MeshPeering {
    /// Whether servers reach those of peers through mesh gateways.
    pub peer_through_mesh_gateways: bool,
}
