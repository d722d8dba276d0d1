//! The thin path through the public interfaces: files, command line, sidecars, intentions.

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use concord_e2e::{
    AgentOptions, Echo, Mesh, ProxyOptions, ProxyProcess, World, eventually, figure, pick_port,
};
use serde_json::json;

#[test]
fn from_a_file_to_traffic_and_from_an_intention_to_its_end() {
    let world = World::new();
    let agent = world.dev_agent("n1");
    let (api, web, upstream) = (Echo::new(), Echo::new(), pick_port());
    let definitions = format!(
        r#"
        services {{
          name = "api" port = {} address = "127.0.0.1"
          connect {{ sidecar_service {{ port = {} }} }}
        }}
        services {{
          name = "web" port = {} address = "127.0.0.1"
          connect {{ sidecar_service {{
            port = {}
            proxy {{ upstreams {{ destination_name = "api" local_bind_port = {upstream} }} }}
          }} }}
        }}
        "#,
        api.addr().port(),
        pick_port(),
        web.addr().port(),
        pick_port(),
    );
    let file = world.write("services.hcl", definitions);
    agent.cli_ok(&["services", "register", file.to_str().expect("a path")]);
    let options = ProxyOptions::default();
    let start = |service| ProxyProcess::start(&world, &agent.http_addr(), service, &options);
    let (mut api_sidecar, mut web_sidecar) = (start("api"), start("web"));
    api_sidecar.await_ready();
    web_sidecar.await_ready();
    let mesh = Mesh { api, web, api_sidecar, web_sidecar };
    eventually("a message goes through", || mesh.call().ok());
    assert_eq!(mesh.upstream().port(), upstream);

    let mut live = mesh.open().expect("a connection");
    Mesh::say(&mut live).expect("it carries");
    agent.cli_ok(&["intention", "create", "-deny", "web", "api"]);
    let denied = Instant::now();
    // The live connection closes although nothing more is sent on it.
    assert!(matches!(live.read(&mut [0u8; 1]), Ok(0) | Err(_)), "the live connection ends");
    figure("deny to the end of a live connection", denied.elapsed().as_secs_f64() * 1e3, "ms");
    assert!(mesh.call().is_err(), "new connections are refused");

    let explained = agent.cli_ok(&["explain", "web", "api"]);
    assert!(explained.starts_with("Denied: web => api"), "{explained}");
    assert!(explained.contains("Smallest change to allow it"), "{explained}");
    assert!(agent.cli_ok(&["intention", "list"]).contains("deny"));
    let checked = agent.cli(&["intention", "check", "web", "api"]);
    assert!(!checked.status.success() && String::from_utf8_lossy(&checked.stdout).contains("Denied"));

    agent.cli_ok(&["intention", "delete", "web", "api"]);
    eventually("a message goes through again", || mesh.call().ok());
    assert!(agent.cli_ok(&["explain", "web", "api"]).starts_with("Allowed: web => api"));
}

#[test]
fn n_160_a_deny_of_a_configuration_file_keeps_callers_out() {
    let world = World::new();
    let file = world.write(
        "deny.json",
        r#"{"config_entries": {"bootstrap": [{"Kind": "service-intentions", "Name": "api",
            "Sources": [{"Name": "web", "Action": "deny"}]}]}}"#,
    );
    let args = vec![format!("-config-file={}", file.display())];
    let agent = world.agent("n1", AgentOptions { dev: true, args, ..AgentOptions::default() });
    let mesh = Mesh::assemble(&world, &agent, &ProxyOptions::default(), json!([]));
    let leaf = agent.http().get("/v1/agent/connect/ca/leaf/web").json();
    let asked = json!({ "Target": "api", "ClientCertURI": leaf["ServiceURI"], "ClientCertSerial": "" });
    let verdict = agent.http().post("/v1/agent/connect/authorize", &asked).json();
    assert_eq!(verdict["Authorized"], false, "{verdict}");
    eventually("a connection is decided", || {
        assert!(mesh.call().is_err(), "nothing may come back");
        mesh.api_sidecar.log().contains("deny").then_some(())
    });
    assert_eq!((mesh.api.connections(), mesh.api.bytes()), (0, 0));
    // The entry can be deleted like any other.
    agent.cli_ok(&["config", "delete", "-kind", "service-intentions", "-name", "api"]);
    eventually("a message goes through", || mesh.call().ok());
}

#[test]
fn n_88_live_connections_end_when_an_intention_begins_to_deny() {
    let world = World::new();
    let agent = world.dev_agent("n1");
    let mesh = Mesh::start(&world, &agent, &ProxyOptions::default());
    let mut live: Vec<_> = (0..20).map(|_| mesh.open().expect("a connection")).collect();
    live.iter_mut().for_each(|stream| Mesh::say(stream).expect("it carries"));
    // An intention with another source does not affect the connections.
    let intention = |source: &str, action: &str| {
        let path = format!("/v1/connect/intentions/exact?source={source}&destination=api");
        agent.http().put(&path, &json!({ "Action": action })).ok();
    };
    intention("other", "deny");
    thread::sleep(Duration::from_millis(300));
    live.iter_mut().for_each(|stream| Mesh::say(stream).expect("it still carries"));
    intention("web", "deny");
    let denied = Instant::now();
    for stream in &mut live {
        assert!(matches!(stream.read(&mut [0u8; 1]), Ok(0) | Err(_)), "it ends");
    }
    figure("deny to the end of twenty live connections", denied.elapsed().as_secs_f64() * 1e3, "ms");
    let connections = mesh.api.connections();
    assert!(mesh.call().is_err());
    assert_eq!(mesh.api.connections(), connections, "the service saw nobody");
}

#[test]
fn n_79_under_default_deny_not_a_byte_reaches_the_service() {
    const ROOT: &str = "8c4b3a0e-6d53-4a1c-9e07-5f0b7c1d2e3f";
    let world = World::new();
    let hcl = vec![format!(
        "acl {{ enabled = true default_policy = \"deny\" tokens {{ initial_management = \"{ROOT}\" }} }}"
    )];
    let agent = world.agent("n1", AgentOptions { dev: true, hcl, ..AgentOptions::default() });
    let options = ProxyOptions { token: Some(ROOT.to_owned()), ..ProxyOptions::default() };
    let mesh = Mesh::assemble(&world, &agent, &options, json!([]));
    // Before the endpoints are known, a connection could fail for another reason. Wait until an intention refuses one.
    eventually("a connection is decided", || {
        assert!(mesh.call().is_err(), "nothing may come back");
        mesh.api_sidecar.log().contains("deny").then_some(())
    });
    (0..20).for_each(|_| assert!(mesh.call().is_err()));
    assert_eq!((mesh.api.connections(), mesh.api.bytes()), (0, 0));
    let path = "/v1/connect/intentions/exact?source=web&destination=api";
    agent.http().with_token(ROOT).put(path, &json!({ "Action": "allow" })).ok();
    eventually("a message goes through", || mesh.call().ok());
}
