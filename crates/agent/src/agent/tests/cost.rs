//! Tests of the cost of a change, counted in records read, files touched and requests sent. It must not depend on the
//! number of registrations.

use std::time::Duration;

use concord_api::definition::{CheckDefinition, ServiceDefinition};
use concord_model::catalog::CheckStatus;
use concord_model::intention::{Action, ServiceIntentions};
use concord_model::{CheckId, ServiceRef};
use concord_rpc::{Attach, Head, ProxyTarget, SnapshotSource};

use crate::cache::IntentionsTo;
use crate::limits::{CHECK_STATE_PAUSE, REFRESH_DIGEST_MAX};
use crate::testing::{Asked, Bench, intention, name, open, plain, service_id, settle};

/// What was done since a certain moment.
#[derive(Clone, Copy, Debug)]
struct Cost {
    records: usize,
    disk: Asked,
    told: usize,
}

fn spent(bench: &Bench) -> Cost {
    let local = &bench.agent.listing.local;
    Cost {
        records: local.look(|local| local.services.looked_at() + local.checks.looked_at()),
        disk: bench.disk.asked(),
        told: bench.servers.asked("Register") + bench.servers.asked("Deregister"),
    }
}

fn since(bench: &Bench, before: Cost) -> Cost {
    let now = spent(bench);
    let disk = Asked {
        reads: now.disk.reads - before.disk.reads,
        lists: now.disk.lists - before.disk.lists,
        writes: now.disk.writes - before.disk.writes,
        removals: now.disk.removals - before.disk.removals,
        opens: now.disk.opens - before.disk.opens,
    };
    Cost { records: now.records - before.records, disk, told: now.told - before.told }
}

fn definition(text: &str) -> ServiceDefinition {
    ServiceDefinition::decode(text.as_bytes()).expect("a definition")
}

fn check_definition(text: &str) -> CheckDefinition {
    concord_api::decode::body(text.as_bytes(), "check").expect("a definition")
}

