//! Proxies without their agent, and proxies without free file descriptors.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use concord_e2e::{AgentOptions, Load, Mesh, ProxyOptions, World, eventually, figure, number_from_env};
use serde_json::json;

#[test]
fn g_18_an_agent_killed_again_and_again_costs_no_connection() {
    let kills = number_from_env("CONCORD_E2E_KILLS", 3);
    let world = World::new();
    let hcl = vec!["performance { raft_multiplier = 1 }".to_owned()];
    let mut agent = world.agent("n1", AgentOptions { hcl, ..AgentOptions::default() });
    let mesh = Mesh::start(&world, &agent, &ProxyOptions::default());
    let refusals = mesh.refusals();
    let load = Load::start(mesh.upstream(), 50, 8);
    for _ in 0..kills {
        agent.kill9();
        let before = load.opened();
        eventually("traffic goes on without the agent", || (load.opened() > before + 25).then_some(()));
        agent.restart();
        let before = load.opened();
        eventually("traffic goes on with it", || (load.opened() > before + 25).then_some(()));
    }
    let outcome = load.finish();
    figure("new connections through agent kills", outcome.opened as f64, "");
    assert!(outcome.failures.is_empty(), "{:#?}", outcome.failures);
    assert!(mesh.refusals() <= refusals);
    // The sidecars are connected again: a new intention reaches them.
    let path = "/v1/connect/intentions/exact?source=web&destination=api";
    agent.http().put(path, &json!({ "Action": "deny" })).ok();
    eventually("the denial reaches the sidecar", || mesh.call().is_err().then_some(()));
}

#[test]
fn g_18_an_agent_that_starts_again_takes_no_instance_out_of_use() {
    let world = World::new();
    let hcl = vec!["performance { raft_multiplier = 1 }".to_owned()];
    let mut agent = world.agent("n1", AgentOptions { hcl, ..AgentOptions::default() });
    let mesh = Mesh::start(&world, &agent, &ProxyOptions::default());
    // The default check, a connection to the sidecar's port, but with a shorter interval.
    let mut body = Mesh::service("api", mesh.api.addr(), json!([]));
    let public = mesh.api_sidecar.public();
    body["Connect"]["SidecarService"]["Port"] = json!(public.port());
    body["Connect"]["SidecarService"]["Checks"] =
        json!([{ "TCP": public.to_string(), "Interval": "2s" }, { "AliasService": "api" }]);
    agent.http().put("/v1/agent/service/register", &body).ok();
    let has_run = || agent.http().get("/v1/agent/checks").ok().body.contains("TCP connect").then_some(());
    eventually("its first run", has_run);
    eventually("a message goes through", || mesh.call().ok());
    let load = Load::start(mesh.upstream(), 50, 8);
    agent.kill9();
    agent.restart();
    // Beyond the first run of the check after the restart, which comes within one interval.
    let before = load.opened();
    eventually("traffic goes on", || (load.opened() > before + 150).then_some(()));
    let outcome = load.finish();
    figure("new connections through a restart with checks that run", outcome.opened as f64, "");
    assert!(outcome.failures.is_empty(), "{:#?}", outcome.failures);
}

#[test]
fn a_proxy_without_descriptors_keeps_what_it_has_and_recovers() {
    let world = World::new();
    let agent = world.dev_agent("n1");
    let options = ProxyOptions { descriptors: Some(96), ..ProxyOptions::default() };
    let mut mesh = Mesh::start(&world, &agent, &options);
    let mut held: Vec<TcpStream> = (0..4).map(|_| mesh.open().expect("a connection")).collect();
    held.iter_mut().for_each(|stream| Mesh::say(stream).expect("it carries"));
    // Many more connections than either sidecar has descriptors for.
    let flood: Vec<TcpStream> = (0..200).filter_map(|_| mesh.open().ok()).collect();
    thread::sleep(Duration::from_millis(500));
    held.iter_mut().for_each(|stream| Mesh::say(stream).expect("what is open still carries"));
    for sidecar in [&mut mesh.api_sidecar, &mut mesh.web_sidecar] {
        assert!(sidecar.process().ended().is_none(), "it lives");
    }
    drop(flood);
    eventually("new connections are carried again", || {
        let mut stream = mesh.open().ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        Mesh::say(&mut stream).ok()
    });
    held.iter_mut().for_each(|stream| Mesh::say(stream).expect("what was open still carries"));
}

#[test]
fn an_agent_without_descriptors_recovers() {
    let world = World::new();
    let options = AgentOptions { dev: true, descriptors: Some(128), ..AgentOptions::default() };
    let mut agent = world.agent("n1", options);
    let http = agent.http();
    let mut held = http.connect().expect("a connection");
    held.send("GET", "/v1/status/leader", None).expect("an answer");
    let flood: Vec<_> = (0..300).filter_map(|_| http.connect().ok()).collect();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(held.send("GET", "/v1/status/leader", None).expect("an answer").status, 200);
    assert!(agent.process().ended().is_none());
    drop(flood);
    eventually("new connections are answered again", || {
        http.try_send("GET", "/v1/status/leader", None).ok().filter(|reply| reply.status == 200)
    });
}
