//! Sends requests over kept connections, one at a time on each, to an agent and to a bare server with the same answers.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use concord_e2e::{Agent, Chance, Http, World};

use crate::bare_http::BareHttp;
use crate::figures::Figures;
use crate::traffic::{in_parallel, together};
use crate::usage::Group;

/// Numbers of kept connections.
const CONNECTIONS: [usize; 2] = [1, 16];

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Option<String>,
    /// A text in the agent's answer. Any other answer fails the run.
    pub(crate) expected: String,
}

/// A server that is measured.
pub(crate) struct Asked<'a> {
    pub(crate) name: &'static str,
    pub(crate) http: &'a Http,
    pub(crate) process: &'a Group,
    /// Whether its answers depend on the question.
    pub(crate) answers: bool,
}

/// Measures the agent and the bare server in turn, with one connection and with many, and adds the figures.
pub(crate) fn beside_bare(
    what: &str,
    (world, agent): (&World, &mut Agent),
    lasting: Duration,
    figures: &mut Figures,
    question: impl Fn(&mut Chance) -> Question + Sync,
) -> Result<()> {
    let sample = question(&mut Chance::from_env());
    let reply = agent.http().send(sample.method, &sample.path, sample.body.as_deref());
    let bare = BareHttp::start(world, &reply)?;
    let (http, process) = (agent.http(), Group::new([agent.process().pid()]));
    let program = Asked { name: "", http: &http, process: &process, answers: true };
    let bare = Asked { name: "bare server, ", http: &bare.http, process: &bare.process, answers: false };
    for connections in CONNECTIONS {
        let what = format!("{what}, {}", together(connections));
        let own = one(&what, &program, connections, lasting, figures, &question)?;
        let least = one(&what, &bare, connections, lasting, figures, &question)?;
        figures.add(
            format!("{what}: processor time, that of the bare server = 1"),
            own / least.max(1e-9),
            "",
        );
    }
    Ok(())
}

/// Runs one phase. Returns the processor time of one request in microseconds.
fn one(
    what: &str,
    asked: &Asked<'_>,
    connections: usize,
    lasting: Duration,
    figures: &mut Figures,
    question: &(impl Fn(&mut Chance) -> Question + Sync),
) -> Result<f64> {
    let mut chance = Chance::from_env();
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push((asked.http.connect()?, chance.fork()));
    }
    let (cpu, began) = (asked.process.cpu()?, Instant::now());
    let until = began + lasting;
    let times = in_parallel(&mut clients, |(conn, chance)| {
        let mut times = Vec::new();
        while Instant::now() < until {
            let question = question(chance);
            let began = Instant::now();
            let reply = conn.send(question.method, &question.path, question.body.as_deref())?;
            times.push(began.elapsed());
            let right = reply.status == 200 && (!asked.answers || reply.body.contains(&question.expected));
            ensure!(right, "{}: {} {}", question.path, reply.status, reply.body);
        }
        Ok(times)
    })?;
    let (cpu, took) = (asked.process.cpu()?.saturating_sub(cpu), began.elapsed());
    let count = (times.count() as f64).max(1.0);
    let each = cpu.as_secs_f64() * 1e6 / count;
    let mut add = |of: &str, figure, unit| figures.add(format!("{what}: {}{of}", asked.name), figure, unit);
    add("requests a second", count / took.as_secs_f64(), "/s");
    add("processor time of one", each, "µs");
    add("p50", times.micros(50), "µs");
    add("p99", times.micros(99), "µs");
    Ok(each)
}
