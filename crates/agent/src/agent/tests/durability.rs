//! Tests of changes of several files: all or nothing, whatever the disk does and whenever the process ends.

use concord_api::definition::{CheckDefinition, ServiceDefinition};
use concord_model::CheckId;
use concord_rpc::RpcError;

use crate::agent::Agent;
use crate::config::AgentConfig;
use crate::testing::{Bench, Fault, TestDisk, open, service_id, settle};

const CHANGES: [&str; 8] = [
    "a new service",
    "a service without its checks",
    "a lone check comes with its service",
    "a check stands on its own",
    "a check moves to another service",
    "a sidecar stands on its own",
    "a service of somebody's sidecar gets one itself",
    "a service goes",
];

fn service(text: &str) -> ServiceDefinition {
    ServiceDefinition::decode(text.as_bytes()).expect("a definition")
}

fn check(text: &str) -> CheckDefinition {
    concord_api::decode::body(text.as_bytes(), "check").expect("a definition")
}

/// Two services, one with a sidecar, an inline check and a separate check.
async fn bench() -> Bench {
    let bench = Bench::new(open());
    let (agent, caller) = (&bench.agent, bench.agent.callers.resolve(None).await.unwrap());
    let web = r#"{"Name":"web","Port":80,"Check":{"TTL":"30s"},"Connect":{"SidecarService":{}}}"#;
    agent.registrar.register_service(&caller, &service(web), false).await.unwrap();
    agent.registrar.register_service(&caller, &service(r#"{"Name":"api"}"#), false).await.unwrap();
    let lone = check(r#"{"Name":"lone","CheckID":"lone","ServiceID":"web","TTL":"1m"}"#);
    agent.registrar.register_check(&caller, &lone).await.unwrap();
    bench
}

async fn change(agent: &Agent, what: &str) -> Result<(), RpcError> {
    let caller = agent.callers.resolve(None).await?;
    let (definition, replace) = match what {
        "a new service" => (r#"{"Name":"new","Check":{"TTL":"30s"}}"#, false),
        "a service without its checks" => (r#"{"Name":"web","Port":81}"#, true),
        "a lone check comes with its service" => {
            (r#"{"Name":"web","Port":82,"Check":{"CheckID":"lone","TTL":"2m"}}"#, false)
        }
        "a check stands on its own" => {
            let own = r#"{"Name":"own","CheckID":"service:web","ServiceID":"web","TTL":"3m"}"#;
            return agent.registrar.register_check(&caller, &check(own)).await;
        }
        "a check moves to another service" => {
            let other = r#"{"Name":"moved","CheckID":"service:web","ServiceID":"api","TTL":"3m"}"#;
            return agent.registrar.register_check(&caller, &check(other)).await;
        }
        "a sidecar stands on its own" => {
            (r#"{"Name":"web-sidecar-proxy","ID":"web-sidecar-proxy","Port":83}"#, false)
        }
        "a service of somebody's sidecar gets one itself" => {
            (r#"{"Name":"x","ID":"web-sidecar-proxy","Port":84,"Connect":{"SidecarService":{}}}"#, false)
        }
        "a service goes" => return agent.registrar.deregister_service(&caller, &service_id("web")).await,
        other => panic!("{other}?"),
    };
    agent.registrar.register_service(&caller, &service(definition), replace).await
}

async fn shown(agent: &Agent) -> String {
    let caller = agent.callers.resolve(None).await.unwrap();
    format!("{:#?}\n{:#?}", agent.listing.services(&caller).value, agent.listing.checks(&caller).value)
}

/// The state after a restart, depending on whether a change was made.
async fn after_restart(what: Option<&str>) -> String {
    let bench = bench().await;
    if let Some(what) = what {
        change(&bench.agent, what).await.expect(what);
    }
    let made = shown(&bench.agent).await;
    let bench = bench.restarted().await;
    assert_eq!(shown(&bench.agent).await, made, "{what:?}: a restart keeps what was acknowledged");
    made
}

#[tokio::test(start_paused = true)]
async fn a_change_that_fails_leaves_files_and_memory_as_they_were() {
    for what in CHANGES {
        let mut failures = 0;
        loop {
            let bench = bench().await;
            let (files, before) = (bench.disk.all(), shown(&bench.agent).await);
            bench.disk.fail(Fault::Once(failures));
            let Err(error) = change(&bench.agent, what).await else { break };
            assert!(matches!(error, RpcError::ReadOnly(_)), "{what}: {error}");
            assert!(error.to_string().contains("free some space below the data directory"), "{error}");
            assert_eq!(bench.disk.all(), files, "{what}, failure {failures}");
            assert_eq!(shown(&bench.agent).await, before, "{what}, failure {failures}");
            change(&bench.agent, what).await.expect("the disk works again");
            assert_ne!(bench.disk.all(), files, "{what}");
            failures += 1;
        }
        // A single file needs only itself; several files also need the undo file.
        assert!(failures == 1 || failures >= 4, "{what}: {failures}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_made_as_a_whole_or_not_at_all_whenever_the_process_is_killed() {
    let before = after_restart(None).await;
    for what in CHANGES {
        let after = after_restart(Some(what)).await;
        assert_ne!(before, after, "{what}");
        for changes in 0.. {
            let bench = bench().await;
            bench.disk.fail(Fault::Dead(changes));
            let made = change(&bench.agent, what).await.is_ok();
            let bench = bench.killed(std::time::Duration::ZERO, |_| {}).await;
            let expected = if made { &after } else { &before };
            assert_eq!(shown(&bench.agent).await, *expected, "{what}, killed after {changes}");
            assert!(!bench.disk.all().contains_key("registrations.undo"), "{what}");
            if made {
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_that_stood_on_its_own_stays_removed_after_a_restart() {
    let bench = bench().await;
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let id = CheckId::parse("service:web").unwrap();
    change(&bench.agent, "a check stands on its own").await.unwrap();
    bench.agent.registrar.deregister_check(&caller, &id).await.unwrap();
    let bench = bench.restarted().await;
    let checks = bench.agent.listing.checks(&caller).value;
    assert!(!checks.contains_key(&id), "it must not come back with the definition it came from");
    assert!(checks.contains_key(&CheckId::parse("lone").unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_check_of_a_service_from_files_outlives_a_restart() {
    let files = |config: &mut AgentConfig| config.definitions.services = vec![service(r#"{"Name":"db"}"#)];
    let bench = Bench::with(open(), files);
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let own = check(r#"{"Name":"own","CheckID":"own","ServiceID":"db","TTL":"3m"}"#);
    bench.agent.registrar.register_check(&caller, &own).await.unwrap();
    let down = std::time::Duration::ZERO;
    let bench = bench.killed(down, files).await;
    let id = CheckId::parse("own").unwrap();
    assert!(bench.agent.listing.checks(&caller).value.contains_key(&id));
    let bench = bench.killed(down, |_| {}).await;
    assert!(
        !bench.agent.listing.checks(&caller).value.contains_key(&id),
        "without its service it is not there"
    );
}

#[tokio::test(start_paused = true)]
async fn a_damaged_undo_file_stops_the_start_and_is_named() {
    let disk = TestDisk::default();
    let world = concord_runtime::World::tokio().with_disk(std::sync::Arc::new(disk.clone()));
    let keks = [concord_ca::seal::Kek::from_bytes(&[7; 32]).unwrap()];
    let registrations = crate::persist::Registrations::new(crate::vault::Vault::new(&keks, &world));
    assert!(registrations.recover().is_ok(), "without one there is nothing to do");
    concord_runtime::Disk::write_atomic(&disk, "registrations.undo", b"{").unwrap();
    let error = registrations.recover().unwrap_err().to_string();
    assert!(error.starts_with("registrations.undo: cannot be read"), "{error}");
    settle().await;
}
