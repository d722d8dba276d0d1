//! What the catalog is told, step by step, without a catalog.

use std::time::Duration;

use concord_model::catalog::CheckStatus;
use concord_model::registration::{CheckSpec, LocalService, Probe};
use concord_model::{CheckId, Datacenter, NodeName};
use concord_rpc::request::{NodeRecords, Registered};
use concord_runtime::Instant;

use super::{Outcome, Step, compare, done, next_step};
use crate::config::AgentConfig;
use crate::local::{Change, CheckSettings, Local, Report, Source};
use crate::testing::{instance, node, service_id};

const NOW: Instant = Instant::EPOCH;

fn config() -> AgentConfig {
    let mut config = AgentConfig::new(
        NodeName::parse("n1").unwrap(),
        Datacenter::parse("dc1").unwrap(),
        "10.0.0.1".to_owned(),
    );
    config.tokens.default = Some("default".to_owned().into());
    config.tokens.agent = Some("agent".to_owned().into());
    config.tokens.config_file_service_registration = Some("files".to_owned().into());
    config
}

fn check(id: &str, service: Option<&str>) -> CheckSpec {
    CheckSpec {
        id: CheckId::parse(id).unwrap(),
        name: id.to_owned(),
        notes: String::new(),
        service_id: service.map(service_id),
        service_name: None,
        initial: CheckStatus::Passing,
        probe: Probe::Ttl(Duration::from_secs(30)),
        success_before_passing: 0,
        failures_before_warning: 0,
        failures_before_critical: 0,
        deregister_after: None,
        output_bytes_max: None,
        token: None,
    }
}

fn set(local: &mut Local, id: &str, token: Option<&str>, source: Source, checks: Vec<CheckSpec>) {
    let token = token.map(|token| token.to_owned().into());
    let registration = LocalService { service: instance(id, id), checks, token, sidecar_of: None };
    local.apply(
        Change::SetService { registration: Box::new(registration), source, replace_checks: true },
        NOW,
    );
}

fn local() -> Local {
    Local::new(CheckSettings { update_interval: Duration::from_secs(300), output_bytes_max: 4096 })
}

/// Tells everything there is to tell; one line per step: token and content.
fn drain(local: &mut Local, remote: &mut NodeRecords, refuse: &str) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(step) = next_step(local, &config(), NOW) {
        let (token, covers) = match &step {
            Step::Register { request, token, covers } => {
                assert_eq!(request.skip_node_update, !covers.node);
                (token, covers)
            }
            Step::Deregister { token, covers, .. } => (token, covers),
        };
        let token = token.as_ref().map_or("none", |token| token.expose());
        let line = format!("{token}: {covers}");
        let refused = !refuse.is_empty() && line.contains(refuse);
        if !refused {
            take(remote, &step);
        }
        let outcome = if refused { Outcome::Refused } else { Outcome::Told };
        done(local, covers, outcome);
        told.push(line);
        assert!(told.len() < 50, "{told:?}");
    }
    told
}

fn take(remote: &mut NodeRecords, step: &Step) {
    match step {
        Step::Register { request, .. } => {
            if let Some(service) = &request.service {
                remote.services.retain(|one| one.id != service.id);
                remote.services.push(service.clone());
            }
            for check in &request.checks {
                remote.checks.retain(|one| one.id != check.id);
                remote.checks.push(check.clone());
            }
        }
        Step::Deregister { request, .. } => match &request.what {
            Registered::Node => {}
            Registered::Service(id) => remote.services.retain(|one| one.id != *id),
            Registered::Check(id) => remote.checks.retain(|one| one.id != *id),
        },
    }
}

fn empty() -> NodeRecords {
    NodeRecords { node: node("n1"), services: Vec::new(), checks: Vec::new() }
}

#[test]
fn each_thing_is_told_once_with_its_own_token() {
    let (mut local, mut remote) = (local(), empty());
    set(&mut local, "own", Some("theirs"), Source::Api, vec![check("c", Some("own"))]);
    set(&mut local, "plain", None, Source::Api, Vec::new());
    set(&mut local, "file", None, Source::File, Vec::new());
    local.apply(Change::SetCheck { spec: Box::new(check("node-check", None)), source: Source::Api }, NOW);
    assert_eq!(
        drain(&mut local, &mut remote, ""),
        [
            "agent: the node",
            "files: service file",
            "theirs: service own, check c",
            "default: service plain",
            "default: check node-check",
        ]
    );
    assert!(next_step(&local, &config(), NOW).is_none());
    compare(&mut local, &config().node_record(), Some(&remote));
    assert_eq!(drain(&mut local, &mut remote, ""), [""; 0], "what was told is what is there");
}

