//! Tests of the gateways of services and of exports: what they may say, alone and beside what is kept.

use concord_mesh::entry::{Change, check_graph};
use concord_model::entry::Entry;
use serde_json::{Value, json};

use crate::defaults::Kept;
use crate::kinds::{check, entry, told};

const INGRESS: &str = "ingress-gateway";
const TERMINATING: &str = "terminating-gateway";
const EXPORTS: &str = "exported-services";

/// A gateway with one listener for requests, which has these members, too.
fn http(more: Value) -> Value {
    let mut listener = json!({ "port": 8080, "protocol": "http", "services": [{ "name": "web" }] });
    listener.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "listeners": [listener] })
}

/// The same with one service, which has these members, too.
fn service(more: Value) -> Value {
    let mut service = json!({ "name": "web" });
    service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    http(json!({ "services": [service] }))
}

fn tcp(services: Value) -> Value {
    http(json!({ "protocol": "", "services": services }))
}

fn with_tls(mut gateway: Value, tls: Value) -> Value {
    gateway["tls"] = tls;
    gateway
}

#[test]
fn what_an_ingress_gateway_says_wrongly_is_told_by_its_field() {
    check(INGRESS, json!({}), &[]);
    check(INGRESS, http(json!({})), &[]);
    check(INGRESS, tcp(json!([{ "name": "db" }])), &[]);
    check(INGRESS, http(json!({ "services": [{ "name": "*" }, { "name": "web" }] })), &[]);
    told(INGRESS, "*", json!({}), &["Name must be the name of a service, and not a wildcard"]);
    let two =
        json!([{ "port": 1, "services": [{ "name": "a" }] }, { "port": 1, "services": [{ "name": "b" }] }]);
    check(INGRESS, json!({ "listeners": two }), &["Listeners[1].Port 1 is declared on two listeners"]);
    check(INGRESS, http(json!({ "port": 0 })), &["Listeners[0].Port is not a port"]);
    check(
        INGRESS,
        http(json!({ "services": [] })),
        &["Listeners[0].Services must hold at least one service"],
    );
    let at = "Listeners[0].Services";
    let two = json!([{ "name": "a" }, { "name": "b" }]);
    check(INGRESS, tcp(two), &[&format!("{at} hold more than one service, which is only supported for L7")]);
    check(INGRESS, tcp(json!([{ "name": "*" }])), &[&format!("{at}[0].Name must be the name of a service")]);
    let hosts = json!([{ "name": "db", "hosts": ["db.example.com"] }]);
    check(INGRESS, tcp(hosts), &[&format!("{at}[0].Hosts is only valid for http, http2 and grpc")]);
    for name in ["request_headers", "response_headers"] {
        let changed = json!([{ "name": "db", name: { "remove": ["x"] } }]);
        let field = if name == "request_headers" { "RequestHeaders" } else { "ResponseHeaders" };
        check(INGRESS, tcp(changed), &[&format!("{at}[0].{field} is only valid for http, http2 and grpc")]);
        check(INGRESS, tcp(json!([{ "name": "db", name: {} }])), &[]);
        let changed = service(json!({ name: { "set": { "": "x" } } }));
        check(INGRESS, changed, &[&format!("{at}[0].{field}.Set key is required")]);
        let changed = service(json!({ name: { "remove": [""] } }));
        check(INGRESS, changed, &[&format!("{at}[0].{field}.Remove[0] is required")]);
    }
    check(INGRESS, service(json!({ "name": "" })), &[&format!("{at}[0].Name is required")]);
    let hosts = service(json!({ "name": "*", "hosts": ["a"] }));
    check(INGRESS, hosts, &[&format!("{at}[0].Hosts cannot be associated to a wildcard service")]);
    let twice = http(json!({ "services": [{ "name": "web" }, { "name": "web" }] }));
    check(INGRESS, twice, &[&format!("{at}[1].Name defines \"web\" more than once")]);
    let hosts =
        http(json!({ "services": [{ "name": "a", "hosts": ["x"] }, { "name": "b", "hosts": ["x"] }] }));
    check(INGRESS, hosts, &[&format!("{at}[1].Hosts[0] \"x\" stands twice; hosts must be unique")]);
    for good in ["*", "*.example.com", "a.example.com", "a_b", "a.", "EXAMPLE.com"] {
        check(INGRESS, service(json!({ "hosts": [good] })), &[]);
    }
    for bad in ["", "a..b", "a b", "-/", ".a", "a.b.."] {
        let text = format!("{at}[0].Hosts[0] {bad:?} must be a valid DNS hostname");
        check(INGRESS, service(json!({ "hosts": [bad] })), &[&text]);
    }
    for bad in ["a.*.b", "a.*", "*a.b", "**", "*.*.a"] {
        let text = format!("{at}[0].Hosts[0] {bad:?} is not valid, a wildcard specifier is only allowed");
        check(INGRESS, service(json!({ "hosts": [bad] })), &[&text]);
    }
    let every = with_tls(service(json!({ "hosts": ["*"] })), json!({ "enabled": true }));
    check(INGRESS, every, &[&format!("{at}[0].Hosts \"*\" is not allowed when TLS is enabled")]);
    for more in [json!({ "namespace": "n" }), json!({ "partition": "p" })] {
        check(INGRESS, service(more), &[&format!("{at}[0] names another namespace or partition")]);
    }
    let health = |more: Value| service(json!({ "passive_health_check": more }));
    let text = format!("{at}[0].PassiveHealthCheck.MaxEjectionPercent must be a percentage");
    check(INGRESS, health(json!({ "max_ejection_percent": 101 })), &[&text]);
    check(
        INGRESS,
        health(json!({ "interval": -1 })),
        &[&format!("{at}[0].PassiveHealthCheck.Interval cannot")],
    );
    let defaults = json!({ "defaults": { "passive_health_check": { "enforcing_consecutive_5xx": 101 } } });
    check(INGRESS, defaults, &["Defaults.PassiveHealthCheck.EnforcingConsecutive5xx must be a percentage"]);
    let meta = service(json!({ "meta": { "": "x" } }));
    check(INGRESS, meta, &[&format!("{at}[0].Meta key \"\" is required")]);
    let hosts: Vec<_> = (0..1025).map(|i| format!("h{i}")).collect();
    check(
        INGRESS,
        service(json!({ "hosts": hosts })),
        &[&format!("{at}[0].Hosts exceeds maximum element count")],
    );
}

