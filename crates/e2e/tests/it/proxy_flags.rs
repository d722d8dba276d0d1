//! Flags of `connect proxy` which change the behaviour or the output of a sidecar.

use std::thread;
use std::time::Duration;

use concord_e2e::{Echo, Mesh, ProxyOptions, ProxyProcess, Signal, World, eventually, pick_port};
use serde_json::{Value, json};

#[test]
fn a_sidecar_keeps_who_is_denied_if_it_is_told_to_and_logs_as_its_flags_say() {
    let world = World::new();
    let agent = world.dev_agent("n1");
    let args = ["-keep-denied", "-log-json", "-log-level=warn", "-pprof-addr=127.0.0.1:1"];
    let options = ProxyOptions { args: args.map(str::to_owned).to_vec(), ..ProxyOptions::default() };
    let mesh = Mesh::start(&world, &agent, &options);
    let mut live = mesh.open().expect("a connection");
    Mesh::say(&mut live).expect("it carries");
    let path = "/v1/connect/intentions/exact?source=web&destination=api";
    agent.http().put(path, &json!({ "Action": "deny" })).ok();
    eventually("new connections are refused", || mesh.call().is_err().then_some(()));
    // Without the flag the connection would be closed within a second.
    thread::sleep(Duration::from_millis(1500));
    Mesh::say(&mut live).expect("it still carries");

    let log = mesh.api_sidecar.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    assert!(lines.iter().all(|line| line["level"] == "WARN"), "what is less is not logged: {log}");
    let message = "-pprof-addr has no effect";
    let told =
        |line: &Value| line["fields"]["message"].as_str().is_some_and(|text| text.starts_with(message));
    assert_eq!(lines.iter().filter(|line| told(line)).count(), 1, "{log}");
}

#[test]
fn a_proxy_is_registered_under_its_own_id_while_it_runs() {
    let world = World::new();
    let agent = world.dev_agent("n1");
    let (echo, port) = (Echo::new(), pick_port());
    let flags = [
        format!("-listen=127.0.0.1:{port}"),
        format!("-service-addr={}", echo.addr()),
        "-register".to_owned(),
        "-register-id=blue".to_owned(),
    ];
    let mut proxy =
        ProxyProcess::describe(&world, &agent.http_addr(), "web", &flags, &ProxyOptions::default());
    proxy.await_ready();
    let registered = || agent.http().get("/v1/agent/services").ok().json();
    let own = registered()["web-proxy-blue"].clone();
    assert_eq!(
        (&own["Port"], &own["Proxy"]["DestinationServiceName"]),
        (&json!(port), &json!("web")),
        "{own}"
    );
    proxy.process().signal(Signal::TERM);
    assert_eq!(proxy.process().wait().code(), Some(0));
    assert_eq!(registered(), json!({}), "it goes with the proxy");
}
