//! The JSON of `agent/proxies` and `agent/proxies/entry/:kind/:name`: which proxy has what, and who has an entry.
//!
//! These endpoints are our own; Consul has none like them. Ages are durations, counted by the agent's clock;
//! but for that of an entry, which its leader saw.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::shape::{is_default, null_default};

/// The proxies that are attached to an agent.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ProxyStatuses {
    /// The agent's node.
    pub node: String,
    /// The attached proxies, by id.
    #[serde(deserialize_with = "null_default")]
    pub proxies: Vec<ProxyStatus>,
    /// How many attached proxies are left out because there are more than an answer lists.
    #[serde(skip_serializing_if = "is_default")]
    pub left_out: usize,
    /// The streams that ended, the last one first, unless the same proxy is attached again.
    #[serde(deserialize_with = "null_default")]
    pub ended: Vec<EndedProxy>,
    /// How many ended streams were forgotten because there were too many. Told to callers that may see all.
    #[serde(skip_serializing_if = "is_default")]
    pub forgotten: u64,
}

/// An attached proxy.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ProxyStatus {
    /// The proxy's service id.
    pub proxy: String,
    /// The node where it is registered.
    pub node: String,
    /// The service that it acts for.
    pub service: String,
    /// `envoy` or `built-in`.
    pub kind: String,
    /// The version of Envoy, as it told.
    #[serde(skip_serializing_if = "is_default")]
    pub envoy_version: String,
    /// How long it has been connected.
    pub connected: String,
    /// `starting` (it was told nothing yet), `pending`, `acknowledged`, `rejected`; of a built-in proxy `delivered`.
    pub state: String,
    /// The version of the snapshot that its configuration is made from; 0 while there is none.
    pub snapshot: u64,
    /// What Envoy was told, by type. Empty for a built-in proxy, which takes each snapshot as a whole.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<TypeStatus>,
    /// What it refuses.
    #[serde(deserialize_with = "null_default")]
    pub rejections: Vec<RejectedResource>,
    /// How many further refusals are left out.
    #[serde(skip_serializing_if = "is_default")]
    pub more_rejections: usize,
    /// The parts of its registration for which it gets nothing, and why.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub unserved: Vec<String>,
}

/// What Envoy was told of one type of resources.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct TypeStatus {
    /// The type: `secret`, `cluster`, `endpoints`, `listener`, `route`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// How many resources it should have.
    pub resources: usize,
    /// How many of them it has.
    pub acknowledged: usize,
    /// How many were sent and are not answered.
    pub delivered: usize,
    /// How many wait: for others, or for the answer to an earlier response, or because Envoy has not asked for them.
    pub waiting: usize,
    /// How many it refuses.
    pub rejected: usize,
    /// The last response that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_delivered: Option<ResponseStatus>,
    /// The last response that Envoy acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_acknowledged: Option<ResponseStatus>,
    /// The last response that Envoy refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_rejected: Option<ResponseStatus>,
}

/// A response to Envoy.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ResponseStatus {
    /// Its version: its number on the stream.
    pub version: u32,
    /// How long ago.
    pub ago: String,
}

/// A resource that Envoy refuses. It keeps what it had of it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RejectedResource {
    /// Its type.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What Envoy says.
    pub words: String,
    /// What the resource is made from.
    #[serde(deserialize_with = "null_default")]
    pub made_from: Vec<MadeFrom>,
    /// How long ago Envoy refused it.
    pub ago: String,
}

/// What a resource is made from: an entry, a registration, or the certificate authority.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct MadeFrom {
    /// The entry's kind.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: String,
    /// The entry's name.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// The entry's field, if it is known.
    #[serde(skip_serializing_if = "is_default")]
    pub field: String,
    /// The registered proxy.
    #[serde(skip_serializing_if = "is_default")]
    pub registration: String,
    /// The upstream of the registration.
    #[serde(skip_serializing_if = "is_default")]
    pub upstream: String,
    /// Whether it is made by the certificate authority.
    #[serde(skip_serializing_if = "is_default")]
    pub authority: bool,
}

impl fmt::Display for MadeFrom {
    /// `service-resolver/api (Failover["*"])`, `registration of web-sidecar-proxy (upstream api)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, field, registration, upstream, authority } = self;
        if *authority {
            return f.write_str("the certificate authority");
        }
        let (place, part) = match registration.is_empty() {
            true => (format!("{kind}/{name}"), field.clone()),
            false if upstream.is_empty() => (format!("registration of {registration}"), String::new()),
            false => (format!("registration of {registration}"), format!("upstream {upstream}")),
        };
        match part.is_empty() {
            true => f.write_str(&place),
            false => write!(f, "{place} ({part})"),
        }
    }
}

/// A stream that ended.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct EndedProxy {
    /// The proxy's service id.
    pub proxy: String,
    /// The node where it was registered.
    pub node: String,
    /// The service that it acted for.
    pub service: String,
    /// `envoy` or `built-in`.
    pub kind: String,
    /// Why.
    pub reason: String,
    /// How long ago.
    pub ago: String,
}

/// Who has a configuration entry.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct EntryDelivery {
    /// The entry's kind.
    pub kind: String,
    /// The entry's name.
    pub name: String,
    /// The index at which it was accepted.
    pub modify_index: u64,
    /// How long ago that was, by the wall clocks of the leader then and of this agent now; empty if it is not known.
    #[serde(skip_serializing_if = "is_default")]
    pub accepted_ago: String,
    /// The agent's node: what is told is about the proxies of this agent.
    pub node: String,
    /// How many proxies it concerns.
    pub affected: usize,
    /// In how many of their snapshots it is.
    pub compiled: usize,
    /// To how many all of it was delivered.
    pub delivered: usize,
    /// How many acknowledged all of it.
    pub acknowledged: usize,
    /// How many refuse some of it.
    pub rejected: usize,
    /// The proxies, by id.
    #[serde(deserialize_with = "null_default")]
    pub proxies: Vec<EntryAtProxy>,
    /// How many proxies are left out of the list.
    #[serde(skip_serializing_if = "is_default")]
    pub left_out: usize,
}

/// How far an entry came with one proxy.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct EntryAtProxy {
    /// The proxy's service id.
    pub proxy: String,
    /// The service that it acts for.
    pub service: String,
    /// `envoy` or `built-in`.
    pub kind: String,
    /// `awaited` (not in its snapshot), `compiled`, `delivered`, `acknowledged` or `rejected`.
    pub reached: String,
    /// How long ago it came that far; empty if that is not known.
    #[serde(skip_serializing_if = "is_default")]
    pub ago: String,
    /// What the proxy refuses of it.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub rejections: Vec<RejectedResource>,
}
