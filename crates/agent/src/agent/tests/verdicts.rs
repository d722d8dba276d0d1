//! Tests of verdicts of TTL checks over a restart.

use std::time::Duration;

use concord_api::definition::{CheckDefinition, ServiceDefinition};
use concord_model::CheckId;
use concord_model::catalog::CheckStatus::{self, Critical, Passing, Warning};

use crate::testing::{Bench, Fault, open, service_id, settle};

const WEB: &str = r#"{"Name":"web","Check":{"TTL":"30s"}}"#;

fn service(text: &str) -> ServiceDefinition {
    ServiceDefinition::decode(text.as_bytes()).expect("a definition")
}

fn check_definition(text: &str) -> CheckDefinition {
    concord_api::decode::body(text.as_bytes(), "check").expect("a definition")
}

fn id(text: &str) -> CheckId {
    CheckId::parse(text).unwrap()
}

async fn web() -> Bench {
    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    bench.agent.registrar.register_service(&caller, &service(WEB), false).await.unwrap();
    bench
}

async fn report(bench: &Bench, check: &str, status: CheckStatus, output: &str) {
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    bench.agent.registrar.report_check(&caller, &id(check), status, output.to_owned()).unwrap();
}

#[track_caller]
fn check(bench: &Bench, check: &str, status: CheckStatus, output: &str) {
    let found = bench.agent.listing.local.look(|local| local.checks[&id(check)].check.clone());
    assert_eq!((found.status, found.output.as_str()), (status, output), "{check}");
}

fn states(bench: &Bench) -> Vec<String> {
    bench.disk.all().into_keys().filter(|path| path.starts_with("checks/state/")).collect()
}

