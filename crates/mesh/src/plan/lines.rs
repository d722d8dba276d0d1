//! A chain in short lines for people: one for each route, and one for each target with settings of its own.
//!
//! Two chains that differ in anything have different lines, or the same in another order: the last line names the
//! fields of entries by which all this is so.

use std::fmt::Write as _;

use concord_model::chain::{ChainNode, ChainTarget, CompiledChain, NextNode, ResolverNode};
use concord_model::entry::{Route, RouteDestination, Weight};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::chain::CONNECT_TIMEOUT;

/// What a chain does.
pub fn lines(chain: &CompiledChain) -> Vec<String> {
    let mut lines = vec![format!("protocol {}", chain.protocol)];
    match chain.nodes.get(&chain.start.key) {
        Some(ChainNode::Router(router)) => {
            for route in &router.routes {
                let (which, how) = (which(&route.definition), how(&route.definition));
                lines.push(format!("{which} -> {}{how}", parts(chain, &route.next)));
            }
        }
        _ => lines.push(format!("all requests -> {}", parts(chain, &chain.start))),
    }
    let settings = chain.targets.values().filter_map(|target| target_settings(chain, target));
    lines.extend(settings);
    lines.extend(rest(chain));
    lines
}

/// Which requests a route takes.
fn which(route: &Route) -> String {
    let Some(http) = route.matching.as_ref().and_then(|matching| matching.http.as_ref()) else {
        return "other requests".to_owned();
    };
    let mut told = Vec::new();
    let paths =
        [("path", &http.path_exact), ("path prefix", &http.path_prefix), ("path regex", &http.path_regex)];
    told.extend(
        paths.into_iter().filter(|(_, text)| !text.is_empty()).map(|(what, text)| format!("{what} {text}")),
    );
    if !http.methods.is_empty() {
        let methods: Vec<_> = http.methods.iter().map(ToString::to_string).collect();
        told.push(format!("methods {}", methods.join(" ")));
    }
    let more = fields(http, &["path_exact", "path_prefix", "path_regex", "methods"]);
    told.extend(more);
    if told.is_empty() { "all requests".to_owned() } else { told.join(", ") }
}

/// What a route does beside sending requests to its parts.
fn how(route: &Route) -> String {
    let Some(destination) = &route.destination else { return String::new() };
    let plain = RouteDestination {
        service: None,
        service_subset: String::new(),
        namespace: destination.namespace.clone().filter(|own| !own.is_default()),
        partition: destination.partition.clone().filter(|own| !own.is_default()),
        ..destination.clone()
    };
    let told = fields(&plain, &[]);
    if told.is_empty() { String::new() } else { format!(", with {}", told.join(", ")) }
}

/// The parts among which requests are split.
fn parts(chain: &CompiledChain, next: &NextNode) -> String {
    match chain.nodes.get(&next.key) {
        Some(ChainNode::Splitter(splitter)) => {
            let part = |split: &concord_model::chain::ChainSplit| {
                let mut text = share(split.weight, &parts(chain, &split.next));
                let plain = concord_model::entry::Split {
                    weight: Weight::default(),
                    service: None,
                    service_subset: String::new(),
                    ..split.definition.clone()
                };
                for told in fields(&plain, &["weight"]) {
                    let _ = write!(text, " with {told}");
                }
                text
            };
            splitter.splits.iter().map(part).collect::<Vec<_>>().join(", ")
        }
        Some(ChainNode::Resolver(resolver)) => resolved(chain, resolver),
        Some(ChainNode::Router(_)) | None => next.key.clone(),
    }
}

fn share(weight: Weight, to: &str) -> String {
    format!("{weight}% {to}")
}

/// A target, and where requests go if it has no healthy instance.
fn resolved(chain: &CompiledChain, resolver: &ResolverNode) -> String {
    let failover = resolver.failover.iter().map(|step| step.target.as_str());
    let targets = std::iter::once(resolver.target.as_str()).chain(failover);
    let told: Vec<_> = targets
        .map(|id| chain.targets.get(id).map_or_else(|| id.to_owned(), |own| place(chain, own)))
        .collect();
    told.join(", else ")
}

/// A target as `service/subset@datacenter` or `service%peer`. The datacenter of the question is left out.
fn place(chain: &CompiledChain, target: &ChainTarget) -> String {
    let mut text = target.service.name.to_string();
    if !target.subset_name.is_empty() {
        let _ = write!(text, "/{}", target.subset_name);
    }
    if let Some(datacenter) = target.datacenter.as_ref().filter(|own| **own != chain.datacenter) {
        let _ = write!(text, "@{datacenter}");
    }
    if let Some(peer) = &target.service.peer {
        let _ = write!(text, "%{peer}");
    }
    text
}

