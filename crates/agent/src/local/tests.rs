//! Tests of registrations and checks as a state machine: no runtime, time is an argument.

use std::collections::BTreeSet;
use std::time::Duration;

use concord_model::catalog::{CheckStatus, ServiceAddress};
use concord_model::registration::{CheckSpec, Every, LocalService, Probe};
use concord_model::{CheckId, InstanceId};
use concord_runtime::{Entropy, Instant, SeededEntropy};

use super::{Change, CheckRecord, CheckSection, Local, Mark, Report, ServiceRecord, Source, Verdict};
use crate::testing::{instance, service_id};

fn at(seconds: u64) -> Instant {
    Instant::from_epoch(Duration::from_secs(seconds))
}

fn id(text: &str) -> CheckId {
    CheckId::parse(text).unwrap()
}

fn local() -> Local {
    let settings = CheckSection::default();
    Local::new(settings, 21_000..=21_255)
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
    let output = &local.checks[&id("c")].check.output;
    assert_eq!(output, "TTL expired (last output before timeout follows): ok");
}

#[test]
fn registering_again_keeps_the_verdict_however_the_check_is_made_then() {
    let mut local = web(vec![spec("c", Some("web"), ttl(30))]);
    pass(&mut local, "c", 1);
    set(&mut local, "web", None, vec![spec("c", Some("web"), ttl(30))], false);
    status(&local, "c", CheckStatus::Passing);
    assert_eq!(local.next_tick(), Some(at(31)), "it is no sign of life");
    set(&mut local, "web", None, vec![spec("c", Some("web"), ttl(3600))], false);
    status(&local, "c", CheckStatus::Passing);
    assert_eq!(local.next_tick(), Some(at(0) + Duration::from_secs(3600)));
    let every = Every { interval: Duration::from_secs(10), timeout: Duration::ZERO };
    let udp = Probe::Udp { address: "a:1".to_owned(), every };
    set(&mut local, "web", None, vec![spec("c", Some("web"), udp)], false);
    status(&local, "c", CheckStatus::Passing);
    // The result for one instance says nothing about another.
    set(&mut local, "db", None, vec![spec("c", Some("db"), ttl(3600))], false);
    status(&local, "c", CheckStatus::Critical);
}

#[test]
fn times_are_shown_as_they_are_written() {
    let every = Every { interval: Duration::from_millis(500), timeout: Duration::ZERO };
    let udp = Probe::Udp { address: "a:1".to_owned(), every };
    let mut local = web(vec![spec("inline", Some("web"), udp.clone()), spec("told", Some("web"), ttl(30))]);
    for (name, probe) in [("alone", udp), ("silent", ttl(30)), ("maintained", Probe::Maintenance)] {
        let spec = Box::new(spec(name, Some("web"), probe));
        local.apply(Change::SetCheck { spec, source: Source::Api }, at(0));
    }
    for (name, interval, timeout) in [
        ("inline", "500ms", ""),
        ("told", "", ""),
        ("alone", "500ms", "0s"),
        ("silent", "0s", "0s"),
        ("maintained", "", ""),
    ] {
        let check = &local.checks[&id(name)].check;
        assert_eq!((check.interval.as_str(), check.timeout.as_str()), (interval, timeout), "{name}");
    }
}

#[test]
fn a_check_may_ask_for_less_output_than_the_agent_keeps_and_not_for_more() {
    let kept = |own: Option<usize>| {
        let mut one = spec("c", Some("web"), ttl(30));
        one.output_bytes_max = own;
        let mut local = web(vec![one]);
        local.report(&id("c"), Report::told(CheckStatus::Passing, "x".repeat(10_000)), at(0)).unwrap();
        local.checks[&id("c")].check.output.matches('x').count()
    };
    assert_eq!((kept(None), kept(Some(10)), kept(Some(9000))), (4096, 10, 4096));
    let mut local = web(vec![spec("c", Some("web"), ttl(30))]);
    local.settings.discard_output = true;
    local.report(&id("c"), Report::told(CheckStatus::Passing, "x".to_owned()), at(0)).unwrap();
    assert_eq!(local.checks[&id("c")].check.output, "");
}

