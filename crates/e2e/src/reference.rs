//! A reference that is built outside the project, as an agent of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::http::Http;
use crate::patience::{eventually, pick_port};
use crate::process::Process;
use crate::world::World;

/// A running reference. It ends when this is dropped.
#[derive(Debug)]
pub struct Reference {
    /// Where it serves its HTTP API.
    pub http: SocketAddr,
    /// Where it configures Envoys.
    pub grpc: SocketAddr,
    /// Where it answers DNS.
    pub dns: SocketAddr,
    _process: Process,
}

impl Reference {
    /// Starts the program in development mode, with settings in HCL, and waits until it has roots.
    ///
    /// # Panics
    /// If it ends, or has no roots in time.
    pub fn start(world: &World, program: &Path, settings: &str) -> Self {
        let local = || SocketAddr::from(([127, 0, 0, 1], pick_port()));
        let (http, grpc, dns) = (local(), local(), local());
        let file = world.write("reference.hcl", settings);
        let mut command = Command::new(program);
        command.args(["agent", "-dev", "-node", "n1", "-log-level", "warn", "-grpc-tls-port", "-1"]);
        let ports = [
            ("-http-port", http.port()),
            ("-grpc-port", grpc.port()),
            ("-dns-port", dns.port()),
            ("-server-port", pick_port()),
            ("-serf-lan-port", pick_port()),
            ("-serf-wan-port", pick_port()),
        ];
        for (flag, port) in ports {
            command.arg(flag).arg(port.to_string());
        }
        command.arg("-config-file").arg(file);
        let mut process = Process::start("the reference", &mut command, &world.path("reference.log"));
        let client = Http::new(http);
        eventually("the reference has roots", || {
            if let Some(status) = process.ended() {
                panic!("the reference ended: {status}\n{}", process.tail());
            }
            client.try_send("GET", "/v1/connect/ca/roots", None).ok().filter(|reply| reply.status == 200)
        });
        Self { http, grpc, dns, _process: process }
    }
}
