//! The time until the program answers: a new agent, and one that restarts with its data after `kill -9`.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use concord_e2e::{Http, Process, World, binary};
use serde_json::{Value, json};

use crate::agents::Kind;
use crate::figures::Figures;
use crate::spread::Spread;

/// Number of starts of each kind.
const TIMES: usize = 10;
/// Number of intentions in the data directory.
const INTENTIONS: usize = 1_000;
/// Time between two checks for an answer.
const LOOK: Duration = Duration::from_millis(1);
/// A start that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run() -> Result<Figures> {
    let mut figures = Figures::default();
    let dev: Result<Vec<_>> = (0..TIMES).map(|_| dev_start()).collect();
    report(&mut figures, "agent -dev: exec to the first answer of HTTP", dev?);

    let world = World::new();
    let mut agent = Kind::Kept.start(&world);
    let mut conn = agent.http().connect()?;
    for number in 0..INTENTIONS {
        let path = format!("/v1/connect/intentions/exact?source=caller-{number}&destination=callee-{number}");
        let body = json!({ "Action": "allow" }).to_string();
        let reply = conn.send("PUT", &path, Some(&body))?;
        if reply.status != 200 {
            bail!("writing an intention: {} {}", reply.status, reply.body);
        }
    }
    let mut restarts = Vec::new();
    for _ in 0..TIMES {
        agent.kill9();
        restarts.push(agent.restart());
    }
    let what = format!("-data-dir after kill -9, {INTENTIONS} intentions: exec to a consistent read");
    report(&mut figures, &what, restarts);
    Ok(figures)
}

fn report(figures: &mut Figures, what: &str, times: Vec<Duration>) {
    let spread = Spread::new(times);
    figures.add(format!("{what}, median"), spread.millis(50), "ms");
    figures.add(format!("{what}, longest of {}", spread.count()), spread.millis(100), "ms");
}

/// The time from the start of the process to a complete answer.
fn dev_start() -> Result<Duration> {
    let world = World::new();
    let ready = world.path("ready");
    let mut command = Command::new(binary());
    command.env_clear().args(["agent", "-dev", "-ephemeral-ports", "-node=n1"]);
    command.arg(format!("-ready-file={}", ready.display()));
    let began = Instant::now();
    let mut process = Process::start("agent", &mut command, &world.path("log"));
    loop {
        if let Some(status) = process.ended() {
            bail!("the agent ended: {status}\n{}", process.tail());
        }
        if let Ok(report) = std::fs::read(&ready) {
            let report: Value = serde_json::from_slice(&report).context("the ready file")?;
            let http = report["http"][0].as_str().context("HTTP is served")?.parse()?;
            let reply = Http::new(http).try_send("GET", "/v1/agent/self", None)?;
            if reply.status == 200 {
                return Ok(began.elapsed());
            }
        }
        if began.elapsed() > PATIENCE {
            bail!("no answer\n{}", process.tail());
        }
        thread::sleep(LOOK);
    }
}
