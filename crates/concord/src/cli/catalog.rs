//! `catalog`: the registrations of all agents of a datacenter.

pub(super) mod datacenters;
pub(super) mod nodes;
pub(super) mod services;

use std::collections::BTreeMap;

use concord_client::QueryOptions;

use super::command::{Command, Invocation};
use super::flag::Flag;

pub(crate) static GROUP: Command = Command::group(
    "catalog",
    "Shows nodes and services of a datacenter",
    "Shows what is registered in a datacenter, by whichever agent.",
);

/// The flag for node metadata, shared by two commands.
const NODE_META: Flag = Flag::pairs("node-meta", "Only nodes with this metadata, and services on them.")
    .placeholder("<key=value>");

/// The request options from the shared flags and this one.
fn options(call: &Invocation<'_>) -> QueryOptions {
    QueryOptions { node_meta: call.values.pairs("node-meta"), ..call.options() }
}

/// `a=1,b=2`.
fn pairs(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
