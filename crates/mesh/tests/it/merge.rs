//! Registrations merged with the entries that apply to them, setting by setting.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_mesh::defaults::{Central, Merged, Origin, Told, gather, merge, question, resolve};
use concord_model::catalog::{NodeScope, ServiceInstance};
use concord_model::entry::{Entry, EntryKind, EntryName, Record};
use concord_model::intention::Destination;
use concord_model::proxy::{ProxyConfig, ServiceKind};
use concord_model::{Pattern, ServiceName, ServiceRef, Stamp};
use serde_json::{Value, json};

type Entries = BTreeMap<EntryName, Arc<Entry>>;

fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

fn service(text: &str) -> ServiceRef {
    ServiceRef::local(name(text))
}

fn record<T>(scope: Destination, said: T) -> Record<T> {
    Record { scope, said, meta: BTreeMap::new(), stamp: Stamp::default() }
}

/// Entries by name: `proxies` is `proxy-defaults`, any other name `service-defaults` of that service. The values are
/// written as in the log.
fn entries(written: &Value) -> Entries {
    let written = written.as_object().unwrap();
    let all = written.iter().map(|(named, said)| {
        let said = said.clone();
        if named == "proxies" {
            let scope = EntryName::only(EntryKind::ProxyDefaults).scope;
            return Entry::ProxyDefaults(record(scope, serde_json::from_value(said).unwrap()));
        }
        let scope = EntryName::of_service(EntryKind::ServiceDefaults, &service(named)).scope;
        Entry::ServiceDefaults(record(scope, serde_json::from_value(said).unwrap()))
    });
    all.map(|entry| (entry.name(), Arc::new(entry))).collect()
}

/// The sidecar of `web` with these settings.
fn sidecar(settings: &Value) -> ServiceInstance {
    let mut proxy: ProxyConfig = serde_json::from_value(settings.clone()).unwrap();
    proxy.destination_service = Some(name("web"));
    let mut instance = ServiceInstance::of("web-proxy".parse().unwrap(), name("web-proxy"));
    instance.kind = ServiceKind::ConnectProxy;
    instance.proxy = Some(proxy);
    instance
}

fn central_of(instance: &ServiceInstance, entries: &Entries) -> Central {
    let question = question(instance, &NodeScope::default()).unwrap();
    gather(&question, |name| entries.get(name).cloned())
}

fn merged(written: &Value, settings: &Value) -> Merged {
    let instance = sidecar(settings);
    let central = central_of(&instance, &entries(written));
    resolve(&instance.proxy.unwrap(), &service("web"), &central)
}

/// Where a value comes from, in short: `-`, `registered`, or `entry field`.
fn short(origin: &Origin) -> String {
    match origin {
        Origin::Unset => "-".to_owned(),
        Origin::Registration => "registered".to_owned(),
        Origin::Entry { name, field } => format!("{} {field}", name.as_str()),
    }
}

fn seen<T: serde::Serialize>(told: &Told<T>) -> (Value, String) {
    (serde_json::to_value(&told.value).unwrap(), short(&told.origin))
}

/// A setting by its path: a field of the proxy, `config.<key>`, or `<upstream>.<key>`.
fn at(merged: &Merged, path: &str) -> (Value, String) {
    let absent = || (Value::Null, "-".to_owned());
    match path {
        "mode" => return seen(&merged.mode),
        "port" => return seen(&merged.outbound_listener_port),
        "dialed_directly" => return seen(&merged.dialed_directly),
        "mutual_tls_mode" => return seen(&merged.mutual_tls_mode),
        "mesh_gateway" => return seen(&merged.mesh_gateway),
        "expose_checks" => return seen(&merged.expose_checks),
        "expose_paths" => return seen(&merged.expose_paths),
        "access_logs" => return seen(&merged.access_logs),
        _ => {}
    }
    let (of, key) = path.split_once('.').unwrap();
    if of == "config" {
        return merged.config.get(key).map_or_else(absent, seen);
    }
    let found = merged.upstreams.iter().find(|own| own.upstream.id_text() == of);
    let Some(found) = found else { return absent() };
    match key {
        "mesh_gateway_mode" => seen(&found.mesh_gateway),
        key => found.config.get(key).map_or_else(absent, seen),
    }
}

trait IdText {
    fn id_text(&self) -> String;
}

