//! The pairs that are compared: client → one half → mutual TLS → other half → service. Each half is a separate process
//! with as many threads as there are cores.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use concord_e2e::{Agent, Mesh, Process, ProxyOptions, ProxyProcess, World, eventually, pick_port};
use serde_json::{Value, json};

use crate::envoy::{self, Files};
use crate::traffic;
use crate::usage::Group;

/// A running pair. Its processes end when it is dropped.
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    /// The address for clients.
    pub(crate) front: SocketAddr,
    pub(crate) processes: Group,
    _halves: Halves,
}

#[expect(dead_code, reason = "held for their end")]
enum Halves {
    Sidecars(Vec<ProxyProcess>),
    Others(Vec<Process>),
}

/// The identities of `web` and `api` as files, for peers that get no configuration from an agent.
#[derive(Debug)]
pub(crate) struct Identities {
    web: Files,
    api: Files,
    api_uri: String,
}

// === impl Pair ===

impl Pair {
    /// Two built-in proxies, registered with an agent, and an intention that allows the connection.
    pub(crate) fn concord(world: &World, agent: &Agent, service: SocketAddr) -> Self {
        let http = agent.http();
        let register = |body: Value| {
            http.put("/v1/agent/service/register", &body).ok();
        };
        register(Mesh::service("api", service, json!([])));
        let upstreams = json!([{ "DestinationName": "api", "LocalBindPort": pick_port() }]);
        register(Mesh::service("web", service, upstreams));
        let path = "/v1/connect/intentions/exact?source=web&destination=api";
        http.put(path, &json!({ "Action": "allow" })).ok();
        let mut halves: Vec<_> = ["api", "web"]
            .into_iter()
            .map(|name| ProxyProcess::start(world, &agent.http_addr(), name, &ProxyOptions::default()))
            .collect();
        halves.iter_mut().for_each(ProxyProcess::await_ready);
        let pids: Vec<_> = halves.iter_mut().map(|half| half.process().pid()).collect();
        let front = halves[1].upstream("api");
        Self::carrying("concord", front, pids, Halves::Sidecars(halves))
    }

    /// Two of our bare relays.
    pub(crate) fn relay(world: &World, identities: &Identities, service: SocketAddr) -> Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let (outer, inner) = (local(pick_port()), local(pick_port()));
        let start = |half: &str, listen: SocketAddr, connect: SocketAddr, files: &Files| {
            let mut command = Command::new(&program);
            command.env_clear().args(["relay", half, &listen.to_string(), &connect.to_string()]);
            command.args([&files.chain, &files.key, &files.roots]);
            Process::start(&format!("relay-{half}"), &mut command, &world.path(&format!("relay-{half}.log")))
        };
        let ingress = start("ingress", inner, service, &identities.api);
        let egress = start("egress", outer, inner, &identities.web);
        Ok(Self::of_processes("bare rustls", outer, vec![ingress, egress]))
    }

    /// Two Envoys.
    pub(crate) fn envoy(world: &World, program: &Path, identities: &Identities, service: SocketAddr) -> Self {
        let (outer, inner) = (local(pick_port()), local(pick_port()));
        let start = |half: &str, bootstrap: &Value| {
            let file = world.write(&format!("envoy-{half}.json"), bootstrap.to_string());
            let mut command = Command::new(program);
            command.env_clear().arg("--config-path").arg(file);
            command.args(["--disable-hot-restart", "--log-level", "warning"]);
            Process::start(&format!("envoy-{half}"), &mut command, &world.path(&format!("envoy-{half}.log")))
        };
        let ingress = start("ingress", &envoy::ingress(inner, service, &identities.api));
        let egress = start("egress", &envoy::egress(outer, inner, &identities.web, &identities.api_uri));
        Self::of_processes("Envoy", outer, vec![ingress, egress])
    }

    fn of_processes(name: &'static str, front: SocketAddr, halves: Vec<Process>) -> Self {
        let pids: Vec<_> = halves.iter().map(Process::pid).collect();
        Self::carrying(name, front, pids, Halves::Others(halves))
    }

    /// Waits until the pair forwards a message.
    fn carrying(name: &'static str, front: SocketAddr, pids: Vec<u32>, halves: Halves) -> Self {
        eventually(&format!("a message goes through the {name} pair"), || traffic::open(front).ok());
        Self { name, front, processes: Group::new(pids), _halves: halves }
    }
}

// === impl Identities ===

impl Identities {
    /// Gets leaves and roots from an agent and writes them to files.
    pub(crate) fn fetch(world: &World, agent: &Agent) -> Result<Self> {
        let http = agent.http();
        let roots = http.get("/v1/agent/connect/ca/roots").json();
        let all = roots["Roots"].as_array().context("roots")?;
        let pem: String = all.iter().filter_map(|root| root["RootCert"].as_str()).collect();
        let roots = world.write("roots.pem", pem);
        let fetch = |name: &str| -> Result<(Files, String)> {
            let leaf = http.get(&format!("/v1/agent/connect/ca/leaf/{name}")).json();
            let text = |key: &str| leaf[key].as_str().with_context(|| format!("{key} of the leaf"));
            let files = Files {
                chain: world.write(&format!("{name}.pem"), text("CertPEM")?),
                key: world.write(&format!("{name}-key.pem"), text("PrivateKeyPEM")?),
                roots: roots.clone(),
            };
            Ok((files, text("ServiceURI")?.to_owned()))
        };
        let ((web, _), (api, api_uri)) = (fetch("web")?, fetch("api")?);
        Ok(Self { web, api, api_uri })
    }
}

/// The Envoy program for the comparison, if there is one.
pub(crate) fn envoy_program() -> Option<PathBuf> {
    std::env::var_os("CONCORD_TEST_ENVOY").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
