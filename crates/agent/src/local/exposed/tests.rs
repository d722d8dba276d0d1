//! Tests of which checks run through a proxy, and at which port of it.

use std::time::Duration;

use concord_model::catalog::{CheckStatus, ServiceInstance};
use concord_model::proxy::{Expose, ProxyConfig, ServiceKind};
use concord_model::registration::{CheckRequest, CheckSpec, CheckTls, Every, LocalService, Probe};
use concord_runtime::Instant;

use super::follow::GRPC_HEALTH;
use super::*;
use crate::local::{Change, CheckSection, Local, Source};
use crate::testing::{instance, service_id};

const EVERY: Every = Every { interval: Duration::from_secs(10), timeout: Duration::ZERO };

fn local(ports: RangeInclusive<u16>) -> Local {
    Local::new(CheckSection::default(), 21_000..=21_255).exposing(ports)
}

fn http(url: &str) -> Probe {
    let request = CheckRequest {
        url: url.to_owned(),
        method: String::new(),
        header: BTreeMap::new(),
        body: String::new(),
        disable_redirects: false,
        tls: CheckTls::default(),
    };
    Probe::Http { request: Box::new(request), every: EVERY }
}

fn grpc(address: &str, tls: Option<CheckTls>) -> Probe {
    Probe::Grpc { address: address.to_owned(), service: String::new(), tls, every: EVERY }
}

