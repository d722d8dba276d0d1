//! A built-in sidecar as a process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::agent::limited;
use crate::binary::binary;
use crate::patience::{eventually, pick_port};
use crate::process::Process;
use crate::scrape::Scrape;
use crate::world::World;

/// How a proxy is run.
#[derive(Clone, Debug, Default)]
pub struct ProxyOptions {
    /// Its token.
    pub token: Option<String>,
    /// Descriptors it may have.
    pub descriptors: Option<u32>,
    /// More arguments.
    pub args: Vec<String>,
    /// Its environment; otherwise it has none.
    pub env: Vec<(String, String)>,
}

/// A proxy.
#[derive(Debug)]
pub struct ProxyProcess {
    process: Process,
    ready: PathBuf,
    metrics: SocketAddr,
}

impl ProxyProcess {
    /// Starts the sidecar registered for an instance, without waiting for it.
    pub fn start(world: &World, agent: &str, service: &str, options: &ProxyOptions) -> Self {
        Self::start_as(
            world,
            agent,
            &format!("sidecar-{service}"),
            &[format!("-sidecar-for={service}")],
            options,
        )
    }

    /// Starts a proxy that nobody registers, described by flags, without waiting for it.
    pub fn describe(
        world: &World,
        agent: &str,
        service: &str,
        flags: &[String],
        options: &ProxyOptions,
    ) -> Self {
        let words: Vec<String> = [format!("-service={service}")].iter().chain(flags).cloned().collect();
        Self::start_as(world, agent, &format!("unregistered-{service}"), &words, options)
    }

    fn start_as(world: &World, agent: &str, name: &str, which: &[String], options: &ProxyOptions) -> Self {
        let (ready, log) = (world.path(&format!("{name}.ready")), world.path(&format!("{name}.log")));
        let _ = std::fs::remove_file(&ready);
        let metrics = SocketAddr::from(([127, 0, 0, 1], pick_port()));
        let mut command = match options.descriptors {
            None => Command::new(binary()),
            Some(limit) => limited(binary(), limit),
        };
        command.env_clear().envs(options.env.iter().cloned()).args(["connect", "proxy"]).args(which);
        command.arg(format!("-http-addr={agent}")).arg(format!("-ready-file={}", ready.display()));
        command.arg("-rotation-jitter=500ms").arg(format!("-metrics-addr={metrics}"));
        if let Some(token) = &options.token {
            command.arg(format!("-token={token}"));
        }
        command.args(&options.args);
        Self { process: Process::start(name, &mut command, &log), ready, metrics }
    }

    /// Waits until it serves.
    #[track_caller]
    pub fn await_ready(&mut self) {
        let (process, ready) = (&mut self.process, &self.ready);
        eventually("the proxy serves", || {
            if let Some(status) = process.ended() {
                panic!("the proxy ended: {status}\n{}", process.tail());
            }
            ready.is_file().then_some(())
        });
    }

    /// Where it takes connections of the mesh.
    pub fn public(&self) -> SocketAddr {
        let report = self.report();
        local(report["public"].as_str().expect("a public listener"))
    }

    /// Where it takes connections for an upstream: the first whose name begins so.
    pub fn upstream(&self, name: &str) -> SocketAddr {
        let report = self.report();
        let all = report["upstreams"].as_object().expect("upstreams");
        let found = all.iter().find(|(key, _)| key.contains(name));
        local(found.and_then(|(_, address)| address.as_str()).unwrap_or_else(|| panic!("{name} in {report}")))
    }

    fn report(&self) -> Value {
        serde_json::from_slice(&std::fs::read(&self.ready).expect("a ready file")).expect("JSON")
    }

    /// Its metrics now.
    pub fn metrics(&self) -> Scrape {
        Scrape::of(self.metrics, "/metrics")
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

/// An address as seen from this machine.
fn local(text: &str) -> SocketAddr {
    let address: SocketAddr = text.parse().expect("an address");
    SocketAddr::from(([127, 0, 0, 1], address.port()))
}