impl IdText for concord_model::proxy::Upstream {
    fn id_text(&self) -> String {
        self.peer.as_ref().map_or_else(|| self.name.to_string(), |peer| format!("{}@{peer}", self.name))
    }
}

#[track_caller]
fn check(written: Value, settings: Value, path: &str, expected: Value, origin: &str) {
    let found = at(&merged(&written, &settings), path);
    assert_eq!(found, (expected, origin.to_owned()), "{path} of {settings} with {written}");
}

#[test]
fn each_setting_of_the_proxy_comes_from_the_most_particular_layer() {
    // Field in the entries, path, and what `proxy-defaults`, `service-defaults` and the registration say.
    let rows = [
        ("mode", "mode", json!("direct"), json!("transparent"), "Mode"),
        ("mutual_tls_mode", "mutual_tls_mode", json!("strict"), json!("permissive"), "MutualTLSMode"),
    ];
    for (field, path, general, particular, said) in rows {
        let all = json!({ "proxies": { field: general } });
        let both = json!({ "proxies": { field: general }, "web": { field: particular } });
        let own = json!({ "web": { field: particular } });
        check(json!({}), json!({}), path, json!(""), "-");
        check(all.clone(), json!({}), path, general.clone(), &format!("global {said}"));
        check(own, json!({}), path, particular.clone(), &format!("web {said}"));
        check(both.clone(), json!({}), path, particular.clone(), &format!("web {said}"));
        check(both, json!({ field: general }), path, general.clone(), "registered");
        check(all, json!({ field: particular }), path, particular, "registered");
    }
}

#[test]
fn each_setting_of_transparent_mode_is_merged_alone() {
    let port = |port: u16| json!({ "transparent_proxy": { "outbound_listener_port": port } });
    let dialed = json!({ "transparent_proxy": { "dialed_directly": true } });
    let field = "TransparentProxy.OutboundListenerPort";
    let own = json!({ "transparent": { "outbound_listener_port": 3 } });
    check(json!({ "proxies": port(1) }), json!({}), "port", json!(1), &format!("global {field}"));
    check(
        json!({ "proxies": port(1), "web": port(2) }),
        json!({}),
        "port",
        json!(2),
        &format!("web {field}"),
    );
    check(json!({ "proxies": port(1), "web": port(2) }), own.clone(), "port", json!(3), "registered");
    let said = "global TransparentProxy.DialedDirectly";
    check(json!({ "proxies": dialed, "web": port(2) }), own.clone(), "dialed_directly", json!(true), said);
    check(
        json!({ "web": dialed }),
        own,
        "dialed_directly",
        json!(true),
        "web TransparentProxy.DialedDirectly",
    );
}

#[test]
fn the_mode_of_mesh_gateways_is_that_of_the_most_particular_layer() {
    let mode = |mode: &str| json!({ "mesh_gateway": { "mode": mode } });
    let both = json!({ "proxies": mode("local"), "web": mode("remote") });
    check(
        json!({ "proxies": mode("local") }),
        json!({}),
        "mesh_gateway",
        json!("local"),
        "global MeshGateway.Mode",
    );
    check(both.clone(), json!({}), "mesh_gateway", json!("remote"), "web MeshGateway.Mode");
    check(both, json!({ "mesh_gateway_mode": "none" }), "mesh_gateway", json!("none"), "registered");
}

#[test]
fn paths_and_checks_are_exposed_by_any_layer() {
    let path = |path: &str| json!([{ "path": path, "listener_port": 1 }]);
    let all = json!({ "expose": { "checks": true, "paths": path("/all") } });
    let own = json!({ "expose": { "paths": path("/own") } });
    let both = json!({ "proxies": all, "web": own });
    check(json!({ "proxies": all }), json!({}), "expose_paths", path("/all"), "global Expose.Paths");
    check(both.clone(), json!({}), "expose_paths", path("/own"), "web Expose.Paths");
    check(both.clone(), json!({}), "expose_checks", json!(true), "global Expose.Checks");
    let registered = json!({ "expose": { "paths": path("/mine") } });
    check(both.clone(), registered.clone(), "expose_paths", path("/mine"), "registered");
    check(both, registered.clone(), "expose_checks", json!(true), "global Expose.Checks");
    check(json!({}), registered, "expose_checks", json!(false), "-");
}

