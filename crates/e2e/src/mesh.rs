//! The smallest mesh: `web` calls `api` through two sidecars.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::echo::Echo;
use crate::patience::{HANG, eventually, pick_port};
use crate::proxy::{ProxyOptions, ProxyProcess};
use crate::world::World;

/// `web`, `api` and their sidecars.
#[derive(Debug)]
pub struct Mesh {
    /// The service `api`.
    pub api: Echo,
    /// The service `web`. Only health checks connect to it.
    pub web: Echo,
    /// Sidecar of `api`.
    pub api_sidecar: ProxyProcess,
    /// Sidecar of `web`.
    pub web_sidecar: ProxyProcess,
}

impl Mesh {
    /// Registers and starts everything, and waits until a message goes through.
    pub fn start(world: &World, agent: &Agent, options: &ProxyOptions) -> Self {
        Self::start_with(world, agent, options, json!([]))
    }

    /// The same with additional upstreams of `web`.
    pub fn start_with(world: &World, agent: &Agent, options: &ProxyOptions, more: Value) -> Self {
        let mesh = Self::assemble(world, agent, options, more);
        eventually("a message goes through the mesh", || mesh.call().ok());
        mesh
    }

    /// The same without waiting for a message, because none goes through if an intention denies it.
    pub fn assemble(world: &World, agent: &Agent, options: &ProxyOptions, more: Value) -> Self {
        let (api, web) = (Echo::new(), Echo::new());
        let mut http = agent.http();
        if let Some(token) = &options.token {
            http = http.with_token(token);
        }
        let register = |body: Value| {
            http.put("/v1/agent/service/register", &body).ok();
        };
        register(Self::service("api", api.addr(), json!([])));
        let mut upstreams = vec![json!({ "DestinationName": "api", "LocalBindPort": pick_port() })];
        upstreams.extend(more.as_array().cloned().unwrap_or_default());
        register(Self::service("web", web.addr(), json!(upstreams)));
        let start = |service| ProxyProcess::start(world, &agent.http_addr(), service, options);
        let (mut api_sidecar, mut web_sidecar) = (start("api"), start("web"));
        api_sidecar.await_ready();
        web_sidecar.await_ready();
        Self { api, web, api_sidecar, web_sidecar }
    }

    /// A service definition with a sidecar whose health depends only on the service.
    pub fn service(name: &str, addr: SocketAddr, upstreams: Value) -> Value {
        json!({
            "Name": name,
            "Port": addr.port(),
            "Address": "127.0.0.1",
            "Connect": { "SidecarService": {
                "Port": pick_port(),
                "Checks": [{ "Name": "service", "AliasService": name }],
                "Proxy": { "Upstreams": upstreams },
            }},
        })
    }

    /// The address at which `web` reaches `api`.
    pub fn upstream(&self) -> SocketAddr {
        self.web_sidecar.upstream("api")
    }

    /// Sends a message from `web` to `api` and back on a new connection.
    pub fn call(&self) -> io::Result<()> {
        self.open().and_then(|mut stream| Self::say(&mut stream))
    }

    /// Opens a connection from `web` to `api`. Only its first use shows whether it is admitted.
    pub fn open(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.upstream(), Duration::from_secs(5))?;
        stream.set_read_timeout(Some(HANG))?;
        Ok(stream)
    }

    /// Sends a message and reads it back.
    pub fn say(stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(b"hello")?;
        let mut back = [0u8; 5];
        stream.read_exact(&mut back)?;
        if &back == b"hello" { Ok(()) } else { Err(io::Error::other("other bytes came back")) }
    }

    /// Number of connections which the two sidecars refused, plus their failures to connect, so far.
    pub fn refusals(&self) -> f64 {
        [&self.api_sidecar, &self.web_sidecar]
            .iter()
            .map(|sidecar| sidecar.metrics())
            .map(|now| {
                now.sum("concord_proxy_refused_total", "")
                    + now.sum("concord_proxy_connect_failures_total", "")
            })
            .sum()
    }
}
