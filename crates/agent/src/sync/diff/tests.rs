//! Tests of the requests to the catalog, step by step, without a catalog.

use std::time::Duration;

use concord_config::section::CheckSection;
use concord_model::catalog::{CheckStatus, Registered, ServiceInstance, ServicePort};
use concord_model::registration::{CheckSpec, Every, LocalService, Probe};
use concord_model::{CheckId, Datacenter, NodeName};
use concord_rpc::request::NodeRecords;
use concord_runtime::Instant;

use super::{Outcome, Step, compare, done, next_step, recall};
use crate::config::AgentConfig;
use crate::local::{Change, Local, Report, Source};
use crate::testing::{instance, node, service_id};

const NOW: Instant = Instant::EPOCH;

fn config() -> AgentConfig {
    let mut config = AgentConfig::new(
        NodeName::parse("n1").unwrap(),
        Datacenter::parse("dc1").unwrap(),
        "10.0.0.1".to_owned(),
    );
    config.acl.tokens.default = Some("default".to_owned().into());
    config.acl.tokens.agent = Some("agent".to_owned().into());
    config.acl.tokens.config_file_service_registration = Some("files".to_owned().into());
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
    let settings = CheckSection::default();
    Local::new(settings, 21_000..=21_255)
}

/// Performs all steps. Returns one line per step: token and content.
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
            Registered::Service { id, .. } => remote.services.retain(|one| one.id != *id),
            Registered::Check { id } => remote.checks.retain(|one| one.id != *id),
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
    assert!(next_step(&mut local, &config(), NOW).is_none());
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
    let mut health = self::local();
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
    assert!(next_step(&mut local, &config(), NOW).is_none());
    compare(&mut local, &config().node_record(), Some(&remote));
    assert_eq!(drain(&mut local, &mut remote, ""), ["default: service web, check c"]);
}

#[test]
fn a_change_while_it_is_being_told_is_told_again() {
    let (mut local, mut remote) = (local(), empty());
    drain(&mut local, &mut remote, "");
    set(&mut local, "web", None, Source::Api, Vec::new());
    let Some(Step::Register { covers, .. }) = next_step(&mut local, &config(), NOW) else { panic!("a step") };
    set(&mut local, "web", None, Source::Api, vec![check("c", Some("web"))]);
    done(&mut local, &covers, Outcome::Told);
    assert_eq!(drain(&mut local, &mut remote, ""), ["default: service web, check c"]);
}

#[test]
fn other_ports_in_the_catalog_are_put_right() {
    let (mut local, mut remote) = (local(), empty());
    let port = |port| ServicePort { name: "http".to_owned(), port, default: true };
    let service = ServiceInstance { ports: vec![port(80)], ..instance("web", "web") };
    let registration = LocalService { service, checks: Vec::new(), token: None, sidecar_of: None };
    let registration = Box::new(registration);
    local.apply(Change::SetService { registration, source: Source::Api, replace_checks: true }, NOW);
    drain(&mut local, &mut remote, "");
    for theirs in [vec![port(81)], Vec::new()] {
        remote.services[0].ports = theirs;
        compare(&mut local, &config().node_record(), Some(&remote));
        assert_eq!(drain(&mut local, &mut remote, ""), ["default: service web"]);
        assert_eq!(remote.services[0].ports, [port(80)]);
    }
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
    let before = local.revision();
    compare(&mut local, &config().node_record(), Some(&remote));
    assert!(local.revision() > before);
    assert_eq!(local.services[&service_id("web")].registration.service.tags, ["edited"]);
    assert_eq!(
        drain(&mut local, &mut remote, ""),
        ["default: service own"],
        "only the other one is put right"
    );
}

#[test]
fn a_reload_keeps_tags_that_the_catalog_was_let_set() {
    let (mut local, mut remote) = (local(), empty());
    let define = |local: &mut Local, source: Source, overridden: bool, tag: &str| {
        let mut service = instance("web", "web");
        (service.enable_tag_override, service.tags) = (overridden, vec![tag.to_owned()]);
        let registration = LocalService { service, checks: Vec::new(), token: None, sidecar_of: None };
        let registration = Box::new(registration);
        local.apply(Change::SetService { registration, source, replace_checks: true }, NOW);
        local.services[&service_id("web")].registration.service.tags.clone()
    };
    let edit = |local: &mut Local, remote: &mut NodeRecords| {
        drain(local, remote, "");
        remote.services.iter_mut().for_each(|service| service.tags = vec!["edited".to_owned()]);
        let before = local.revision();
        compare(local, &config().node_record(), Some(remote));
        assert!(local.revision() > before);
    };
    define(&mut local, Source::File, true, "defined");
    edit(&mut local, &mut remote);
    for _ in 0..2 {
        assert_eq!(define(&mut local, Source::File, true, "defined"), ["edited"]);
        drain(&mut local, &mut remote, "");
        assert_eq!(remote.services[0].tags, ["edited"], "nothing else is told, either");
    }
    // A change of the file, of the setting, or a registration by hand decides about the tags again.
    assert_eq!(define(&mut local, Source::File, true, "other"), ["other"]);
    edit(&mut local, &mut remote);
    assert_eq!(define(&mut local, Source::File, false, "other"), ["other"]);
    define(&mut local, Source::File, true, "other");
    edit(&mut local, &mut remote);
    assert_eq!(define(&mut local, Source::Api, true, "other"), ["other"]);
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
    assert!(next_step(&mut local, &config(), due).is_some());
}

