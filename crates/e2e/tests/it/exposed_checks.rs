//! The agent's checks of a service go through its Envoy, where the proxy's registration exposes them.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use concord_e2e::{Agent, AgentOptions, EnvoyProcess, World, ask, eventually, pick_port};
use serde_json::{Value, json};

use crate::envoy_sidecar::envoys;

/// A service over HTTP that closes each connection, so that nobody reaches it once it is gone.
struct Service {
    addr: SocketAddr,
    gone: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let addr = listener.local_addr().expect("a bound address");
        let gone = Arc::<AtomicBool>::default();
        let shared = Arc::clone(&gone);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.load(Ordering::SeqCst) {
                    return;
                }
                let _ = stream.map(answer);
            }
        });
        Self { addr, gone, thread: Some(thread) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
}

/// `web` with an HTTP check, and its sidecar.
fn register(agent: &Agent, web: &Service, port: u16, expose: bool) {
    let service = json!({
        "Name": "web", "Port": web.addr.port(), "Address": "127.0.0.1",
        "Check": {
            "CheckID": "health", "HTTP": format!("http://{}/health", web.addr), "Interval": "1s", "Timeout": "5s",
        },
        "Connect": { "SidecarService": {
            "Port": port,
            "Checks": [{ "Name": "service", "AliasService": "web" }],
            "Proxy": { "Expose": { "Checks": expose } },
        }},
    });
    agent.http().put("/v1/agent/service/register", &service).ok();
}

fn start(world: &World, min: u16) -> Agent {
    let hcl = vec![format!("ports {{ expose_min_port = {min} expose_max_port = {min} }}")];
    world.agent("n1", AgentOptions { dev: true, hcl, ..AgentOptions::default() })
}

/// Waits until the check has this status, and its output has this part.
#[track_caller]
fn await_check(agent: &Agent, status: &str, part: &str) {
    eventually(&format!("the check is {status} with {part:?}"), || {
        let check = agent.http().get("/v1/agent/checks").json()["health"].clone();
        let output = check["Output"].as_str().unwrap_or_default().to_owned();
        (check["Status"] == status && output.contains(part)).then_some(())
    });
}

/// Requests that the listener of the exposed path has had.
fn requests(envoy: &EnvoyProcess, port: u16) -> u64 {
    let name = format!("http.exposed_path_filter_health_{port}.downstream_rq_total");
    let answer = envoy.admin().try_send("GET", &format!("/stats?format=json&filter=^{name}$"), None);
    let told = answer.map_or(Value::Null, |answer| answer.json());
    told["stats"][0]["value"].as_u64().unwrap_or_default()
}

#[test]
fn a_check_goes_through_envoy_while_its_sidecar_exposes_it() {
    for envoy in envoys("a_check_goes_through_envoy_while_its_sidecar_exposes_it") {
        let (world, web, port, own) = (World::new(), Service::new(), pick_port(), pick_port());
        let agent = start(&world, port);
        register(&agent, &web, own, true);
        // Nobody listens there yet; the service itself would answer.
        await_check(&agent, "critical", &format!("dial tcp 127.0.0.1:{port}: connect: connection refused"));
        let mut sidecar = EnvoyProcess::start(&world, &agent, &envoy, "web", &[]);
        sidecar.await_ready();
        await_check(&agent, "passing", "HTTP GET");
        assert!(requests(&sidecar, port) > 0, "it went through Envoy");
        // The listener has this path and no other.
        let other = ask(([127, 0, 0, 1], port).into(), "GET", "/other", &[]).expect("an answer");
        assert_eq!(other.status, 404);
        // The proxy exposes it no more.
        register(&agent, &web, own, false);
        eventually("the check asks the service itself", || {
            let before = requests(&sidecar, port);
            await_check(&agent, "passing", "HTTP GET");
            (requests(&sidecar, port) == before).then_some(())
        });
        // The entries say that it does.
        let defaults = json!({ "Kind": "service-defaults", "Name": "web", "Expose": { "Checks": true } });
        agent.http().put("/v1/config", &defaults).ok();
        let before = requests(&sidecar, port);
        eventually("the check goes through Envoy again", || {
            (requests(&sidecar, port) > before).then_some(())
        });
        await_check(&agent, "passing", "HTTP GET");
        // The service dies: Envoy says so.
        let addr = web.addr;
        drop(web);
        await_check(&agent, "critical", "503");
        // Without the sidecar the check is direct again, and sees the service that is gone.
        agent.http().send("PUT", "/v1/agent/service/deregister/web-sidecar-proxy", None).ok();
        await_check(&agent, "critical", &format!("dial tcp {addr}: connect: connection refused"));
    }
}
