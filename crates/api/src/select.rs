//! Filters of JSON records: which selectors each kind of record has.
//!
//! A shape is a record with one example of every field; `"*"` stands for any key of a map. The shape decides whether
//! a selector exists. The record gives its value, and may leave out fields that are zero.

use std::sync::LazyLock;

use concord_filter::{Expression, FilterError, Selectable, Selected};
use serde::Serialize;
use serde_json::{Value, json};

use crate::service::{AgentService, NodeService, ServiceNode};

/// The selectors of one kind of record.
#[derive(Debug)]
pub struct Shape(LazyLock<Value>);

const fn shape(make: fn() -> Value) -> Shape {
    Shape(LazyLock::new(make))
}

/// `catalog/nodes`.
pub static NODE: Shape = shape(node);
/// `catalog/service`, `catalog/connect`.
pub static SERVICE_NODE: Shape = shape(ServiceNode::selectors);
/// Services of `catalog/node` and `catalog/node-services`.
pub static NODE_SERVICE: Shape = shape(NodeService::selectors);
/// Checks of `health/…` and `agent/checks`.
pub static CHECK: Shape = shape(check);
/// `health/service`, `health/connect`.
pub static SERVICE_ENTRY: Shape = shape(service_entry);
/// `agent/services`.
pub static AGENT_SERVICE: Shape = shape(AgentService::selectors);
/// `agent/members`.
pub static MEMBER: Shape = shape(member);
/// `connect/intentions`.
pub static INTENTION: Shape = shape(intention);
/// `config/service-defaults`.
pub static SERVICE_DEFAULTS: Shape = shape(service_defaults);

/// Keeps the records that match a filter.
///
/// # Errors
/// If the filter has a selector that such records do not have, even if there are none.
pub fn keep<T: Serialize>(
    filter: Option<&Expression>,
    shape: &'static Shape,
    records: Vec<T>,
) -> Result<Vec<T>, FilterError> {
    let Some(filter) = filter else { return Ok(records) };
    keep_by(filter, shape, records, |record| record)
}

/// Keeps the pairs whose record matches a filter.
///
/// # Errors
/// Like [`keep`].
pub fn keep_values<K, T: Serialize>(
    filter: Option<&Expression>,
    shape: &'static Shape,
    records: impl IntoIterator<Item = (K, T)>,
) -> Result<Vec<(K, T)>, FilterError> {
    let records = records.into_iter().collect();
    let Some(filter) = filter else { return Ok(records) };
    keep_by(filter, shape, records, |(_, record)| record)
}

fn keep_by<T, R: Serialize>(
    filter: &Expression,
    shape: &'static Shape,
    records: Vec<T>,
    record: impl Fn(&T) -> &R,
) -> Result<Vec<T>, FilterError> {
    // A wrong selector is an error even if the list is empty.
    filter.check(&Record { shape: &shape.0, value: &Value::Null })?;
    let mut kept = Vec::new();
    for item in records {
        let value = serde_json::to_value(record(&item)).expect("shapes have text keys only");
        if filter.matches(&Record { shape: &shape.0, value: &value })? {
            kept.push(item);
        }
    }
    Ok(kept)
}

struct Record<'a> {
    shape: &'a Value,
    value: &'a Value,
}

impl Selectable for Record<'_> {
    fn select(&self, path: &[&str]) -> Option<Selected<'_>> {
        walk(self.shape, Some(self.value), path)
    }
}