#[test]
fn access_logs_are_merged_field_by_field() {
    let all = json!({ "proxies": { "access_logs": { "enabled": true, "type": "file", "path": "/all" } } });
    let logs = json!({ "enabled": true, "type": "file", "path": "/all" });
    check(json!({}), json!({}), "access_logs", json!({}), "-");
    check(all.clone(), json!({}), "access_logs", logs, "global AccessLogs");
    let own = json!({ "access_logs": { "path": "/own", "text_format": "x" } });
    let both = json!({ "enabled": true, "type": "file", "path": "/own", "text_format": "x" });
    check(all, own, "access_logs", both, "registered");
}

#[test]
fn extensions_come_from_entries_only_and_lose_their_versions() {
    let extension = |name: &str| json!({ "name": name, "required": true, "arguments": { "a": 1 }, "envoy_version": ">1" });
    let written = json!({
        "proxies": { "envoy_extensions": [extension("all")] },
        "web": { "envoy_extensions": [extension("own")] },
    });
    let merged = merged(&written, &json!({ "envoy_extensions": [extension("stale")] }));
    let shown: Vec<_> =
        merged.envoy_extensions.iter().map(|told| (told.value.name.as_str(), short(&told.origin))).collect();
    assert_eq!(
        shown,
        [("all", "global EnvoyExtensions".to_owned()), ("own", "web EnvoyExtensions".to_owned())]
    );
    let kept = &merged.envoy_extensions[0].value;
    assert!(kept.required && kept.arguments["a"] == 1 && kept.envoy_version.is_empty());
}

#[test]
fn opaque_settings_follow_from_fields_and_from_other_opaque_settings() {
    let rows = [
        ("protocol", json!("grpc"), "protocol", "Protocol"),
        (
            "balance_inbound_connections",
            json!("exact_balance"),
            "balance_inbound_connections",
            "BalanceInboundConnections",
        ),
        ("max_inbound_connections", json!(7), "max_inbound_connections", "MaxInboundConnections"),
        ("local_connect_timeout_ms", json!(70), "local_connect_timeout_ms", "LocalConnectTimeoutMs"),
        ("local_request_timeout_ms", json!(71), "local_request_timeout_ms", "LocalRequestTimeoutMs"),
    ];
    for (field, value, key, said) in rows {
        let path = format!("config.{key}");
        let all = json!({ "proxies": { "config": { key: "http" } } });
        let both = json!({ "proxies": { "config": { key: "http" } }, "web": { field: value } });
        check(json!({}), json!({}), &path, Value::Null, "-");
        check(all.clone(), json!({}), &path, json!("http"), &format!("global Config.{key}"));
        check(both.clone(), json!({}), &path, value, &format!("web {said}"));
        check(both, json!({ "config": { key: "tcp" } }), &path, json!("tcp"), "registered");
        check(all, json!({ "config": { key: "" } }), &path, json!("http"), &format!("global Config.{key}"));
    }
}

#[test]
fn opaque_settings_that_are_empty_do_not_count_and_objects_are_merged() {
    let all = |value: Value| json!({ "proxies": { "config": { "k": value } } });
    for empty in [json!(null), json!(0), json!(0.0), json!(false), json!(""), json!([]), json!({})] {
        check(all(json!(5)), json!({ "config": { "k": empty } }), "config.k", json!(5), "global Config.k");
    }
    for own in [json!(1), json!(true), json!("x"), json!([1]), json!({ "a": 1 })] {
        check(all(json!(5)), json!({ "config": { "k": own } }), "config.k", own, "registered");
    }
    let deep = all(json!({ "a": 1, "b": { "c": 2, "d": 3 } }));
    let own = json!({ "config": { "k": { "b": { "c": 9 }, "a": 0 } } });
    check(deep, own, "config.k", json!({ "a": 1, "b": { "c": 9, "d": 3 } }), "registered");
}

fn to(upstreams: &[&str]) -> Value {
    json!({ "upstreams": upstreams.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() })
}