#[test]
fn what_an_ingress_gateway_says_wrongly_of_tls_is_told_by_its_field() {
    let versions = json!({ "tls_min_version": "TLSv1_3", "tls_max_version": "TLSv1_2" });
    check(
        INGRESS,
        json!({ "tls": versions }),
        &["TLS.TLSMaxVersion TLSv1_2 is below the minimum version TLSv1_3"],
    );
    check(INGRESS, http(json!({ "tls": versions })), &["Listeners[0].TLS.TLSMaxVersion TLSv1_2 is below"]);
    let suites =
        json!({ "tls_min_version": "TLSv1_3", "cipher_suites": ["TLS_RSA_WITH_AES_128_GCM_SHA256"] });
    check(INGRESS, json!({ "tls": suites }), &["TLS.CipherSuites are only for TLS 1.2 and before"]);
    check(
        INGRESS,
        json!({ "tls": { "cipher_suites": ["AES"] } }),
        &["TLS.CipherSuites[0] \"AES\" is no cipher suite"],
    );

    let (cluster, resource) = (json!({ "cluster_name": "c" }), json!({ "cert_resource": "r" }));
    let both = json!({ "cluster_name": "c", "cert_resource": "r" });
    let sds = |sds: &Value| json!({ "sds": sds });
    let no_cluster = |at: &str| format!("{at}TLS.SDS.ClusterName is required if CertResource is set");
    let no_resource = |at: &str| format!("{at}TLS.SDS.CertResource is required if ClusterName is set");
    check(INGRESS, with_tls(http(json!({})), sds(&both)), &[]);
    check(INGRESS, with_tls(http(json!({})), sds(&resource)), &[&no_cluster("")]);
    check(INGRESS, with_tls(http(json!({})), sds(&cluster)), &[&no_resource("")]);
    check(INGRESS, with_tls(http(json!({ "tls": sds(&resource) })), sds(&cluster)), &[]);
    check(INGRESS, http(json!({ "tls": sds(&cluster) })), &[&no_resource("Listeners[0].")]);
    check(INGRESS, http(json!({ "tls": sds(&resource) })), &[&no_cluster("Listeners[0].")]);
    let at = "Listeners[0].Services[0].";
    let own = |sds: &Value| service(json!({ "hosts": ["a"], "tls": { "sds": sds } }));
    check(INGRESS, own(&both), &[]);
    check(INGRESS, own(&resource), &[&no_cluster(at)]);
    check(INGRESS, with_tls(own(&resource), sds(&both)), &[]);
    let without = service(json!({ "tls": { "sds": both } }));
    check(INGRESS, without, &["Listeners[0].Services[0].Hosts must have at least one host"]);
}

#[test]
fn what_a_terminating_gateway_says_wrongly_is_told_by_its_field() {
    let one = |own: Value| json!({ "services": [own] });
    check(TERMINATING, json!({}), &[]);
    check(TERMINATING, one(json!({ "name": "*" })), &[]);
    check(TERMINATING, one(json!({ "name": "db", "ca_file": "/ca", "sni": "db" })), &[]);
    check(TERMINATING, one(json!({ "name": "" })), &["Services[0].Name is required"]);
    let twice = json!({ "services": [{ "name": "db" }, { "name": "db" }] });
    check(TERMINATING, twice, &["Services[1].Name defines \"db\" more than once"]);
    for files in [
        json!({ "name": "db", "cert_file": "/c" }),
        json!({ "name": "db", "key_file": "/k" }),
        json!({ "name": "db", "cert_file": "/c", "key_file": "/k" }),
        json!({ "name": "db", "cert_file": "/c", "ca_file": "/a" }),
    ] {
        check(TERMINATING, one(files), &["Services[0] must have a CertFile, CAFile, and KeyFile specified"]);
    }
    check(
        TERMINATING,
        one(json!({ "name": "db", "namespace": "n" })),
        &["Services[0] names another namespace"],
    );
    for (key, field) in [("ca_file", "CAFile"), ("sni", "SNI")] {
        let long = one(json!({ "name": "db", key: "x".repeat(8193) }));
        check(TERMINATING, long, &[&format!("Services[0].{field} exceeds maximum length 8192")]);
    }
    let many: Vec<_> = (0..4097).map(|i| json!({ "name": format!("s{i}") })).collect();
    check(TERMINATING, json!({ "services": many }), &["Services exceeds maximum element count 4096"]);
    told(TERMINATING, "*", json!({}), &["Name must be the name of a service, and not a wildcard"]);
}

