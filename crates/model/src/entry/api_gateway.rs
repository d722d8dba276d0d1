//! `api-gateway`: a gateway whose traffic is distributed by routes.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::mesh::TlsVersion;
use super::status::{Reference, Status};
use crate::proxy::Settings;
use crate::words::words;

words! {
    /// The protocol of a listener of an API gateway.
    GatewayProtocol, "a protocol of API gateways" {
        /// Not set.
        Unset = "",
        /// HTTP.
        Http = "http",
        /// Bytes without a known protocol.
        Tcp = "tcp",
    }
}

/// The kind of the certificates of which no kind is named.
const CERTIFICATES: &str = "inline-certificate";

/// A gateway with routes.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ApiGateway {
    /// Where it listens.
    pub listeners: Vec<ApiGatewayListener>,
    /// TLS of all listeners: a feature of later versions of Consul, so no entry has it. Their clients send it empty.
    #[serde(deserialize_with = "unless_empty", skip_serializing_if = "Option::is_none")]
    pub tls: Option<Settings>,
    /// What the servers say of it.
    pub status: Status,
}

/// A listener.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ApiGatewayListener {
    /// Its name, by which routes choose it.
    pub name: String,
    /// The host that it is for, also with `*` as the leftmost label. Empty: every host.
    pub hostname: String,
    /// The port.
    pub port: u16,
    /// Its protocol.
    pub protocol: GatewayProtocol,
    /// TLS.
    pub tls: ApiGatewayTls,
    /// Requirements on tokens: a feature of Consul Enterprise, so no entry has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#override: Option<Settings>,
    /// Requirements on tokens: a feature of Consul Enterprise, so no entry has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Settings>,
}

/// TLS of a listener.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ApiGatewayTls {
    /// The entries with its certificates.
    #[serde(deserialize_with = "to_certificates")]
    pub certificates: Vec<Reference>,
    /// The maximum version.
    pub max_version: TlsVersion,
    /// The minimum version.
    pub min_version: TlsVersion,
    /// The allowed cipher suites.
    pub cipher_suites: Vec<String>,
}

/// Settings, or `None` if all of them are `false`, 0, empty or `null`.
fn unless_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Settings>, D::Error> {
    let said = Option::<Settings>::deserialize(deserializer)?;
    Ok(said.filter(|said| said.values().any(|value| !is_empty(value))))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

/// References to certificates; those that name no kind are to certificates in entries.
fn to_certificates<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Reference>, D::Error> {
    Reference::read(deserializer, CERTIFICATES)
}
