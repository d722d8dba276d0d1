//! How long one decision takes, by the number of intentions for the destination.

use concord_mesh::intention::{DefaultPolicy, DefaultSource, Policy, Table};
use concord_model::intention::{Action, Decision, Destination, ServiceIntentions, Source, SourceIntention};
use concord_model::{Namespace, Partition, Pattern, ServiceName, ServiceRef};
use divan::{Bencher, black_box};

const DEFAULT: DefaultPolicy = DefaultPolicy { action: Action::Deny, source: DefaultSource::AclDefault };

fn main() {
    divan::main();
}

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).expect("a name")
}

fn destination(name: Pattern<ServiceName>) -> Destination {
    Destination { partition: Partition::default(), namespace: Pattern::Exact(Namespace::default()), name }
}

fn source(name: Pattern<ServiceName>) -> SourceIntention {
    let namespace = Pattern::Exact(Namespace::default());
    SourceIntention {
        source: Source { partition: Partition::default(), namespace, peer: None, name },
        decision: Decision::Connection(Action::Allow),
        description: String::new(),
        legacy: None,
    }
}

fn entry(destination: Destination, sources: Vec<SourceIntention>) -> ServiceIntentions {
    ServiceIntentions { destination, sources, jwt: None, meta: [].into(), stamp: Default::default() }
}

/// One destination called by `n` sources, and a rule for everybody behind it.
fn one_destination(n: usize) -> [ServiceIntentions; 2] {
    let sources = (0..n).map(|i| source(Pattern::Exact(name(&format!("caller-{i}"))))).collect();
    [
        entry(destination(Pattern::Exact(name("api"))), sources),
        entry(destination(Pattern::Any), vec![source(Pattern::Any)]),
    ]
}

/// Different callers, so that more than one cache line is asked for.
fn callers(n: usize, known: bool) -> Vec<ServiceRef> {
    let prefix = if known { "caller" } else { "stranger" };
    (0..1024).map(|i| ServiceRef::local(name(&format!("{prefix}-{}", i * 7919 % n)))).collect()
}

fn decide(bencher: Bencher<'_, '_>, n: usize, known: bool) {
    let policy = Policy::compile(&ServiceRef::local(name("api")), &one_destination(n));
    let callers = callers(n, known);
    let mut next = 0;
    bencher.bench_local(|| {
        next = (next + 1) % callers.len();
        policy.decide(black_box(&callers[next]), DEFAULT).allowed
    });
}

#[divan::bench(args = [10, 10_000, 100_000])]
fn exact_source(bencher: Bencher<'_, '_>, n: usize) {
    decide(bencher, n, true);
}

#[divan::bench(args = [10, 10_000, 100_000])]
fn wildcard(bencher: Bencher<'_, '_>, n: usize) {
    decide(bencher, n, false);
}

#[divan::bench(args = [10, 10_000, 100_000])]
fn table_of_destinations(bencher: Bencher<'_, '_>, n: usize) {
    let entries: Vec<_> = (0..n)
        .map(|i| entry(destination(Pattern::Exact(name(&format!("callee-{i}")))), vec![source(Pattern::Any)]))
        .collect();
    let table = Table::compile(&entries);
    let caller = ServiceRef::local(name("web"));
    let callees: Vec<_> =
        (0..1024).map(|i| ServiceRef::local(name(&format!("callee-{}", i * 7919 % n)))).collect();
    let mut next = 0;
    bencher.bench_local(|| {
        next = (next + 1) % callees.len();
        table.decide(&caller, black_box(&callees[next]), DEFAULT).allowed
    });
}

#[divan::bench(args = [10, 10_000, 100_000], sample_count = 10)]
fn compile(bencher: Bencher<'_, '_>, n: usize) {
    let (api, entries) = (ServiceRef::local(name("api")), one_destination(n));
    bencher.bench_local(|| Policy::compile(black_box(&api), black_box(&entries)));
}
