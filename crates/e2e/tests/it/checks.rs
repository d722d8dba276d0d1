//! The page about checks: its examples as a file and over HTTP, its commands, and the results when their targets break.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;
use concord_e2e::{Agent, AgentOptions, World, binary, eventually, foreign, ran};
use http::{HeaderMap, Response};
use serde_json::Value;

const PAGE: &str = include_str!("../../../../docs/checks.md");
/// The checks of the page: id, type, output while the target works, and beginning of the output once it is broken.
const KINDS: [(&str, &str, &str, &str); 7] = [
    ("http", "http", "HTTP GET http://127.0.0.1:8080/health: 200 OK Output: fine", "HTTP GET "),
    (
        "tcp",
        "tcp",
        "TCP connect 127.0.0.1:8081: Success",
        "dial tcp 127.0.0.1:8081: connect: connection refused",
    ),
    ("udp", "udp", "UDP connect 127.0.0.1:8082: Success", "udp 127.0.0.1:8082: connect: connection refused"),
    ("grpc", "grpc", "gRPC check 127.0.0.1:8083/web.Shop: success", "rpc error: code = Unavailable"),
    ("h2ping", "h2ping", "HTTP2 ping was successful", "Failed to dial to 127.0.0.1:8083: "),
    ("script", "script", "", ""),
    ("os", "os_service", "Service \"web.service\" is healthy", "OS Service unhealthy: systemd says failed"),
];

/// The fenced blocks of the page in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

/// The targets which the examples check.
struct Targets {
    broken: Arc<AtomicBool>,
    http: SocketAddr,
    tcp: TcpListener,
    udp: UdpSocket,
    grpc: SocketAddr,
    serving: tokio::runtime::Runtime,
}

impl Targets {
    fn new(world: &World) -> Self {
        let broken = Arc::<AtomicBool>::default();
        let listener =
            TcpListener::bind("127.0.0.1:0").expect("it works on loopback and in a directory of our own");
        let (http, shared) = (
            listener.local_addr().expect("it works on loopback and in a directory of our own"),
            Arc::clone(&broken),
        );
        // The thread ends with the process.
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let status = if shared.load(Ordering::SeqCst) { "500 Broken" } else { "200 OK" };
                let _ = stream.read(&mut [0; 4096]);
                let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\nfine");
            }
        });
        let serving =
            tokio::runtime::Runtime::new().expect("it works on loopback and in a directory of our own");
        let listener = serving
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("it works on loopback and in a directory of our own");
        let grpc = listener.local_addr().expect("it works on loopback and in a directory of our own");
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(healthy(stream));
            }
        });
        world.write("web.ready", "");
        program(&world.path("systemctl"), "[ -e \"${0%/*}/web.ready\" ] && echo active || echo failed");
        Self {
            broken,
            http,
            tcp: TcpListener::bind("127.0.0.1:0")
                .expect("it works on loopback and in a directory of our own"),
            udp: UdpSocket::bind("127.0.0.1:0").expect("it works on loopback and in a directory of our own"),
            grpc,
            serving,
        }
    }

    /// Returns a function which replaces the addresses in a text of the page with the addresses of these targets.
    fn placed(&self, world: &World) -> impl Fn(&str) -> String + use<> {
        let (tcp, udp) = (
            self.tcp.local_addr().expect("it works on loopback and in a directory of our own"),
            self.udp.local_addr().expect("it works on loopback and in a directory of our own"),
        );
        let ready = world.path("web.ready").display().to_string();
        let addresses = [self.http, tcp, udp, self.grpc].map(|address| address.to_string());
        move |text| {
            let places = ["127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:8082", "127.0.0.1:8083"];
            let pairs = places.iter().zip(&addresses);
            let text = pairs.fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
            text.replace("/run/web.ready", &ready)
        }
    }

    fn end(self, world: &World) {
        self.broken.store(true, Ordering::SeqCst);
        self.serving.shutdown_background();
        fs::remove_file(world.path("web.ready")).expect("it works on loopback and in a directory of our own");
    }
}

/// Reports every service as serving.
async fn healthy(stream: tokio::net::TcpStream) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let mut send = respond
            .send_response(Response::new(()), false)
            .expect("it works on loopback and in a directory of our own");
        send.send_data(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1]), false)
            .expect("it works on loopback and in a directory of our own");
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", 0.into());
        send.send_trailers(trailers).expect("it works on loopback and in a directory of our own");
    }
}

fn program(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n"))
        .expect("it works on loopback and in a directory of our own");
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .expect("it works on loopback and in a directory of our own");
}

fn agent(world: &World, name: &str, args: Vec<String>) -> Agent {
    let path = format!("{}:/usr/bin:/bin", world.dir().display());
    let env = vec![("PATH".to_owned(), path)];
    world.agent(name, AgentOptions { dev: true, args, env, ..AgentOptions::default() })
}

/// Waits until a check has this status and output, at the agent and in the catalog.
#[track_caller]
fn becomes(agent: &Agent, id: &str, kind: &str, status: &str, output: &str) {
    let http = agent.http();
    let is = |check: &Value| {
        let said = check["Output"].as_str().unwrap_or_default();
        check["Status"] == status && check["Type"] == kind && said.starts_with(output)
    };
    eventually(&format!("{id} is {status} at {}", agent.node()), || {
        let checks = http.get("/v1/agent/checks").json();
        let there = is(&checks[id]);
        let known = http.get(&format!("/v1/health/node/{}", agent.node())).json();
        let known = known.as_array()?.iter().any(|check| check["CheckID"] == id && check["Status"] == status);
        (there && known).then_some(())
    });
}

