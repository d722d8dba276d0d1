//! How a built-in proxy finds its agent, what an unregistered proxy does, and the first connection through two proxies.

use std::net::TcpStream;
use std::process::{Command, Output};

use concord_e2e::{
    Agent, AgentOptions, Echo, HANG, Http, Mesh, Process, ProxyOptions, ProxyProcess, Signal, World, binary,
    eventually, pick_port,
};
use serde_json::{Value, json};

const ROOT: &str = "8c4b3a0e-6d53-4a1c-9e07-5f0b7c1d2e3f";

fn run(args: &[&str]) -> Output {
    Command::new(binary()).env_clear().args(["connect", "proxy"]).args(args).output().expect("it runs")
}

#[track_caller]
fn ends(args: &[&str], expected: &str) {
    let ran = run(args);
    let err = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{args:?}: {err}");
    assert!(err.contains(expected), "{args:?}: {err}");
}

#[test]
fn a_server_by_file_with_connect_serves_a_proxy_without_another_setting() {
    let world = World::new();
    let data = world.path("data");
    let text = format!(
        "server = true\nbootstrap_expect = 1\ndata_dir = \"{}\"\nbind_addr = \"127.0.0.1\"\nnode_name = \"n1\"\nconnect {{ enabled = true }}",
        data.display()
    );
    let (file, ready) = (world.write("server.hcl", text), world.path("ready"));
    let mut command = Command::new(binary());
    // The system picks the ports, because this test is about a file which states none.
    command.env_clear().args(["agent", "-ephemeral-ports"]);
    command.arg(format!("-config-file={}", file.display())).arg(format!("-ready-file={}", ready.display()));
    let server = Process::start("server", &mut command, &world.path("server.log"));
    let report = eventually("it is ready", || std::fs::read(&ready).ok());
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    let at = |key: &str| report[key][0].as_str().expect("an address").to_owned();
    assert!(at("grpc").starts_with("127.0.0.1:"), "{report}");
    let http = Http::new(at("http").parse().expect("an address"));
    let echo = Echo::new();
    http.put("/v1/agent/service/register", &Mesh::service("x", echo.addr(), json!([]))).ok();
    let mut proxy = ProxyProcess::start(&world, &at("http"), "x", &ProxyOptions::default());
    proxy.await_ready();
    drop((proxy, server));
}

#[test]
fn a_proxy_that_is_not_registered_ends_unless_it_is_told_to_wait() {
    let world = World::new();
    let agent = world.dev_agent("n1");
    let address = format!("-http-addr={}", agent.http_addr());
    ends(
        &[&address, "-sidecar-for=nope"],
        "Error: No sidecar proxy registered for nope\n  register one with the agent",
    );
    ends(&[&address, "-proxy-id=nope"], "Error: No proxy registered with the agent as nope\n  name the id");
    ends(
        &["-http-addr=127.0.0.1:1", "-sidecar-for=nope"],
        "Error: cannot look up the sidecar of nope: cannot connect",
    );

    let wait = ProxyOptions { args: vec!["-wait".to_owned()], ..ProxyOptions::default() };
    let mut waiting = ProxyProcess::start(&world, &agent.http_addr(), "x", &wait);
    let mut command = Command::new(binary());
    command.env_clear().args(["connect", "proxy", "-wait", "-proxy-id=x-sidecar-proxy", &address]);
    let mut named = Process::start("named", &mut command, &world.path("named.log"));
    eventually("both say that they wait", || {
        let told = waiting.log().contains("WARN concord::run::proxy: waiting, as -wait asks for reason=\"No sidecar proxy registered for x\"");
        (told && named.log().contains("what=\"not_registered\" detail=unknown service ID: x-sidecar-proxy"))
            .then_some(())
    });
    let echo = Echo::new();
    agent.http().put("/v1/agent/service/register", &Mesh::service("x", echo.addr(), json!([]))).ok();
    // Both processes are the same proxy, so only one of them serves at a time.
    eventually("one of them serves", || named.log().contains("new certificate").then_some(()));
    named.signal(Signal::TERM);
    assert_eq!(named.wait().code(), Some(0));
    waiting.await_ready();
}

