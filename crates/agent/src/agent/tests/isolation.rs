//! Tests that nobody sees what they may not see, whatever was asked before, by whom, and whose rights have changed.
//! The oracle is the authorizer with the tokens of the servers.

use std::sync::Arc;
use std::time::Duration;

use concord_acl::{Labelled, Level, Right};
use concord_api::connect::Authorize;
use concord_model::intention::Action;
use concord_model::{Secret, ServiceRef};
use concord_rpc::request::{InstanceSelection, ServiceHealth};
use concord_rpc::{Caller, Head, RpcError};
use concord_runtime::{Entropy, SeededEntropy, Task};

use crate::limits::UNKNOWN_TOKEN_WINDOW;
use crate::testing::{Bench, healthy, intention, name, oracle_sees, settle, strict};

const SERVICES: [&str; 3] = ["web", "api", "db"];
/// Number of step sequences; each is one interleaving. `cargo xtask measure isolation` uses ten times as many.
const INTERLEAVINGS: u64 = 10_000;
const STEPS: u64 = 6;
const TOKENS: u64 = 3;

/// What a read returned, in a form that the oracle can judge.
#[derive(Clone, Debug)]
enum Seen {
    Instances(Vec<concord_rpc::request::InstanceHealth>),
    Leaf(String),
    Verdict(String),
    Refused,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Health,
    Leaf,
    Authorize,
}

fn rules(entropy: &SeededEntropy) -> String {
    let mut text = String::new();
    for service in SERVICES {
        let level = ["deny", "read", "write", "none"][usize::try_from(entropy.below(4)).unwrap()];
        if level != "none" {
            text += &format!("service \"{service}\" {{ policy = \"{level}\" }}\n");
        }
    }
    for node in ["n1", "n2"] {
        if entropy.below(2) == 0 {
            text += &format!("node \"{node}\" {{ policy = \"read\" }}\n");
        }
    }
    text
}

fn health(service: &str) -> ServiceHealth {
    ServiceHealth { select: InstanceSelection::of(ServiceRef::local(name(service))), worst: None }
}

async fn read(agent: &crate::Agent, token: Secret, kind: Kind, service: &str, head: Head) -> Seen {
    let Ok(caller) = agent.callers.resolve(Some(&token)).await else { return Seen::Refused };
    let target = ServiceRef::local(name(service));
    match kind {
        Kind::Health => {
            let found = agent.answers.read(&caller, &health(service), &head).await;
            found.map_or(Seen::Refused, |found| Seen::Instances((*found.value).clone()))
        }
        Kind::Leaf => {
            let found = agent.connect.leaf(&caller, &name(service), &head).await;
            found.map_or(Seen::Refused, |_| Seen::Leaf(service.to_owned()))
        }
        Kind::Authorize => {
            let question = Authorize { source: ServiceRef::local(name("web")), target };
            let found = agent.connect.authorize(&caller, &question).await;
            found.map_or(Seen::Refused, |_| Seen::Verdict(service.to_owned()))
        }
    }
}

/// Judges what was returned by the rights that the token had at that moment.
#[track_caller]
fn judge(now: Result<Caller, RpcError>, seen: &Seen) {
    let caller = match (now, seen) {
        (_, Seen::Refused) => return,
        (Ok(caller), _) => caller,
        (Err(_), Seen::Instances(_) | Seen::Leaf(_) | Seen::Verdict(_)) => {
            panic!("a revoked token was shown {seen:?}")
        }
    };
    let writes = |service: &str| caller.may(&Right::named(Labelled::Service, service, Level::Write));
    match seen {
        Seen::Instances(all) => {
            let hidden: Vec<_> = all.iter().filter(|one| !oracle_sees(&caller, one)).collect();
            assert!(hidden.is_empty(), "shown {hidden:?} to {caller:?}");
        }
        Seen::Leaf(service) | Seen::Verdict(service) => assert!(writes(service), "{seen:?} for {caller:?}"),
        Seen::Refused => {}
    }
}

/// What the oracle allows a token to see must also be returned completely.
#[track_caller]
fn complete(bench: &Bench, token: &Secret, service: &str, seen: &Seen) {
    let (Ok(caller), Seen::Instances(shown)) = (bench.servers.caller(Some(token)), seen) else { return };
    let expected = bench.servers.look(|catalog| {
        let of_it = catalog.instances.iter().filter(|one| one.service.service.as_str() == service);
        of_it.filter(|one| oracle_sees(&caller, one)).count()
    });
    assert_eq!(shown.len(), expected, "{service} for {caller:?}");
}

