//! A built-in sidecar proxy as a process.

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

/// How to run a proxy.
#[derive(Clone, Debug, Default)]
pub struct ProxyOptions {
    /// The proxy's token.
    pub token: Option<String>,
    /// Maximum number of file descriptors.
    pub descriptors: Option<u32>,
    /// Additional arguments.
    pub args: Vec<String>,
    /// The whole environment of the process.
    pub env: Vec<(String, String)>,
}

/// A running proxy.
#[derive(Debug)]
pub struct ProxyProcess {
    process: Process,
    ready: PathBuf,
    metrics: SocketAddr,
}

impl ProxyProcess {
    /// Starts the sidecar which is registered for an instance, without waiting until it is ready.
    pub fn start(world: &World, agent: &str, service: &str, options: &ProxyOptions) -> Self {
        Self::start_as(
            world,
            agent,
            &format!("sidecar-{service}"),
            &[format!("-sidecar-for={service}")],
            options,
        )
    }

    /// Starts a proxy which flags describe and which is not registered, without waiting until it is ready.
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

    /// Waits until the proxy is ready.
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

    /// The address on which the proxy accepts connections from the mesh.
    pub fn public(&self) -> SocketAddr {
        let report = self.report();
        local(report["public"].as_str().expect("a public listener"))
    }

    /// The local address of an upstream: the first whose key contains `name`.
    pub fn upstream(&self, name: &str) -> SocketAddr {
        let report = self.report();
        let all = report["upstreams"].as_object().expect("upstreams");
        let found = all.iter().find(|(key, _)| key.contains(name));
        local(found.and_then(|(_, address)| address.as_str()).unwrap_or_else(|| panic!("{name} in {report}")))
    }

    fn report(&self) -> Value {
        serde_json::from_slice(&std::fs::read(&self.ready).expect("a ready file")).expect("JSON")
    }

    /// The proxy's current metrics.
    pub fn metrics(&self) -> Scrape {
        Scrape::of(self.metrics, "/metrics")
    }

    /// The proxy's process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The proxy's log.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// The loopback address with the same port.
fn local(text: &str) -> SocketAddr {
    let address: SocketAddr = text.parse().expect("an address");
    SocketAddr::from(([127, 0, 0, 1], address.port()))
}