#[test]
fn the_protocol_of_an_upstream_has_four_layers_below_its_registration() {
    let all = json!({ "config": { "protocol": "http" } });
    let defaults = json!({ "upstream_config": { "defaults": { "protocol": "grpc" } } });
    let over = json!({ "upstream_config": {
        "defaults": { "protocol": "grpc" }, "overrides": [{ "name": "db", "protocol": "tcp" }] } });
    let db = json!({ "protocol": "http2" });
    let path = "db.protocol";
    check(json!({}), to(&["db"]), path, Value::Null, "-");
    check(json!({ "proxies": all }), to(&["db"]), path, json!("http"), "global Config.protocol");
    check(json!({ "proxies": all, "db": db }), to(&["db"]), path, json!("http2"), "db Protocol");
    let said = "web UpstreamConfig.Defaults.Protocol";
    check(json!({ "proxies": all, "db": db, "web": defaults }), to(&["db"]), path, json!("grpc"), said);
    let said = "web UpstreamConfig.Overrides.Protocol";
    check(json!({ "proxies": all, "db": db, "web": over }), to(&["db"]), path, json!("tcp"), said);
    check(
        json!({ "web": over }),
        to(&["cache", "db"]),
        "cache.protocol",
        json!("grpc"),
        "web UpstreamConfig.Defaults.Protocol",
    );
    let own = json!({ "upstreams": [{ "name": "db", "config": { "protocol": "http" } }] });
    check(json!({ "db": db, "web": over }), own, path, json!("http"), "registered");
    // The protocol of the calling service is no upstream's.
    check(json!({ "web": { "protocol": "http" } }), to(&["db"]), path, Value::Null, "-");
}

#[test]
fn a_peered_upstream_has_the_protocol_of_its_registration_only() {
    let written = json!({
        "proxies": { "config": { "protocol": "http" } }, "db": { "protocol": "http2" },
        "web": { "upstream_config": { "overrides": [
            { "name": "db", "peer": "east", "protocol": "grpc", "connect_timeout_ms": 7 }] } },
    });
    let plain = json!({ "upstreams": [{ "name": "db", "peer": "east" }] });
    check(written.clone(), plain.clone(), "db@east.protocol", Value::Null, "-");
    check(
        written.clone(),
        plain,
        "db@east.connect_timeout_ms",
        json!(7),
        "web UpstreamConfig.Overrides.ConnectTimeoutMs",
    );
    let own = json!({ "upstreams": [{ "name": "db", "peer": "east", "config": { "protocol": "tcp" } }] });
    check(written.clone(), own, "db@east.protocol", json!("tcp"), "registered");
    // An override for a peer is not one for the service of the same name here.
    check(written, to(&["db"]), "db.connect_timeout_ms", Value::Null, "-");
}

#[test]
fn each_other_setting_of_an_upstream_comes_from_defaults_override_or_registration() {
    let limits = |max: u32| (json!({ "max_connections": max }), json!({ "MaxConnections": max }));
    let check_of = |max: u32| {
        (json!({ "max_failures": max, "interval": 5 }), json!({ "Interval": 5, "MaxFailures": max }))
    };
    let same = |value: Value| (value.clone(), value);
    let rows = [
        ("envoy_listener_json", "EnvoyListenerJSON", same(json!("a")), same(json!("b"))),
        ("envoy_cluster_json", "EnvoyClusterJSON", same(json!("a")), same(json!("b"))),
        ("connect_timeout_ms", "ConnectTimeoutMs", same(json!(1)), same(json!(2))),
        (
            "balance_outbound_connections",
            "BalanceOutboundConnections",
            same(json!("exact_balance")),
            same(json!("exact_balance")),
        ),
        ("limits", "Limits", limits(1), limits(2)),
        ("passive_health_check", "PassiveHealthCheck", check_of(1), check_of(2)),
    ];
    for (key, field, (general, shown), (particular, own)) in rows {
        let path = format!("db.{key}");
        let defaults = json!({ "web": { "upstream_config": { "defaults": { key: general } } } });
        let both = json!({ "web": { "upstream_config": {
            "defaults": { key: general }, "overrides": [{ "name": "db", key: particular }] } } });
        check(defaults, to(&["db"]), &path, shown, &format!("web UpstreamConfig.Defaults.{field}"));
        check(both.clone(), to(&["db"]), &path, own, &format!("web UpstreamConfig.Overrides.{field}"));
        let registered = json!({ "upstreams": [{ "name": "db", "config": { key: "mine" } }] });
        check(both, registered, &path, json!("mine"), "registered");
    }
}