/// The seed of the test run, or that of `cargo xtask random`.
#[allow(clippy::disallowed_methods, reason = "the seed is said in the environment")]
fn seed() -> u64 {
    std::env::var("PROPTEST_RNG_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0x5eed)
}

#[tokio::test(start_paused = true)]
async fn n_30_ten_thousand_interleavings_show_nothing_to_whom_it_is_not_allowed() {
    let bench = Bench::new(strict());
    bench.servers.change(|catalog| {
        for service in SERVICES {
            for node in ["n1", "n2"] {
                catalog.instances.push(healthy(node, &format!("{service}-{node}"), service));
            }
            catalog.intentions.push(intention("web", service, Action::Allow));
        }
    });
    let entropy = SeededEntropy::new(seed());
    let (mut shown, mut refused, mut interrupted) = (0u32, 0u32, 0u32);
    let wanted = option_env!("CONCORD_ISOLATION").and_then(|text| text.parse().ok());
    for _ in 0..wanted.unwrap_or(INTERLEAVINGS) {
        let mut open: Vec<Task<(Result<Caller, RpcError>, Seen)>> = Vec::new();
        for _ in 0..=entropy.below(STEPS) {
            let secret = format!("token-{}", entropy.below(TOKENS));
            let token = Secret::new(secret.clone());
            let service = SERVICES[usize::try_from(entropy.below(3)).unwrap()];
            let kind = [Kind::Health, Kind::Health, Kind::Leaf, Kind::Authorize]
                [usize::try_from(entropy.below(4)).unwrap()];
            match entropy.below(10) {
                // Warm, read.
                0..=4 => {
                    let seen = read(&bench.agent, token.clone(), kind, service, Head::default()).await;
                    judge(bench.servers.caller(Some(&token)), &seen);
                    complete(&bench, &token, service, &seen);
                    if matches!(seen, Seen::Refused) { refused += 1 } else { shown += 1 }
                }
                // Blocking read: ends later, or not at all.
                5 | 6 => {
                    let (agent, servers) = (bench.agent.clone(), Arc::clone(&bench.servers));
                    let head = Head::default().after(1 << 40, Some(Duration::from_secs(120)));
                    let kind = if entropy.below(2) == 0 { Kind::Health } else { Kind::Leaf };
                    open.push(bench.agent.scope.spawn("open", async move {
                        let seen = read(&agent, token.clone(), kind, service, head).await;
                        (servers.caller(Some(&token)), seen)
                    }));
                    settle().await;
                }
                // Narrow, widen.
                7 | 8 => {
                    bench.servers.token(&secret, &rules(&entropy));
                    // Longer than an unknown token is refused without asking.
                    bench.world.clock.sleep(2 * UNKNOWN_TOKEN_WINDOW).await;
                }
                _ => {
                    bench.servers.revoke(&token);
                    settle().await;
                }
            }
        }
        for task in open {
            let (now, seen) = task.join().await.expect("it ends");
            judge(now, &seen);
            interrupted += u32::from(matches!(seen, Seen::Refused));
        }
    }
    assert!(shown > 1_000 && refused > 1_000 && interrupted > 100, "{shown} {refused} {interrupted}");
}

#[tokio::test(start_paused = true)]
async fn n_30_two_tokens_with_different_rights_see_their_own_share() {
    let bench = Bench::new(strict());
    bench.servers.change(|catalog| {
        catalog.instances.push(healthy("n1", "web-1", "web"));
        catalog.instances.push(healthy("n2", "web-2", "web"));
    });
    let wide = bench
        .servers
        .token("wide", r#"service "web" { policy = "read" } node_prefix "" { policy = "read" }"#);
    let narrow =
        bench.servers.token("narrow", r#"service "web" { policy = "read" } node "n1" { policy = "read" }"#);
    let web = health("web");
    let (wide, narrow) = (bench.caller(&wide).await, bench.caller(&narrow).await);
    let head = Head::default();
    let (a, b) = futures::join!(
        bench.agent.answers.read(&wide, &web, &head),
        bench.agent.answers.read(&narrow, &web, &head)
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!((a.value.len(), a.filtered), (2, false));
    assert_eq!((b.value.len(), b.filtered), (1, true));
    let (again_a, again_b) = (
        bench.agent.answers.read(&wide, &web, &head).await.unwrap(),
        bench.agent.answers.read(&narrow, &web, &head).await.unwrap(),
    );
    assert!(again_a.hit && again_b.hit && again_a.value.len() == 2 && again_b.value.len() == 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_good_answer_is_served_while_no_server_answers() {
    let bench = Bench::new(crate::testing::open());
    bench.servers.change(|catalog| catalog.instances.push(healthy("n1", "web-1", "web")));
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let web = health("web");
    let first = bench.agent.answers.read(&caller, &web, &Head::default()).await.unwrap();
    bench.servers.change(|catalog| catalog.fault = Some(RpcError::NoLeader));
    settle().await;
    bench.world.clock.sleep(Duration::from_secs(40)).await;
    let kept = bench.agent.answers.read(&caller, &web, &Head::default()).await.unwrap();
    assert_eq!(kept.value, first.value);
    assert!(kept.hit && kept.age >= Duration::from_secs(39), "{:?}", kept.age);
    let refused = bench.agent.answers.read(&caller, &health("db"), &Head::default()).await.unwrap_err();
    assert_eq!(refused, RpcError::NoLeader);
    assert_eq!(bench.agent.answers.cache.load().0, 1, "an error makes no entry");
}

#[tokio::test(start_paused = true)]
async fn beyond_the_budget_idle_answers_go_and_those_in_use_make_new_ones_be_refused() {
    let bench = Bench::with(crate::testing::open(), |config| {
        config.cache_bytes = 4 * crate::limits::CACHE_ENTRY_BYTES
    });
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let ask =
        async |service: &str| bench.agent.answers.read(&caller, &health(service), &Head::default()).await;
    for n in 0..50 {
        ask(&format!("s{n}")).await.unwrap();
    }
    assert!(bench.agent.answers.cache.load().0 <= 4);
    let mut held = Vec::new();
    for n in 0..4 {
        let (agent, caller) = (bench.agent.clone(), caller.clone());
        let service = format!("held{n}");
        held.push(bench.agent.scope.spawn("held", async move {
            let index = agent.answers.read(&caller, &health(&service), &Head::default()).await?.index;
            agent.answers.read(&caller, &health(&service), &Head::default().after(index, None)).await
        }));
        settle().await;
    }
    let refused = ask("one-more").await.unwrap_err();
    assert!(matches!(refused, RpcError::Busy(_)), "{refused}");
    held.iter().for_each(Task::abort);
    settle().await;
    assert!(ask("one-more").await.is_ok());
}
