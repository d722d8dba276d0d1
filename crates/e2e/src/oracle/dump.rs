//! What an Envoy knows, as resources by kind and name, with what no two runs have in common masked.
//!
//! The two meshes deliver some things in different ways: certificates within contexts of TLS or as secrets, routes
//! within listeners or by discovery. Here each is put where it is used, so that its content is compared; that it came
//! by discovery is a value of its own.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::http::Reply;

/// Resources by kind and name.
pub(super) type Resources = BTreeMap<String, Value>;

/// What there is instead of resources if a scenario was not played, and why.
pub(super) const UNPLAYED: &str = "unplayed";

/// What stands for a call that the agent refused.
pub(super) fn refused(path: &str, reply: &Reply) -> Resources {
    [(UNPLAYED.to_owned(), json!({ "path": path, "status": reply.status, "refused": reply.body }))].into()
}

/// What stands for an Envoy that served nothing.
pub(super) fn unstarted(why: &str, log: &str) -> Resources {
    [(UNPLAYED.to_owned(), json!({ "why": why, "log": log.trim() }))].into()
}

/// What Envoy says in its log of updates that it refuses, by the kind of their resources.
pub(super) fn refusals(log: &str) -> Resources {
    let told = log.lines().filter_map(|line| line.split_once(REJECTED));
    let by_kind = told.filter_map(|(before, why)| {
        let kind = before.rsplit_once("type.googleapis.com/")?.1;
        Some((format!("{REFUSED}[{kind}]"), json!(why)))
    });
    by_kind.collect()
}

/// What Envoy refuses of what it is given.
pub(super) const REFUSED: &str = "refused by Envoy";
/// How Envoy's log tells a refusal: after the kind of the resources, and before its words.
const REJECTED: &str = " rejected: ";

/// The resources of a dump.
pub(super) fn resources(dump: &Value, grpc: u16, admin: u16) -> Resources {
    let mut all = Resources::new();
    for part in items(&dump["configs"]) {
        if let Some(bootstrap) = part.get("bootstrap") {
            all.insert("bootstrap".to_owned(), bootstrap.clone());
        }
        for (list, held, kind) in LISTS {
            for own in items(&part[list]) {
                let held = held.split('.').fold(own, |own, key| &own[key]);
                insert(&mut all, kind, held);
                if let Some(error) = own.get("error_state") {
                    insert(&mut all, REFUSED, &json!({ "name": own["name"], "why": error["details"] }));
                }
            }
        }
    }
    place_secrets(&mut all);
    place_routes(&mut all);
    all.into_iter().map(|(name, value)| (without_hash(&name), masked(value, grpc, admin))).collect()
}

/// Lists of a dump, where each of their items has the resource, and its kind.
const LISTS: [(&str, &str, &str); 10] = [
    ("static_clusters", "cluster", "cluster"),
    ("dynamic_active_clusters", "cluster", "cluster"),
    ("dynamic_warming_clusters", "cluster", "warming"),
    ("static_listeners", "listener", "listener"),
    ("dynamic_listeners", "active_state.listener", "listener"),
    ("dynamic_listeners", "warming_state.listener", "warming"),
    ("dynamic_route_configs", "route_config", "routes"),
    ("static_endpoint_configs", "endpoint_config", "endpoints"),
    ("dynamic_endpoint_configs", "endpoint_config", "endpoints"),
    ("dynamic_active_secrets", "secret", "secret"),
];

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn insert(all: &mut Resources, kind: &str, own: &Value) {
    let name = own["name"].as_str().or_else(|| own["cluster_name"].as_str()).unwrap_or_default();
    if own.is_object() {
        all.insert(format!("{kind}[{name}]"), own.clone());
    }
}