/// Records read while everything is sent once, with every third step refused, and then in a comparison. There are `n`
/// services with a check each, as many checks of the node with their own token, and as many services to remove.
fn cost_of_a_pass(n: usize) -> (usize, usize) {
    let mut local = local();
    for at in 0..n {
        let (service, check_id) = (format!("s{at}"), format!("c{at}"));
        set(&mut local, &service, None, Source::Api, vec![check(&check_id, Some(&service))]);
        let spec = check(&format!("node-{at}"), None);
        let spec = CheckSpec { token: Some(format!("token {at}").into()), ..spec };
        local.apply(Change::SetCheck { spec: Box::new(spec), source: Source::Api }, NOW);
        set(&mut local, &format!("gone{at}"), None, Source::Api, Vec::new());
        local.apply(Change::RemoveService(service_id(&format!("gone{at}"))), NOW);
    }
    let looked_at = |local: &Local| local.services.looked_at() + local.checks.looked_at();
    let (before, config, mut steps) = (looked_at(&local), config(), 0);
    while let Some(step) = next_step(&mut local, &config, NOW) {
        let (Step::Register { covers, .. } | Step::Deregister { covers, .. }) = &step;
        done(&mut local, covers, if steps % 3 == 0 { Outcome::Refused } else { Outcome::Told });
        steps += 1;
    }
    assert!(steps >= 3 * n, "{steps}");
    let told = looked_at(&local);
    compare(&mut local, &config.node_record(), Some(&empty()));
    (told - before, looked_at(&local) - told)
}

#[test]
fn a_pass_looks_at_everything_a_bounded_number_of_times() {
    let (few, many) = (cost_of_a_pass(30), cost_of_a_pass(300));
    assert!(few.0 >= 30 && few.1 >= 30, "{few:?}");
    assert!(many.0 <= 11 * few.0, "told: {few:?} for thirty, {many:?} for ten times as many");
    assert!(many.1 <= 11 * few.1, "compared: {few:?} for thirty, {many:?} for ten times as many");
}

#[test]
fn output_due_while_its_service_is_refused_neither_wakes_nor_is_lost() {
    let (mut local, mut remote) = (local(), empty());
    set(&mut local, "web", None, Source::Api, Vec::new());
    local.apply(Change::SetCheck { spec: Box::new(check("c", Some("web"))), source: Source::Api }, NOW);
    drain(&mut local, &mut remote, "");
    let id = CheckId::parse("c").unwrap();
    local.report(&id, Report::told(CheckStatus::Passing, "news".to_owned()), NOW).unwrap();
    assert!(local.next_deferred().is_some());
    set_port(&mut local, "web", 81);
    drain(&mut local, &mut remote, "service web");
    let due = NOW + Duration::from_secs(300);
    assert!(next_step(&mut local, &config(), due).is_none());
    assert_eq!(local.next_deferred(), None, "nobody is woken for what cannot be told");
    compare(&mut local, &config().node_record(), Some(&remote));
    drain(&mut local, &mut remote, "");
    assert!(next_step(&mut local, &config(), due).is_some(), "told once the service is");
}

fn set_port(local: &mut Local, id: &str, port: u16) {
    let mut service = instance(id, id);
    service.port = port;
    let registration = LocalService { service, checks: Vec::new(), token: None, sidecar_of: None };
    let registration = Box::new(registration);
    local.apply(Change::SetService { registration, source: Source::Api, replace_checks: false }, NOW);
}

/// A TCP check of a sidecar's port, after a restart of the agent or when it is new.
fn probed(restarted: bool) -> Local {
    let mut local = local();
    let probe = Probe::Tcp {
        address: "127.0.0.1:21000".to_owned(),
        tls: None,
        every: Every { interval: Duration::from_secs(10), timeout: Duration::ZERO },
    };
    let spec = CheckSpec { probe, initial: CheckStatus::Critical, ..check("service:web", Some("web")) };
    set(&mut local, "web", None, Source::Api, vec![spec]);
    if restarted {
        local.await_first_runs();
    }
    local
}

#[track_caller]
fn check_recall(restarted: bool, kept: CheckStatus, expected: CheckStatus) -> (Local, NodeRecords) {
    let mut before = probed(false);
    let id = CheckId::parse("service:web").unwrap();
    before.report(&id, Report::run(kept, "as it was".to_owned()), NOW);
    let mut remote = empty();
    drain(&mut before, &mut remote, "");
    let mut local = probed(restarted);
    recall(&mut local, Some(&remote), NOW);
    assert_eq!(local.checks[&id].check.status, expected);
    (local, remote)
}

#[test]
fn a_restart_takes_no_healthy_service_out_of_use() {
    let (mut local, mut remote) = check_recall(true, CheckStatus::Passing, CheckStatus::Passing);
    compare(&mut local, &config().node_record(), Some(&remote));
    assert!(drain(&mut local, &mut remote, "").is_empty(), "the catalog has it already");
    // Its first run decides; afterwards nothing is taken from the catalog any more.
    let id = CheckId::parse("service:web").unwrap();
    local.report(&id, Report::run(CheckStatus::Critical, "refused".to_owned()), NOW);
    recall(&mut local, Some(&remote), NOW);
    assert_eq!(local.checks[&id].check.status, CheckStatus::Critical);
    assert_eq!(drain(&mut local, &mut remote, "").len(), 1);
}

#[test]
fn what_was_failing_or_is_new_is_not_taken_for_healthy() {
    check_recall(true, CheckStatus::Critical, CheckStatus::Critical);
    check_recall(false, CheckStatus::Passing, CheckStatus::Critical);
}
