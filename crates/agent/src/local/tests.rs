//! Registrations and checks as a machine: no runtime, time is an argument.

use std::time::Duration;

use concord_model::catalog::CheckStatus;
use concord_model::registration::{CheckSpec, LocalService, Probe};
use concord_model::{CheckId, InstanceId};
use concord_runtime::Instant;

use super::{Change, CheckSettings, Local, Mark, Report, Source};
use crate::testing::{instance, service_id};

fn at(seconds: u64) -> Instant {
    Instant::from_epoch(Duration::from_secs(seconds))
}

fn id(text: &str) -> CheckId {
    CheckId::parse(text).unwrap()
}

fn local() -> Local {
    Local::new(CheckSettings { update_interval: Duration::from_secs(300), output_bytes_max: 4096 })
}

fn spec(check: &str, service: Option<&str>, probe: Probe) -> CheckSpec {
    CheckSpec {
        id: id(check),
        name: check.to_owned(),
        notes: String::new(),
        service_id: service.map(service_id),
        service_name: None,
        initial: CheckStatus::Critical,
        probe,
        success_before_passing: 0,
        failures_before_warning: 0,
        failures_before_critical: 0,
        deregister_after: None,
        output_bytes_max: None,
        token: None,
    }
}

fn ttl(seconds: u64) -> Probe {
    Probe::Ttl(Duration::from_secs(seconds))
}

fn alias(service: Option<&str>) -> Probe {
    Probe::Alias { node: None, service: service.map(service_id) }
}

fn set(
    local: &mut Local,
    service: &str,
    sidecar_of: Option<&str>,
    checks: Vec<CheckSpec>,
    replace_checks: bool,
) {
    let registration = LocalService {
        service: instance(service, service),
        checks,
        token: None,
        sidecar_of: sidecar_of.map(service_id),
    };
    local.apply(
        Change::SetService { registration: Box::new(registration), source: Source::Api, replace_checks },
        at(0),
    );
}

fn web(checks: Vec<CheckSpec>) -> Local {
    let mut local = local();
    set(&mut local, "web", None, checks, false);
    local
}

fn pass(local: &mut Local, check: &str, now: u64) {
    local
        .report(&id(check), Report::told(CheckStatus::Passing, "ok".to_owned()), at(now))
        .expect("it is there");
}

#[track_caller]
fn status(local: &Local, check: &str, expected: CheckStatus) {
    assert_eq!(local.checks[&id(check)].check.status, expected, "{check}");
}

fn names<'a>(ids: impl Iterator<Item = &'a InstanceId>) -> Vec<String> {
    ids.map(ToString::to_string).collect()
}

#[test]
fn silence_is_critical_once_its_time_is_over() {
    let mut local = web(vec![spec("c", Some("web"), ttl(30))]);
    assert_eq!(local.next_tick(), None, "it is critical already");
    pass(&mut local, "c", 10);
    assert_eq!(local.next_tick(), Some(at(40)));
    local.tick(at(39));
    status(&local, "c", CheckStatus::Passing);
    pass(&mut local, "c", 39);
    local.tick(at(68));
    status(&local, "c", CheckStatus::Passing);
    local.tick(at(69));
    status(&local, "c", CheckStatus::Critical);
    assert_eq!(local.checks[&id("c")].check.output, "TTL expired");
}

#[test]
fn registering_again_keeps_the_verdict_of_the_same_check_only() {
    let mut local = web(vec![spec("c", Some("web"), ttl(30))]);
    pass(&mut local, "c", 1);
    set(&mut local, "web", None, vec![spec("c", Some("web"), ttl(30))], false);
    status(&local, "c", CheckStatus::Passing);
    set(&mut local, "web", None, vec![spec("c", Some("web"), ttl(31))], false);
    status(&local, "c", CheckStatus::Critical);
}

#[test]
fn checks_no_longer_named_stay_unless_they_are_to_be_replaced() {
    let mut local = web(vec![spec("a", Some("web"), ttl(30)), spec("b", Some("web"), ttl(30))]);
    set(&mut local, "web", None, vec![spec("a", Some("web"), ttl(30))], false);
    assert!(local.checks.contains_key(&id("b")) && local.is_inline(&local.checks[&id("b")]));
    set(&mut local, "web", None, vec![spec("a", Some("web"), ttl(30))], true);
    assert!(!local.checks.contains_key(&id("b")));
    assert_eq!(local.checks_gone.get(&id("b")), Some(&Mark::Pending));
}