#[test]
fn limits_are_merged_one_by_one_however_they_are_spelled() {
    let written = json!({ "web": { "upstream_config": { "defaults": {
        "limits": { "max_connections": 9, "max_pending_requests": 8 } } } } });
    for key in ["max_connections", "MaxConnections", "maxConnections"] {
        let own = json!({ "upstreams": [{ "name": "db", "config": { "limits": { key: 3 } } }] });
        check(written.clone(), own, "db.limits", json!({ key: 3, "MaxPendingRequests": 8 }), "registered");
    }
}

#[test]
fn the_gateway_of_an_upstream_has_six_layers() {
    let mode = |mode: &str| json!({ "mode": mode });
    let proxies = json!({ "mesh_gateway": mode("none") });
    let plain = json!({ "mesh_gateway": mode("local") });
    let defaults = json!({ "mesh_gateway": mode("local"),
        "upstream_config": { "defaults": { "mesh_gateway": mode("remote") } } });
    let over = json!({ "mesh_gateway": mode("local"),
        "upstream_config": { "overrides": [{ "name": "db", "mesh_gateway": mode("none") }] } });
    let path = "db.mesh_gateway_mode";
    let proxy = json!({ "mesh_gateway_mode": "local", "upstreams": [{ "name": "db" }] });
    let own = json!({ "mesh_gateway_mode": "local", "upstreams": [{ "name": "db", "mesh_gateway_mode": "remote" }] });
    check(json!({}), to(&["db"]), path, json!(""), "-");
    check(json!({ "proxies": proxies }), to(&["db"]), path, json!("none"), "global MeshGateway.Mode");
    check(
        json!({ "proxies": proxies, "web": plain }),
        to(&["db"]),
        path,
        json!("local"),
        "web MeshGateway.Mode",
    );
    let said = "web UpstreamConfig.Defaults.MeshGateway.Mode";
    check(json!({ "proxies": proxies, "web": defaults }), to(&["db"]), path, json!("remote"), said);
    check(json!({ "proxies": proxies, "web": defaults }), proxy.clone(), path, json!("local"), "registered");
    let said = "web UpstreamConfig.Overrides.MeshGateway.Mode";
    check(json!({ "proxies": proxies, "web": over }), proxy, path, json!("none"), said);
    check(json!({ "proxies": proxies, "web": over }), own, path, json!("remote"), "registered");
    let opaque = json!({ "proxies": { "config": { "mesh_gateway": { "mode": "remote" } } } });
    check(
        opaque,
        json!({ "mode": "transparent" }),
        "*.mesh_gateway_mode",
        json!("remote"),
        "global Config.mesh_gateway",
    );
    // It does not stay among the opaque settings of a registered upstream.
    check(json!({ "web": plain }), to(&["db"]), "db.mesh_gateway", Value::Null, "-");
    check(
        json!({ "web": plain }),
        json!({ "mode": "transparent" }),
        "*.mesh_gateway",
        json!({ "Mode": "local" }),
        "web MeshGateway.Mode",
    );
}

fn ids(merged: &Merged) -> Vec<(String, bool)> {
    merged.upstreams.iter().map(|own| (own.upstream.id_text(), own.upstream.centrally_configured)).collect()
}

#[test]
fn transparent_mode_adds_the_upstreams_that_only_entries_name() {
    let web = json!({ "upstream_config": {
        "defaults": { "connect_timeout_ms": 5 },
        "overrides": [{ "name": "db", "connect_timeout_ms": 6 }, { "name": "api", "peer": "east", "protocol": "http" }],
    } });
    let written = json!({ "web": web, "db": { "protocol": "http" } });
    let added = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), true)).collect::<Vec<_>>();
    assert_eq!(ids(&merged(&written, &json!({}))), []);
    assert_eq!(ids(&merged(&written, &to(&["db"]))), [("db".to_owned(), false)]);
    let transparent = merged(&written, &json!({ "mode": "transparent" }));
    assert_eq!(ids(&transparent), added(&["*", "api@east", "db"]));
    check(written.clone(), json!({ "mode": "transparent" }), "db.protocol", json!("http"), "db Protocol");
    check(
        written.clone(),
        json!({ "mode": "transparent" }),
        "db.connect_timeout_ms",
        json!(6),
        "web UpstreamConfig.Overrides.ConnectTimeoutMs",
    );
    check(
        written,
        json!({ "mode": "transparent" }),
        "*.connect_timeout_ms",
        json!(5),
        "web UpstreamConfig.Defaults.ConnectTimeoutMs",
    );
    let by_entry = json!({ "proxies": { "mode": "transparent" }, "web": web });
    assert_eq!(ids(&merged(&by_entry, &json!({}))), added(&["*", "api@east", "db"]));
    let mut registered = to(&["db"]);
    registered["mode"] = json!("direct");
    assert_eq!(ids(&merged(&by_entry, &registered)), [("db".to_owned(), false)]);
    // The protocol of all services is none of the settings of all upstreams: it would win over an upstream's own.
    let protocol =
        json!({ "proxies": { "mode": "transparent", "config": { "protocol": "http" } }, "web": web });
    check(protocol, json!({}), "*.protocol", Value::Null, "-");
}

