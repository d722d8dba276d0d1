//! Unregistered proxies: `connect proxy -service …` without `-register`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use concord_e2e::{
    Agent, AgentOptions, Echo, HANG, Mesh, ProxyOptions, ProxyProcess, World, eventually, pick_port,
};
use serde_json::json;

const ROOT: &str = "8c4b3a0e-6d53-4a1c-9e07-5f0b7c1d2e3f";

/// Sends a message to an upstream's port and reads it back.
fn call(upstream: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&upstream, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(HANG))?;
    Mesh::say(&mut stream)
}

fn strict(world: &World) -> Agent {
    let hcl = vec![format!(
        "acl {{ enabled = true default_policy = \"deny\" tokens {{ initial_management = \"{ROOT}\" }} }}"
    )];
    world.agent("n1", AgentOptions { dev: true, hcl, ..AgentOptions::default() })
}

/// Creates a token with these rules and returns its secret.
fn token(agent: &Agent, name: &str, rules: &str) -> String {
    let http = agent.http().with_token(ROOT);
    http.put("/v1/acl/policy", &json!({ "Name": name, "Rules": rules })).ok();
    let made = http.put("/v1/acl/token", &json!({ "Policies": [{ "Name": name }] })).json();
    made["SecretID"].as_str().expect("a secret").to_owned()
}

fn intention(agent: &Agent, source: &str, destination: &str, action: &str) {
    let path = format!("/v1/connect/intentions/exact?source={source}&destination={destination}");
    agent.http().with_token(ROOT).put(&path, &json!({ "Action": action })).ok();
}

#[test]
fn two_proxies_nobody_registered_carry_what_intentions_allow() {
    let world = World::new();
    let agent = strict(&world);
    let root = ProxyOptions { token: Some(ROOT.to_owned()), ..ProxyOptions::default() };
    let (api, db) = (Echo::new(), Echo::new());
    // `api` has a registered sidecar. `db` is registered with the port of a proxy which is not registered.
    let http = agent.http().with_token(ROOT);
    http.put("/v1/agent/service/register", &Mesh::service("api", api.addr(), json!([]))).ok();
    let db_at = pick_port();
    let native =
        json!({ "Name": "db", "Address": "127.0.0.1", "Port": db_at, "Connect": { "Native": true } });
    http.put("/v1/agent/service/register", &native).ok();
    let mut api_sidecar = ProxyProcess::start(&world, &agent.http_addr(), "api", &root);
    // Each token has write on its own service, and `web` may read what it calls. Neither may read the agent.
    let own = |name: &str| format!(r#"service "{name}" {{ policy = "write" }}"#);
    let see = r#"service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }"#;
    let with = |secret: String| ProxyOptions {
        token: Some(secret),
        args: vec![format!("-grpc-addr={}", agent.grpc_addr())],
        ..ProxyOptions::default()
    };
    let web_token = with(token(&agent, "web", &format!("{} {see}", own("web"))));
    let db_token = with(token(&agent, "db", &own("db")));
    let (to_api, to_db) = (pick_port(), pick_port());
    let calls = [format!("-upstream=api:{to_api}"), format!("-upstream=db:127.0.0.1:{to_db}")];
    let takes = [format!("-listen=127.0.0.1:{db_at}"), format!("-service-addr={}", db.addr())];
    let mut web = ProxyProcess::describe(&world, &agent.http_addr(), "web", &calls, &web_token);
    let mut before_db = ProxyProcess::describe(&world, &agent.http_addr(), "db", &takes, &db_token);
    for proxy in [&mut api_sidecar, &mut web, &mut before_db] {
        proxy.await_ready();
    }
    assert_eq!((web.upstream("api").port(), web.upstream("db").port()), (to_api, to_db));
    assert_eq!(before_db.public().port(), db_at);

    // Under default deny nothing reaches either service.
    eventually("both have refused", || {
        assert!(call(web.upstream("api")).is_err() && call(web.upstream("db")).is_err());
        (api_sidecar.log().contains("deny") && before_db.log().contains("deny")).then_some(())
    });
    assert_eq!((api.connections(), db.connections()), (0, 0));
    intention(&agent, "web", "api", "allow");
    eventually("web reaches api", || call(web.upstream("api")).ok());
    assert!(call(web.upstream("db")).is_err(), "one intention is not the other");
    intention(&agent, "web", "db", "allow");
    eventually("web reaches db", || call(web.upstream("db")).ok());
    assert!(before_db.log().contains("/svc/web"), "it is known who called");

    // An intention which changes to deny closes live connections as it does for registered services.
    let mut live = TcpStream::connect(web.upstream("db")).expect("a connection");
    live.set_read_timeout(Some(HANG)).expect("a socket");
    Mesh::say(&mut live).expect("it carries");
    intention(&agent, "web", "db", "deny");
    assert!(matches!(live.read(&mut [0u8; 1]), Ok(0) | Err(_)), "the live connection ends");

    // The unregistered proxies are not among the services.
    let services = http.get("/v1/agent/services").json();
    let ids: Vec<_> = services.as_object().expect("services").keys().cloned().collect();
    assert_eq!(ids, ["api", "api-sidecar-proxy", "db"]);
}

#[test]
fn a_proxy_nobody_registered_needs_write_on_its_service() {
    let world = World::new();
    let agent = strict(&world);
    let reader = token(&agent, "reader", r#"service_prefix "" { policy = "read" }"#);
    let options = ProxyOptions {
        token: Some(reader),
        args: vec![format!("-grpc-addr={}", agent.grpc_addr())],
        ..ProxyOptions::default()
    };
    let (at, service) = (pick_port(), Echo::new());
    let flags = [format!("-listen=127.0.0.1:{at}"), format!("-service-addr={}", service.addr())];
    let proxy = ProxyProcess::describe(&world, &agent.http_addr(), "web", &flags, &options);
    eventually("it is told what is missing", || {
        let log = proxy.log();
        (log.contains("refuses this proxy's token") && log.contains("service:write")).then_some(())
    });
    // The proxy has opened no port.
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", at)) {
        assert!(stream.write_all(b"hello").and_then(|()| stream.read_exact(&mut [0])).is_err());
    }
    assert_eq!(service.connections(), 0);
}
