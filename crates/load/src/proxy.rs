//! The L4 proxy pair in comparison with a bare rustls pair and an Envoy pair. All run at the same time, and each phase
//! runs through all pairs before the next one, so that changes of the machine affect all pairs.
//!
//! The processor time is that of the two halves, without client and service, which share the cores with them. The first
//! leg is plain TCP, the second mutual TLS, the third plain TCP.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use concord_e2e::World;

use crate::agents::Kind;
use crate::figures::Figures;
use crate::pair::{Identities, Pair, envoy_program};
use crate::peer::Peer;
use crate::traffic::{self, MESSAGE, together};

/// Numbers of connections that send at the same time, one after the other.
const CONNECTIONS: [usize; 2] = [1, 32];
/// Number of threads that open connections.
const OPENERS: usize = 4;
/// Number of idle open connections, to measure the memory of one.
const HELD: usize = 1_000;
/// Time until the processes are idle after connections were opened or closed.
const REST: Duration = Duration::from_secs(1);

pub(crate) fn run(lasting: Duration) -> Result<Figures> {
    let world = World::new();
    let agent = Kind::Dev.start(&world);
    let service = Peer::start()?;
    let identities = Identities::fetch(&world, &agent)?;
    let mut pairs = vec![
        Pair::concord(&world, &agent, service.addr()),
        Pair::relay(&world, &identities, service.addr())?,
    ];
    match envoy_program() {
        Some(program) => pairs.push(Pair::envoy(&world, &program, &identities, service.addr())),
        None => eprintln!(
            "no comparison with Envoy: CONCORD_TEST_ENVOY names no program (see `cargo xtask setup`)"
        ),
    }
    let mut figures = Figures::default();
    thread::sleep(REST);
    for pair in &pairs {
        figures.add(format!("{}: resident, both halves, idle", pair.name), pair.processes.rss()? / 1e6, "MB");
    }
    for connections in CONNECTIONS {
        without_a_proxy(service.addr(), connections, lasting, &mut figures)?;
        for pair in &pairs {
            round_trips(pair, connections, lasting, &mut figures)?;
        }
    }
    for pair in &pairs {
        new_connections(pair, lasting, &mut figures)?;
    }
    for pair in &pairs {
        bulk(pair, lasting, &mut figures)?;
    }
    for pair in &pairs {
        held(pair, &mut figures)?;
    }
    Ok(figures)
}

/// Measures client and service without a proxy.
fn without_a_proxy(
    service: SocketAddr,
    connections: usize,
    lasting: Duration,
    figures: &mut Figures,
) -> Result<()> {
    let mut streams = traffic::open_many(service, connections)?;
    let times = traffic::round_trips(&mut streams, lasting)?;
    let what = |of: &str| format!("no proxy: {MESSAGE} B there and back, {}, {of}", together(connections));
    figures.add(what("p50"), times.micros(50), "µs");
    figures.add(what("p99"), times.micros(99), "µs");
    Ok(())
}

fn round_trips(pair: &Pair, connections: usize, lasting: Duration, figures: &mut Figures) -> Result<()> {
    let mut streams = traffic::open_many(pair.front, connections)?;
    let cpu = pair.processes.cpu()?;
    let times = traffic::round_trips(&mut streams, lasting)?;
    let cpu = pair.processes.cpu()?.saturating_sub(cpu);
    ensure!(times.count() > 0, "no message went through {}", pair.name);
    let count = times.count() as f64;
    let what =
        |of: &str| format!("{}: {MESSAGE} B there and back, {}, {of}", pair.name, together(connections));
    figures.add(what("CPU each"), cpu.as_secs_f64() * 1e6 / count, "µs");
    figures.add(what("p50"), times.micros(50), "µs");
    figures.add(what("p99"), times.micros(99), "µs");
    figures.add(what("a second"), count / lasting.as_secs_f64(), "/s");
    Ok(())
}

fn new_connections(pair: &Pair, lasting: Duration, figures: &mut Figures) -> Result<()> {
    let cpu = pair.processes.cpu()?;
    let times = traffic::new_connections(pair.front, OPENERS, lasting)?;
    let cpu = pair.processes.cpu()?.saturating_sub(cpu);
    ensure!(times.count() > 0, "no connection went through {}", pair.name);
    let count = times.count() as f64;
    let what = |of: &str| format!("{}: new connection, {OPENERS} at a time, {of}", pair.name);
    figures.add(what("CPU each"), cpu.as_secs_f64() * 1e6 / count, "µs");
    figures.add(what("p50"), times.millis(50), "ms");
    figures.add(what("p99"), times.millis(99), "ms");
    figures.add(what("a second"), count / lasting.as_secs_f64(), "/s");
    Ok(())
}

fn bulk(pair: &Pair, lasting: Duration, figures: &mut Figures) -> Result<()> {
    let (cpu, began) = (pair.processes.cpu()?, Instant::now());
    let bytes = traffic::bulk(pair.front, lasting)? as f64;
    let (cpu, took) = (pair.processes.cpu()?.saturating_sub(cpu), began.elapsed());
    let what = |of: &str| format!("{}: bulk one way on one connection, {of}", pair.name);
    figures.add(what("CPU a GB"), cpu.as_secs_f64() * 1e9 / bytes, "s");
    figures.add(what("rate"), bytes * 8.0 / 1e9 / took.as_secs_f64(), "Gbit/s");
    Ok(())
}

fn held(pair: &Pair, figures: &mut Figures) -> Result<()> {
    let before = pair.processes.rss()?;
    let streams = traffic::open_many(pair.front, HELD)?;
    thread::sleep(REST);
    let with = pair.processes.rss()?;
    drop(streams);
    figures.add(
        format!("{}: resident, both halves, after load, {HELD} idle connections", pair.name),
        with / 1e6,
        "MB",
    );
    figures.add(
        format!("{}: memory an idle connection adds, both halves", pair.name),
        (with - before) / 1024.0 / HELD as f64,
        "KiB",
    );
    Ok(())
}