/// Puts each secret where it is used.
fn place_secrets(all: &mut Resources) {
    let secrets: BTreeMap<_, _> = all
        .iter()
        .filter(|(name, _)| name.starts_with("secret["))
        .map(|(name, own)| (name.clone(), own.clone()))
        .collect();
    let find = |own: &Value| Some(secrets.get(&format!("secret[{}]", own["name"].as_str()?))?.clone());
    let resolve = |context: &mut Map<String, Value>| {
        if let Some(named) = context.get("tls_certificate_sds_secret_configs").cloned() {
            let found: Vec<_> =
                items(&named).filter_map(|own| Some(find(own)?["tls_certificate"].clone())).collect();
            context.remove("tls_certificate_sds_secret_configs");
            context.insert("tls_certificates".to_owned(), json!(found));
        }
        if let Some(both) = context.get("combined_validation_context").cloned() {
            let mut own = both["default_validation_context"].as_object().cloned().unwrap_or_default();
            let found = find(&both["validation_context_sds_secret_config"]).unwrap_or_default();
            own.extend(found["validation_context"].as_object().cloned().unwrap_or_default());
            context.remove("combined_validation_context");
            context.insert("validation_context".to_owned(), Value::Object(own));
        }
    };
    all.values_mut().for_each(|own| each_object(own, &resolve));
}

/// Puts the routes that a listener finds by discovery into it.
fn place_routes(all: &mut Resources) {
    let routes: BTreeMap<_, _> = all
        .iter()
        .filter(|(name, _)| name.starts_with("routes["))
        .map(|(name, own)| (name.clone(), own.clone()))
        .collect();
    let resolve = |manager: &mut Map<String, Value>| {
        let Some(name) = manager.get("rds").and_then(|rds| rds["route_config_name"].as_str()) else { return };
        let mut found = routes.get(&format!("routes[{name}]")).cloned().unwrap_or_default();
        found.as_object_mut().and_then(|own| own.remove("@type"));
        let rds = manager.remove("rds");
        manager.insert("route_config".to_owned(), found);
        manager.insert("routes_by_discovery".to_owned(), json!(rds));
    };
    all.values_mut().for_each(|own| each_object(own, &resolve));
    all.retain(|name, _| !name.starts_with("routes["));
}

fn each_object(own: &mut Value, change: &impl Fn(&mut Map<String, Value>)) {
    match own {
        Value::Object(map) => {
            change(map);
            map.values_mut().for_each(|value| each_object(value, change));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| each_object(value, change)),
        _ => {}
    }
}

/// A name without the fingerprint of settings, `0123abcd~`, which each mesh makes in its own way.
fn without_hash(text: &str) -> String {
    let is_hash =
        |part: &str| part.len() >= 8 && part.bytes().rev().take(8).all(|byte| byte.is_ascii_hexdigit());
    match text.split_once('~') {
        Some((hash, rest)) if is_hash(hash) => format!("{}<hash>~{rest}", &hash[..hash.len() - 8]),
        _ => text.to_owned(),
    }
}

fn masked(mut own: Value, grpc: u16, admin: u16) -> Value {
    each_object(&mut own, &|map| {
        for (key, value) in map.iter_mut() {
            match key.as_str() {
                "certificate_chain" | "private_key" if value.is_object() => *value = json!("<own>"),
                "last_updated" | "version_info" => *value = json!("<own>"),
                // What a program can do: the order is none.
                "extensions" => *value = json!("<extensions>"),
                "trusted_ca" => mask_authority(value),
                "port_value" if *value == json!(grpc) => *value = json!("<gRPC>"),
                "port_value" if *value == json!(admin) => *value = json!("<admin>"),
                _ => {}
            }
            if let Value::String(text) = value {
                *text = without_hash(text);
            }
        }
    });
    own
}

/// The text of an authority matters, not how it is carried.
fn mask_authority(value: &mut Value) {
    if let Some(text) = value["inline_string"].as_str() {
        *value = json!({ "inline_string": text.trim().replace("\r\n", "\n") });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_envoy_refuses_is_told_in_its_words() {
        let log = "[a][warning][config] [x.cc:1] delta config for type.googleapis.com/envoy.config.listener.v3.Listener \
                   rejected: Error adding/updating listener(s) a: no cluster\n[b][info] all is well";
        let words = json!("Error adding/updating listener(s) a: no cluster");
        let expected = [("refused by Envoy[envoy.config.listener.v3.Listener]".to_owned(), words)];
        assert_eq!(refusals(log), expected.into());
        assert_eq!(refusals("[a][warning] nothing of the kind"), Resources::new());
    }
}
