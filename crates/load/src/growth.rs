//! The cost of writes when there are many records already: intentions are written one by one to few destinations. Then
//! the time until a killed server answers again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use concord_e2e::{Conn, World};
use serde_json::json;

use crate::agents::Kind;
use crate::figures::Figures;
use crate::spread::Spread;
use crate::usage::Group;

/// Number of intentions that are written.
const INTENTIONS: usize = 100_000;
/// Number of their destinations, which are used in turn.
const DESTINATIONS: usize = 10;
/// Number of writes measured at the beginning and at the end.
const SAMPLE: usize = 1_000;
/// Number of kills after all writes.
const KILLS: usize = 5;
/// Number of requests of each kind.
const QUESTIONS: usize = 20;

/// The cost of a series of writes.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    cpu: Duration,
    written: f64,
    took: Duration,
}

pub(crate) fn run() -> Result<Figures> {
    let mut figures = Figures::default();
    let world = World::new();
    let mut agent = Kind::Kept.start(&world);
    let process = Group::new([agent.process().pid()]);
    let mut conn = agent.http().connect()?;

    let first = stretch(&process, || (0..SAMPLE).try_for_each(|number| write(&mut conn, number)))?;
    (SAMPLE..INTENTIONS - SAMPLE).try_for_each(|number| write(&mut conn, number))?;
    let last = stretch(&process, || {
        (INTENTIONS - SAMPLE..INTENTIONS).try_for_each(|number| write(&mut conn, number))
    })?;
    for (name, one) in [("first", first), ("last", last)] {
        let what = format!("{INTENTIONS} intentions, one by one, the {name} {SAMPLE}");
        figures.add(format!("{what}: CPU each"), one.cpu.as_secs_f64() * 1e6 / SAMPLE as f64, "µs");
        figures.add(format!("{what}: bytes written each"), one.written / 1024.0 / SAMPLE as f64, "KiB");
        figures.add(format!("{what}: time each"), one.took.as_secs_f64() * 1e3 / SAMPLE as f64, "ms");
    }
    figures.add("last to first: CPU", last.cpu.as_secs_f64() / first.cpu.as_secs_f64(), "×");
    figures.add("last to first: bytes written", last.written / first.written, "×");
    figures.add("resident with all of them", process.rss()? / 1e6, "MB");

    let own = caller(INTENTIONS / 2);
    let questions = [
        ("one intention", format!("/v1/connect/intentions/exact?source={own}&destination=callee-0")),
        ("check", format!("/v1/connect/intentions/check?source={own}&destination=callee-0")),
        ("match by source", format!("/v1/connect/intentions/match?by=source&name={own}")),
        ("match by destination", "/v1/connect/intentions/match?by=destination&name=callee-0".to_owned()),
        ("list of all", "/v1/connect/intentions".to_owned()),
    ];
    for (name, path) in questions {
        let times: Result<Vec<_>> = (0..QUESTIONS).map(|_| ask(&mut conn, &path)).collect();
        figures.add(format!("{name}: median"), Spread::new(times?).millis(50), "ms");
    }

    let mut restarts = Vec::new();
    for _ in 0..KILLS {
        agent.kill9();
        restarts.push(agent.restart());
    }
    let restarts = Spread::new(restarts);
    let what = "after kill -9: exec to a consistent read";
    figures.add(format!("{what}, median"), restarts.millis(50), "ms");
    figures.add(format!("{what}, longest of {}", restarts.count()), restarts.millis(100), "ms");
    let listed = agent.http().get("/v1/connect/intentions").json();
    let listed = listed.as_array().context("a list of intentions")?.len();
    ensure!(listed == INTENTIONS, "{listed} intentions are there after the kills");
    Ok(figures)
}

fn stretch(process: &Group, writes: impl FnOnce() -> Result<()>) -> Result<Stretch> {
    let (cpu, written, began) = (process.cpu()?, process.written()?, Instant::now());
    writes()?;
    Ok(Stretch { cpu: process.cpu()? - cpu, written: process.written()? - written, took: began.elapsed() })
}

fn caller(number: usize) -> String {
    format!("caller-{number:06}")
}

fn write(conn: &mut Conn, number: usize) -> Result<()> {
    let (source, destination) = (caller(number), number % DESTINATIONS);
    let path = format!("/v1/connect/intentions/exact?source={source}&destination=callee-{destination}");
    let reply = conn.send("PUT", &path, Some(&json!({ "Action": "allow" }).to_string()))?;
    if reply.status != 200 {
        bail!("writing an intention: {} {}", reply.status, reply.body);
    }
    Ok(())
}

fn ask(conn: &mut Conn, path: &str) -> Result<Duration> {
    let began = Instant::now();
    let reply = conn.send("GET", path, None)?;
    ensure!(reply.status == 200, "{path}: {} {}", reply.status, reply.body);
    Ok(began.elapsed())
}