#[test]
fn a_proxy_waits_for_an_agent_that_is_not_there_yet_if_it_is_told_to() {
    let world = World::new();
    let (http, grpc) = (pick_port(), pick_port());
    let wait = ProxyOptions { args: vec!["-wait".to_owned()], ..ProxyOptions::default() };
    let mut waiting = ProxyProcess::start(&world, &format!("127.0.0.1:{http}"), "x", &wait);
    eventually("it says that it waits", || {
        waiting
            .log()
            .contains(
                "waiting, as -wait asks for reason=\"cannot look up the sidecar of x: cannot connect to",
            )
            .then_some(())
    });
    let args = vec![format!("-http-port={http}"), format!("-grpc-port={grpc}")];
    let agent = world.agent("n1", AgentOptions { dev: true, args, ..AgentOptions::default() });
    let echo = Echo::new();
    agent.http().put("/v1/agent/service/register", &Mesh::service("x", echo.addr(), json!([]))).ok();
    waiting.await_ready();
}

fn strict(world: &World) -> Agent {
    let hcl = vec![format!(
        "acl {{ enabled = true default_policy = \"deny\" tokens {{ initial_management = \"{ROOT}\" }} }}"
    )];
    world.agent("n1", AgentOptions { dev: true, hcl, ..AgentOptions::default() })
}

#[test]
fn a_token_that_may_not_ask_for_the_port_is_told_so_and_one_that_is_not_known_is_too() {
    let world = World::new();
    let agent = strict(&world);
    let http = agent.http().with_token(ROOT);
    let echo = Echo::new();
    http.put("/v1/agent/service/register", &Mesh::service("x", echo.addr(), json!([]))).ok();
    let rules = "service_prefix \"\" { policy = \"write\" }";
    http.put("/v1/acl/policy", &json!({ "Name": "p", "Rules": rules })).ok();
    let made = http.put("/v1/acl/token", &json!({ "Policies": [{ "Name": "p" }] })).json();
    let secret = made["SecretID"].as_str().expect("a secret");
    let options = ProxyOptions { token: Some(secret.to_owned()), ..ProxyOptions::default() };
    // The agent serves proxies on another port than the default.
    let proxy = ProxyProcess::start(&world, &agent.http_addr(), "x", &options);
    eventually("it says why it goes elsewhere", || {
        let log = proxy.log();
        (log.contains("the token may not ask the agent for its port for proxies (agent:read), so the usual one, 8502, is tried; name another with -grpc-addr")
            && log.contains("lacks permission 'agent:read'"))
        .then_some(())
    });
    let address = format!("-http-addr={}", agent.http_addr());
    let unknown = "-token=00000000-0000-4000-8000-00000000dead";
    ends(
        &[&address, unknown, "-proxy-id=x-sidecar-proxy"],
        "cannot ask the agent about itself: Unexpected response code: 403 (ACL not found)",
    );
    // A sidecar which the token may not see is not reported as unregistered.
    ends(
        &[&address, "-sidecar-for=x"],
        "the token may not see all that is registered with the agent: give one that has service:read",
    );
}

#[test]
fn the_first_connection_through_two_proxies_that_listen_is_carried() {
    let world = World::new();
    let agent = world.dev_agent("n1");
    for round in ["a", "b", "c"] {
        let (api, web) = (Echo::new(), Echo::new());
        let (called, caller) = (format!("api-{round}"), format!("web-{round}"));
        // As operators write it: the default check of a sidecar tests every ten seconds whether it listens.
        let define = |name: &str, echo: &Echo, proxy: Value| {
            let sidecar = json!({ "Port": pick_port(), "Proxy": proxy });
            json!({ "Name": name, "Port": echo.addr().port(), "Connect": { "SidecarService": sidecar } })
        };
        let upstream = json!({ "Upstreams": [{ "DestinationName": called, "LocalBindPort": pick_port() }] });
        for body in [define(&called, &api, json!({})), define(&caller, &web, upstream)] {
            agent.http().put("/v1/agent/service/register", &body).ok();
        }
        // The first run of each check is over and found no listener.
        let looked = |name: &str| {
            let checks = agent.http().get("/v1/agent/checks").json();
            let own = &checks[format!("service:{name}-sidecar-proxy:1")];
            own["Output"].as_str().is_some_and(|output| output.contains("refused")).then_some(())
        };
        eventually("the sidecars do not listen yet", || looked(&called).and_then(|()| looked(&caller)));
        let start =
            |name: &str| ProxyProcess::start(&world, &agent.http_addr(), name, &ProxyOptions::default());
        let (mut before, mut behind) = (start(&caller), start(&called));
        before.await_ready();
        behind.await_ready();
        let mut stream = TcpStream::connect(before.upstream("api")).expect("it listens");
        stream.set_read_timeout(Some(HANG)).expect("a socket");
        Mesh::say(&mut stream).unwrap_or_else(|error| panic!("round {round}: {error}\n{}", before.log()));
    }
}