async fn pass(bench: &Bench, seconds: u64) {
    bench.world.clock.sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_verdict_outlives_a_restart_for_the_rest_of_its_time() {
    let bench = web().await;
    report(&bench, "service:web", Warning, "slow").await;
    settle().await;
    let bench = bench.killed(Duration::from_secs(20), |_| {}).await;
    check(&bench, "service:web", Warning, "slow");
    settle().await;
    let in_catalog = bench.servers.look(|catalog| catalog.checks[&id("service:web")].status);
    assert_eq!(in_catalog, Warning);
    pass(&bench, 9).await;
    check(&bench, "service:web", Warning, "slow");
    pass(&bench, 2).await;
    check(&bench, "service:web", Critical, "TTL expired (last output before timeout follows): slow");
}

#[tokio::test(start_paused = true)]
async fn a_verdict_whose_time_is_over_is_not_taken_over() {
    let bench = web().await;
    report(&bench, "service:web", Passing, "fine").await;
    settle().await;
    assert_eq!(states(&bench).len(), 1);
    let bench = bench.killed(Duration::from_secs(30), |_| {}).await;
    check(&bench, "service:web", Critical, "");
    assert!(states(&bench).is_empty(), "nor kept");
}

#[tokio::test(start_paused = true)]
async fn the_last_of_many_reports_is_the_one_that_is_kept() {
    let bench = web().await;
    let long = "x".repeat(4000);
    for n in 0..50 {
        report(&bench, "service:web", Passing, &long).await;
        report(&bench, "service:web", Passing, &n.to_string()).await;
        pass(&bench, 1).await;
    }
    // A report in the last moment of an orderly end is also stored.
    report(&bench, "service:web", Warning, "last").await;
    let bench = bench.restarted().await;
    check(&bench, "service:web", Warning, "last");
}

#[tokio::test(start_paused = true)]
async fn a_critical_verdict_is_kept_like_any_other() {
    let bench = web().await;
    report(&bench, "service:web", Passing, "fine").await;
    settle().await;
    report(&bench, "service:web", Critical, "broken").await;
    pass(&bench, 1).await;
    let bench = bench.killed(Duration::ZERO, |_| {}).await;
    check(&bench, "service:web", Critical, "broken");
}

#[tokio::test(start_paused = true)]
async fn a_verdict_goes_with_its_check() {
    let bench = web().await;
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let lone = check_definition(r#"{"Name":"lone","CheckID":"lone","TTL":"1m"}"#);
    bench.agent.registrar.register_check(&caller, &lone).await.unwrap();
    report(&bench, "service:web", Passing, "fine").await;
    report(&bench, "lone", Passing, "fine").await;
    pass(&bench, 1).await;
    assert_eq!(states(&bench).len(), 2);
    bench.agent.registrar.deregister_check(&caller, &id("lone")).await.unwrap();
    pass(&bench, 1).await;
    assert_eq!(states(&bench).len(), 1);
    bench.agent.registrar.register_check(&caller, &lone).await.unwrap();
    bench.agent.registrar.deregister_service(&caller, &service_id("web")).await.unwrap();
    pass(&bench, 1).await;
    assert!(states(&bench).is_empty());
    let bench = bench.killed(Duration::ZERO, |_| {}).await;
    check(&bench, "lone", Critical, "");
}

#[tokio::test(start_paused = true)]
async fn a_verdict_is_not_that_of_another_check_of_the_same_name() {
    let bench = web().await;
    report(&bench, "service:web", Passing, "fine").await;
    settle().await;
    let files = bench.disk.all();
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let other = r#"{"Name":"web","Check":{"TTL":"31s"}}"#;
    bench.agent.registrar.register_service(&caller, &service(other), true).await.unwrap();
    pass(&bench, 1).await;
    assert!(states(&bench).is_empty(), "made in another way it begins anew");
    // As if the process had been killed before the file was removed.
    for (path, content) in files.iter().filter(|(path, _)| path.starts_with("checks/state/")) {
        concord_runtime::Disk::write_atomic(&bench.disk, path, content).unwrap();
    }
    let bench = bench.killed(Duration::ZERO, |_| {}).await;
    check(&bench, "service:web", Critical, "");
}

#[tokio::test(start_paused = true)]
async fn a_damaged_verdict_is_dropped_and_the_agent_starts() {
    let bench = web().await;
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let api = service(r#"{"Name":"api","Check":{"TTL":"30s"}}"#);
    bench.agent.registrar.register_service(&caller, &api, false).await.unwrap();
    report(&bench, "service:web", Passing, "fine").await;
    settle().await;
    let damaged = states(&bench).pop().expect("a verdict");
    pass(&bench, 1).await;
    report(&bench, "service:api", Passing, "fine").await;
    pass(&bench, 1).await;
    let mut content = bench.disk.all().remove(&damaged).expect("it is there");
    content[40] ^= 1;
    concord_runtime::Disk::write_atomic(&bench.disk, &damaged, &content).unwrap();
    let bench = bench.killed(Duration::ZERO, |_| {}).await;
    check(&bench, "service:web", Critical, "");
    check(&bench, "service:api", Passing, "fine");
    assert!(!states(&bench).contains(&damaged));
    // But a registration is never dropped.
    report(&bench, "service:web", Passing, "fine again").await;
    settle().await;
    let bench = bench.killed(Duration::ZERO, |_| {}).await;
    check(&bench, "service:web", Passing, "fine again");
}

#[tokio::test(start_paused = true)]
async fn reports_neither_wait_for_the_disk_nor_flush_it_nor_write_one_by_one() {
    let bench = web().await;
    report(&bench, "service:web", Passing, "first").await;
    pass(&bench, 1).await;
    let (asked, syncs) = (bench.disk.asked(), bench.disk.files.syncs());
    for n in 0..1000 {
        report(&bench, "service:web", Passing, &n.to_string()).await;
        assert_eq!(bench.disk.asked(), asked, "nothing is written before it returns");
    }
    pass(&bench, 2).await;
    let after = bench.disk.asked();
    assert_eq!((after.opens - asked.opens, after.writes - asked.writes), (1, 0), "all of them at once");
    assert_eq!(bench.disk.files.syncs(), syncs, "and without a flush");
    let bench = bench.killed(Duration::ZERO, |_| {}).await;
    check(&bench, "service:web", Passing, "999");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_reports_is_saved_a_few_times_a_second() {
    let bench = web().await;
    let before = bench.disk.asked().opens;
    for n in 0..1000 {
        report(&bench, "service:web", Passing, &n.to_string()).await;
        bench.world.clock.sleep(Duration::from_millis(10)).await;
    }
    let saved = bench.disk.asked().opens - before;
    assert!((40..=60).contains(&saved), "{saved} times in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_cannot_be_saved_leaves_no_older_one() {
    let bench = web().await;
    report(&bench, "service:web", Passing, "fine").await;
    pass(&bench, 1).await;
    bench.disk.fail(Fault::Once(0));
    report(&bench, "service:web", Critical, "broken").await;
    pass(&bench, 1).await;
    check(&bench, "service:web", Critical, "broken");
    assert!(states(&bench).is_empty());
    report(&bench, "service:web", Warning, "better").await;
    pass(&bench, 1).await;
    let bench = bench.killed(Duration::ZERO, |_| {}).await;
    check(&bench, "service:web", Warning, "better");
}

#[tokio::test(start_paused = true)]
async fn checks_of_files_keep_their_verdict_too_and_aliases_follow_it() {
    let alias = r#"{"Name":"next","Check":{"AliasService":"db"}}"#;
    let db = r#"{"Name":"db","Check":{"TTL":"30s"}}"#;
    let files = |config: &mut crate::config::AgentConfig| {
        config.definitions.services = vec![service(db), service(alias)]
    };
    let bench = Bench::with(open(), files);
    check(&bench, "service:next", Critical, "Aliased check \"Service 'db' check\" failing: ");
    report(&bench, "service:db", Passing, "fine").await;
    settle().await;
    let bench = bench.killed(Duration::ZERO, files).await;
    check(&bench, "service:db", Passing, "fine");
    check(&bench, "service:next", Passing, "All checks passing.");
}
