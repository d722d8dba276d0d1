//! How much memory strangers can make the program use: floods of connections from 64 source addresses to each of its
//! ports, while one client with a token and its own address is served.
//!
//! Each cell of the table has its own process, which is idle before the flood. The figures are the largest resident
//! memory during the flood, how the client was served, and how long it takes until the memory is released.

mod attack;
mod client;
mod flood;
mod port;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use concord_e2e::{Agent, AgentOptions, Authority, Http, Mesh, ProxyOptions, World, eventually, pick_port};
use rustls::ClientConfig;
use serde_json::json;

use self::attack::Attack;
use self::client::{Client, TOKEN};
use self::flood::Flood;
use self::port::Port;
use crate::figures::Figures;
use crate::usage::Group;

/// Numbers of connections of a flood.
const CONNECTIONS: [usize; 2] = [2_000, 10_000];
/// Duration of a flood.
const FLOOD: Duration = Duration::from_secs(12);
/// Time until a started process is idle.
const REST: Duration = Duration::from_secs(3);
/// Maximum time until the memory is released.
const RETURN: Duration = Duration::from_secs(30);
/// Increase of memory that may remain, in percent.
const RETURN_PERCENT: f64 = 20.0;
/// Time between two readings of the memory.
const LOOK: Duration = Duration::from_millis(50);
/// Number of services, and kilobytes of tags of each. A list of all of them is an answer of eight megabytes.
const LARGE: (usize, usize) = (16, 500);

/// The useful combinations. Plain HTTP and gRPC have no TLS, and HTTP/1.1 has no PING. Strangers cannot get past the
/// handshake of the public listener.
const CELLS: [(Port, Attack); 17] = [
    (Port::Http, Attack::Silent),
    (Port::Http, Attack::HalfHead),
    (Port::Http, Attack::HalfBody),
    (Port::Http, Attack::NotReading),
    (Port::Https, Attack::Silent),
    (Port::Https, Attack::HalfHello),
    (Port::Https, Attack::HalfHead),
    (Port::Https, Attack::HalfBody),
    (Port::Https, Attack::NotReading),
    (Port::Grpc, Attack::Silent),
    (Port::Grpc, Attack::HalfHead),
    (Port::Grpc, Attack::HalfBody),
    (Port::Grpc, Attack::NotReading),
    (Port::Grpc, Attack::Pings),
    (Port::Grpc, Attack::LargeRequest),
    (Port::Public, Attack::Silent),
    (Port::Public, Attack::HalfHello),
];

/// Runs all cells, or those whose name starts with a text, with the given or both default numbers of connections.
pub(crate) fn run(args: &[&str]) -> Result<Figures> {
    let (only, sizes) = match args {
        [] => ("", CONNECTIONS.to_vec()),
        [only] => (*only, CONNECTIONS.to_vec()),
        [only, size] => (*only, vec![size.parse().with_context(|| format!("connections: {size}"))?]),
        _ => bail!("usage: concord-load strangers [<beginning of a cell's name> [<connections>]]"),
    };
    let mut figures = Figures::default();
    for (port, attack) in CELLS {
        for connections in &sizes {
            let name = format!("{}, {}, {connections}", port.name(), attack.name());
            // Compare the start: "HTTPS" contains "HTTP".
            if name.starts_with(only) {
                eprintln!("{name}");
                cell(&name, port, attack, *connections, &mut figures)?;
            }
        }
    }
    Ok(figures)
}

/// The process under attack and its client.
struct Target {
    process: Group,
    addr: SocketAddr,
    client: Client,
    /// The TLS settings of the strangers.
    tls: Option<Arc<ClientConfig>>,
    _alive: (Agent, Option<Mesh>),
}

