//! What an older Envoy is told, read with the API of its time: no field may be unknown there.
//!
//! A Go program ([interop/envoy](../../../../interop/envoy/main.go)) reads it with the stubs of go-control-plane v0.11.1.
//! They are a little older than the oldest Envoy that is accepted: what came between is listed in [`KNOWN`].

#![allow(clippy::disallowed_methods, reason = "a real program in the environment")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use concord_model::intention::Action;
use concord_model::proxy::{AccessLogSink, AccessLogs, Expose, ExposedPath, Upstream};
use concord_xds::bootstrap::version::Version;
use concord_xds::{Configuration, ResourceType, sidecar};
use prost::Message;
use serde_json::json;

use crate::envoy::{Case, skipped};
use crate::random::Random;
use crate::world::{self, NEWEST, Told, endpoint, settings, upstream};

const MESHES: usize = 60;

/// Fields that Envoy 1.28.0 knows, and these stubs do not yet: `disable_stateful_session_resumption`.
const KNOWN: [&str; 1] = ["envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext field 10"];

fn of_upstream(config: &str) -> Upstream {
    Upstream { config: settings(config), ..upstream("db", 9191) }
}

/// Entries and upstreams that bring every kind of resource, and every part of one.
fn scenarios() -> Vec<(Told, Upstream, String)> {
    let plain = Told::default;
    let http = || plain().write("proxy-defaults", "global", r#"{"config": {"protocol": "http"}}"#);
    let with_instances =
        |told: Told| Told { endpoints: vec![("db", vec![endpoint("db", "10.0.0.1")])], ..told };
    let limits = r#"{"limits": {"max_connections": 3, "max_pending_requests": 4, "max_concurrent_requests": 5},
        "passive_health_check": {"interval": 1000000000, "max_failures": 3}, "connect_timeout_ms": 700,
        "balance_outbound_connections": "exact_balance"}"#;
    let inbound = r#"{"max_inbound_connections": 3, "balance_inbound_connections": "exact_balance"}"#;
    let resolver = r#"{"subsets": {"v1": {"filter": "Service.Meta.v == 1"}, "v2": {"filter": ""}},
        "failover": {"*": {"service": "other"}}, "connect_timeout": 3000000000}"#;
    let splits =
        r#"{"splits": [{"weight": 50, "service_subset": "v1"}, {"weight": 50, "service_subset": "v2"}]}"#;
    let limits_of_tls = r#"{"tls_min_version": "TLSv1_2", "tls_max_version": "TLSv1_3",
        "cipher_suites": ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"]}"#;
    let tls = format!(r#"{{"tls": {{"incoming": {limits_of_tls}, "outgoing": {limits_of_tls}}}}}"#);
    let all = vec![
        (plain().write("mesh", "mesh", &tls), of_upstream("{}"), "{}"),
        (plain(), of_upstream("{}"), "{}"),
        (with_instances(plain()), of_upstream(limits), inbound),
        (
            with_instances(http()),
            of_upstream(limits),
            r#"{"protocol": "http", "local_request_timeout_ms": 3}"#,
        ),
        (
            plain().write("service-defaults", "db", r#"{"protocol": "grpc"}"#),
            of_upstream("{}"),
            r#"{"protocol": "grpc"}"#,
        ),
        (http().write("service-resolver", "db", resolver), of_upstream("{}"), r#"{"protocol": "http2"}"#),
        (
            http().write("service-resolver", "db", resolver).write("service-splitter", "db", splits),
            of_upstream("{}"),
            "{}",
        ),
    ];
    let owned = |(told, own, config): (Told, Upstream, &str)| (told, own, config.to_owned());
    all.into_iter().map(owned).chain([written("tcp"), written("http")]).collect()
}

/// What operators write themselves, for a service of this protocol.
fn written(protocol: &str) -> (Told, Upstream, String) {
    let filters = "type.googleapis.com/envoy.extensions.filters";
    let carry = json!({"name": "tcp", "typed_config": {"@type": format!("{filters}.network.tcp_proxy.v3.TcpProxy"),
        "stat_prefix": "own", "cluster": "local_app"}});
    let manager = format!("{filters}.network.http_connection_manager.v3.HttpConnectionManager");
    let router =
        json!({"name": "router", "typed_config": {"@type": format!("{filters}.http.router.v3.Router")}});
    let manage = json!({"name": "http", "typed_config": {"@type": manager, "stat_prefix": "own",
        "route_config": {"name": "own"}, "http_filters": [router]}});
    let listener = |port: u16| {
        json!({"@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": format!("own-{port}"),
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            "filter_chains": [{"filters": [manage]}], "default_filter_chain": {"filters": [carry]}})
        .to_string()
    };
    let cluster = |name: &str| {
        let ads = json!({"eds_config": {"ads": {}, "resource_api_version": "V3"}});
        json!({"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": name, "type": "EDS",
            "connect_timeout": "1s", "eds_cluster_config": ads})
        .to_string()
    };
    let tracing =
        json!({"@type": format!("{manager}.Tracing"), "random_sampling": {"value": 10.0}}).to_string();
    let config = json!({"protocol": protocol, "envoy_public_listener_json": listener(21000),
        "envoy_local_cluster_json": cluster("local_app"), "envoy_listener_tracing_json": tracing});
    let own = json!({"envoy_listener_json": listener(9191), "envoy_cluster_json": cluster("own")});
    (Told::default(), of_upstream(&own.to_string()), config.to_string())
}

/// Paths without TLS, one of them of another port and protocol.
fn exposed() -> Option<Box<Expose>> {
    let path = |listener_port: u16, local_path_port: u16, protocol: &str| ExposedPath {
        path: "/health".to_owned(),
        protocol: protocol.to_owned(),
        parsed_from_check: protocol.is_empty(),
        ..ExposedPath { listener_port, local_path_port, ..ExposedPath::default() }
    };
    Some(Box::new(Expose { checks: false, paths: vec![path(21500, 8080, ""), path(21501, 9000, "http2")] }))
}

fn logs() -> Vec<Option<Box<AccessLogs>>> {
    let own = |sink: AccessLogSink| {
        let path = if sink == AccessLogSink::File { "/log" } else { "" };
        Some(Box::new(AccessLogs { enabled: true, sink, path: path.to_owned(), ..AccessLogs::default() }))
    };
    vec![
        None,
        own(AccessLogSink::File),
        own(AccessLogSink::StandardError),
        own(AccessLogSink::StandardOutput),
    ]
}

/// All that an Envoy of this version is told in many meshes.
fn told(version: Option<Version>) -> Vec<Configuration> {
    let mut random = Random::new(20_261_201);
    let random = (0..MESHES).map(|_| Case::random(&mut random).snapshot());
    let mut all: Vec<_> = random.map(|snapshot| sidecar(&snapshot, version).unwrap()).collect();
    for (told, own, config) in scenarios() {
        for logs in logs() {
            let mut instance = world::sidecar(vec![own.clone()]);
            let proxy = instance.proxy.as_mut().unwrap();
            (proxy.config, proxy.access_logs, proxy.expose) = (settings(&config), logs, exposed());
            let built = sidecar(&told.snapshot(instance, Action::Deny), version).unwrap();
            assert_eq!(built.unserved, [], "all of it is told");
            all.push(built);
        }
    }
    all
}

/// The bytes of all resources, as the program reads them.
fn bytes(all: &[Configuration]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let of = |own: &Configuration| {
        ResourceType::ALL.map(|kind| own.resources.of(kind).cloned().collect::<Vec<_>>())
    };
    for resource in all.iter().flat_map(of).flatten() {
        let own = resource.body.encode_to_vec();
        bytes.extend_from_slice(&u32::try_from(own.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&own);
    }
    bytes
}

fn go(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CONCORD_TEST_GO").unwrap_or_else(|| "go".into());
    let mut command = Command::new(program);
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/envoy");
    command.current_dir(sources).args(arguments).env("GOWORK", "off").env("CGO_ENABLED", "0");
    command.env("GOFLAGS", "-mod=readonly -buildvcs=false").env("GOTOOLCHAIN", "local");
    if let Some(modules) = std::env::var_os("CONCORD_TEST_GO_MODULES") {
        command.env("GOMODCACHE", modules);
    }
    command
}

/// Builds the program. `None`: there is no Go, or not what the program needs.
fn program(test: &str, directory: &Path) -> Option<std::path::PathBuf> {
    let own = directory.join("ageing");
    let built = go(&["build", "-o"]).arg(&own).arg(".").stdin(Stdio::null()).output();
    match built {
        Ok(output) if output.status.success() => Some(own),
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            skipped(test, why.trim().lines().last().unwrap_or_default());
            None
        }
        Err(error) => {
            skipped(test, &format!("go: {error}"));
            None
        }
    }
}

/// What the program does not know of this, without repetition, and how many messages it has read.
fn unknown(program: &Path, bytes: &[u8]) -> (Vec<String>, usize) {
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(bytes));
        child.wait_with_output().unwrap()
    });
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (fields, counted): (Vec<_>, Vec<_>) = text.lines().partition(|line| !line.starts_with("messages: "));
    let mut fields: Vec<_> = fields.into_iter().map(str::to_owned).collect();
    fields.sort();
    fields.dedup();
    (fields, counted[0].trim_start_matches("messages: ").parse().unwrap())
}

#[test]
fn n_304_an_older_envoy_is_told_nothing_that_its_api_does_not_know() {
    let directory = tempfile::tempdir().unwrap();
    let test = "n_304_an_older_envoy_is_told_nothing_that_its_api_does_not_know";
    let Some(program) = program(test, directory.path()) else { return };
    for version in [None, Some(Version { major: 1, minor: 28, patch: 0 })] {
        let (found, read) = unknown(&program, &bytes(&told(version)));
        assert_eq!(found, KNOWN, "{version:?}");
        assert!(read > 10_000, "{read} messages");
    }
    let (newer, _) = unknown(&program, &bytes(&told(NEWEST)));
    let sourced = "envoy.config.rbac.v3.Permission field 14".to_owned();
    assert!(newer.contains(&sourced), "what is unknown is found: {newer:?}");
}