#[test]
fn a_service_goes_with_its_checks_and_its_sidecar() {
    let mut local = web(vec![spec("c", Some("web"), ttl(30))]);
    set(
        &mut local,
        "web-sidecar-proxy",
        Some("web"),
        vec![spec("d", Some("web-sidecar-proxy"), ttl(30))],
        false,
    );
    set(&mut local, "api", None, vec![spec("e", Some("api"), ttl(30))], false);
    local.apply(Change::RemoveService(service_id("web")), at(0));
    assert_eq!(names(local.services.keys()), ["api"]);
    assert_eq!(local.checks.keys().map(ToString::to_string).collect::<Vec<_>>(), ["e"]);
    assert_eq!(names(local.services_gone.keys()), ["web", "web-sidecar-proxy"]);
}

#[test]
fn aliases_follow_what_they_stand_for() {
    let mut local = web(vec![spec("c", Some("web"), ttl(30))]);
    set(&mut local, "proxy", Some("web"), vec![spec("alias", Some("proxy"), alias(Some("web")))], false);
    set(&mut local, "far", None, vec![spec("second", Some("far"), alias(Some("proxy")))], false);
    status(&local, "second", CheckStatus::Critical);
    pass(&mut local, "c", 1);
    status(&local, "alias", CheckStatus::Passing);
    status(&local, "second", CheckStatus::Passing);
    let warn = Report::told(CheckStatus::Warning, "slow".to_owned());
    local.report(&id("c"), warn, at(2)).expect("it is there");
    status(&local, "second", CheckStatus::Warning);
    local.apply(
        Change::SetCheck { spec: Box::new(spec("none", None, alias(Some("none")))), source: Source::Api },
        at(3),
    );
    status(&local, "none", CheckStatus::Critical);
}

#[test]
fn aliases_in_a_circle_come_to_rest() {
    let mut local = local();
    set(&mut local, "a", None, vec![spec("x", Some("a"), alias(Some("b")))], false);
    set(&mut local, "b", None, vec![spec("y", Some("b"), alias(Some("a")))], false);
    let before = local.revision();
    local.tick(at(1));
    assert!(local.revision() >= before);
}

#[test]
fn several_runs_make_a_verdict_if_asked_for() {
    let mut one = spec("c", Some("web"), ttl(30));
    one.success_before_passing = 2;
    one.failures_before_warning = 2;
    one.failures_before_critical = 3;
    let mut local = web(vec![one]);
    let mut run = |ok: bool, expected: CheckStatus| {
        let outcome = if ok { CheckStatus::Passing } else { CheckStatus::Critical };
        local.report(&id("c"), Report::run(outcome, String::new()), at(1)).expect("it is there");
        status(&local, "c", expected);
    };
    run(true, CheckStatus::Critical);
    run(true, CheckStatus::Passing);
    run(false, CheckStatus::Passing);
    run(false, CheckStatus::Warning);
    run(false, CheckStatus::Critical);
    run(true, CheckStatus::Critical);
    run(true, CheckStatus::Passing);
}

#[test]
fn output_alone_is_told_later_and_a_verdict_at_once() {
    let mut local = web(vec![spec("c", Some("web"), ttl(30))]);
    pass(&mut local, "c", 1);
    local.checks.get_mut(&id("c")).unwrap().mark = Mark::Synced;
    local.report(&id("c"), Report::told(CheckStatus::Passing, "other".to_owned()), at(2)).unwrap();
    let record = &local.checks[&id("c")];
    assert_eq!((record.mark, record.deferred), (Mark::Synced, Some(at(302))));
    local.report(&id("c"), Report::told(CheckStatus::Passing, "third".to_owned()), at(5)).unwrap();
    assert_eq!(local.next_deferred(), Some(at(302)), "it does not move away");
    local.report(&id("c"), Report::told(CheckStatus::Warning, "third".to_owned()), at(6)).unwrap();
    let record = &local.checks[&id("c")];
    assert_eq!((record.mark, record.deferred), (Mark::Pending, None));
}

#[test]
fn n_47_long_output_is_cut_between_characters() {
    let mut local = web(vec![spec("c", Some("web"), ttl(30))]);
    let output = "ä".repeat(1 << 20);
    local.report(&id("c"), Report::told(CheckStatus::Passing, output), at(1)).unwrap();
    let kept = &local.checks[&id("c")].check.output;
    assert!(kept.len() < 4096 + 64 && kept.ends_with("(captured 4096 of 2097152 bytes)"), "{}", kept.len());
}

#[test]
fn a_service_critical_for_too_long_is_overdue_and_one_that_recovers_is_not() {
    let mut one = spec("c", Some("web"), ttl(3600));
    one.deregister_after = Some(Duration::from_secs(60));
    let mut local = web(vec![one]);
    assert!(local.overdue(at(59)).is_empty());
    assert_eq!(names(local.overdue(at(60)).iter()), ["web"]);
    pass(&mut local, "c", 61);
    assert!(local.overdue(at(500)).is_empty());
}
