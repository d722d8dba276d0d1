//! How long the agent takes to say whether a connection may be made, in process and from its cache, by the
//! number of intentions there are: rights, cache, decision and the reason in words; no HTTP.
//!
//! Intentions are spread as in `cargo xtask measure authorize`, so that the figures stand beside it: up to
//! 1,000 for a destination, each pair of caller and callee allowed by one of its own, pairs drawn at random.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use concord_agent::{Agent, AgentConfig};
use concord_api::connect::Authorize;
use concord_ca::OsKeys;
use concord_model::intention::{Action, Decision, Destination, ServiceIntentions, Source, SourceIntention};
use concord_model::{Datacenter, Namespace, NodeName, Partition, Pattern, ServiceName, ServiceRef, Stamp};
use concord_rpc::request::{MatchBy, Matched};
use concord_rpc::{Answer, AnyReply, AnyRequest, Caller, Consistency, Head, RpcError, ServerApi};
use concord_runtime::{BoxFuture, Entropy as _, Executor, Scope, SeededEntropy, World};
use divan::{Bencher, black_box};

/// Intentions of one destination: more are more destinations.
const SOURCES: usize = 1_000;
/// Different questions, so that more than one cache line is asked for.
const QUESTIONS: usize = 4_096;
/// Index of everything the servers tell.
const INDEX: u64 = 10;

fn main() {
    divan::main();
}

/// Servers that hold intentions, by destination, which never change.
struct Servers(BTreeMap<ServiceRef, ServiceIntentions>);

impl ServerApi for Servers {
    fn call_any(&self, head: Head, request: AnyRequest) -> BoxFuture<'_, Result<Answer<AnyReply>, RpcError>> {
        Box::pin(async move {
            match &request {
                AnyRequest::MatchIntentions(wanted) if head.min_index < INDEX => {
                    let MatchBy::Destination(service) = &wanted.by else {
                        return Err(RpcError::NotAvailable("matching by source".to_owned()));
                    };
                    let value = AnyReply::MatchIntentions(Matched::of([self
                        .0
                        .get(service)
                        .cloned()
                        .into_iter()
                        .collect()]));
                    let (last_contact, consistency) = (Duration::ZERO, Consistency::Default);
                    Ok(Answer {
                        value,
                        index: INDEX,
                        known_leader: true,
                        last_contact,
                        filtered: false,
                        consistency,
                    })
                }
                // Nothing else is known, and nothing will change.
                _ => std::future::pending().await,
            }
        })
    }
}

#[divan::bench(args = [10, 10_000, 100_000])]
fn authorize_now(bencher: Bencher<'_, '_>, intentions: usize) {
    let executor = Executor::new("agent", 1).expect("a thread");
    let (agent, caller) = (start(intentions, &executor), Caller::unrestricted(None));
    let questions = questions(intentions);
    executor.block_on(async {
        for question in &questions {
            assert!(agent.connect.authorize(&caller, question).await.expect("an answer").authorized);
        }
    });
    let mut next = 0;
    bencher.bench_local(|| {
        next = (next + 1) % questions.len();
        let answer = agent.connect.authorize_now(black_box(&caller), black_box(&questions[next]));
        let answer = answer.expect("no fault").expect("the intentions are here");
        assert!(answer.authorized, "every pair is allowed by an intention");
        answer
    });
    agent.scope.cancel();
    executor.shutdown_background();
}

/// An agent without ACLs, whose servers hold so many intentions.
fn start(intentions: usize, executor: &Executor) -> Agent {
    let entries = (0..callees(intentions)).map(|callee| {
        let callee = reference(&format!("callee-{callee}"));
        (callee.clone(), entry(callee, sources(intentions)))
    });
    let world = World::tokio();
    let scope = Scope::on("agent", Arc::clone(&world.clock), executor.handle());
    let node = NodeName::parse("n1").expect("a name");
    let datacenter = Datacenter::parse("dc1").expect("a name");
    let mut config = AgentConfig::new(node, datacenter, "127.0.0.1".to_owned());
    config.dev = true;
    let servers: Arc<dyn ServerApi> = Arc::new(Servers(entries.collect()));
    executor
        .block_on(async { Agent::start(config, servers, Arc::new(OsKeys), world, scope) })
        .expect("it starts")
}

fn questions(intentions: usize) -> Vec<Authorize> {
    let chance = SeededEntropy::new(7);
    let pick = |below: usize| chance.below(u64::try_from(below).expect("it fits"));
    (0..QUESTIONS)
        .map(|_| Authorize {
            target: reference(&format!("callee-{}", pick(callees(intentions)))),
            source: reference(&format!("caller-{}", pick(sources(intentions)))),
        })
        .collect()
}

/// How many destinations hold so many intentions.
fn callees(intentions: usize) -> usize {
    intentions.div_ceil(SOURCES)
}

fn sources(intentions: usize) -> usize {
    intentions.min(SOURCES)
}

fn reference(name: &str) -> ServiceRef {
    ServiceRef::local(ServiceName::parse(name).expect("a name"))
}

fn entry(callee: ServiceRef, sources: usize) -> ServiceIntentions {
    let namespace = || Pattern::Exact(Namespace::default());
    let source = |caller: usize| SourceIntention {
        source: Source {
            partition: Partition::default(),
            namespace: namespace(),
            peer: None,
            name: Pattern::Exact(reference(&format!("caller-{caller}")).name),
        },
        decision: Decision::Connection(Action::Allow),
        description: String::new(),
        legacy: None,
    };
    ServiceIntentions {
        destination: Destination {
            partition: Partition::default(),
            namespace: namespace(),
            name: Pattern::Exact(callee.name),
        },
        sources: (0..sources).map(source).collect(),
        jwt: None,
        meta: BTreeMap::new(),
        stamp: Stamp::default(),
    }
}
