//! An Envoy as a process: the proxy of a registered service, started as users start it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::agent::Agent;
use crate::binary::binary;
use crate::http::Http;
use crate::patience::{eventually, pick_port};
use crate::process::Process;
use crate::scrape::Scrape;
use crate::world::World;

/// A running Envoy.
#[derive(Debug)]
pub struct EnvoyProcess {
    process: Process,
    admin: SocketAddr,
}

impl EnvoyProcess {
    /// Starts the sidecar that is registered for an instance, with `connect envoy`. What follows `--` is in `args`.
    pub fn start(world: &World, agent: &Agent, envoy: &Path, service: &str, args: &[&str]) -> Self {
        Self::start_as(world, agent, envoy, &[format!("-sidecar-for={service}")], args)
    }

    /// Starts the proxy that these flags of `connect envoy` name.
    pub fn start_as(world: &World, agent: &Agent, envoy: &Path, who: &[String], args: &[&str]) -> Self {
        let who = [who, &[format!("-grpc-addr={}", agent.grpc_addr())]].concat();
        Self::start_asking(world, agent, envoy, &who, args)
    }

    /// The same, without saying where the agent's gRPC port is. The command asks the agent, unless a flag says it.
    pub fn start_asking(world: &World, agent: &Agent, envoy: &Path, who: &[String], args: &[&str]) -> Self {
        let admin = SocketAddr::from(([127, 0, 0, 1], pick_port()));
        let log = world.path(&format!("envoy-{}.log", admin.port()));
        let mut command = Command::new(binary());
        command.args(["connect", "envoy", "-ignore-envoy-compatibility"]).args(who);
        command.args([
            format!("-http-addr={}", agent.http_addr()),
            format!("-envoy-binary={}", envoy.display()),
        ]);
        command.arg(format!("-admin-bind={admin}"));
        command.args(["--", "--log-level", "info", "--concurrency", "1"]).args(args);
        Self { process: Process::start(&format!("envoy {}", who.join(" ")), &mut command, &log), admin }
    }

    /// Waits until it has its configuration and serves.
    #[track_caller]
    pub fn await_ready(&mut self) {
        let (process, admin) = (&mut self.process, self.admin);
        eventually("Envoy serves", || {
            if let Some(status) = process.ended() {
                panic!("Envoy ended: {status}\n{}", process.tail());
            }
            let answer = Http::new(admin).try_send("GET", "/ready", None).ok()?;
            (answer.status == 200).then_some(())
        });
    }

    /// Its admin interface.
    pub fn admin(&self) -> Http {
        Http::new(self.admin)
    }

    /// The port of its admin interface.
    pub fn admin_port(&self) -> u16 {
        self.admin.port()
    }

    /// Its metrics.
    pub fn metrics(&self) -> Scrape {
        Scrape::of(self.admin, "/stats/prometheus")
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
