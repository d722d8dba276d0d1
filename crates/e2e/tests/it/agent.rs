//! The agent as a process: signals, reload, invalid configuration, names.

use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use concord_e2e::{AgentOptions, Conn, Http, Signal, World, binary, eventually, figure};
use serde_json::json;

#[test]
fn a_development_agent_answers_at_once() {
    let world = World::new();
    let started = Instant::now();
    let agent = world.dev_agent("n1");
    figure("agent -dev to a consistent read", started.elapsed().as_secs_f64() * 1e3, "ms");
    let http = agent.http();
    let leader = http.get("/v1/status/leader");
    assert_eq!(leader.json().as_str().map(|text| text.is_empty()), Some(false), "{leader:?}");
    assert_eq!(http.get("/v1/agent/self").json()["Config"]["NodeName"], "n1");
    http.get("/v1/catalog/nodes?consistent").ok();
}

#[test]
fn sighup_reloads_what_can_change_and_keeps_the_rest() {
    let world = World::new();
    let config = world.write("agent.hcl", r#"service { name = "first" port = 1 }"#);
    let args = vec![format!("-config-file={}", config.display())];
    let mut agent = world.agent("n1", AgentOptions { dev: true, args, ..AgentOptions::default() });
    let http = agent.http();
    let has = |name: &str| http.get("/v1/agent/services").json().get(name).is_some();
    assert!(has("first"));
    http.put("/v1/agent/service/register", &json!({ "Name": "by-hand", "Port": 3 })).ok();

    world.write("agent.hcl", r#"service { name = "second" port = 2 }"#);
    agent.process().signal(Signal::HUP);
    eventually("the second service is there", || has("second").then_some(()));
    eventually("the first service is gone", || (!has("first")).then_some(()));
    assert!(has("by-hand"), "what came over HTTP stays");

    // An invalid file changes nothing, and the agent keeps running.
    world.write("agent.hcl", "servise { name = \"third\" }");
    let refused = http.send("PUT", "/v1/agent/reload", None);
    assert_ne!(refused.status, 200, "{refused:?}");
    assert!(refused.body.contains("agent.hcl:1"), "{refused:?}");
    agent.process().signal(Signal::HUP);
    assert!(has("second") && agent.process().ended().is_none());

    world.write("agent.hcl", r#"service { name = "third" port = 4 }"#);
    http.send("PUT", "/v1/agent/reload", None).ok();
    eventually("the third service is there", || has("third").then_some(()));
}

#[test]
fn a_reload_tells_what_it_put_into_force_and_what_waits_for_a_restart() {
    let world = World::new();
    let first = "node_meta { rack = \"1\" }";
    let file = world.write("agent.hcl", first);
    let args = vec![format!("-config-file={}", file.display())];
    let agent = world.agent("n1", AgentOptions { dev: true, args, ..AgentOptions::default() });
    let http = agent.http();
    let reload = || http.send("PUT", "/v1/agent/reload", None).ok().json();
    let nothing = json!({ "Reloaded": [], "AfterRestart": [] });
    assert_eq!(reload(), nothing);

    world.write(
        "agent.hcl",
        r#"node_meta { rack = "2" }
        service { name = "late" port = 1 }
        check { name = "c" ttl = "1h" }
        limits { http_max_conns_per_client = 3 https_handshake_timeout = "2s" }
        telemetry { prefix_filter = ["-consul.api"] }
        config_entries { bootstrap { kind = "service-intentions" name = "db" sources { name = "web" action = "deny" } } }
        max_query_time = "1h"
        raft_snapshot_threshold = 100
        raft_snapshot_interval = "10s"
        raft_trailing_logs = 5000
        performance { raft_multiplier = 2 }"#,
    );
    let reloaded = [
        "checks",
        "config_entries.bootstrap",
        "limits.http_max_conns_per_client",
        "limits.https_handshake_timeout",
        "node_meta",
        "raft_snapshot_interval",
        "raft_snapshot_threshold",
        "services",
        "telemetry.prefix_filter",
    ];
    let waiting = ["max_query_time", "performance.raft_multiplier", "raft_trailing_logs"];
    assert_eq!(reload(), json!({ "Reloaded": reloaded, "AfterRestart": waiting }));
    // Each reloaded setting takes effect.
    assert_eq!(http.get("/v1/config/service-intentions/db").json()["Sources"][0]["Action"], "deny");
    let own = http.get("/v1/agent/self").json();
    assert_eq!(own["Meta"]["rack"], "2", "{own}");
    assert_eq!(own["DebugConfig"]["limits.http_max_conns_per_client"], "3", "{own}");
    assert_eq!(own["DebugConfig"]["limits.https_handshake_timeout"], "2s", "{own}");
    assert_eq!(own["DebugConfig"]["max_query_time"], "10m0s", "what is in force is shown: {own}");
    eventually("the catalog has the new metadata", || {
        let node = http.get("/v1/catalog/node/n1").json();
        (node["Node"]["Meta"]["rack"] == "2" && node["Services"].get("late").is_some()).then_some(())
    });
    assert!(http.get("/v1/agent/checks").json().get("c").is_some());
    let metrics = http.get("/v1/agent/metrics?format=prometheus").body;
    assert!(
        metrics.contains("concord_http_requests_total") && !metrics.contains("consul_api_http"),
        "{metrics}"
    );
    // Closed connections give up their places a moment later.
    let held = eventually("three connections are served", || {
        let mut held: Vec<_> = (0..3).map(|_| http.connect().expect("a connection")).collect();
        let mut serves =
            |one: &mut Conn| one.send("GET", "/v1/status/leader", None).is_ok_and(|r| r.status == 200);
        held.iter_mut().all(&mut serves).then_some(held)
    });
    assert_eq!(http.try_send("GET", "/v1/status/leader", None).expect("it is told").status, 429);
    drop(held);

    // Settings in force are not reloaded again; those which need a restart still wait for it.
    let again = eventually("a place is free", || {
        http.try_send("PUT", "/v1/agent/reload", None).ok().filter(|reply| reply.status == 200)
    });
    assert_eq!(again.json(), json!({ "Reloaded": [], "AfterRestart": waiting }));
    world.write("agent.hcl", first);
    let told = agent.cli_ok(&["reload"]);
    assert!(told.starts_with("Configuration reload triggered\n  reloaded: checks\n"), "{told}");
    assert!(told.contains("  reloaded: node_meta\n") && !told.contains("restart"), "{told}");
    eventually("the catalog has the metadata of before", || {
        (http.get("/v1/catalog/node/n1").json()["Node"]["Meta"]["rack"] == "1").then_some(())
    });
}

/// Sends a signal to an agent, which must then exit with success.
#[track_caller]
fn ends_well(signal: Signal, dev: bool) {
    let world = World::new();
    let mut agent = world.agent("n1", AgentOptions { dev, ..AgentOptions::default() });
    agent.http().get("/v1/status/leader").ok();
    agent.process().signal(signal);
    let status = agent.process().wait();
    assert!(status.success(), "{status}");
}

#[test]
fn sigint_ends_an_agent() {
    ends_well(Signal::INT, true);
    ends_well(Signal::INT, false);
}

#[test]
fn sigterm_ends_an_agent() {
    ends_well(Signal::TERM, true);
    ends_well(Signal::TERM, false);
}

#[test]
fn a_sole_server_that_was_told_to_leave_comes_back_with_its_data() {
    let world = World::new();
    let hcl = vec!["leave_on_terminate = true".to_owned()];
    let mut agent = world.agent("n1", AgentOptions { hcl, ..AgentOptions::default() });
    let path = "/v1/connect/intentions/exact?source=web&destination=api";
    agent.http().put(path, &json!({ "Action": "deny" })).ok();
    agent.process().signal(Signal::TERM);
    assert!(agent.process().wait().success());
    agent.restart();
    assert_eq!(agent.http().get(path).json()["Action"], "deny");
}

#[test]
fn a_second_signal_ends_at_once_although_a_client_hangs_on() {
    let world = World::new();
    let mut agent = world.dev_agent("n1");
    let http = agent.http();
    let index = http.get("/v1/catalog/nodes").index();
    let waiting = thread::spawn(move || {
        let _ = http.try_send("GET", &format!("/v1/catalog/nodes?index={index}&wait=60s"), None);
    });
    thread::sleep(Duration::from_millis(100));
    agent.process().signal(Signal::TERM);
    agent.process().signal(Signal::INT);
    let started = Instant::now();
    agent.process().wait();
    figure("two signals to the end", started.elapsed().as_secs_f64() * 1e3, "ms");
    waiting.join().expect("the client returns");
}

#[test]
fn unknown_keys_are_refused_with_their_place_and_the_nearest_known_one() {
    let world = World::new();
    let file = world.write("bad.hcl", "datacenter = \"dc1\"\n\nbind_adr = \"127.0.0.1\"\n");
    let ran = world.run(&["agent", "-dev", &format!("-config-file={}", file.display())]);
    let text = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{text}");
    assert!(text.contains("bad.hcl:3") && text.contains("bind_adr") && text.contains("bind_addr"), "{text}");

    let file = world.write("bad.json", "{\n  \"ports\": {\n    \"htpp\": 1\n  }\n}\n");
    let ran = world.run(&["agent", "-dev", &format!("-config-file={}", file.display())]);
    let text = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{text}");
    assert!(text.contains("bad.json:3") && text.contains("http"), "{text}");
}

#[test]
fn an_address_in_use_is_named() {
    let world = World::new();
    let agent = world.dev_agent("n1");
    let port = agent.http_addr().rsplit(':').next().map(ToOwned::to_owned).expect("a port");
    let ran = world.run(&["agent", "-dev", "-grpc-port=-1", &format!("-http-port={port}")]);
    let text = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{text}");
    assert!(text.contains(&port), "{text}");
}

#[test]
fn under_the_name_consul_everything_is_the_same() {
    let world = World::new();
    let consul = world.path("consul");
    symlink(binary(), &consul).expect("a link");
    let ran = Command::new(&consul).arg("version").env_clear().output().expect("it starts");
    let text = String::from_utf8_lossy(&ran.stdout);
    assert!(text.starts_with("Consul v1."), "{text}");
    let options = AgentOptions { dev: true, program: Some(consul.clone()), ..AgentOptions::default() };
    let agent = world.agent("n1", options);
    let address = agent.http_addr();
    let members = Command::new(&consul).arg("members").env_clear().env("CONSUL_HTTP_ADDR", &address).output();
    let text = String::from_utf8_lossy(&members.expect("it starts").stdout).into_owned();
    let mut lines = text.lines();
    let head: Vec<_> = lines.next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(&head[..4], ["Node", "Address", "Status", "Type"], "{text}");
    let row: Vec<_> = lines.next().unwrap_or_default().split_whitespace().collect();
    assert_eq!((row[0], row[2], row[3]), ("n1", "alive", "server"), "{text}");
}

#[test]
fn local_registrations_reach_the_catalog_and_survive_a_restart() {
    let world = World::new();
    let mut agent = world.agent("n1", AgentOptions::default());
    let in_catalog = |http: &Http| http.get("/v1/catalog/service/web").json().as_array().map_or(0, Vec::len);
    agent.http().put("/v1/agent/service/register", &json!({ "Name": "web", "Port": 80 })).ok();
    eventually("web is in the catalog", || (in_catalog(&agent.http()) == 1).then_some(()));
    agent.kill9();
    agent.restart();
    assert!(agent.http().get("/v1/agent/services").json().get("web").is_some());
    agent.http().send("PUT", "/v1/agent/service/deregister/web", None).ok();
    eventually("web has left the catalog", || (in_catalog(&agent.http()) == 0).then_some(()));
}
