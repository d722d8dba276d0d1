//! The services of the measured mesh, as registrations in the catalog.

use anyhow::{Result, ensure};
use concord_e2e::Conn;
use serde_json::{Value, json};

/// Services.
pub(super) const SERVICES: usize = 500;
/// Services that each of them calls: those that follow it.
pub(super) const UPSTREAMS: usize = 20;
/// Proxies of a node.
const PROXIES_OF_A_NODE: usize = 50;
/// The first port of the instances that move.
const MOVING_PORT: usize = 30_000;

/// The measured mesh.
pub(super) struct Mesh {
    conn: Conn,
    streams: usize,
    moves: usize,
}

impl Mesh {
    /// Registers a proxy for each stream, and of each service one instance that moves.
    pub(super) fn start(conn: Conn, streams: usize) -> Result<Self> {
        let mut own = Self { conn, streams, moves: 0 };
        own.send(
            "/v1/config",
            &json!({ "Kind": "proxy-defaults", "Name": "global", "Config": { "protocol": "http" } }),
        )?;
        let everybody = json!({ "Kind": "service-intentions", "Name": "*", "Sources": [{ "Name": "*", "Action": "allow" }] });
        own.send("/v1/config", &everybody)?;
        for at in 0..streams {
            let upstreams: Vec<Value> = (1..=UPSTREAMS)
                .map(|next| json!({ "DestinationName": service((at + next) % SERVICES), "LocalBindPort": 20_000 + next }))
                .collect();
            let proxy = json!({ "DestinationServiceName": service(at % SERVICES), "DestinationServiceID": service(at % SERVICES),
                "LocalServicePort": 8080, "Upstreams": upstreams });
            own.register(
                &node(at),
                &json!({ "Kind": "connect-proxy", "ID": proxy_id(at), "Service": format!("{}-sidecar-proxy", service(at % SERVICES)),
                "Port": 10_000 + at % PROXIES_OF_A_NODE, "Proxy": proxy }),
            )?;
        }
        (0..SERVICES).try_for_each(|at| own.move_to(at, MOVING_PORT))?;
        Ok(own)
    }

    /// Moves an instance of a service to a port that none of them had before.
    pub(super) fn move_instance(&mut self, service: usize) -> Result<u32> {
        self.moves += 1;
        let port = MOVING_PORT + self.moves;
        self.move_to(service, port)?;
        Ok(u32::try_from(port)?)
    }

    /// Writes a resolver with a time limit, in seconds, that no other has.
    pub(super) fn write_resolver(&mut self, at: usize) -> Result<i64> {
        self.moves += 1;
        let seconds = 1_000 + self.moves;
        let entry = json!({ "Kind": "service-resolver", "Name": service(at), "ConnectTimeout": format!("{seconds}s") });
        self.send("/v1/config", &entry)?;
        Ok(i64::try_from(seconds)?)
    }

    /// The number of streams whose proxies call a service.
    pub(super) fn callers(&self, service: usize) -> usize {
        (0..self.streams).filter(|at| calls(*at).any(|called| called == service % SERVICES)).count()
    }

    fn move_to(&mut self, at: usize, port: usize) -> Result<()> {
        let proxy = json!({ "DestinationServiceName": service(at), "LocalServicePort": 8080 });
        let instance = json!({ "Kind": "connect-proxy", "ID": format!("moving-{at}"), "Service": format!("{}-sidecar-proxy", service(at)), "Port": port, "Proxy": proxy });
        self.register("moving", &instance)
    }

    fn register(&mut self, node: &str, service: &Value) -> Result<()> {
        self.send(
            "/v1/catalog/register",
            &json!({ "Node": node, "Address": "192.0.2.1", "Service": service }),
        )
    }

    fn send(&mut self, path: &str, body: &Value) -> Result<()> {
        let reply = self.conn.send("PUT", path, Some(&body.to_string()))?;
        ensure!(reply.status == 200, "{body}: {} {}", reply.status, reply.body);
        Ok(())
    }
}

/// The services that a proxy calls.
pub(super) fn calls(proxy: usize) -> impl Iterator<Item = usize> {
    (1..=UPSTREAMS).map(move |next| (proxy + next) % SERVICES)
}

pub(super) fn node(proxy: usize) -> String {
    format!("node-{}", proxy / PROXIES_OF_A_NODE)
}

pub(super) fn proxy_id(proxy: usize) -> String {
    format!("proxy-{proxy:05}")
}

fn service(at: usize) -> String {
    format!("service-{at:03}")
}
