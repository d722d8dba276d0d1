//! `connect envoy` with a real Envoy: what it prints is accepted, and what it runs holds the token in no file.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use concord_e2e::{
    Agent, AgentOptions, Authority, Http, Process, World, binary, eventually, foreign, pick_port, ran,
};
use serde_json::{Value, json};

const ROOT: &str = "5d1f1c1e-7a0e-4f0b-9a53-4a1f6f0e8c11";

/// Settings of proxies, each with what it is about. What is sent needs no listener.
fn settings() -> Vec<(&'static str, Value)> {
    let cluster =
        r#"{"name":"mine","type":"STATIC","connect_timeout":"1s","load_assignment":{"cluster_name":"mine"}}"#;
    let listener = r#"{"name":"mine","address":{"socket_address":{"address":"127.0.0.1","port_value":0}},"filter_chains":[{"filters":[{"name":"tcp","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","stat_prefix":"mine","cluster":"mine"}}]}]}"#;
    let sink = r#"{"name":"envoy.stat_sinks.statsd","typed_config":{"@type":"type.googleapis.com/envoy.config.metrics.v3.StatsdSink","address":{"socket_address":{"address":"127.0.0.1","port_value":8125}}}}"#;
    let tracing = r#"{"http":{"name":"envoy.tracers.zipkin","typed_config":{"@type":"type.googleapis.com/envoy.config.trace.v3.ZipkinConfig","collector_cluster":"mine","collector_endpoint":"/api/v2/spans","collector_endpoint_version":"HTTP_JSON"}}}"#;
    let template = r#"{"admin":{"address":{"socket_address":{"address":"{{ .AdminBindAddress }}","port_value":{{ .AdminBindPort }}}}},
        "node":{"id":"{{ .ProxyID }}","cluster":"{{ .ProxyCluster }}"},"stats_config":{{ .StatsConfigJSON }},
        "static_resources":{"clusters":[{{ .StaticClustersJSON }}]}}"#;
    vec![
        ("plain", json!({})),
        ("statsd", json!({ "envoy_statsd_url": "udp://127.0.0.1:8125", "envoy_stats_flush_interval": "7s" })),
        (
            "dogstatsd",
            json!({ "envoy_dogstatsd_url": "unix:///tmp/none.sock", "envoy_stats_tags": ["team=a", "canary"] }),
        ),
        ("variable", json!({ "envoy_dogstatsd_url": "udp://${HOST_IP}:8125" })),
        ("sinks", json!({ "envoy_extra_stats_sinks_json": sink })),
        ("config", json!({ "envoy_stats_config_json": r#"{"use_all_default_tags":true}"# })),
        (
            "listeners",
            json!({ "envoy_prometheus_bind_addr": "127.0.0.1:0", "envoy_stats_bind_addr": "[::1]:0" }),
        ),
        (
            "extras",
            json!({
                "envoy_extra_static_clusters_json": cluster,
                "envoy_extra_static_listeners_json": listener,
                "envoy_tracing_json": tracing,
            }),
        ),
        (
            "template",
            json!({ "envoy_bootstrap_json_tpl": template, "envoy_extra_static_clusters_json": cluster }),
        ),
    ]
}

fn strict(world: &World) -> Agent {
    let hcl = vec![format!(
        "acl {{ enabled = true default_policy = \"deny\" tokens {{ initial_management = \"{ROOT}\" }} }}"
    )];
    world.agent("n1", AgentOptions { dev: true, hcl, ..AgentOptions::default() })
}

fn register(agent: &Agent, name: &str, config: &Value) {
    let body = json!({
        "Name": name, "Port": 8080,
        "Connect": { "SidecarService": { "Port": 0, "Proxy": { "Config": config } } },
    });
    agent.http().with_token(ROOT).put("/v1/agent/service/register", &body).ok();
}

/// Runs `connect envoy` with these words, and has Envoy check what is printed.
#[track_caller]
fn validated(world: &World, agent: &Agent, envoy: &Path, words: &[&str]) -> Value {
    let mut command = Command::new(binary());
    command.args([
        "connect",
        "envoy",
        "-bootstrap",
        &format!("-http-addr={}", agent.http_addr()),
        &format!("-token={ROOT}"),
    ]);
    command.args(words).env("HOST_IP", "127.0.0.1");
    let text = ran("connect envoy", &command.output().expect("it runs"));
    let path = world.write("bootstrap.json", &text);
    let mut check = Command::new(envoy);
    check.args(["--mode", "validate", "--config-path"]).arg(&path).stdin(Stdio::null());
    let output = check.output().expect("Envoy runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {complaint}\n{text}");
    // Envoy warns of what it is about to drop. `tracing` is the user's own.
    let ours =
        complaint.lines().filter(|line| line.contains("eprecated") && !line.contains("Bootstrap.tracing"));
    assert_eq!(ours.collect::<Vec<_>>(), Vec::<&str>::new(), "{words:?}");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn envoy_accepts_every_bootstrap() {
    let test = "envoy_accepts_every_bootstrap";
    let Some(envoy) = foreign(test, "CONCORD_TEST_ENVOY", "envoy", &["--version"]) else { return };
    let world = World::new();
    let authority = Authority::new(world.dir(), "ca");
    let (cert, key) = authority.issue("scrape");
    let agent = strict(&world);
    let ca = authority.ca();
    let file = |flag: &str, path: &Path| format!("-{flag}={}", path.display());
    for (name, config) in settings() {
        register(&agent, name, &config);
        validated(&world, &agent, &envoy, &[&format!("-sidecar-for={name}")]);
    }
    register(&agent, "web", &json!({ "envoy_prometheus_bind_addr": "127.0.0.1:0" }));
    let own = "-proxy-id=web-sidecar-proxy";
    let scrape = [
        file("prometheus-ca-file", &ca),
        file("prometheus-cert-file", &cert),
        file("prometheus-key-file", &key),
        "-prometheus-backend-port=20100".to_owned(),
        "-prometheus-scrape-path=/m".to_owned(),
    ];
    let scrape: Vec<_> = scrape.iter().map(String::as_str).chain([own]).collect();
    validated(&world, &agent, &envoy, &scrape);
    let directory = world.dir().join("authorities");
    fs::create_dir(&directory).expect("a directory");
    fs::copy(&ca, directory.join("ca.pem")).expect("a file");
    let scrape: Vec<_> = [file("prometheus-ca-path", &directory)]
        .into_iter()
        .chain(scrape.iter().skip(1).map(|word| (*word).to_owned()))
        .collect();
    validated(&world, &agent, &envoy, &scrape.iter().map(String::as_str).collect::<Vec<_>>());
    for words in [
        vec![own, "-grpc-addr=unix:///run/none.sock", "-omit-deprecated-tags"],
        vec![own, "-grpc-addr=https://127.0.0.1:8503"],
        vec![own, "-grpc-addr=https://localhost:8503", "-tls-server-name=server.dc1.consul"],
        vec![own, "-node-name=n1", "-admin-bind=[::1]:0", "-admin-access-log-path=/dev/stdout"],
        vec![own, "-envoy-ready-bind-address=127.0.0.1", "-envoy-ready-bind-port=21500"],
        vec![own, "-no-central-config"],
        vec!["-gateway=mesh", "-register", "-address=127.0.0.1:8443", "-wan-address=127.0.0.1:8444"],
        vec!["-gateway=ingress", "-register", "-service=edge", "-address=127.0.0.1:8445"],
        vec![
            "-gateway=terminating",
            "-register",
            "-bind-address=all=0.0.0.0:8446",
            "-deregister-after-critical=1h",
        ],
        vec!["-gateway=api", "-register"],
        vec!["-gateway=mesh"],
        vec!["-mesh-gateway"],
    ] {
        let authority = file("grpc-ca-file", &ca);
        let words: Vec<_> = [authority.as_str()].into_iter().chain(words).collect();
        validated(&world, &agent, &envoy, &words);
    }
    validated(
        &world,
        &agent,
        &envoy,
        &[own, &file("grpc-ca-path", &directory), "-grpc-addr=https://127.0.0.1:8503"],
    );
    for logs in [
        json!({ "Enabled": true }),
        json!({ "Enabled": true, "Type": "stderr", "TextFormat": "%START_TIME%" }),
        json!({ "Enabled": true, "Type": "file", "Path": "/dev/null", "JSONFormat": "{\"a\":\"%DURATION%\"}" }),
    ] {
        let entry = json!({ "Kind": "proxy-defaults", "Name": "global", "AccessLogs": logs });
        agent.http().with_token(ROOT).put("/v1/config", &entry).ok();
        let told = validated(&world, &agent, &envoy, &[own]);
        assert_ne!(told["admin"]["access_log"][0]["name"], "envoy.access_loggers.file", "{logs}");
    }
}

/// A directory with all that is below it, as text where that is possible.
fn files_with(text: &str, directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory").flatten();
    let holds = |path: &Path| {
        path.is_file()
            && fs::read(path).is_ok_and(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
    };
    entries
        .map(|entry| entry.path())
        .filter(|path| holds(path))
        .map(|path| path.display().to_string())
        .collect()
}

#[test]
fn n_271_the_token_gets_to_envoy_and_to_no_file() {
    let test = "n_271_the_token_gets_to_envoy_and_to_no_file";
    let Some(envoy) = foreign(test, "CONCORD_TEST_ENVOY", "envoy", &["--version"]) else { return };
    let world = World::new();
    let agent = strict(&world);
    register(&agent, "web", &json!({}));
    let temporary = world.dir().join("tmp");
    fs::create_dir(&temporary).expect("a directory");
    let admin: SocketAddr = ([127, 0, 0, 1], pick_port()).into();
    let mut command = Command::new(binary());
    command.args(["connect", "envoy", "-sidecar-for=web"]).env("TMPDIR", &temporary);
    command.args([format!("-http-addr={}", agent.http_addr()), format!("-envoy-binary={}", envoy.display())]);
    command.args([format!("-admin-bind={admin}"), format!("-grpc-addr={}", agent.grpc_addr())]);
    command.env("CONCORD_HTTP_TOKEN", ROOT).args([
        "-ignore-envoy-compatibility",
        "--",
        "--log-level",
        "error",
        "--concurrency",
        "1",
    ]);
    let mut process = Process::start("envoy", &mut command, &world.dir().join("envoy.log"));
    eventually("Envoy serves its admin interface", || {
        assert!(process.ended().is_none(), "{}", process.tail());
        TcpStream::connect(admin).ok()
    });
    let dump = Http::new(admin).get("/config_dump").json();
    let ads = &dump["configs"][0]["bootstrap"]["dynamic_resources"]["ads_config"];
    // Envoy shows that there is one, and hides it where it knows it for a secret.
    assert_eq!(ads["grpc_services"][0]["initial_metadata"][0]["key"], "x-consul-token", "{ads}");
    let arguments = fs::read(format!("/proc/{}/cmdline", process.pid())).expect("its arguments");
    let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
    assert!(
        arguments.contains("--concurrency 1") && arguments.contains("--disable-hot-restart"),
        "{arguments}"
    );
    assert!(!arguments.contains(ROOT), "{arguments}");
    eventually("the pipe is gone", || {
        fs::read_dir(&temporary).expect("it is there").next().is_none().then_some(())
    });
    assert_eq!(files_with(ROOT, &temporary), Vec::<String>::new());
}