#[test]
fn a_reload_leaves_a_service_out_of_use_that_somebody_took_out_of_it() {
    let mut local = web(Vec::new());
    let enter = |local: &mut Local| {
        let spec = Box::new(spec("m", Some("web"), Probe::Maintenance));
        local.apply(Change::SetCheck { spec, source: Source::Api }, at(0));
    };
    let register = |local: &mut Local, source| {
        let registration = Box::new((*local.services[&service_id("web")].registration).clone());
        local.apply(Change::SetService { registration, source, replace_checks: true }, at(0));
    };
    enter(&mut local);
    register(&mut local, Source::File);
    status(&local, "m", CheckStatus::Critical);
    register(&mut local, Source::Api);
    assert!(!local.checks.contains_key(&id("m")), "as in Consul, where it is asked for");
}

#[test]
fn checks_no_longer_named_stay_unless_they_are_to_be_replaced() {
    let mut local = web(vec![spec("a", Some("web"), ttl(30)), spec("b", Some("web"), ttl(30))]);
    set(&mut local, "web", None, vec![spec("a", Some("web"), ttl(30))], false);
    assert!(local.checks.contains_key(&id("b")) && local.is_inline(&local.checks[&id("b")]));
    set(&mut local, "web", None, vec![spec("a", Some("web"), ttl(30))], true);
    assert!(!local.checks.contains_key(&id("b")));
    assert!(local.checks_gone.pending().any(|gone| *gone == id("b")));
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
    assert_eq!(names(local.services_gone.pending()), ["web", "web-sidecar-proxy"]);
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

fn report(local: &mut Local, check: &str, status: CheckStatus, output: &str, now: u64) {
    local.report(&id(check), Report::told(status, output.to_owned()), at(now)).expect("it is there");
}

#[test]
fn an_alias_of_a_service_follows_the_node_it_is_on() {
    let mut local = web(vec![spec("c", Some("web"), ttl(300))]);
    set(&mut local, "proxy", None, vec![spec("alias", Some("proxy"), alias(Some("web")))], false);
    pass(&mut local, "c", 1);
    status(&local, "alias", CheckStatus::Passing);
    let disk = Change::SetCheck { spec: Box::new(spec("disk", None, ttl(300))), source: Source::Api };
    local.apply(disk, at(2));
    status(&local, "alias", CheckStatus::Critical);
    report(&mut local, "disk", CheckStatus::Warning, "90 %", 3);
    status(&local, "alias", CheckStatus::Warning);
    assert_eq!(local.checks[&id("alias")].check.output, "Aliased check \"disk\" failing: 90 %");
    // The worst check decides, whoever owns it.
    report(&mut local, "c", CheckStatus::Critical, "down", 4);
    assert_eq!(local.checks[&id("alias")].check.output, "Aliased check \"c\" failing: down");
    pass(&mut local, "c", 5);
    status(&local, "alias", CheckStatus::Warning);
    pass(&mut local, "disk", 6);
    status(&local, "alias", CheckStatus::Passing);
    // A removed check has no effect any more.
    report(&mut local, "disk", CheckStatus::Critical, "full", 7);
    status(&local, "alias", CheckStatus::Critical);
    local.apply(Change::RemoveCheck(id("disk")), at(8));
    status(&local, "alias", CheckStatus::Passing);
}

#[test]
fn what_a_node_reports_anew_with_the_same_verdict_reaches_no_alias() {
    let mut local = web(vec![spec("c", Some("web"), ttl(300))]);
    set(&mut local, "proxy", None, vec![spec("alias", Some("proxy"), alias(Some("web")))], false);
    for name in ["disk", "load"] {
        let check = Change::SetCheck { spec: Box::new(spec(name, None, ttl(300))), source: Source::Api };
        local.apply(check, at(1));
        pass(&mut local, name, 1);
    }
    pass(&mut local, "c", 1);
    let before = local.checks[&id("alias")].version;
    report(&mut local, "disk", CheckStatus::Passing, "40 %", 2);
    assert!(!local.node_verdict_moved());
    assert_eq!(local.checks[&id("alias")].version, before);
}

#[test]
fn aliases_at_the_node_do_not_hold_each_other() {
    let mut local = web(vec![spec("c", Some("web"), ttl(300))]);
    set(&mut local, "db", None, vec![spec("d", Some("db"), ttl(300))], false);
    for (name, of) in [("x", "web"), ("y", "db")] {
        let check =
            Change::SetCheck { spec: Box::new(spec(name, None, alias(Some(of)))), source: Source::Api };
        local.apply(check, at(1));
    }
    pass(&mut local, "c", 2);
    status(&local, "x", CheckStatus::Passing);
    status(&local, "y", CheckStatus::Critical);
    pass(&mut local, "d", 3);
    status(&local, "x", CheckStatus::Passing);
    status(&local, "y", CheckStatus::Passing);
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
    // The first run decides at once.
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
    local.edit_check(&id("c"), |record| record.mark = Mark::Synced).expect("it is there");
    local.edit_service(&service_id("web"), |record| record.mark = Mark::Synced).expect("it is there");
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

#[test]
fn a_check_that_stays_goes_by_the_new_name_of_its_service() {
    let mut local = web(vec![spec("c", Some("web"), ttl(30))]);
    let registration =
        LocalService { service: instance("web", "shop"), checks: Vec::new(), token: None, sidecar_of: None };
    let registration = Box::new(registration);
    local.apply(Change::SetService { registration, source: Source::Api, replace_checks: false }, at(1));
    let record = &local.checks[&id("c")];
    for name in [&record.check.service_name, &record.spec.service_name] {
        assert_eq!(name.as_ref().map(ToString::to_string).as_deref(), Some("shop"));
    }
    assert_eq!(record.mark, Mark::Pending);
}

#[test]
fn a_verdict_of_before_a_restart_counts_for_the_rest_of_its_time_and_no_longer() {
    let verdict = |left| Verdict {
        service: Some(service_id("web")),
        ttl: Duration::from_secs(30),
        status: CheckStatus::Passing,
        output: "fine".to_owned(),
        left: Duration::from_secs(left),
    };
    let restored = |verdict: Verdict, probe: Probe| {
        let mut local = web(vec![spec("c", Some("web"), probe)]);
        local.restore(&id("c"), verdict, at(100));
        (local.checks[&id("c")].check.status, local.next_tick())
    };
    assert_eq!(restored(verdict(20), ttl(30)), (CheckStatus::Passing, Some(at(120))));
    // The wall clock was set back in the meantime.
    assert_eq!(restored(verdict(5000), ttl(30)), (CheckStatus::Passing, Some(at(130))));
    for other in
        [Verdict { service: None, ..verdict(20) }, Verdict { ttl: Duration::from_secs(9), ..verdict(20) }]
    {
        assert_eq!(restored(other, ttl(30)), (CheckStatus::Critical, None));
    }
    assert_eq!(restored(verdict(20), alias(None)).1, None);
}

/// What the indexes should contain, found by reading all records.
#[track_caller]
fn check_indexes(local: &mut Local, now: u64) {
    let waits = |record: &CheckRecord| {
        let service = record.spec.service_id.as_ref().and_then(|id| local.services.get(id));
        service.is_some_and(|service| service.mark != Mark::Synced)
    };
    let silent = local.checks.values().filter_map(CheckRecord::silent_since).min();
    assert_eq!(local.next_tick(), silent);
    let free = local.checks.values().filter(|record| !waits(record));
    assert_eq!(local.next_deferred(), free.filter_map(|record| record.deferred).min());
    let ready: Vec<&CheckId> = local
        .checks
        .values()
        .filter(|record| record.mark == Mark::Pending && !waits(record))
        .map(|record| &record.spec.id)
        .collect();
    let found: Vec<&CheckId> =
        local.next_checks().into_iter().flatten().map(|record| &record.spec.id).collect();
    assert_eq!(found.is_empty(), ready.is_empty());
    assert!(found.iter().all(|id| ready.contains(id)), "{found:?} of {ready:?}");
    let pending = local.services.values().find(|record| record.mark == Mark::Pending);
    assert_eq!(local.next_service().map(ServiceRecord::id), pending.map(ServiceRecord::id));
    let abouts = local.services.keys().cloned().map(Some).chain([None]).collect::<Vec<_>>();
    for about in abouts {
        let all: BTreeSet<&CheckId> = local
            .checks
            .values()
            .filter(|record| record.spec.service_id == about)
            .map(|record| &record.spec.id)
            .collect();
        assert_eq!(local.checks_of(about.as_ref()).collect::<BTreeSet<_>>(), all);
    }
    let before: Vec<_> = verdicts(local);
    local.stale_aliases.extend(local.checks.keys().cloned().collect::<Vec<_>>());
    local.follow_aliases(at(now));
    assert_eq!(verdicts(local), before, "no alias was left behind");
}

fn verdicts(local: &Local) -> Vec<(CheckStatus, String)> {
    local.checks.values().map(|record| (record.check.status, record.check.output.clone())).collect()
}

#[test]
fn indexes_find_what_looking_at_everything_finds() {
    let entropy = SeededEntropy::new(5);
    let one_of = |names: &[&'static str]| names[usize::try_from(entropy.below(names.len() as u64)).unwrap()];
    let (services, own) = (["a", "b", "c"], ["v", "w", "x", "y"]);
    let mut local = local();
    for now in 0..3000 {
        let (service, check) = (one_of(&services), one_of(&own));
        let about = Some(service).filter(|_| entropy.below(4) > 0);
        match entropy.below(8) {
            0 => {
                // Aliases follow only services that come before them, so that there is no cycle.
                let probe = if service == "a" { ttl(5) } else { alias(Some("a")) };
                let named = vec![spec(&format!("{service}-inline"), Some(service), probe)];
                set(&mut local, service, None, named, entropy.below(2) == 0);
            }
            1 | 2 => {
                let mut spec = spec(check, about, ttl(1 + entropy.below(9)));
                spec.token = Some("own".to_owned().into()).filter(|_| entropy.below(2) == 0);
                local.apply(Change::SetCheck { spec: Box::new(spec), source: Source::Api }, at(now));
            }
            3 => local.apply(Change::RemoveService(service_id(service)), at(now)),
            4 => local.apply(Change::RemoveCheck(id(check)), at(now)),
            5 => {
                let mark = [Mark::Pending, Mark::Synced, Mark::Blocked][usize::try_from(now % 3).unwrap()];
                local.edit_service(&service_id(service), |record| record.mark = mark);
                local.edit_check(&id(check), |record| record.mark = mark);
            }
            6 => {
                let status = [CheckStatus::Passing, CheckStatus::Warning][usize::try_from(now % 2).unwrap()];
                local.report(&id(check), Report::told(status, now.to_string()), at(now));
            }
            _ => {
                local.tick(at(now));
                local.end_deferral(at(now));
            }
        }
        check_indexes(&mut local, now);
    }
}

#[test]
fn a_service_at_an_ip_address_has_tagged_addresses_of_its_kind() {
    let tagged = |address: &str, own: &[(&str, &str, u16)]| {
        let mut service = instance("web", "web");
        service.address = address.to_owned();
        service.tagged_addresses = own
            .iter()
            .map(|(tag, address, port)| {
                ((*tag).to_owned(), ServiceAddress { address: (*address).to_owned(), port: *port })
            })
            .collect();
        let registration = LocalService { service, checks: Vec::new(), token: None, sidecar_of: None };
        let mut local = local();
        local.apply(
            Change::SetService {
                registration: Box::new(registration),
                source: Source::Api,
                replace_checks: true,
            },
            at(0),
        );
        let found = &local.services[&service_id("web")].registration.service.tagged_addresses;
        let texts = found.iter().map(|(tag, at)| format!("{tag}={} {}", at.address, at.port));
        texts.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(tagged("10.0.0.1", &[]), "lan_ipv4=10.0.0.1 80, wan_ipv4=10.0.0.1 80");
    assert_eq!(tagged("2001:db8::1", &[]), "lan_ipv6=2001:db8::1 80, wan_ipv6=2001:db8::1 80");
    assert_eq!(tagged("::ffff:10.0.0.9", &[]), "lan_ipv4=::ffff:10.0.0.9 80, wan_ipv4=::ffff:10.0.0.9 80");
    let own = [("lan_ipv4", "1.1.1.1", 9), ("x", "h", 1)];
    assert_eq!(tagged("10.0.0.1", &own), "lan_ipv4=1.1.1.1 9, wan_ipv4=10.0.0.1 80, x=h 1");
    // A host name or an empty address is no IP address of either version.
    assert_eq!((tagged("web.example", &[]), tagged("", &[])), (String::new(), String::new()));
}