fn walk<'a>(shape: &'a Value, value: Option<&'a Value>, path: &[&str]) -> Option<Selected<'a>> {
    let Some((name, rest)) = path.split_first() else { return Some(whole(shape, value)) };
    match shape {
        Value::Object(fields) => match fields.get("*") {
            Some(element) => {
                let found = value.and_then(|map| map.get(*name));
                let selected = walk(element, found, rest)?;
                Some(if found.is_some() { selected } else { Selected::Absent })
            }
            None => walk(fields.get(*name)?, value.and_then(|object| object.get(*name)), rest),
        },
        Value::Array(elements) => {
            let element = elements.first()?;
            walk(element, None, path)?;
            let items = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            Some(Selected::Each(items.iter().filter_map(|item| walk(element, Some(item), path)).collect()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn whole<'a>(shape: &'a Value, value: Option<&'a Value>) -> Selected<'a> {
    match shape {
        Value::Bool(_) => value.and_then(Value::as_bool).unwrap_or_default().into(),
        Value::Number(_) => Selected::Int(value.and_then(Value::as_i64).unwrap_or_default()),
        Value::String(_) => value.and_then(Value::as_str).unwrap_or_default().into(),
        Value::Array(elements) => {
            let items = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let element = elements.first().unwrap_or(&Value::Null);
            Selected::List(items.iter().map(|item| whole(element, Some(item))).collect())
        }
        Value::Object(fields) if fields.contains_key("*") => {
            let keys = value.and_then(Value::as_object).map(|map| map.keys().map(String::as_str).collect());
            Selected::Map(keys.unwrap_or_default())
        }
        Value::Object(_) | Value::Null => Selected::Object,
    }
}

fn node() -> Value {
    json!({
        "ID": "", "Node": "", "Address": "", "Datacenter": "", "Partition": "", "PeerName": "",
        "TaggedAddresses": {"*": ""}, "Meta": {"*": ""}, "Locality": {"Region": "", "Zone": ""}, "CreateIndex": 0,
        "ModifyIndex": 0,
    })
}

fn service_defaults() -> Value {
    let path = json!({"ListenerPort": 0, "Path": "", "LocalPathPort": 0, "Protocol": ""});
    let upstream = json!({"Name": "", "Protocol": "", "ConnectTimeoutMs": 0, "MeshGateway": {"Mode": ""}});
    json!({
        "Kind": "", "Name": "", "Protocol": "", "Mode": "", "MutualTLSMode": "", "ExternalSNI": "",
        "TransparentProxy": {"OutboundListenerPort": 0, "DialedDirectly": false}, "MeshGateway": {"Mode": ""},
        "Expose": {"Checks": false, "Paths": [path]}, "Destination": {"Addresses": [""], "Port": 0},
        "UpstreamConfig": {"Defaults": upstream, "Overrides": [upstream]}, "MaxInboundConnections": 0,
        "LocalConnectTimeoutMs": 0, "LocalRequestTimeoutMs": 0, "BalanceInboundConnections": "",
        "EnvoyExtensions": [{"Name": "", "Required": false}], "Meta": {"*": ""}, "CreateIndex": 0, "ModifyIndex": 0,
    })
}

fn check() -> Value {
    json!({
        "Node": "", "CheckID": "", "Name": "", "Status": "", "Notes": "", "Output": "", "ServiceID": "",
        "ServiceName": "", "ServiceTags": [""], "Type": "", "Interval": "", "Timeout": "", "ExposedPort": 0,
        "PeerName": "", "Namespace": "", "Partition": "", "CreateIndex": 0, "ModifyIndex": 0,
    })
}

fn service_entry() -> Value {
    json!({"Node": node(), "Service": NodeService::selectors(), "Checks": [check()]})
}

fn member() -> Value {
    json!({
        "Name": "", "Addr": "", "Port": 0, "Tags": {"*": ""}, "Status": 0, "ProtocolMin": 0, "ProtocolMax": 0,
        "ProtocolCur": 0, "DelegateMin": 0, "DelegateMax": 0, "DelegateCur": 0,
    })
}

fn intention() -> Value {
    json!({
        "ID": "", "Description": "", "SourceNS": "", "SourceName": "", "DestinationNS": "", "DestinationName": "",
        "SourcePartition": "", "DestinationPartition": "", "SourcePeer": "", "SourceType": "", "Action": "",
        "Meta": {"*": ""}, "Precedence": 0, "CreateIndex": 0, "ModifyIndex": 0,
    })
}

#[cfg(test)]
mod tests;
