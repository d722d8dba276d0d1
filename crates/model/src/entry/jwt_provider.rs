//! `jwt-provider`: an issuer of JSON web tokens, where its keys are, and where requests carry its tokens.

use serde::{Deserialize, Deserializer, Serialize};

use crate::is_default;
use crate::time::Span;
use crate::words::words;

words! {
    /// How a proxy finds the server of a remote key set.
    DiscoveryType, "a way to find the server of a key set" {
        /// Not set: `STRICT_DNS`.
        Unset = "",
        /// All addresses that DNS answers.
        StrictDns = "STRICT_DNS",
        /// The configured address.
        Static = "STATIC",
        /// One of the addresses that DNS answers.
        LogicalDns = "LOGICAL_DNS",
        /// Endpoints that the control plane sends.
        Eds = "EDS",
        /// The address that the connection had before it was redirected.
        OriginalDst = "ORIGINAL_DST",
    }
}

/// The tolerance for the clocks of issuers that set none.
const CLOCK_SKEW_SECONDS: u32 = 30;

/// An issuer of tokens.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct JwtProvider {
    /// Its keys. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_web_key_set: Option<JsonWebKeySet>,
    /// The required `iss` claim.
    #[serde(skip_serializing_if = "is_default")]
    pub issuer: String,
    /// A token must be for one of these audiences. Empty: for any.
    #[serde(skip_serializing_if = "is_default")]
    pub audiences: Vec<String>,
    /// Where requests carry the token. Empty: in the header `Authorization` after `Bearer `, or in the query parameter
    /// `access_token`.
    #[serde(skip_serializing_if = "is_default")]
    pub locations: Vec<TokenLocation>,
    /// How a verified token is passed on to the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarding: Option<TokenForwarding>,
    /// How far the issuer's clock may differ. Never 0: an entry with 0 or without it means 30.
    #[serde(deserialize_with = "some_skew")]
    pub clock_skew_seconds: u32,
    /// How many results of verification are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_config: Option<CacheConfig>,
}

impl Default for JwtProvider {
    fn default() -> Self {
        Self {
            json_web_key_set: None,
            issuer: String::new(),
            audiences: Vec::new(),
            locations: Vec::new(),
            forwarding: None,
            clock_skew_seconds: CLOCK_SKEW_SECONDS,
            cache_config: None,
        }
    }
}

fn some_skew<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let seconds = u32::deserialize(deserializer)?;
    Ok(if seconds == 0 { CLOCK_SKEW_SECONDS } else { seconds })
}

/// The keys of an issuer: exactly one of both.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct JsonWebKeySet {
    /// In the entry, or in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalJwks>,
    /// At a server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteJwks>,
}

/// Keys in the entry or in a file: exactly one of both.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct LocalJwks {
    /// The key set in base64.
    #[serde(skip_serializing_if = "is_default")]
    pub jwks: String,
    /// A file at every proxy whose service has an intention with this issuer.
    #[serde(skip_serializing_if = "is_default")]
    pub filename: String,
}

/// Keys at a server.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct RemoteJwks {
    /// Where the key set is.
    #[serde(skip_serializing_if = "is_default")]
    pub uri: String,
    /// Time-out of a request, in milliseconds. 0 means the proxy's default.
    #[serde(skip_serializing_if = "is_default")]
    pub request_timeout_ms: u32,
    /// How long keys are kept. 0 means the proxy's default.
    #[serde(skip_serializing_if = "is_default")]
    pub cache_duration: Span,
    /// Fetch the keys when the first request needs them, not before the listener opens.
    #[serde(skip_serializing_if = "is_default")]
    pub fetch_asynchronously: bool,
    /// How a failed request is repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<JwksRetryPolicy>,
    /// How the proxy connects to the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_cluster: Option<JwksCluster>,
}

/// How a failed request for keys is repeated.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct JwksRetryPolicy {
    /// How often.
    #[serde(skip_serializing_if = "is_default")]
    pub num_retries: u32,
    /// After which pauses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy_back_off: Option<RetryPolicyBackOff>,
}

/// The pauses between repetitions.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct RetryPolicyBackOff {
    /// The first pause. 0 means the proxy's default.
    #[serde(skip_serializing_if = "is_default")]
    pub base_interval: Span,
    /// The longest pause. 0 means ten times the first one.
    #[serde(skip_serializing_if = "is_default")]
    pub max_interval: Span,
}

/// How a proxy connects to the server of a key set.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct JwksCluster {
    /// How it finds the server.
    #[serde(skip_serializing_if = "is_default")]
    pub discovery_type: DiscoveryType,
    /// The authorities that it trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificates: Option<TlsCertificates>,
    /// Time-out of a connection. 0 means 5 seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub connect_timeout: Span,
}

/// Authorities for the server of a key set: exactly one of both.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct TlsCertificates {
    /// From a source that the proxy is configured with.
    #[serde(rename = "CaCertificateProviderInstance", skip_serializing_if = "Option::is_none")]
    pub ca_certificate_provider_instance: Option<ProviderInstance>,
    /// From a file, a variable or the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_ca: Option<TrustedCa>,
}

/// A source of certificates that the proxy is configured with.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ProviderInstance {
    /// The source. Empty means `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub instance_name: String,
    /// Which of its certificates.
    #[serde(skip_serializing_if = "is_default")]
    pub certificate_name: String,
}

/// Certificates of authorities: exactly one of these.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct TrustedCa {
    /// A file at the proxy.
    #[serde(skip_serializing_if = "is_default")]
    pub filename: String,
    /// A variable of the proxy's environment.
    #[serde(skip_serializing_if = "is_default")]
    pub environment_variable: String,
    /// The certificates.
    #[serde(skip_serializing_if = "is_default")]
    pub inline_string: String,
    /// The certificates in base64.
    #[serde(skip_serializing_if = "is_default")]
    pub inline_bytes: String,
}

/// Where requests carry the token: exactly one of these.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct TokenLocation {
    /// In a header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<TokenHeader>,
    /// In a parameter of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_param: Option<TokenParameter>,
    /// In a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<TokenCookie>,
}

/// A header that carries the token.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct TokenHeader {
    /// The header.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// The text before the token, as `Bearer `.
    #[serde(skip_serializing_if = "is_default")]
    pub value_prefix: String,
    /// Whether the header is passed on after the token was verified.
    #[serde(skip_serializing_if = "is_default")]
    pub forward: bool,
}

/// A query parameter that carries the token.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct TokenParameter {
    /// The parameter.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
}

/// A cookie that carries the token.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct TokenCookie {
    /// The cookie.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
}

/// How a verified token is passed on.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct TokenForwarding {
    /// The header with the token's payload, in base64url.
    #[serde(skip_serializing_if = "is_default")]
    pub header_name: String,
    /// Whether the payload is padded.
    pub pad_forward_payload_header: bool,
}

/// How many results of verification a proxy keeps.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct CacheConfig {
    /// The number of tokens. 0: none.
    #[serde(skip_serializing_if = "is_default")]
    pub size: u32,
}