fn passing(agent: &Agent, service: &str) -> usize {
    agent.http().get(&format!("/v1/health/service/{service}?passing")).json().as_array().map_or(0, Vec::len)
}

#[test]
fn every_check_of_the_page_follows_its_target_and_the_catalog_follows_it() {
    let world = World::new();
    let targets = Targets::new(&world);
    let placed = targets.placed(&world);
    let [example] = blocks("hcl web.hcl")[..] else { panic!("the page has one file") };
    let file = world.write("web.hcl", placed(example));
    let from_file = agent(
        &world,
        "n1",
        vec!["-enable-local-script-checks".to_owned(), format!("-config-file={}", file.display())],
    );
    let over_http = agent(&world, "n2", vec!["-enable-script-checks".to_owned()]);
    over_http.cli_ok(&["services", "register", &file.display().to_string()]);
    // With `-enable-local-script-checks` only files may define script checks, not the API.
    let strict = agent(&world, "n3", vec!["-enable-local-script-checks".to_owned()]);
    let refused = strict.cli(&["services", "register", &file.display().to_string()]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && why.contains("Scripts are disabled on this agent from remote calls"),
        "{why}"
    );

    for agent in [&from_file, &over_http] {
        for (id, kind, said, _) in KINDS {
            becomes(agent, id, kind, "passing", &placed(said));
        }
        assert_eq!(passing(agent, "web"), 0, "the service has not reported");
        agent.http().send("PUT", "/v1/agent/check/pass/ttl", None).ok();
        becomes(agent, "ttl", "ttl", "passing", "");
        becomes(agent, "alias", "alias", "passing", "All checks passing.");
        eventually("the service is in use", || (passing(agent, "web") == 1).then_some(()));
    }
    targets.end(&world);
    for agent in [&from_file, &over_http] {
        for (id, kind, _, said) in KINDS {
            let status = if id == "script" { "warning" } else { "critical" };
            becomes(agent, id, kind, status, &placed(said));
        }
        becomes(agent, "alias", "alias", "critical", "");
        eventually("the service is out of use", || (passing(agent, "web") == 0).then_some(()));
    }
}

#[test]
fn the_commands_of_the_page_work_one_after_the_other() {
    let name = "the_commands_of_the_page_work_one_after_the_other";
    if foreign(name, "CONCORD_TEST_CURL", "curl", &["--version"]).is_none() {
        return;
    }
    let world = World::new();
    let targets = Targets::new(&world);
    let placed = targets.placed(&world);
    world.write("web.hcl", placed(blocks("hcl web.hcl")[0]));
    symlink(binary(), world.path("concord")).unwrap();
    let agent = agent(&world, "n1", vec!["-enable-script-checks".to_owned()]);
    let commands = blocks("sh");
    assert!(commands.len() >= 4);
    let mut said = String::new();
    for command in commands {
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", command]).current_dir(world.dir()).env_clear().stdin(Stdio::null());
        shell.env("PATH", format!("{}:{}", world.dir().display(), std::env::var("PATH").unwrap_or_default()));
        shell.env("CONCORD_HTTP_ADDR", agent.http_addr());
        said.push_str(&ran(command, &shell.output().expect("a shell")));
    }
    assert!(said.contains("\"CheckID\": \"disk\"") && said.contains("Registered service"), "{said}");
    let checks = agent.http().get("/v1/agent/checks").json();
    assert_eq!(checks["ttl"]["Status"], "passing");
    let gone = ["disk", "_node_maintenance", "_service_maintenance:web"];
    assert!(gone.iter().all(|id| checks.get(*id).is_none()), "{checks}");
}

#[test]
fn a_service_in_maintenance_says_so_and_is_out_of_use() {
    let world = World::new();
    let agent = world.dev_agent("n1");
    let http = agent.http();
    http.put("/v1/agent/service/register", &serde_json::json!({ "Name": "web" })).ok();
    let wish = |path: &str| http.send("PUT", path, None);
    for (path, status, text) in [
        ("/v1/agent/service/maintenance/web", 400, "Missing value for enable"),
        ("/v1/agent/service/maintenance/web?enable=maybe", 400, "Invalid value for enable: \"maybe\""),
        ("/v1/agent/maintenance?enable=", 400, "Invalid value for enable: \"\""),
        ("/v1/agent/service/maintenance/?enable=true", 400, "Missing service ID"),
        ("/v1/agent/service/maintenance/db?enable=true", 404, "Unknown service ID \"db\"."),
    ] {
        let refused = wish(path);
        assert!(refused.status == status && refused.body.starts_with(text), "{path}: {refused:?}");
    }
    eventually("the service is in use", || (passing(&agent, "web") == 1).then_some(()));
    for (enter, leave) in [
        (
            "/v1/agent/service/maintenance/web?enable=true&reason=disk",
            "/v1/agent/service/maintenance/web?enable=false",
        ),
        ("/v1/agent/maintenance?enable=1", "/v1/agent/maintenance?enable=0"),
    ] {
        wish(enter).ok();
        let health = http.get("/v1/agent/health/service/name/web");
        let told: Value = serde_json::from_str(&health.body).unwrap();
        assert_eq!((health.status, &told[0]["AggregatedStatus"]), (503, &"maintenance".into()));
        assert_eq!(http.get("/v1/agent/health/service/id/web?format=text").body.trim(), "maintenance");
        eventually("the service is out of use", || (passing(&agent, "web") == 0).then_some(()));
        wish(leave).ok();
        eventually("the service is in use again", || (passing(&agent, "web") == 1).then_some(()));
    }
}
