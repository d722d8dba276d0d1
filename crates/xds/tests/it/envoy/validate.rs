//! Envoys take all that is made of random snapshots (`--mode validate`).
//!
//! Secrets are left out: those of the tests are no certificates. Routes stand within their listeners, as Envoy validates
//! only what its bootstrap holds.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::Command;
use std::sync::Arc;

use concord_envoy_proto::written;
use concord_model::proxy::{Expose, ExposedPath};
use concord_xds::bootstrap::version::Version;
use concord_xds::{ResourceSet, ResourceType, sidecar};
use serde_json::{Value, json};

use super::{mesh, process, tokens};
use crate::made_request::{entries, names, settings};
use crate::random::{Random, action};
use crate::world::{self, NEWEST, Told, endpoint, upstream};

/// How many random snapshots each Envoy validates.
const SAMPLE: usize = 40;

/// What an entry of a kind about `db` may say, or nothing.
const ENTRIES: [(&str, &[&str]); 3] = [
    (
        "service-resolver",
        &[
            r#"{"failover": {"*": {"service": "api"}}, "connect_timeout": 2000000000}"#,
            r#"{"default_subset": "v1", "subsets": {"v1": {"filter": "Service.Meta.v == 1"}}}"#,
            r#"{"load_balancer": {"policy": "ring_hash", "ring_hash_config": {"minimum_ring_size": 10},
                "hash_policies": [{"field": "header", "field_value": "x-user"}, {"source_ip": true}]}}"#,
            r#"{"redirect": {"service": "api"}}"#,
        ],
    ),
    (
        "service-splitter",
        &[r#"{"splits": [{"weight": 99.5, "service": "db"}, {"weight": 0.5, "service": "api",
            "response_headers": {"set": {"x-part": "api"}}}]}"#],
    ),
    (
        "service-router",
        &[
            r#"{"routes": [{"match": {"http": {"path_regex": "/r.*", "header": [{"name": "x-p", "prefix": "v"}],
            "query_param": [{"name": "q", "exact": "1"}]}}, "destination": {"service": "api", "num_retries": 2,
            "retry_on_status_codes": [503], "request_timeout": 3000000000,
            "request_headers": {"add": {"x-part": "100%", ":path": "/"}, "set": {"x-of": "50% of %PROTOCOL%", "host": "b"},
            "remove": ["x-c", "Host"]}, "response_headers": {"set": {"x-b": "%lower% %REQ(:PATH):9% %A( %", "a b": "c"}}}},
            {"match": {"http": {"path_prefix": "/a/"}}, "destination": {"service": "api", "prefix_rewrite": "/"}}]}"#,
        ],
    ),
];

/// Settings of a proxy, and of its upstream.
const PROXY: [&str; 3] = [
    r#"{}"#,
    r#"{"max_inbound_connections": 7, "balance_inbound_connections": "exact_balance"}"#,
    r#"{"local_request_timeout_ms": 0, "local_idle_timeout_ms": 1500, "local_connect_timeout_ms": 100}"#,
];
const UPSTREAM: [&str; 3] = [
    r#"{}"#,
    r#"{"limits": {"max_connections": 1, "max_pending_requests": 0}, "connect_timeout_ms": 1500}"#,
    r#"{"passive_health_check": {"interval": "10s", "max_failures": 3, "max_ejection_percent": 50},
        "balance_outbound_connections": "exact_balance"}"#,
];

