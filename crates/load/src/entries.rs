//! The cost of writing configuration entries when there are many services and entries, and whom a write wakes.
//!
//! A write costs the check of its graph at the leader and where it is applied, and the waking of whoever waits for what
//! it changes. Readers wait for the chains of services; most writes concern none of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, ensure};
use concord_e2e::{Conn, Http, World, eventually};
use serde_json::{Value, json};

use crate::agents::Kind;
use crate::figures::Figures;
use crate::usage::Group;

/// Registered services.
const SERVICES: usize = 10_000;
/// Services of one node: each registration names both.
const SERVICES_OF_A_NODE: usize = 100;
/// Services with entries of every kind, so that there are five thousand entries.
const DESCRIBED: usize = 1_000;
/// Readers that wait for a chain each: fewer than the connections that one client may have.
const READERS: usize = 100;
/// Writes of one kind that are measured.
const WRITES: usize = 300;
/// Writes of the entries that concern all services.
const WIDE_WRITES: usize = 20;

/// A kind of entry and what it says of a service.
type Written = fn(service: usize, serial: usize) -> Value;

const KINDS: [(&str, Written); 5] = [
    (
        "service-defaults",
        |at, serial| json!({ "Kind": "service-defaults", "Name": name(at), "Protocol": "http", "LocalConnectTimeoutMs": 1_000 + serial }),
    ),
    ("service-resolver", |at, serial| {
        json!({ "Kind": "service-resolver", "Name": name(at), "ConnectTimeout": format!("{}s", 1 + serial),
            "Failover": { "*": { "Service": name(next(at)) } } })
    }),
    ("service-splitter", |at, serial| {
        let weight = 1 + serial % 99;
        let mut splits =
            vec![json!({ "Weight": weight }), json!({ "Weight": 100 - weight, "Service": name(next(at)) })];
        if at % 2 == 1 {
            // Splitters must not lead in a circle.
            splits = vec![json!({ "Weight": 100 })];
        }
        json!({ "Kind": "service-splitter", "Name": name(at), "Splits": splits })
    }),
    ("service-router", |at, serial| {
        json!({ "Kind": "service-router", "Name": name(at), "Routes": [
            { "Match": { "HTTP": { "PathPrefix": format!("/v{serial}") } }, "Destination": { "Service": name(next(at)) } }] })
    }),
    ("service-intentions", |at, serial| {
        json!({ "Kind": "service-intentions", "Name": name(at), "Sources": [
            { "Name": name(next(at)), "Permissions": [{ "Action": "allow", "HTTP": { "PathPrefix": format!("/v{serial}") } }] }] })
    }),
];

pub(crate) fn run() -> Result<Figures> {
    let mut figures = Figures::default();
    let world = World::new();
    let mut agent = Kind::Kept.start(&world);
    let process = Group::new([agent.process().pid()]);
    let http = agent.http();
    let mut conn = http.connect()?;
    fill(&mut conn)?;
    let readers = Readers::start(&http);

    // None of these is in a chain that a reader waits for.
    for (kind, written) in KINDS {
        let cpu =
            each(&process, WRITES, |serial| write(&mut conn, &written(READERS + serial * 2, serial + 1)))?;
        figures.add(format!("a {kind} is changed: CPU each"), cpu, "ms");
    }
    figures.add("readers woken by them", readers.woken() as f64, "");
    // Each of these is in the chains of two readers: its own, and that of the service before it.
    let (_, resolver) = KINDS[1];
    each(&process, READERS, |serial| {
        readers.settle();
        write(&mut conn, &resolver(serial, 1_000 + serial))
    })?;
    readers.settle();
    figures.add(format!("readers woken by {READERS} resolvers that they read"), readers.woken() as f64, "");

    let mesh = |serial: usize| json!({ "Kind": "mesh", "Meta": { "serial": serial.to_string() } });
    let cpu = each(&process, WIDE_WRITES, |serial| write(&mut conn, &mesh(serial)))?;
    figures.add("mesh is changed: CPU each", cpu, "ms");
    let cpu = each(&process, WIDE_WRITES, |serial| write(&mut conn, &proxies(serial + 1, "http")))?;
    figures.add("proxy-defaults is changed: CPU each", cpu, "ms");
    readers.stop();
    Ok(figures)
}

