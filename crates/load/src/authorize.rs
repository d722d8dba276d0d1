//! The speed of `agent/connect/authorize`, over kept connections of the HTTP API, and of the decision alone in this
//! process, for several numbers of intentions.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use concord_e2e::{Agent, Chance, World};
use concord_mesh::intention::{DefaultPolicy, DefaultSource, Table};
use concord_model::intention::{Action, Decision, Destination, ServiceIntentions, Source, SourceIntention};
use concord_model::{Namespace, Partition, Pattern, ServiceName, ServiceRef};
use serde_json::json;

use crate::agents::Kind;
use crate::figures::Figures;
use crate::requests::{Question, beside_bare};
use crate::spread::Spread;

/// Total numbers of intentions.
const SIZES: [usize; 3] = [10, 10_000, 100_000];
/// Maximum number of intentions of one destination. A larger total means more destinations.
const SOURCES: usize = 1_000;
/// Decisions in this process between two readings of the clock.
const BATCH: u32 = 1_000;
const PATH: &str = "/v1/agent/connect/authorize";
const DEFAULT: DefaultPolicy = DefaultPolicy { action: Action::Deny, source: DefaultSource::AclDefault };

/// The numbers of a caller and a callee. Each pair has its own intention that allows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Pairing {
    caller: usize,
    callee: usize,
}

pub(crate) fn run(lasting: Duration) -> Result<Figures> {
    let mut figures = Figures::default();
    for size in SIZES {
        over_http(size, lasting, &mut figures)?;
    }
    for size in SIZES {
        in_process(size, lasting, &mut figures)?;
    }
    Ok(figures)
}

fn over_http(size: usize, lasting: Duration, figures: &mut Figures) -> Result<()> {
    let world = World::new();
    let mut agent = Kind::Dev.start(&world);
    fill(&agent, size)?;
    let roots = agent.http().get("/v1/agent/connect/ca/roots").json();
    let domain = roots["TrustDomain"].as_str().unwrap_or_default().to_owned();
    let http = agent.http();
    for callee in 0..callees(size) {
        let Question { method, path, body, .. } = ask(&domain, Pairing { caller: 0, callee });
        http.send(method, &path, body.as_deref());
    }
    let what = format!("authorize over HTTP, {size} intentions");
    beside_bare(&what, (&world, &mut agent), lasting, figures, |chance| ask(&domain, pick(chance, size)))
}

fn in_process(size: usize, lasting: Duration, figures: &mut Figures) -> Result<()> {
    let entries: Vec<_> = (0..callees(size)).map(|callee| entry(callee, sources(size))).collect();
    let table = Table::compile(&entries);
    let mut chance = Chance::from_env();
    let pairs: Vec<_> = (0..4096)
        .map(|_| {
            let Pairing { caller, callee } = pick(&mut chance, size);
            (reference(&format!("caller-{caller}")), reference(&format!("callee-{callee}")))
        })
        .collect();
    let (began, mut batches, mut allowed, mut at) = (Instant::now(), Vec::new(), 0usize, 0usize);
    while began.elapsed() < lasting {
        let batch = Instant::now();
        for _ in 0..BATCH {
            let (caller, callee) = &pairs[at % pairs.len()];
            at += 1;
            allowed += usize::from(table.decide(caller, callee, DEFAULT).allowed);
        }
        batches.push(batch.elapsed() / BATCH);
    }
    ensure!(allowed == at, "{} of {at} decisions were wrong", at - allowed);
    let spread = Spread::new(batches);
    let what = |of: &str| format!("the decision in process, {size} intentions: {of}");
    figures.add(what("p50 of batches"), spread.micros(50) * 1e3, "ns");
    figures.add(what("p99 of batches"), spread.micros(99) * 1e3, "ns");
    Ok(())
}

/// The number of destinations for this number of intentions.
fn callees(size: usize) -> usize {
    size.div_ceil(SOURCES)
}

fn sources(size: usize) -> usize {
    size.min(SOURCES)
}

fn pick(chance: &mut Chance, size: usize) -> Pairing {
    Pairing { caller: chance.index(sources(size)), callee: chance.index(callees(size)) }
}

fn fill(agent: &Agent, size: usize) -> Result<()> {
    let mut conn = agent.http().connect()?;
    for callee in 0..callees(size) {
        let sources: Vec<_> = (0..sources(size))
            .map(|caller| json!({ "Name": format!("caller-{caller}"), "Action": "allow" }))
            .collect();
        let body =
            json!({ "Kind": "service-intentions", "Name": format!("callee-{callee}"), "Sources": sources });
        let reply = conn.send("PUT", "/v1/config", Some(&body.to_string()))?;
        ensure!(reply.status == 200, "writing intentions: {} {}", reply.status, reply.body);
    }
    Ok(())
}

/// The question whether the caller may connect. An intention of the pair allows it.
fn ask(domain: &str, Pairing { caller, callee }: Pairing) -> Question {
    let body = format!(
        "{{\"Target\":\"callee-{callee}\",\"ClientCertURI\":\"spiffe://{domain}/ns/default/dc/dc1/svc/caller-{caller}\",\
         \"ClientCertSerial\":\"01:02\"}}"
    );
    // If the answer were a denial, it would not name this intention.
    let expected = format!("default/caller-{caller} =\\u003e default/callee-{callee}");
    Question { method: "POST", path: PATH.to_owned(), body: Some(body), expected }
}

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).expect("a name")
}

fn reference(text: &str) -> ServiceRef {
    ServiceRef::local(name(text))
}

fn entry(callee: usize, sources: usize) -> ServiceIntentions {
    let namespace = || Pattern::Exact(Namespace::default());
    let callee = Pattern::Exact(name(&format!("callee-{callee}")));
    let source = |caller: usize| SourceIntention {
        source: Source {
            partition: Partition::default(),
            namespace: namespace(),
            peer: None,
            name: Pattern::Exact(name(&format!("caller-{caller}"))),
        },
        decision: Decision::Connection(Action::Allow),
        description: String::new(),
        legacy: None,
    };
    ServiceIntentions {
        destination: Destination { partition: Partition::default(), namespace: namespace(), name: callee },
        sources: (0..sources).map(source).collect(),
        jwt: None,
        meta: [].into(),
        stamp: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intentions_are_as_many_as_said() {
        for size in SIZES {
            assert_eq!(callees(size) * sources(size), size);
        }
    }

    #[test]
    fn the_decision_in_process_is_measured_where_all_is_allowed() {
        let mut figures = Figures::default();
        in_process(10, Duration::from_millis(5), &mut figures).unwrap();
        assert!(figures.to_json().contains("10 intentions: p50"));
    }
}