fn random_resources(random: &mut Random, version: Option<Version>) -> ResourceSet {
    let protocol = random.pick(&["tcp", "http", "http2", "grpc"]);
    let mut told = Told {
        intentions: entries(&names(), random),
        endpoints: vec![("db", vec![endpoint("db", "10.0.0.1")])],
        ..Told::default()
    };
    let defaults = format!(r#"{{"config": {{"protocol": "{protocol}"}}}}"#);
    told = told.write("proxy-defaults", "global", &defaults);
    for (kind, said) in ENTRIES {
        if (protocol != "tcp" || kind == "service-resolver") && random.one_in(2) {
            told = told.write(kind, "db", random.pick(said));
        }
    }
    for entry in tokens::providers().into_iter().chain([mesh(settings(random))]) {
        told.entries.insert(entry.name(), Arc::new(entry));
    }
    let mut own = upstream("db", 9191);
    own.config = world::settings(random.pick(&UPSTREAM));
    let mut instance = world::sidecar(vec![own]);
    let proxy = instance.proxy.as_mut().unwrap();
    proxy.config = world::settings(random.pick(&PROXY));
    proxy.config.insert("protocol".to_owned(), json!(protocol));
    if random.one_in(2) {
        let path = |port: u16, local: u16| ExposedPath {
            path: "/health".to_owned(),
            listener_port: port,
            local_path_port: local,
            protocol: if local == 8080 { "http" } else { "http2" }.to_owned(),
            parsed_from_check: random.one_in(2),
        };
        let mut path = path;
        let paths = vec![path(21500, 8080), path(21501, 9000)];
        proxy.expose = Some(Box::new(Expose { checks: false, paths }));
    }
    sidecar(&told.snapshot(instance, action(random)), version).unwrap().resources
}

/// All resources of a type, as JSON.
fn told(set: &ResourceSet, kind: ResourceType) -> Vec<Value> {
    let message = |own: &Arc<concord_xds::Resource>| {
        serde_json::to_value(written::unpack(&written::of(&own.body)).unwrap()).unwrap()
    };
    set.of(kind).map(message).collect()
}

/// Puts route configurations where listeners ask for them.
fn with_routes(value: &mut Value, routes: &BTreeMap<String, Value>) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(|own| with_routes(own, routes)),
        Value::Object(all) => {
            if let Some(rds) = all.remove("rds") {
                let name = rds["routeConfigName"].as_str().unwrap();
                all.insert("routeConfig".to_owned(), routes[name].clone());
            }
            all.values_mut().for_each(|own| with_routes(own, routes));
        }
        _ => {}
    }
}

fn bootstrap(set: &ResourceSet) -> Value {
    let routes = told(set, ResourceType::Route);
    let routes = routes.into_iter().map(|own| (own["name"].as_str().unwrap().to_owned(), own)).collect();
    let mut listeners = Value::Array(told(set, ResourceType::Listener));
    with_routes(&mut listeners, &routes);
    let mut clusters = told(set, ResourceType::Cluster);
    clusters.push(json!({ "name": "agent", "type": "STATIC", "loadAssignment": { "clusterName": "agent" } }));
    let ads = json!({ "apiType": "DELTA_GRPC", "transportApiVersion": "V3",
        "grpcServices": [{ "envoyGrpc": { "clusterName": "agent" } }] });
    json!({
        // As in the bootstrap that `connect envoy` makes.
        "layeredRuntime": { "layers": [
            { "name": "base", "staticLayer": { "re2.max_program_size.error_level": 1_048_576 } },
        ] },
        "node": { "id": "n", "cluster": "c" },
        "staticResources": { "listeners": listeners, "clusters": clusters },
        "dynamicResources": { "adsConfig": ads },
    })
}

#[track_caller]
fn validates(program: &OsString, bootstrap: &Value) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bootstrap.json");
    std::fs::write(&path, bootstrap.to_string()).unwrap();
    let mut command = Command::new(program);
    command.args(["--mode", "validate", "-l", "error", "-c"]).arg(&path);
    let ran = command.output().unwrap();
    let log = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{log}\n{bootstrap:#}");
}

#[test]
fn envoys_take_all_that_is_made_of_random_snapshots() {
    let test = "envoys_take_all_that_is_made_of_random_snapshots";
    let old = Some(Version { major: 1, minor: 28, patch: 0 });
    for (variable, version) in [("CONCORD_TEST_ENVOY", NEWEST), ("CONCORD_TEST_ENVOY_OLDEST", old)] {
        let Some(program) = process::program(test, variable) else { continue };
        let mut random = Random::new(super::seed_and_cases().0);
        for _ in 0..SAMPLE {
            validates(&program, &bootstrap(&random_resources(&mut random, version)));
        }
    }
}