fn name(service: usize) -> String {
    format!("service-{service:05}")
}

/// The services with entries are in pairs, so that a chain is of two services.
fn next(service: usize) -> usize {
    service ^ 1
}

fn proxies(serial: usize, protocol: &str) -> Value {
    json!({ "Kind": "proxy-defaults", "Name": "global", "Config": { "protocol": protocol, "local_connect_timeout_ms": 1_000 + serial } })
}

/// Registers the services, and writes the entries.
fn fill(conn: &mut Conn) -> Result<()> {
    for at in 0..SERVICES {
        let node = at / SERVICES_OF_A_NODE;
        let body = json!({ "Node": format!("node-{node}"), "Address": "192.0.2.1", "Service": { "Service": name(at), "Port": 80 } });
        send(conn, "/v1/catalog/register", &body)?;
    }
    write(conn, &proxies(0, "http"))?;
    for (_, written) in [KINDS[0], KINDS[3], KINDS[2], KINDS[4]] {
        (0..DESCRIBED).try_for_each(|at| write(conn, &written(at, 0)))?;
    }
    // Failover to the other one of a pair, which comes back to this one, is no circle: it is followed once.
    (0..DESCRIBED).try_for_each(|at| write(conn, &KINDS[1].1(at, 0)))
}

fn write(conn: &mut Conn, entry: &Value) -> Result<()> {
    send(conn, "/v1/config", entry)
}

fn send(conn: &mut Conn, path: &str, body: &Value) -> Result<()> {
    let reply = conn.send("PUT", path, Some(&body.to_string()))?;
    ensure!(reply.status == 200, "{body}: {} {}", reply.status, reply.body);
    Ok(())
}

/// Milliseconds of processor time of each write.
fn each(process: &Group, count: usize, write: impl FnMut(usize) -> Result<()>) -> Result<f64> {
    let before = process.cpu()?;
    (0..count).try_for_each(write)?;
    Ok((process.cpu()? - before).as_secs_f64() * 1e3 / count as f64)
}

/// Readers that wait for the chain of a service each.
struct Readers {
    woken: Arc<AtomicU64>,
    asking: Arc<AtomicU64>,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    fn start(http: &Http) -> Self {
        let mut own = Self {
            woken: Arc::default(),
            asking: Arc::default(),
            stopping: Arc::default(),
            threads: Vec::new(),
        };
        for at in 0..READERS {
            let (woken, asking, stopping) = (own.woken.clone(), own.asking.clone(), own.stopping.clone());
            let http = http.clone();
            own.threads.push(std::thread::spawn(move || read(&http, at, &woken, &asking, &stopping)));
        }
        own.settle();
        own
    }

    /// How many answers with something new there were since the last call.
    fn woken(&self) -> u64 {
        self.woken.swap(0, Ordering::SeqCst)
    }

    /// Waits until all readers wait.
    fn settle(&self) {
        eventually("all readers wait", || {
            let waiting = || self.asking.load(Ordering::SeqCst) == READERS as u64;
            let seen = self.woken.load(Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(20));
            (waiting() && seen == self.woken.load(Ordering::SeqCst)).then_some(())
        });
    }

    fn stop(self) {
        self.stopping.store(true, Ordering::SeqCst);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

fn read(http: &Http, at: usize, woken: &AtomicU64, asking: &AtomicU64, stopping: &AtomicBool) {
    let path = format!("/v1/discovery-chain/{}", name(at));
    let mut conn = http.connect().expect("a connection");
    let mut index = conn.send("GET", &path, None).expect("an answer").index();
    while !stopping.load(Ordering::SeqCst) {
        let waiting = format!("{path}?index={index}&wait=2s");
        asking.fetch_add(1, Ordering::SeqCst);
        let now = conn.send("GET", &waiting, None).expect("an answer").index();
        asking.fetch_sub(1, Ordering::SeqCst);
        woken.fetch_add(u64::from(now != index), Ordering::SeqCst);
        index = now;
    }
}