/// What is said about connections to a target; `None` if nothing is.
fn target_settings(chain: &CompiledChain, target: &ChainTarget) -> Option<String> {
    let node = chain.nodes.values().find_map(|node| match node {
        ChainNode::Resolver(own) if own.target == target.id => Some(own),
        _ => None,
    });
    let mut told = Vec::new();
    if target.connect_timeout != CONNECT_TIMEOUT {
        told.push(format!("connect timeout {}", seconds(target.connect_timeout.nanos())));
    }
    if let Some(node) = node {
        if node.request_timeout.nanos() != 0 {
            told.push(format!("request timeout {}", seconds(node.request_timeout.nanos())));
        }
        told.extend(node.load_balancer.as_ref().map(|own| format!("load balancing {}", json(own))));
    }
    if !target.subset.filter.is_empty() {
        told.push(format!("only instances with {}", target.subset.filter));
    }
    if target.subset.only_passing {
        told.push("only passing instances".to_owned());
    }
    if !target.mesh_gateway.as_str().is_empty() {
        told.push(format!("mesh gateway mode {}", target.mesh_gateway.as_str()));
    }
    if target.dialed_directly {
        told.push("instances may be called by address".to_owned());
    }
    told.extend(target.external.as_ref().map(|_| format!("server name {}", target.sni)));
    (!told.is_empty()).then(|| format!("{}: {}", place(chain, target), told.join(", ")))
}

/// What no other line says: metadata, extensions, and the entries from which decisions come.
fn rest(chain: &CompiledChain) -> Vec<String> {
    let mut told = Vec::new();
    if !chain.service_meta.is_empty() {
        told.push(format!("metadata {}", json(&chain.service_meta)));
    }
    if !chain.envoy_extensions.is_empty() {
        told.push(format!("extensions of Envoy {}", json(&chain.envoy_extensions)));
    }
    told.push(format!("decided by {}", decided_by(chain)));
    told
}

/// The fields that decide something, in a fixed order.
fn decided_by(chain: &CompiledChain) -> String {
    let mut all = Vec::new();
    all.extend(chain.protocol_origin.iter().map(ToString::to_string));
    all.extend(chain.start.via.iter().map(ToString::to_string));
    for node in chain.nodes.values() {
        match node {
            ChainNode::Router(own) => {
                for route in &own.routes {
                    all.extend(route.origin.iter().chain(&route.next.via).map(ToString::to_string));
                }
            }
            ChainNode::Splitter(own) => {
                for split in &own.splits {
                    all.extend(split.origins.iter().chain(&split.next.via).map(ToString::to_string));
                }
                all.extend(own.load_balancer.as_ref().map(|own| format!("load balancing {}", json(own))));
            }
            ChainNode::Resolver(own) => {
                all.extend(own.entry.as_ref().map(|entry| format!("{} ({})", entry, own.target)));
                let steps = own.failover.iter().flat_map(|step| &step.origins);
                all.extend(steps.map(ToString::to_string));
            }
        }
    }
    for target in chain.targets.values() {
        all.extend(target.mesh_gateway_origin.iter().chain(&target.external).map(ToString::to_string));
    }
    if all.is_empty() { "no entry".to_owned() } else { all.join(", ") }
}

/// The set fields of a part of an entry, as the API names them, without those that are left out.
fn fields(part: &impl Serialize, without: &[&str]) -> Vec<String> {
    let Ok(Value::Object(all)) = serde_json::to_value(part) else { return Vec::new() };
    let told = all.into_iter().filter(|(key, value)| !without.contains(&key.as_str()) && is_set(value));
    told.map(|(key, value)| match value.as_i64().filter(|_| key.ends_with("timeout")) {
        Some(nanos) => format!("{} {}", pascal(&key), seconds(nanos)),
        None => format!("{} {}", pascal(&key), spelled(value)),
    })
    .collect()
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => all.values().any(is_set),
        Value::Number(number) => number.as_i64() != Some(0),
        Value::Bool(true) => true,
    }
}

fn json(part: &impl Serialize) -> String {
    spelled(serde_json::to_value(part).unwrap_or_default()).to_string()
}

/// A value with the names of fields that the API gives them. What is not set is left out.
fn spelled(value: Value) -> Value {
    match value {
        Value::Object(all) => {
            let set = all.into_iter().filter(|(_, value)| is_set(value));
            // Names of headers stay as they are.
            let own = |key: &str| matches!(key, "set" | "add");
            let told = set.map(|(key, value)| (pascal(&key), if own(&key) { value } else { spelled(value) }));
            Value::Object(told.collect::<Map<_, _>>())
        }
        Value::Array(all) => Value::Array(all.into_iter().map(spelled).collect()),
        other => other,
    }
}

/// `prefix_rewrite` as `PrefixRewrite`. A key that is no such name stays, as a header's does.
fn pascal(key: &str) -> String {
    if !key.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
        return key.to_owned();
    }
    let word = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    key.split('_').map(word).collect()
}

fn seconds(nanos: i64) -> String {
    let text = format!("{:.3}", nanos as f64 / 1e9);
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}
