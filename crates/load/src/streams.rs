//! Streams of incremental discovery in numbers: what they cost in memory, and how soon and at what cost each is told of
//! a change that concerns it.
//!
//! [`SERVICES`] services call twenty others each. Their sidecars are shared out among the streams. A pretended
//! Envoy asks on each stream as Envoy does, and acknowledges whatever it is sent. Beside the program, in the same run, a
//! bare server sends as many bytes to as many streams.

mod bare;
mod envoy;
mod mesh;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use concord_e2e::World;
use tokio::runtime::Builder;

use self::bare::Bare;
pub(crate) use self::bare::run as run_bare;
use self::envoy::{Fleet, News};
use self::mesh::{Mesh, SERVICES};
use crate::agents::Kind;
use crate::figures::Figures;
use crate::spread::Spread;
use crate::usage::Group;

/// Changes of one sort that are measured.
const CHANGES: usize = 100;
/// Streams of a run, unless the command line says another number.
const STREAMS: usize = 1_000;
/// The most streams: more than one machine holds.
const STREAMS_MAX: usize = 10_000;
/// Until the machine is idle after much work.
const REST: Duration = Duration::from_secs(3);

/// The number of streams that the command line asks for.
pub(crate) fn count(args: &[&str]) -> Result<usize> {
    let count = match args {
        [] => STREAMS,
        [number] => number.parse()?,
        _ => anyhow::bail!("streams [<number>]"),
    };
    ensure!((SERVICES..=STREAMS_MAX).contains(&count), "streams: from {SERVICES} to {STREAMS_MAX}");
    Ok(count)
}

pub(crate) fn run(streams: usize) -> Result<Figures> {
    let mut figures = Figures::default();
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let world = World::new();
    // 76 KiB for each stream and its connection, and as much again: an address may hold half of it.
    let memory = (streams * 152).div_ceil(1024).clamp(96, 1536);
    let hcl = format!("limits {{ client_memory_mib = {memory} }}");
    let mut agent = Kind::Kept.start_with(&world, vec![hcl]);
    let process = Group::new([agent.process().pid()]);
    let mut mesh = Mesh::start(agent.http().connect()?, streams)?;
    let idle = process.rss()?;

    let (began, cpu) = (Instant::now(), process.cpu()?);
    let mut fleet = runtime.block_on(Fleet::start(agent.grpc_addr(), streams))?;
    let cpu = process.cpu()? - cpu;
    let each = |whole: f64| whole / streams as f64;
    figures.add(format!("{streams} streams: until all have everything"), began.elapsed().as_secs_f64(), "s");
    figures.add(
        format!("{streams} streams: CPU of a stream's beginning"),
        each(cpu.as_secs_f64() * 1e3),
        "ms",
    );
    std::thread::sleep(REST);
    figures.add(format!("{streams} streams: resident"), process.rss()? / MIB, "MiB");
    figures.add(format!("{streams} streams: memory of one"), each((process.rss()? - idle) / 1024.0), "KiB");

    let bytes = changes(&mut figures, &process, &mut mesh, &mut fleet)?;
    entries(&mut figures, &mut mesh, &mut fleet)?;
    figures.add(format!("{streams} streams: resident afterwards"), process.rss()? / MIB, "MiB");
    ensure!(fleet.ended() == 0, "{} streams have ended", fleet.ended());
    drop((fleet, agent));

    let mut bare = runtime.block_on(Bare::start(&world, streams, bytes))?;
    let cpu = bare.process.cpu()?;
    let mut told = 0;
    let mut times = Vec::new();
    for service in 0..CHANGES {
        let began = Instant::now();
        let arrivals = runtime.block_on(bare.push(service))?;
        told += arrivals.len();
        times.extend(arrivals.into_iter().map(|at| at - began));
    }
    let cpu = (bare.process.cpu()? - cpu).as_secs_f64() * 1e6;
    let times = Spread::new(times);
    figures.add(
        format!("{streams} bare streams, the same bytes: CPU of telling one"),
        cpu / told as f64,
        "µs",
    );
    figures.add(format!("{streams} bare streams: p99"), times.millis(99), "ms");
    Ok(figures)
}

const MIB: f64 = 1024.0 * 1024.0;

/// An instance moves to another port, and all streams that reach its service are told. Returns the bytes of telling one.
fn changes(figures: &mut Figures, process: &Group, mesh: &mut Mesh, fleet: &mut Fleet) -> Result<usize> {
    let streams = fleet.len();
    let (mut times, mut bytes) = (Vec::new(), 0);
    fleet.settle();
    let cpu = process.cpu()?;
    for change in 0..CHANGES {
        let began = Instant::now();
        let port = mesh.move_instance(change)?;
        let arrivals = fleet.await_news(mesh.callers(change), |news| news.has_port(port))?;
        bytes = arrivals.iter().map(News::bytes).max().unwrap_or(bytes);
        times.extend(arrivals.into_iter().map(|news| news.at - began));
    }
    let cpu = (process.cpu()? - cpu).as_secs_f64() * 1e6 / times.len() as f64;
    let times = Spread::new(times);
    let what = format!("{streams} streams, an instance moves, {} times each stream that calls it", CHANGES);
    figures.add(format!("{what}: told"), times.count() as f64, "");
    for percent in [50, 99, 100] {
        figures.add(format!("{what}: p{percent}"), times.millis(percent), "ms");
    }
    figures.add(format!("{what}: CPU of telling one"), cpu, "µs");
    Ok(bytes)
}

/// An entry changes a cluster, from its write to the last acknowledgement.
fn entries(figures: &mut Figures, mesh: &mut Mesh, fleet: &mut Fleet) -> Result<()> {
    let (streams, mut times) = (fleet.len(), Vec::new());
    fleet.settle();
    for change in 0..CHANGES {
        let began = Instant::now();
        let timeout = mesh.write_resolver(change)?;
        let arrivals = fleet.await_news(mesh.callers(change), |news| news.has_timeout(timeout))?;
        times.extend(arrivals.into_iter().map(|news| news.at - began));
    }
    let times = Spread::new(times);
    for percent in [50, 99, 100] {
        let what = format!("{streams} streams, a resolver is written: to an acknowledgement, p{percent}");
        figures.add(what, times.millis(percent), "ms");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_a_number_of_streams_and_a_bound() {
        assert_eq!(count(&[]).unwrap(), STREAMS);
        assert_eq!(count(&["5000"]).unwrap(), 5_000);
        for wrong in [&["1"][..], &["20000"], &["x"], &["1000", "2000"]] {
            assert!(count(wrong).is_err(), "{wrong:?}");
        }
    }
}