fn cell(name: &str, port: Port, attack: Attack, connections: usize, figures: &mut Figures) -> Result<()> {
    let world = World::new();
    let target = start(&world, port)?;
    thread::sleep(REST);
    let idle = target.process.rss()?;
    let cpu = target.process.cpu()?;
    let flood = Flood::start(port, target.addr, attack, connections, target.tls.clone())?;
    let served = target.client.begin();
    let (mut most, began) = (idle, Instant::now());
    while began.elapsed() < FLOOD {
        most = most.max(target.process.rss()?);
        thread::sleep(LOOK);
    }
    let opened = flood.opened();
    let cpu = target.process.cpu()?.saturating_sub(cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    let (times, failed) = served.end()?;
    drop(flood);
    let (mut now, ended) = (target.process.rss()?, Instant::now());
    let back = |now: f64| (now - idle) / idle * 100.0;
    let mut took = None;
    while took.is_none() && ended.elapsed() < RETURN {
        thread::sleep(LOOK);
        now = target.process.rss()?;
        took = (back(now) <= RETURN_PERCENT).then(|| ended.elapsed());
    }
    let mut add = |what: &str, value: f64, unit: &str| figures.add(format!("{name}: {what}"), value, unit);
    add("idle", idle / 1048576.0, "MiB");
    add("most above idle", (most - idle) / 1048576.0, "MiB");
    add("above idle at the end", back(now), "%");
    add("memory back after (-1: not)", took.map_or(-1.0, |took| took.as_secs_f64()), "s");
    add("connections opened by the flood", opened as f64, "");
    add("processor time", cpu * 100.0, "%");
    add("client: requests", times.count() as f64, "");
    add("client: failed", failed as f64, "");
    add("client: p50", times.millis(50), "ms");
    add("client: p99", times.millis(99), "ms");
    Ok(())
}

fn start(world: &World, port: Port) -> Result<Target> {
    // All may read, so that strangers can request a large answer. Only the client has a token.
    let acl = format!(
        "acl {{ enabled = true default_policy = \"allow\" tokens {{ initial_management = \"{TOKEN}\" }} }}"
    );
    let mut hcl = vec![acl];
    let authority = (port == Port::Https).then(|| {
        let authority = Authority::new(world.dir(), "own");
        let (cert, key) = authority.issue("server");
        let files = format!("cert_file = \"{}\" key_file = \"{}\"", cert.display(), key.display());
        hcl.push(format!("ports {{ https = {} }} tls {{ https {{ {files} }} }}", pick_port()));
        authority
    });
    let options = AgentOptions { dev: true, hcl, ..AgentOptions::default() };
    let mut agent = world.agent("n1", options);
    let http = agent.http().with_token(TOKEN);
    let (agent_pid, grpc) = (agent.process().pid(), agent.grpc_addr());
    Ok(match port {
        Port::Http | Port::Https => {
            for number in 0..LARGE.0 {
                let tags = vec!["x".repeat(1_000); LARGE.1];
                let body = json!({ "Name": format!("service-{number}"), "Tags": tags });
                http.put("/v1/agent/service/register", &body).ok();
            }
            let tls = authority.map(|authority| Authority::client(&[&authority], None));
            let (addr, http) = match &tls {
                None => (agent.http_addr().parse().context("the address of HTTP")?, agent.http()),
                Some(tls) => (agent.https_addr(), Http::secure(agent.https_addr(), Arc::clone(tls))),
            };
            let process = Group::new([agent_pid]);
            Target { process, addr, client: Client::Http(http), tls, _alive: (agent, None) }
        }
        Port::Grpc => {
            http.put(
                "/v1/agent/service/register",
                &Mesh::service("web", ([127, 0, 0, 1], 1).into(), json!([])),
            )
            .ok();
            let client = Client::Grpc(grpc);
            Target { process: Group::new([agent_pid]), addr: grpc, client, tls: None, _alive: (agent, None) }
        }
        Port::Public => {
            let options = ProxyOptions { token: Some(TOKEN.to_owned()), ..ProxyOptions::default() };
            let mut mesh = Mesh::start(world, &agent, &options);
            let (pid, addr) = (mesh.api_sidecar.process().pid(), mesh.api_sidecar.public());
            let client = Client::Mesh(mesh.web_sidecar.upstream("api"));
            eventually("the mesh is at rest", || mesh.call().ok());
            Target { process: Group::new([pid]), addr, client, tls: None, _alive: (agent, Some(mesh)) }
        }
    })
}