#[test]
fn prepared_queries_stay_as_registered() {
    let written = json!({ "web": { "upstream_config": { "defaults": { "connect_timeout_ms": 5 } } } });
    let own = json!({ "upstreams": [{ "name": "db", "kind": "prepared_query" }] });
    let merged = merged(&written, &own);
    assert!(merged.upstreams[0].config.is_empty());
    assert_eq!(ids(&merged), [("db".to_owned(), false)]);
}

#[test]
fn what_is_registered_stays_where_no_entry_says_anything() {
    let settings = json!({
        "destination_service_id": "web-1", "local_service_port": 8080, "mode": "direct", "mesh_gateway_mode": "local",
        "transparent": { "dialed_directly": true }, "expose": { "checks": true }, "config": { "a": 1 },
        "upstreams": [{ "name": "db", "local_bind_port": 9000, "config": { "b": 2 }, "mesh_gateway_mode": "none" }],
    });
    let instance = sidecar(&settings);
    assert_eq!(merge(&instance, &NodeScope::default(), &Central::default()), instance);
}

#[test]
fn gateways_are_merged_under_their_own_name_and_plain_services_not_at_all() {
    let written = entries(&json!({
        "proxies": { "config": { "a": 1 } }, "gate": { "mesh_gateway": { "mode": "local" } },
        "web": { "mesh_gateway": { "mode": "remote" } },
    }));
    let mut gateway = ServiceInstance::of("gate".parse().unwrap(), name("gate"));
    assert_eq!(question(&gateway, &NodeScope::default()), None);
    assert_eq!(merge(&gateway, &NodeScope::default(), &Central::default()), gateway);
    gateway.kind = ServiceKind::MeshGateway;
    assert_eq!(merge(&gateway, &NodeScope::default(), &Central::default()), gateway);
    let merged = merge(&gateway, &NodeScope::default(), &central_of(&gateway, &written)).proxy.unwrap();
    assert_eq!((merged.mesh_gateway_mode.as_str(), &merged.config["a"]), ("local", &json!(1)));
}

/// The names of the entries that are read for a sidecar with these settings.
fn read_for(written: &Value, settings: &Value) -> Vec<String> {
    let (entries, mut read) = (entries(written), Vec::new());
    let question = question(&sidecar(settings), &NodeScope::default()).unwrap();
    gather(&question, |name| {
        read.push(name.as_str().to_owned());
        entries.get(name).cloned()
    });
    read
}

#[test]
fn only_entries_that_matter_are_read() {
    let over = json!({ "web": { "upstream_config": { "overrides": [{ "name": "api" }, { "name": "far", "peer": "east" }] } } });
    assert_eq!(read_for(&over, &json!({})), ["global", "web"]);
    assert_eq!(read_for(&json!({}), &to(&["db", "api"])), ["global", "web", "api", "db"]);
    assert_eq!(read_for(&over, &to(&["db"])), ["global", "web", "api", "db"]);
    assert_eq!(read_for(&over, &json!({ "mode": "transparent" })), ["global", "web", "api"]);
    let by_entry = json!({ "proxies": { "mode": "transparent" }, "web": over["web"] });
    assert_eq!(read_for(&by_entry, &json!({})), ["global", "web", "api"]);
    let not = json!({ "proxies": { "mode": "transparent" }, "web": { "mode": "direct", "upstream_config": over["web"]["upstream_config"] } });
    assert_eq!(read_for(&not, &json!({})), ["global", "web"]);
    assert_eq!(
        read_for(&json!({}), &json!({ "upstreams": [{ "name": "db", "peer": "east" }] })),
        ["global", "web"]
    );
    assert_eq!(Pattern::<ServiceName>::parse("*").unwrap(), Pattern::Any);
}