/// The cost of each kind of change beside `others` services, with all its consequences.
async fn costs(others: usize) -> Vec<(&'static str, Cost)> {
    const WEB: &str = r#"{"Name":"web","Port":8080,"Check":{"TTL":"30s"},"Connect":{"SidecarService":{}}}"#;
    const LONE: &str = r#"{"Name":"lone","CheckID":"lone","ServiceID":"web","TTL":"1h"}"#;
    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    for n in 0..others {
        let other = format!(r#"{{"Name":"other-{n}","Port":80,"Check":{{"TTL":"1h"}}}}"#);
        bench.agent.registrar.register_service(&caller, &definition(&other), false).await.unwrap();
    }
    settle().await;
    assert_eq!(bench.servers.look(|catalog| catalog.services.len()), others, "all is told before it begins");

    let mut costs = Vec::new();
    let mut before = spent(&bench);
    macro_rules! cost_of {
        ($what:literal, $change:expr) => {
            $change.expect($what);
            // Until the stored verdicts of removed checks are removed, too.
            bench.world.clock.sleep(2 * CHECK_STATE_PAUSE).await;
            costs.push(($what, since(&bench, before)));
            before = spent(&bench);
        };
    }
    let (agent, report) = (&bench.agent, CheckId::parse("service:web").unwrap());
    cost_of!("register", agent.registrar.register_service(&caller, &definition(WEB), false).await);
    cost_of!("register again", agent.registrar.register_service(&caller, &definition(WEB), true).await);
    cost_of!("register a check", agent.registrar.register_check(&caller, &check_definition(LONE)).await);
    cost_of!(
        "report",
        agent.registrar.report_check(&caller, &report, CheckStatus::Passing, "fine".to_owned())
    );
    cost_of!(
        "deregister a check",
        agent.registrar.deregister_check(&caller, &CheckId::parse("lone").unwrap()).await
    );
    cost_of!("deregister", agent.registrar.deregister_service(&caller, &service_id("web")).await);
    let _ = before;
    costs
}

#[tokio::test(start_paused = true)]
async fn an_attached_proxy_looks_once_at_a_change_that_is_not_about_it() {
    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let web = r#"{"Name":"web","Port":1,"Connect":{"SidecarService":{}}}"#;
    for text in [web, r#"{"Name":"other","Check":{"TTL":"1h"}}"#] {
        bench.agent.registrar.register_service(&caller, &definition(text), false).await.unwrap();
    }
    let other = CheckId::parse("service:other").unwrap();
    bench.agent.registrar.report_check(&caller, &other, CheckStatus::Passing, "first".to_owned()).unwrap();
    let mut costs = Vec::new();
    let mut streams = Vec::new();
    for output in ["none is attached", "one is attached"] {
        bench.world.clock.sleep(2 * CHECK_STATE_PAUSE).await;
        let before = spent(&bench);
        bench.agent.registrar.report_check(&caller, &other, CheckStatus::Passing, output.to_owned()).unwrap();
        bench.world.clock.sleep(2 * CHECK_STATE_PAUSE).await;
        costs.push(since(&bench, before).records);
        let target = ProxyTarget::registered(service_id("web-sidecar-proxy"));
        let attach = Attach::new(target, plain());
        streams.push(bench.agent.proxies.attach(attach, None).await.unwrap());
        settle().await;
        // The first change that it notices tells it its version.
        bench.agent.registrar.report_check(&caller, &other, CheckStatus::Passing, String::new()).unwrap();
    }
    assert_eq!(costs[1], costs[0] + 1);
}

#[tokio::test(start_paused = true)]
async fn a_change_costs_the_same_whether_little_or_much_is_registered() {
    let (few, many) = (costs(10).await, costs(1000).await);
    for ((what, few), (_, many)) in few.iter().zip(&many) {
        assert_eq!((few.disk, few.told), (many.disk, many.told), "{what}");
        // Reading each of the others once would be a thousand more.
        assert!(many.records <= few.records + 10, "{what}: {few:?} beside ten, {many:?} beside a thousand");
        assert!(few.records > 0 && few.records < 150, "{what}: {few:?}");
    }
    let files: Vec<_> =
        few.iter().map(|(what, cost)| (*what, cost.disk.writes, cost.disk.removals)).collect();
    assert_eq!(
        files,
        [
            // Added and removed registrations are also in the name file: two files, and the undo file during the
            // change.
            ("register", 3, 1),
            ("register again", 1, 0),
            ("register a check", 3, 1),
            ("report", 0, 0),
            ("deregister a check", 2, 2),
            // The stored verdict of its check is removed, too.
            ("deregister", 2, 3),
        ]
    );
}

fn to_api() -> IntentionsTo {
    IntentionsTo(ServiceRef::local(name("api")))
}

/// An entry for `api` with that many sources.
fn many(sources: usize) -> ServiceIntentions {
    let mut entry = intention("web", "api", Action::Allow);
    for number in 1..sources {
        entry.sources.extend(intention(&format!("caller-{number}"), "api", Action::Allow).sources);
    }
    entry
}

/// How often the entry for `api` is fetched while one of its sources changes every millisecond.
async fn fetched(sources: usize, changes: usize) -> usize {
    let bench = Bench::new(open());
    bench.servers.change(|catalog| catalog.intentions = vec![many(sources)]);
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    bench.agent.answers.read(&caller, &to_api(), &Head::default()).await.unwrap();
    bench.world.clock.sleep(Duration::from_secs(1)).await;
    let before = bench.servers.asked("MatchIntentions");
    for _ in 0..changes {
        bench.servers.change(|catalog| catalog.intentions[0].sources[0].description.push('x'));
        bench.world.clock.sleep(Duration::from_millis(1)).await;
    }
    bench.servers.asked("MatchIntentions") - before
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_changes_to_many_intentions_is_fetched_now_and_then() {
    assert!(fetched(10, 200).await > 150, "few are fetched as they change");
    assert!((2..20).contains(&fetched(2_000, 200).await));
}

#[tokio::test(start_paused = true)]
async fn the_first_change_after_a_quiet_while_is_fetched_at_once_however_many_intentions_there_are() {
    let bench = Bench::new(open());
    bench.servers.change(|catalog| catalog.intentions = vec![many(20_000)]);
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let first = bench.agent.answers.read(&caller, &to_api(), &Head::default()).await.unwrap();
    bench.world.clock.sleep(REFRESH_DIGEST_MAX).await;
    for change in 0..2 {
        let changed = bench.world.clock.now();
        bench.servers.change(|catalog| catalog.intentions[0].sources[0].description.push('x'));
        let head = Head::default().after(first.index + change, Some(Duration::from_secs(60)));
        bench.agent.answers.read(&caller, &to_api(), &head).await.unwrap();
        let took = bench.world.clock.now() - changed;
        // The second change comes while the first one is processed, and waits only for that.
        let longest = if change == 0 { Duration::ZERO } else { REFRESH_DIGEST_MAX };
        assert!(took <= longest, "{took:?}");
    }
}
