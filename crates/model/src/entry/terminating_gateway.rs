//! `terminating-gateway`: how services of the mesh reach services outside of it.

use serde::{Deserialize, Serialize};

use crate::is_default;
use crate::name::serde_text::{some_text, text_or_default};
use crate::name::{Namespace, Partition, Pattern, ServiceName};

/// A gateway to services outside of the mesh.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct TerminatingGateway {
    /// The services that it reaches.
    pub services: Vec<LinkedService>,
}

/// A service outside of the mesh.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct LinkedService {
    /// The service, or `*` for all without a row of their own. Required.
    #[serde(deserialize_with = "some_text")]
    pub name: Option<Pattern<ServiceName>>,
    /// The service's partition.
    #[serde(deserialize_with = "text_or_default", skip_serializing_if = "Partition::is_default")]
    pub partition: Partition,
    /// The service's namespace.
    #[serde(deserialize_with = "text_or_default", skip_serializing_if = "Namespace::is_default")]
    pub namespace: Namespace,
    /// A file with the authorities that the gateway trusts.
    #[serde(skip_serializing_if = "is_default")]
    pub ca_file: String,
    /// A file with the gateway's certificate.
    #[serde(skip_serializing_if = "is_default")]
    pub cert_file: String,
    /// A file with the key of that certificate.
    #[serde(skip_serializing_if = "is_default")]
    pub key_file: String,
    /// The TLS server name (SNI) that the gateway asks for.
    #[serde(skip_serializing_if = "is_default")]
    pub sni: String,
    /// Whether the host of requests stays as it is.
    #[serde(skip_serializing_if = "is_default")]
    pub disable_auto_host_rewrite: bool,
}
