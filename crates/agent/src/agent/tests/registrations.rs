//! Tests of registering, storing, checking and synchronising.

use std::time::Duration;

use concord_api::definition::{CheckDefinition, ServiceDefinition};
use concord_config::section::Definitions;
use concord_model::CheckId;
use concord_model::catalog::CheckStatus;
use concord_rpc::RpcError;

use crate::maintenance::Maintenance;
use crate::testing::{Bench, instance, open, service_id, settle, strict};

fn definition(text: &str) -> ServiceDefinition {
    ServiceDefinition::decode(text.as_bytes()).expect("a definition")
}

fn check_definition(text: &str) -> CheckDefinition {
    concord_api::decode::body(text.as_bytes(), "check").expect("a definition")
}

fn check_id(text: &str) -> CheckId {
    CheckId::parse(text).unwrap()
}

const WEB: &str = r#"{"Name":"web","Port":8080,"Check":{"TTL":"30s"},"Connect":{"SidecarService":{}}}"#;

#[tokio::test(start_paused = true)]
async fn a_registration_outlives_a_restart_and_reaches_the_catalog() {
    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    bench.agent.registrar.register_service(&caller, &definition(WEB), false).await.unwrap();
    let lone = r#"{"Name":"disk","TTL":"1m","Status":"passing"}"#;
    bench.agent.registrar.register_check(&caller, &check_definition(lone)).await.unwrap();

    let bench = bench.restarted().await;
    let services = bench.agent.listing.services(&caller).value;
    assert_eq!(services.keys().map(ToString::to_string).collect::<Vec<_>>(), ["web", "web-sidecar-proxy"]);
    assert_eq!(services[&service_id("web-sidecar-proxy")].port, 21_000);
    assert!(bench.agent.listing.checks(&caller).value.contains_key(&check_id("disk")));
    settle().await;
    bench.servers.look(|catalog| {
        assert!(catalog.services.contains_key(&service_id("web")));
        assert!(catalog.checks.contains_key(&check_id("service:web")));
        assert_eq!(catalog.checks[&check_id("disk")].status, CheckStatus::Passing);
    });

    bench.agent.registrar.deregister_service(&caller, &service_id("web")).await.unwrap();
    bench.agent.registrar.deregister_check(&caller, &check_id("disk")).await.unwrap();
    let bench = bench.restarted().await;
    assert!(bench.agent.listing.services(&caller).value.is_empty());
    assert!(bench.agent.listing.checks(&caller).value.is_empty());
    settle().await;
    bench.servers.look(|catalog| assert!(catalog.services.is_empty() && catalog.checks.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn an_inline_check_removed_stays_removed_after_a_restart() {
    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    bench.agent.registrar.register_service(&caller, &definition(WEB), false).await.unwrap();
    bench.agent.registrar.deregister_check(&caller, &check_id("service:web")).await.unwrap();
    let bench = bench.restarted().await;
    assert!(!bench.agent.listing.checks(&caller).value.contains_key(&check_id("service:web")));
    assert!(bench.agent.listing.services(&caller).value.contains_key(&service_id("web")));
}

#[tokio::test(start_paused = true)]
async fn what_the_agent_does_not_know_leaves_the_catalog_but_for_the_servers_own() {
    let bench = Bench::new(open());
    bench.servers.change(|catalog| {
        for (id, service) in [("old", "old"), ("consul", "consul")] {
            catalog.services.insert(service_id(id), instance(id, service));
        }
    });
    bench.world.clock.sleep(Duration::from_secs(130)).await;
    bench.servers.look(|catalog| {
        assert_eq!(catalog.services.keys().map(ToString::to_string).collect::<Vec<_>>(), ["consul"]);
    });
}

#[tokio::test(start_paused = true)]
async fn a_silent_service_becomes_critical_in_the_catalog_too() {
    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    bench.agent.registrar.register_service(&caller, &definition(WEB), false).await.unwrap();
    let id = check_id("service:web");
    bench.agent.registrar.report_check(&caller, &id, CheckStatus::Passing, "fine".to_owned()).unwrap();
    settle().await;
    let status =
        |bench: &Bench| bench.servers.look(|catalog| catalog.checks[&check_id("service:web")].status);
    assert_eq!(status(&bench), CheckStatus::Passing);
    bench.world.clock.sleep(Duration::from_secs(31)).await;
    assert_eq!(status(&bench), CheckStatus::Critical);
}

#[tokio::test(start_paused = true)]
async fn servers_that_come_late_are_told_everything() {
    let bench = Bench::new(open());
    bench.servers.change(|catalog| catalog.fault = Some(RpcError::NoLeader));
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    bench.agent.registrar.register_service(&caller, &definition(WEB), false).await.unwrap();
    bench.world.clock.sleep(Duration::from_secs(5)).await;
    bench.servers.change(|catalog| catalog.fault = None);
    bench.world.clock.sleep(Duration::from_secs(1)).await;
    bench.servers.look(|catalog| assert!(catalog.services.contains_key(&service_id("web"))));
}

#[tokio::test(start_paused = true)]
async fn registering_needs_the_right_to_every_name_involved() {
    let bench = Bench::new(strict());
    let web = bench.servers.token("web", r#"service "web" { policy = "write" }"#);
    let both = bench.servers.token("both", r#"service_prefix "" { policy = "write" }"#);
    let api = bench.servers.token("api", r#"service "api" { policy = "write" }"#);
    let (web, both, api) = (bench.caller(&web).await, bench.caller(&both).await, bench.caller(&api).await);
    let refused = bench.agent.registrar.register_service(&web, &definition(WEB), false).await.unwrap_err();
    assert!(refused.to_string().contains("'service:write' on \"web-sidecar-proxy\""), "{refused}");
    bench.agent.registrar.register_service(&both, &definition(WEB), false).await.unwrap();
    // It takes over the id of another service.
    let takeover = definition(r#"{"ID":"web","Name":"api"}"#);
    let refused = bench.agent.registrar.register_service(&api, &takeover, false).await.unwrap_err();
    assert!(refused.is_denial() && refused.to_string().contains("on \"web\""), "{refused}");
    let refused = bench.agent.registrar.deregister_service(&api, &service_id("web")).await.unwrap_err();
    assert!(refused.is_denial());
    assert!(
        bench.agent.listing.services(&api).value.is_empty() && bench.agent.listing.services(&api).filtered
    );
    assert_eq!(bench.agent.listing.services(&both).value.len(), 2);
    let missing = bench.agent.registrar.deregister_service(&api, &service_id("none")).await.unwrap_err();
    assert!(matches!(missing, RpcError::NotFound(_)));
}

#[tokio::test(start_paused = true)]
async fn a_service_is_brought_to_the_catalog_with_its_registrars_token() {
    let bench = Bench::with(strict(), |config| {
        config.acl.tokens.agent = Some("agent".to_owned().into());
    });
    bench.servers.token("agent", r#"node_prefix "" { policy = "write" }"#);
    let both = bench.servers.token("both", r#"service_prefix "" { policy = "write" }"#);
    let caller = bench.caller(&both).await;
    bench.agent.registrar.register_service(&caller, &definition(r#"{"Name":"web"}"#), false).await.unwrap();
    bench.world.clock.sleep(Duration::from_secs(1)).await;
    bench.servers.look(|catalog| {
        let told =
            |token: &str, what: &str| catalog.told.contains(&(Some(token.to_owned()), what.to_owned()));
        assert!(told("agent", "node") && told("both", "web"), "{:?}", catalog.told);
    });
}

#[tokio::test(start_paused = true)]
async fn n_45_script_checks_are_refused() {
    let service = r#"{"Name":"web","Check":{"Args":["/bin/true"],"Interval":"10s"}}"#;
    let check = r#"{"Name":"x","ScriptArgs":["/bin/true"],"Interval":"10s"}"#;
    let docker = r#"{"Name":"x","Args":["/bin/true"],"DockerContainerID":"d","Interval":"10s"}"#;
    let why = "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true";
    // What is allowed in files is not allowed over the API.
    for in_files in [false, true] {
        let bench = Bench::with(open(), |config| config.check_settings.local_script_checks = in_files);
        let caller = bench.agent.callers.resolve(None).await.unwrap();
        let refused =
            bench.agent.registrar.register_service(&caller, &definition(service), false).await.unwrap_err();
        assert_eq!(refused, RpcError::Rejected(why.to_owned()));
        for text in [check, docker] {
            let refused =
                bench.agent.registrar.register_check(&caller, &check_definition(text)).await.unwrap_err();
            assert_eq!(refused, RpcError::Rejected(why.to_owned()));
        }
        assert!(
            bench.agent.listing.services(&caller).value.is_empty()
                && bench.agent.listing.checks(&caller).value.is_empty()
        );
    }
    let bench = Bench::with(open(), |config| config.check_settings.script_checks = true);
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    bench.agent.registrar.register_service(&caller, &definition(service), false).await.unwrap();
    bench.agent.registrar.register_check(&caller, &check_definition(docker)).await.unwrap();
    settle().await;
    let output =
        |bench: &Bench, id: &str| bench.agent.listing.checks(&caller).value[&check_id(id)].output.clone();
    assert!(
        output(&bench, "x").starts_with("not available yet: Docker checks"),
        "registered, with its reason"
    );
    // A check that was registered while programs were allowed does not run once they are not.
    let bench = bench.restarted_with(|config| config.check_settings.local_script_checks = true).await;
    settle().await;
    assert_eq!(output(&bench, "service:web"), why);
}

#[tokio::test(start_paused = true)]
async fn maintenance_is_a_check_that_is_critical_until_somebody_ends_it() {
    let bench = Bench::new(strict());
    let node = bench.servers.token("node", r#"node_prefix "" { policy = "write" }"#);
    let web = bench
        .servers
        .token("web", r#"service "web" { policy = "write" } node_prefix "" { policy = "read" }"#);
    let (node, web) = (bench.caller(&node).await, bench.caller(&web).await);
    bench
        .agent
        .registrar
        .register_service(&web, &definition(r#"{"Name":"web","ID":"web1"}"#), false)
        .await
        .unwrap();
    let (id, enter) = (service_id("web1"), |why: &str| Maintenance::Enter(why.to_owned()));
    bench.agent.maintainer.service(&web, &id, enter("disk")).await.unwrap();
    bench.agent.maintainer.service(&web, &id, enter("again")).await.unwrap();
    bench.agent.maintainer.node(&node, enter("")).await.unwrap();
    assert!(bench.agent.maintainer.node(&web, Maintenance::Leave).await.unwrap_err().is_denial());
    assert!(bench.agent.maintainer.service(&node, &id, Maintenance::Leave).await.unwrap_err().is_denial());
    let missing = bench.agent.maintainer.service(&web, &service_id("no"), enter("")).await.unwrap_err();
    assert!(matches!(missing, RpcError::NotFound(_)), "{missing}");
    // It survives a restart.
    let bench = bench.restarted().await;
    let shown = |bench: &Bench| {
        let checks = bench.agent.listing.checks(&web).value;
        checks
            .into_iter()
            .map(|(id, one)| format!("{id} {} {} {}", one.kind, one.status, one.notes))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        shown(&bench),
        [
            "_node_maintenance maintenance critical This node is in maintenance mode; nobody said why.",
            "_service_maintenance:web1 maintenance critical disk",
        ]
    );
    bench.agent.maintainer.node(&node, Maintenance::Leave).await.unwrap();
    bench.agent.maintainer.service(&web, &id, Maintenance::Leave).await.unwrap();
    bench.agent.maintainer.service(&web, &id, Maintenance::Leave).await.unwrap();
    assert!(shown(&bench).is_empty());
}

#[tokio::test(start_paused = true)]
async fn whatever_made_it_critical_a_service_goes_when_it_was_so_for_too_long() {
    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let checks = [
        r#""TTL":"1h""#,
        r#""TCP":"127.0.0.1:1","Interval":"10s""#,
        r#""HTTP":"http://127.0.0.1:1","Interval":"10s""#,
        r#""GRPC":"127.0.0.1:1","Interval":"10s""#,
        r#""AliasService":"none""#,
    ];
    for (at, check) in checks.iter().enumerate() {
        let text =
            format!(r#"{{"Name":"s{at}","Check":{{{check},"DeregisterCriticalServiceAfter":"90s"}}}}"#);
        bench.agent.registrar.register_service(&caller, &definition(&text), false).await.unwrap();
    }
    bench.world.clock.sleep(Duration::from_secs(80)).await;
    assert_eq!(bench.agent.listing.services(&caller).value.len(), checks.len());
    bench.world.clock.sleep(Duration::from_secs(60)).await;
    assert!(bench.agent.listing.services(&caller).value.is_empty());
}

#[tokio::test(start_paused = true)]
async fn n_47_outputs_and_names_are_bounded_and_writes_coalesced() {
    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let long = format!(r#"{{"Name":"{}","CheckID":"x","TTL":"1m"}}"#, "n".repeat(1 << 20));
    let refused = bench.agent.registrar.register_check(&caller, &check_definition(&long)).await.unwrap_err();
    assert!(matches!(refused, RpcError::Invalid(_)));
    bench.agent.registrar.register_service(&caller, &definition(WEB), false).await.unwrap();
    let id = check_id("service:web");
    bench.agent.registrar.report_check(&caller, &id, CheckStatus::Passing, "start".to_owned()).unwrap();
    bench.world.clock.sleep(Duration::from_secs(2)).await;
    let before = bench.servers.asked("Register");
    for n in 0..100 {
        let output = format!("{n} {}", "x".repeat(1 << 20));
        bench.agent.registrar.report_check(&caller, &id, CheckStatus::Passing, output).unwrap();
        settle().await;
    }
    assert!(bench.agent.listing.checks(&caller).value[&id].output.len() < 4096 + 64);
    assert_eq!(bench.servers.asked("Register"), before, "output alone is not told at once");
}

#[tokio::test(start_paused = true)]
async fn the_watch_of_a_service_ends_with_its_change_and_with_its_right() {
    let bench = Bench::new(strict());
    let all = r#"service_prefix "" { policy = "write" }"#;
    let (owner, reader) = (bench.servers.token("owner", all), bench.servers.token("reader", all));
    let (owner, reading) = (bench.caller(&owner).await, bench.caller(&reader).await);
    bench
        .agent
        .registrar
        .register_service(&owner, &definition(r#"{"Name":"web","Port":1}"#), false)
        .await
        .unwrap();
    let first = bench.agent.listing.service(&reading, &service_id("web"), None, None).await.unwrap();
    let watch = |hash: String| {
        let (agent, caller) = (bench.agent.clone(), reading.clone());
        bench.agent.scope.spawn("watch", async move {
            agent
                .listing
                .service(&caller, &service_id("web"), Some(&hash), Some(Duration::from_secs(60)))
                .await
        })
    };
    let changed = watch(first.content_hash.clone());
    settle().await;
    bench
        .agent
        .registrar
        .register_service(&owner, &definition(r#"{"Name":"web","Port":2}"#), false)
        .await
        .unwrap();
    let second = changed.join().await.unwrap().unwrap();
    assert_eq!(second.port, 2);
    let revoked = watch(second.content_hash);
    settle().await;
    bench.servers.revoke(&reader);
    assert_eq!(revoked.join().await.unwrap().unwrap_err(), RpcError::TokenNotFound);
}

/// A configuration that defines this service.
fn services(definition: ServiceDefinition) -> Definitions {
    Definitions { services: vec![definition], ..Definitions::default() }
}

#[tokio::test(start_paused = true)]
async fn a_reload_replaces_what_files_defined_and_leaves_the_rest() {
    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    bench.agent.registrar.register_service(&caller, &definition(r#"{"Name":"api"}"#), false).await.unwrap();
    bench.agent.reloads.definitions(&services(definition(WEB))).await.unwrap();
    assert_eq!(bench.agent.listing.services(&caller).value.len(), 3);
    bench.agent.reloads.definitions(&services(definition(r#"{"Name":"db"}"#))).await.unwrap();
    let left: Vec<_> =
        bench.agent.listing.services(&caller).value.into_keys().map(|id| id.to_string()).collect();
    assert_eq!(left, ["api", "db"]);
    assert!(bench.agent.reloads.definitions(&services(definition(r#"{"Name":""}"#))).await.is_err());
    assert_eq!(bench.agent.listing.services(&caller).value.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn services_critical_for_too_long_are_looked_for_as_often_as_configured() {
    let service = r#"{"Name":"web","Check":{"TTL":"10s","DeregisterCriticalServiceAfter":"1m"}}"#;
    // The interval, a time at which the service is still there, and one at which it is gone. Nothing is a second.
    for (interval, before, after) in [(30, 59, 31), (200, 198, 3), (0, 59, 3)] {
        let bench = Bench::with(open(), |config| {
            config.check_settings.reap_interval = Duration::from_secs(interval);
        });
        let caller = bench.agent.callers.resolve(None).await.unwrap();
        bench.agent.registrar.register_service(&caller, &definition(service), false).await.unwrap();
        let clock = &bench.world.clock;
        clock.sleep(Duration::from_secs(before)).await;
        assert_eq!(bench.agent.listing.services(&caller).value.len(), 1, "{interval}");
        clock.sleep(Duration::from_secs(after)).await;
        settle().await;
        assert!(bench.agent.listing.services(&caller).value.is_empty(), "{interval}");
    }
}