fn spec(check: &str, service: &str, probe: Probe) -> CheckSpec {
    CheckSpec {
        id: CheckId::parse(check).unwrap(),
        name: check.to_owned(),
        notes: String::new(),
        service_id: Some(service_id(service)),
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

fn apply(local: &mut Local, change: Change) {
    local.apply(change, Instant::from_epoch(Duration::ZERO));
}

fn set(local: &mut Local, service: ServiceInstance, checks: Vec<CheckSpec>) {
    let registration = Box::new(LocalService { service, checks, token: None, sidecar_of: None });
    apply(local, Change::SetService { registration, source: Source::Api, replace_checks: true });
}

fn web(local: &mut Local, checks: &[(&str, Probe)]) {
    let specs = checks.iter().map(|(id, probe)| spec(id, "web", probe.clone())).collect();
    set(local, instance("web", "web"), specs);
}

/// A sidecar of `web` that exposes its checks, or does not.
fn sidecar(id: &str, checks: bool) -> ServiceInstance {
    let mut proxy = ProxyConfig { destination_service_id: Some(service_id("web")), ..ProxyConfig::default() };
    proxy.expose = Some(Box::new(Expose { checks, paths: vec![] }));
    ServiceInstance { kind: ServiceKind::ConnectProxy, proxy: Some(proxy), ..instance(id, "web-proxy") }
}

/// Where each check runs that has to run anew.
fn rerun(local: &mut Local) -> Vec<(String, Option<String>)> {
    let all = local.take_rerun();
    all.into_iter().map(|(id, plan)| (id.to_string(), plan.and_then(|plan| plan.via))).collect()
}

fn via(id: &str, at: Option<&str>) -> (String, Option<String>) {
    (id.to_owned(), at.map(str::to_owned))
}

/// What the proxy is told: port, path, port of the service, protocol.
fn told(local: &Local, proxy: &str) -> Vec<(u16, String, u16, String)> {
    let expose = local.proxy(&service_id(proxy)).unwrap().proxy.unwrap().expose.unwrap();
    let told = |path: ExposedPath| {
        assert!(path.parsed_from_check);
        (path.listener_port, path.path, path.local_path_port, path.protocol)
    };
    expose.paths.into_iter().map(told).collect()
}

#[test]
fn checks_go_through_the_sidecar_while_it_exposes_them() {
    let mut local = local(21_500..=21_755);
    web(
        &mut local,
        &[
            ("a", http("http://127.0.0.1:8080/health?deep=1")),
            ("b", grpc("127.0.0.1:9000", None)),
            ("c", http("http://localhost")),
        ],
    );
    rerun(&mut local);
    set(&mut local, sidecar("p", true), vec![]);
    let through = [
        via("a", Some("127.0.0.1:21500")),
        via("b", Some("127.0.0.1:21501")),
        via("c", Some("127.0.0.1:21502")),
    ];
    assert_eq!(rerun(&mut local), through);
    let path = |port, path: &str, of, protocol: &str| (port, path.to_owned(), of, protocol.to_owned());
    let expected = [
        path(21_500, "/health", 8080, "http"),
        path(21_501, GRPC_HEALTH, 9000, "http2"),
        path(21_502, "/", 80, "http"),
    ];
    assert_eq!(told(&local, "p"), expected);
    // Registered again without it: they run directly.
    set(&mut local, sidecar("p", false), vec![]);
    assert_eq!(rerun(&mut local), [via("a", None), via("b", None), via("c", None)]);
    assert!(told(&local, "p").is_empty());
    set(&mut local, sidecar("p", true), vec![]);
    assert_eq!(rerun(&mut local), through);
    apply(&mut local, Change::RemoveService(service_id("p")));
    assert_eq!(rerun(&mut local), [via("a", None), via("b", None), via("c", None)]);
}

#[test]
fn what_is_not_asked_in_clear_over_http_or_grpc_runs_directly() {
    let mut local = local(21_500..=21_755);
    let tcp = Probe::Tcp { address: "127.0.0.1:8080".to_owned(), tls: None, every: EVERY };
    let h2ping = Probe::H2ping { address: "127.0.0.1:8080".to_owned(), tls: None, every: EVERY };
    web(
        &mut local,
        &[
            ("a", tcp),
            ("b", h2ping),
            ("c", http("https://127.0.0.1:8443/")),
            ("d", grpc("127.0.0.1:9000", Some(CheckTls::default()))),
            ("e", http("not a url")),
            ("f", grpc("nowhere", None)),
        ],
    );
    set(&mut local, sidecar("p", true), vec![]);
    assert!(rerun(&mut local).iter().all(|(_, via)| via.is_none()));
    assert!(told(&local, "p").is_empty());
}

#[test]
fn a_check_keeps_its_port_and_a_new_one_gets_the_lowest_free_one() {
    let mut local = local(21_500..=21_502);
    let (one, two) = (http("http://127.0.0.1:1/"), http("http://127.0.0.1:2/"));
    set(&mut local, sidecar("p", true), vec![]);
    web(&mut local, &[("m", one.clone()), ("n", two.clone())]);
    let ports = |local: &Local| told(local, "p").into_iter().map(|(port, ..)| port).collect::<Vec<_>>();
    assert_eq!(ports(&local), [21_500, 21_501]);
    let version = |local: &Local| local.services[&service_id("p")].version;
    let before = version(&local);
    // A check that comes first by its id moves no other one.
    web(&mut local, &[("a", one.clone()), ("m", one.clone()), ("n", two.clone())]);
    assert_eq!(ports(&local), [21_502, 21_500, 21_501]);
    assert!(version(&local) > before, "the proxy is told");
    web(&mut local, &[("a", one.clone()), ("n", two.clone())]);
    web(&mut local, &[("a", one.clone()), ("n", two), ("z", one)]);
    assert_eq!(ports(&local), [21_502, 21_501, 21_500]);
    // Nothing changed: nobody is told, and nothing runs anew for it.
    let before = version(&local);
    local.take_rerun();
    local.follow_exposed();
    assert_eq!((version(&local), local.take_rerun().len()), (before, 0));
}

#[test]
fn ports_are_bounded_and_not_those_that_the_proxy_has() {
    let mut local = local(21_500..=21_502);
    let all: Vec<(&str, Probe)> =
        ["a", "b", "c", "d"].map(|id| (id, http("http://127.0.0.1:1/"))).into_iter().collect();
    web(&mut local, &all);
    let mut own = sidecar("p", true);
    let stated = ExposedPath {
        listener_port: 21_501,
        path: "/own".to_owned(),
        local_path_port: 1,
        ..ExposedPath::default()
    };
    own.proxy.as_mut().unwrap().expose.as_mut().unwrap().paths.push(stated);
    set(&mut local, own, vec![]);
    let expected = [
        via("a", Some("127.0.0.1:21500")),
        via("b", Some("127.0.0.1:21502")),
        via("c", None),
        via("d", None),
    ];
    assert_eq!(rerun(&mut local), expected);
    // What is free again is given out again.
    apply(&mut local, Change::RemoveService(service_id("web")));
    set(&mut local, sidecar("p", true), vec![]);
    web(&mut local, &all);
    assert_eq!(told(&local, "p").len(), 3);
}

#[test]
fn a_range_that_is_off_exposes_nothing() {
    let mut local = local(RangeInclusive::new(1, 0));
    web(&mut local, &[("a", http("http://127.0.0.1:1/"))]);
    set(&mut local, sidecar("p", true), vec![]);
    assert_eq!(rerun(&mut local), [via("a", None)]);
}

#[test]
fn the_proxy_is_reached_where_it_listens() {
    let at = |bind: Option<&str>, address: &str| {
        let mut local = local(21_500..=21_755);
        web(&mut local, &[("a", http("http://127.0.0.1:1/"))]);
        let mut own = ServiceInstance { address: address.to_owned(), ..sidecar("p", true) };
        let config = &mut own.proxy.as_mut().unwrap().config;
        config.extend(bind.map(|bind| ("bind_address".to_owned(), bind.into())));
        set(&mut local, own, vec![]);
        rerun(&mut local).remove(0).1.unwrap()
    };
    assert_eq!(at(None, ""), "127.0.0.1:21500");
    assert_eq!(at(None, "10.0.0.7"), "10.0.0.7:21500");
    assert_eq!(at(Some("0.0.0.0"), "10.0.0.7"), "10.0.0.7:21500");
    assert_eq!(at(Some("127.0.0.2"), "10.0.0.7"), "127.0.0.2:21500");
    assert_eq!(at(Some("::"), "fd00::7"), "[fd00::7]:21500");
}