#[test]
fn what_exports_say_wrongly_is_told_by_its_field() {
    let told = |said: Value, expected: &[&str]| told(EXPORTS, "default", said, expected);
    let one = |own: Value| json!({ "services": [own] });
    let to = |consumer: Value| one(json!({ "name": "web", "consumers": [consumer] }));
    told(json!({}), &[]);
    told(one(json!({ "name": "*", "consumers": [{ "peer": "east" }] })), &[]);
    told(to(json!({ "peer": "east", "partition": "default" })), &[]);
    told(one(json!({ "consumers": [{ "peer": "east" }] })), &["Services[0].Name is required"]);
    told(one(json!({ "name": "web" })), &["Services[0].Consumers must hold at least one consumer"]);
    told(to(json!({})), &["Services[0].Consumers[0].Peer is required"]);
    let other = to(json!({ "peer": "east", "partition": "p" }));
    told(other, &["Services[0].Consumers[0].Partition is about partitions, a feature of Consul Enterprise"]);
    let group = to(json!({ "peer": "east", "sameness_group": "g" }));
    told(
        group,
        &["Services[0].Consumers[0].SamenessGroup is about sameness groups, a feature of Consul Enterprise"],
    );
    let other = one(json!({ "name": "web", "namespace": "n", "consumers": [{ "peer": "east" }] }));
    told(other, &["Services[0].Namespace names another namespace"]);
    crate::kinds::told(
        EXPORTS,
        "mine",
        json!({}),
        &[r#"Name "mine" is invalid; only "default" is supported"#],
    );
}

fn gateway(kind: &str, said: Value) -> Entry {
    entry(kind, "edge", said)
}

fn speaking(name: &str, protocol: &str) -> Entry {
    entry("service-defaults", name, json!({ "protocol": protocol }))
}

#[test]
fn n_191_two_gateways_have_two_names() {
    for (own, other) in [(INGRESS, TERMINATING), (TERMINATING, INGRESS)] {
        let kept = Kept::default().with(gateway(other, json!({})));
        let text = format!(
            "cannot create a {own:?} config entry with name \"edge\", a {other:?} config entry with that name already exists"
        );
        kept.refuses(&gateway(own, json!({})), &text);
        assert_eq!(kept.asked(&gateway(other, json!({}))), Ok(()));
        assert_eq!(kept.asked(&entry(own, "other", json!({}))), Ok(()));
        let removal = Change { name: &gateway(own, json!({})).name(), to: None };
        assert_eq!(check_graph(&kept, removal), Ok(()));
    }
}

#[test]
fn n_192_a_service_behind_a_listener_has_its_protocol() {
    let text = r#"service "web" has protocol "tcp", which does not match defined listener protocol "http""#;
    let http = gateway(INGRESS, http(json!({})));
    Kept::default().refuses(&http, text);
    let text = text.replace("\"tcp\"", "\"grpc\"");
    Kept::default().with(speaking("web", "grpc")).refuses(&http, &text);
    let bytes = gateway(INGRESS, tcp(json!([{ "name": "web" }])));
    let text = r#"service "web" has protocol "http", which does not match defined listener protocol "tcp""#;
    Kept::default().with(speaking("web", "http")).refuses(&bytes, text);
    let kept = Kept::default().with(speaking("web", "http")).takes(http);
    let text = r#"service "web" has protocol "http2", which does not match defined listener protocol "http""#;
    kept.refuses(&speaking("web", "http2"), text);
    let removal = Change { name: &speaking("web", "").name(), to: None };
    assert!(check_graph(&kept, removal).is_err());
    let all =
        |protocol: &str| entry("proxy-defaults", "global", json!({ "config": { "protocol": protocol } }));
    let kept = kept.takes(all("http"));
    assert_eq!(check_graph(&kept, removal), Ok(()));
    let kept = Kept(kept.0.into_iter().filter(|(name, _)| *name != *removal.name).collect());
    kept.refuses(&all("tcp"), r#"service "web" has protocol "tcp""#);
    // A listener for bytes takes every service, unless the gateway is written.
    let kept = Kept::default().takes(bytes).takes(speaking("web", "http"));
    assert_eq!(kept.asked(&speaking("other", "grpc")), Ok(()));
    // All services of a protocol are not looked for one by one.
    let every = gateway(INGRESS, service(json!({ "name": "*" })));
    Kept::default().takes(every);
}