#[test]
fn what_is_gone_or_was_never_here_is_removed_but_for_the_servers_own() {
    let (mut local, mut remote) = (local(), empty());
    set(&mut local, "web", None, Source::Api, vec![check("c", Some("web"))]);
    drain(&mut local, &mut remote, "");
    local.apply(Change::RemoveService(service_id("web")), NOW);
    assert_eq!(drain(&mut local, &mut remote, ""), ["agent: removal of service web"]);

    remote.services.extend([instance("consul", "consul"), instance("stray", "stray")]);
    let mut health = local.clone();
    health.apply(Change::SetCheck { spec: Box::new(check("serfHealth", None)), source: Source::Api }, NOW);
    health.apply(Change::SetCheck { spec: Box::new(check("stray-check", None)), source: Source::Api }, NOW);
    remote.checks = health.checks.values().map(|record| record.check.clone()).collect();
    compare(&mut local, &config().node_record(), Some(&remote));
    assert_eq!(
        drain(&mut local, &mut remote, ""),
        ["agent: removal of service stray", "agent: removal of check stray-check"]
    );
}

#[test]
fn what_is_refused_is_asked_again_at_the_next_comparison_only() {
    let (mut local, mut remote) = (local(), empty());
    set(&mut local, "web", None, Source::Api, vec![check("c", Some("web"))]);
    assert_eq!(
        drain(&mut local, &mut remote, "service web"),
        ["agent: the node", "default: service web, check c"]
    );
    assert!(next_step(&local, &config(), NOW).is_none());
    compare(&mut local, &config().node_record(), Some(&remote));
    assert_eq!(drain(&mut local, &mut remote, ""), ["default: service web, check c"]);
}

#[test]
fn a_change_while_it_is_being_told_is_told_again() {
    let (mut local, mut remote) = (local(), empty());
    drain(&mut local, &mut remote, "");
    set(&mut local, "web", None, Source::Api, Vec::new());
    let Some(Step::Register { covers, .. }) = next_step(&local, &config(), NOW) else { panic!("a step") };
    set(&mut local, "web", None, Source::Api, vec![check("c", Some("web"))]);
    done(&mut local, &covers, Outcome::Told);
    assert_eq!(drain(&mut local, &mut remote, ""), ["default: service web, check c"]);
}

#[test]
fn tags_of_the_catalog_win_where_the_service_says_so() {
    let (mut local, mut remote) = (local(), empty());
    let mut service = instance("web", "web");
    service.enable_tag_override = true;
    let registration = LocalService { service, checks: Vec::new(), token: None, sidecar_of: None };
    local.apply(
        Change::SetService {
            registration: Box::new(registration),
            source: Source::Api,
            replace_checks: true,
        },
        NOW,
    );
    set(&mut local, "own", None, Source::Api, Vec::new());
    drain(&mut local, &mut remote, "");
    remote.services.iter_mut().for_each(|service| service.tags = vec!["edited".to_owned()]);
    assert!(compare(&mut local, &config().node_record(), Some(&remote)));
    assert_eq!(local.services[&service_id("web")].registration.service.tags, ["edited"]);
    assert_eq!(
        drain(&mut local, &mut remote, ""),
        ["default: service own"],
        "only the other one is put right"
    );
}

#[test]
fn virtual_addresses_of_the_servers_are_no_difference() {
    let (mut local, mut remote) = (local(), empty());
    set(&mut local, "web", None, Source::Api, Vec::new());
    drain(&mut local, &mut remote, "");
    for service in &mut remote.services {
        let address = concord_model::catalog::ServiceAddress { address: "240.0.0.1".to_owned(), port: 80 };
        service.tagged_addresses.insert("consul-virtual".to_owned(), address);
        service.stamp.modify = 9;
    }
    compare(&mut local, &config().node_record(), Some(&remote));
    assert_eq!(drain(&mut local, &mut remote, ""), [""; 0]);
}

#[test]
fn output_that_lags_behind_is_no_difference_until_it_is_due() {
    let (mut local, mut remote) = (local(), empty());
    local.apply(Change::SetCheck { spec: Box::new(check("c", None)), source: Source::Api }, NOW);
    drain(&mut local, &mut remote, "");
    let id = CheckId::parse("c").unwrap();
    local.report(&id, Report::told(CheckStatus::Passing, "news".to_owned()), NOW).unwrap();
    compare(&mut local, &config().node_record(), Some(&remote));
    assert_eq!(drain(&mut local, &mut remote, ""), [""; 0]);
    let due = NOW + Duration::from_secs(300);
    assert!(next_step(&local, &config(), due).is_some());
}
