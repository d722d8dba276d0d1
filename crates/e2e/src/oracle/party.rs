//! One of the two meshes: an agent, and the Envoys that are started against it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::dump::{self, Resources};
use super::scenario::Scenario;
use crate::agent::{Agent, AgentOptions};
use crate::binary::binary;
use crate::differ::wipe;
use crate::http::Http;
use crate::patience::{HANG, pick_port};
use crate::process::Process;
use crate::reference::Reference;
use crate::world::World;

/// Time between two looks at an Envoy.
const LOOK: Duration = Duration::from_millis(150);
/// How many looks in a row must see the same.
const CALM: u32 = 4;

/// An agent and the program that starts Envoys for it.
pub(super) struct Party {
    program: PathBuf,
    http: SocketAddr,
    grpc: SocketAddr,
    log: PathBuf,
    admin: u16,
    _agent: Running,
}

#[allow(dead_code, reason = "they run as long as they are kept")]
enum Running {
    Ours(Box<Agent>),
    Reference(Reference),
}

impl Party {
    pub(super) fn ours(world: &World, name: &str, settings: &[&str]) -> Self {
        let options = AgentOptions {
            dev: true,
            hcl: settings.iter().map(|own| (*own).to_owned()).collect(),
            ..AgentOptions::default()
        };
        let place = world.path(name);
        std::fs::create_dir_all(&place).expect("a directory");
        let agent = world.agent_in(&place, "n1", options);
        Self {
            program: binary().to_owned(),
            http: agent.http_addr().parse().expect("an address"),
            grpc: agent.grpc_addr(),
            log: world.path(&format!("{name}-envoy.log")),
            admin: pick_port(),
            _agent: Running::Ours(Box::new(agent)),
        }
    }

    pub(super) fn reference(world: &World, program: &Path, settings: &str) -> Self {
        let own = Reference::start(world, program, settings);
        Self {
            program: program.to_owned(),
            http: own.http,
            grpc: own.grpc,
            log: world.path("reference-envoy.log"),
            admin: pick_port(),
            _agent: Running::Reference(own),
        }
    }

    /// Plays a scenario and tells what its Envoy knows then.
    pub(super) fn play(&self, world: &World, envoy: &Path, scenario: &Scenario) -> Result<Resources, String> {
        let http = Http::new(self.http);
        wipe(&http).map_err(|error| format!("{}: {error}", scenario.name))?;
        for call in &scenario.calls {
            let reply = http.put(call.path, &call.body);
            if reply.status != 200 {
                return Ok(dump::refused(call.path, &reply));
            }
        }
        let log = world.path("envoy.log");
        let _ = std::fs::remove_file(&log);
        let mut process = Process::start("Envoy", &mut self.command(envoy, scenario), &log);
        let told = self.look(&mut process);
        process.kill9();
        let all = process.log();
        let _ = std::fs::write(&self.log, &all);
        match told {
            Ok(told) => Ok(told.into_iter().chain(dump::refusals(&all)).collect()),
            Err(why) => Ok(dump::unstarted(&why, &all)),
        }
    }

    fn command(&self, envoy: &Path, scenario: &Scenario) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["connect", "envoy", "-sidecar-for=web", "-ignore-envoy-compatibility"]);
        command.arg(format!("-http-addr={}", self.http)).arg(format!("-grpc-addr={}", self.grpc));
        command.arg(format!("-admin-bind=127.0.0.1:{}", self.admin));
        command.arg(format!("-envoy-binary={}", envoy.display())).args(&scenario.args);
        command.args(["--", "--log-level", "warning", "--concurrency", "1"]);
        command
    }

    /// Waits until Envoy serves and nothing changes any more. An Envoy that refuses what it is given serves, too; one that
    /// waits for something that does not come serves after its own limit for that.
    fn look(&self, process: &mut Process) -> Result<Resources, String> {
        let admin = Http::new(SocketAddr::from(([127, 0, 0, 1], self.admin)));
        let began = Instant::now();
        let (mut last, mut calm) = (Resources::new(), 0);
        while calm < CALM {
            if let Some(status) = process.ended() {
                return Err(format!("Envoy ended: {status}"));
            }
            if began.elapsed() > HANG {
                return Err("Envoy was not ready in time".to_owned());
            }
            thread::sleep(LOOK);
            let get = |path| admin.try_send("GET", path, None).ok().filter(|reply| reply.status == 200);
            if get("/ready").is_none() {
                continue;
            }
            let told = get("/config_dump?include_eds").and_then(|told| serde_json::from_str(&told.body).ok());
            let Some(told) = told.map(|told| dump::resources(&told, self.grpc.port(), self.admin)) else {
                continue;
            };
            calm = if told == last { calm + 1 } else { 0 };
            last = told;
        }
        Ok(last)
    }
}
