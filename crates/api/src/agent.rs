//! The JSON of the agent's own endpoints: self, members, reports of TTL checks. Local services stand in
//! `service`.

use std::collections::BTreeMap;

use concord_model::catalog::CheckStatus;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decode::{self, REQUEST_DECODE_FAILED};
use crate::fault::{Fault, Faults};

#[cfg(test)]
mod tests;

/// `PUT agent/reload`: the result, by key. Consul answers nothing, and its clients ignore the answer.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Reloaded {
    /// Keys whose new values are in force.
    pub reloaded: Vec<String>,
    /// Keys that changed in the configuration but need a restart.
    pub after_restart: Vec<String>,
}

/// `agent/self`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct AgentSelf {
    /// The part that clients read first.
    pub config: SelfConfig,
    /// The resolved configuration, without secrets. Clients read `GRPCPort` from it as a last resort.
    pub debug_config: BTreeMap<String, Value>,
    /// Network coordinate; `null` if there is none.
    pub coord: Option<Value>,
    /// The agent as a member of its gossip pool.
    pub member: Member,
    /// Counters by component.
    pub stats: BTreeMap<String, BTreeMap<String, String>>,
    /// The node's metadata.
    pub meta: BTreeMap<String, String>,
    /// Where proxies get their configuration; left out if there is no such port.
    #[serde(rename = "xDS", skip_serializing_if = "Option::is_none")]
    pub xds: Option<SelfXds>,
}

/// `Config` of `agent/self`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SelfConfig {
    /// The agent's datacenter.
    pub datacenter: String,
    /// The datacenter that decides about intentions, entries and tokens.
    pub primary_datacenter: String,
    /// The node's name.
    pub node_name: String,
    /// The node's id.
    #[serde(rename = "NodeID")]
    pub node_id: String,
    /// Revision of the source it was built from.
    pub revision: String,
    /// Whether it is a server.
    pub server: bool,
    /// The version of Consul that it is compatible with.
    pub version: String,
    /// When it was built.
    pub build_date: String,
}

/// `xDS` of `agent/self`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SelfXds {
    /// Versions by proxy: `{"envoy": [...]}`.
    pub supported_proxies: BTreeMap<String, Vec<String>>,
    /// The port to use: the one with TLS, if there is one.
    pub port: i32,
    /// Both ports.
    pub ports: XdsPorts,
}

/// Ports of the gRPC listeners; -1 if disabled.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct XdsPorts {
    /// Without TLS.
    pub plaintext: i32,
    /// With TLS.
    #[serde(rename = "TLS")]
    pub tls: i32,
}

/// A member of a gossip pool.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its IP address.
    pub addr: String,
    /// Its gossip port.
    pub port: u16,
    /// Its own tags.
    pub tags: BTreeMap<String, String>,
    /// See [`MemberStatus`].
    pub status: u8,
    /// Oldest gossip protocol it speaks.
    pub protocol_min: u8,
    /// Newest gossip protocol it speaks.
    pub protocol_max: u8,
    /// Gossip protocol that it uses.
    pub protocol_cur: u8,
    /// Oldest protocol above gossip that it speaks.
    pub delegate_min: u8,
    /// Newest protocol above gossip that it speaks.
    pub delegate_max: u8,
    /// Protocol above gossip that it uses.
    pub delegate_cur: u8,
}

/// The state of a member, as the number in [`Member::status`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MemberStatus {
    /// It responds.
    Alive = 1,
    /// It is leaving.
    Leaving = 2,
    /// It has left.
    Left = 3,
    /// It does not respond.
    Failed = 4,
}

/// Body of `agent/check/update/:id`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CheckUpdate {
    /// `passing`, `warning` or `critical`.
    pub status: String,
    /// The output of the check.
    pub output: String,
}

impl CheckUpdate {
    /// Reads the body.
    pub fn decode(body: &[u8]) -> Result<(CheckStatus, String), Faults> {
        let Self { status, output } = decode::body(body, REQUEST_DECODE_FAILED)?;
        match CheckStatus::parse(&status) {
            Some(status) => Ok((status, output)),
            None => Err(Faults::one(Fault::rule("Status", format!("Invalid check status: '{status}'")))),
        }
    }
}
