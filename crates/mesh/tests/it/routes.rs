//! Tests of API gateways, routes and certificates: what they may say.

use serde_json::{Value, json};

use crate::kinds::{check, entry, told};

const GATEWAY: &str = "api-gateway";
const HTTP: &str = "http-route";
const TCP: &str = "tcp-route";

/// A gateway with one listener, which has these members, too.
fn gateway(more: Value) -> Value {
    json!({ "listeners": [listener(more)] })
}

fn listener(more: Value) -> Value {
    let mut listener = json!({ "name": "web", "port": 8080, "protocol": "http" });
    listener.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    listener
}

#[test]
fn what_an_api_gateway_says_wrongly_is_told_by_its_field() {
    check(GATEWAY, gateway(json!({})), &[]);
    check(GATEWAY, json!({}), &["Listeners must hold at least one listener"]);
    for good in ["a", "a-b", "a.b-c.d", "0"] {
        check(GATEWAY, gateway(json!({ "name": good })), &[]);
    }
    for bad in ["", "A", "-a", "a-", "a..b", ".a", "a_b", "a b"] {
        check(GATEWAY, gateway(json!({ "name": bad })), &[&format!("Listeners[0].Name {bad:?} is invalid")]);
    }
    let two = |a: Value, b: Value| json!({ "listeners": [listener(a), listener(b)] });
    let names = two(json!({}), json!({ "port": 1 }));
    check(GATEWAY, names, &["Listeners[1].Name defines \"web\" more than once"]);
    check(GATEWAY, two(json!({}), json!({ "name": "b" })), &[]);
    let text = "Listeners[1].Port is the port of listener \"web\", too, and they cannot be merged";
    check(GATEWAY, two(json!({}), json!({ "name": "b", "hostname": "x" })), &[text]);
    check(GATEWAY, two(json!({}), json!({ "name": "b", "protocol": "tcp" })), &[text]);
    let host = json!({ "protocol": "tcp", "hostname": "x" });
    check(GATEWAY, gateway(host), &["Listeners[0].Hostname is only valid for http"]);
    check(GATEWAY, gateway(json!({ "hostname": "*.example.com" })), &[]);
    for bad in ["a.*", "*a", "*"] {
        let text =
            format!("Listeners[0].Hostname {bad:?} is not valid, a wildcard specifier is only allowed");
        check(GATEWAY, gateway(json!({ "hostname": bad })), &[&text]);
    }
    check(
        GATEWAY,
        gateway(json!({ "hostname": "a b" })),
        &["Listeners[0].Hostname \"a b\" must be a valid DNS"],
    );
    check(GATEWAY, gateway(json!({ "port": 0 })), &["Listeners[0].Port is not a port"]);
    check(GATEWAY, gateway(json!({ "protocol": "" })), &["Listeners[0].Protocol is neither http nor tcp"]);
    let tls = |tls: Value| gateway(json!({ "tls": tls }));
    let at = "Listeners[0].TLS";
    let kind = json!({ "certificates": [{ "kind": "mesh", "name": "own" }] });
    check(
        GATEWAY,
        tls(kind),
        &[&format!("{at}.Certificates[0].Kind is \"mesh\", must be 'file-system-certificate'")],
    );
    check(
        GATEWAY,
        tls(json!({ "certificates": [{}] })),
        &[&format!("{at}.Certificates[0].Name is required")],
    );
    let twice = json!({ "certificates": [{ "name": "a" }, { "kind": "inline-certificate", "name": "a" }] });
    check(GATEWAY, tls(twice), &[&format!("{at}.Certificates[1] names inline-certificate \"a\" twice")]);
    let versions = json!({ "min_version": "TLSv1_3", "max_version": "TLSv1_2" });
    check(GATEWAY, tls(versions), &[&format!("{at}.MaxVersion TLSv1_2 is below the minimum version")]);
    check(
        GATEWAY,
        tls(json!({ "cipher_suites": ["x"] })),
        &[&format!("{at}.CipherSuites[0] \"x\" is no cipher")],
    );
    for (key, field) in [("override", "Override"), ("default", "Default")] {
        let text =
            format!("Listeners[0].{field} is about tokens at API gateways, a feature of Consul Enterprise");
        check(GATEWAY, gateway(json!({ key: { "JWT": {} } })), &[&text]);
    }
    check(
        GATEWAY,
        json!({ "listeners": [listener(json!({}))], "tls": { "enabled": false, "sds": null } }),
        &[],
    );
    check(
        GATEWAY,
        json!({ "listeners": [], "tls": { "enabled": true } }),
        &["TLS is about TLS of all listeners", "Listeners"],
    );
    let other = tls(json!({ "certificates": [{ "name": "a", "namespace": "n" }] }));
    check(GATEWAY, other, &[&format!("{at}.Certificates[0] names another namespace")]);
    told(GATEWAY, "*", gateway(json!({})), &["Name must be the name of a service, and not a wildcard"]);
}

fn rule(more: Value) -> Value {
    json!({ "rules": [more] })
}

fn condition(more: Value) -> Value {
    rule(json!({ "matches": [more] }))
}

#[test]
fn what_a_route_for_requests_says_wrongly_is_told_by_its_field() {
    check(HTTP, json!({}), &[]);
    check(HTTP, rule(json!({ "services": [{ "name": "web" }] })), &[]);
    parents(HTTP);
    check(HTTP, json!({ "hostnames": ["a.example.com"] }), &[]);
    for bad in ["*", "*.example.com", "a.*"] {
        check(
            HTTP,
            json!({ "hostnames": [bad] }),
            &[&format!("Hostnames[0] {bad:?} must not be a wildcard")],
        );
    }
    check(HTTP, json!({ "hostnames": ["a b"] }), &["Hostnames[0] \"a b\" must be a valid DNS hostname"]);
    let at = "Rules[0].Matches[0]";
    check(HTTP, condition(json!({ "method": "get" })), &[]);
    check(
        HTTP,
        condition(json!({ "method": "FETCH" })),
        &[&format!("{at}.Method contains an invalid method")],
    );
    for comparison in ["exact", "prefix"] {
        let path = json!({ "path": { "match": comparison, "value": "a" } });
        check(HTTP, condition(path), &[&format!("{at}.Path.Value doesn't start with '/'")]);
    }
    check(HTTP, condition(json!({ "path": { "match": "regex", "value": ".*" } })), &[]);
    check(
        HTTP,
        condition(json!({ "path": { "match": "regex" } })),
        &[&format!("{at}.Path.Value is required")],
    );
    let long = "a".repeat(1025);
    let regex = condition(json!({ "path": { "match": "regex", "value": long } }));
    check(HTTP, regex, &[&format!("{at}.Path.Value exceeds maximum length 1024")]);
    let text = format!("{at}.Headers[0].Match should be one of present, exact, prefix, suffix, or regex");
    check(HTTP, condition(json!({ "headers": [{ "name": "x" }] })), &[&text]);
    let header = json!({ "headers": [{ "match": "exact" }] });
    check(HTTP, condition(header), &[&format!("{at}.Headers[0].Name is required")]);
    let header = json!({ "headers": [{ "match": "regex", "name": "x", "value": long }] });
    check(HTTP, condition(header), &[&format!("{at}.Headers[0].Value exceeds maximum length 1024")]);
    let text = format!("{at}.Query[0].Match should be one of present, exact, or regex");
    check(HTTP, condition(json!({ "query": [{ "name": "x" }] })), &[&text]);
    let query = json!({ "query": [{ "match": "present" }] });
    check(HTTP, condition(query), &[&format!("{at}.Query[0].Name is required")]);
    let many = vec![json!({ "match": "present", "name": "x" }); 65];
    check(
        HTTP,
        condition(json!({ "headers": many })),
        &[&format!("{at}.Headers exceeds maximum element count 64")],
    );
    check(
        HTTP,
        condition(json!({ "query": many })),
        &[&format!("{at}.Query exceeds maximum element count 64")],
    );
    check(HTTP, json!({ "rules": vec![json!({}); 1025] }), &["Rules exceeds maximum element count 1024"]);
}

#[test]
fn what_a_route_does_wrongly_with_requests_is_told_by_its_field() {
    let places = [
        ("Rules[0]", rule as fn(Value) -> Value),
        ("Rules[0].Services[0]", |more: Value| {
            let mut service = json!({ "name": "web" });
            service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            rule(json!({ "services": [service] }))
        }),
    ];
    for (at, place) in places {
        let filters = |filters: Value| place(json!({ "filters": filters }));
        check(HTTP, filters(json!({ "headers": [{ "add": { "a": "b" } }] })), &[]);
        let changes = json!({ "headers": [{ "add": { "": "b" } }] });
        check(HTTP, filters(changes.clone()), &[&format!("{at}.Filters.Headers[0].Add key is required")]);
        let response = place(json!({ "response_filters": changes }));
        check(HTTP, response, &[&format!("{at}.ResponseFilters.Headers[0].Add key is required")]);
        let text =
            format!("{at}.Filters.JWT is about tokens at API gateways, a feature of Consul Enterprise");
        check(HTTP, filters(json!({ "jwt": { "Providers": [] } })), &[&text]);
        check(HTTP, filters(json!({ "ext_proc": [], "ext_authz": null })), &[]);
        let text =
            format!("{at}.Filters.ExtProc is about processors outside of the proxy, which is not available");
        check(HTTP, filters(json!({ "ext_proc": [{ "Mode": "x" }] })), &[&text]);
        let text =
            format!("{at}.Filters.ExtAuthz is about judges outside of the proxy, which is not available");
        check(HTTP, filters(json!({ "ext_authz": { "Enabled": false } })), &[&text]);
        for (key, field) in [("request_timeout", "RequestTimeout"), ("idle_timeout", "IdleTimeout")] {
            let text = format!("{at}.Filters.TimeoutFilter.{field} cannot be negative");
            check(HTTP, filters(json!({ "timeout_filter": { key: -1 } })), &[&text]);
        }
        let codes = filters(json!({ "retry_filter": { "retry_on_status_codes": [503, 600] } }));
        check(HTTP, codes, &[&format!("{at}.Filters.RetryFilter.RetryOnStatusCodes[1] is 600")]);
        let retry = filters(json!({ "retry_filter": { "retry_on": [""] } }));
        check(HTTP, retry, &[&format!("{at}.Filters.RetryFilter.RetryOn[0] is required")]);
        let path = filters(json!({ "url_rewrite": { "path": "a".repeat(8193) } }));
        check(HTTP, path, &[&format!("{at}.Filters.URLRewrite.Path exceeds maximum length 8192")]);
    }
    let services = |own: Value| rule(json!({ "services": [own] }));
    check(HTTP, services(json!({})), &["Rules[0].Services[0].Name is required"]);
    check(HTTP, services(json!({ "name": "a", "namespace": "n" })), &["Rules[0].Services[0] names another"]);
}

/// Both kinds of routes have parents alike.
#[track_caller]
fn parents(kind: &str) {
    check(kind, json!({ "parents": [{ "name": "edge" }, { "name": "edge", "section_name": "a" }] }), &[]);
    let other = json!({ "parents": [{ "kind": "ingress-gateway", "name": "edge" }] });
    check(kind, other, &["Parents[0].Kind is \"ingress-gateway\", must be 'api-gateway'"]);
    check(kind, json!({ "parents": [{}] }), &["Parents[0].Name is required"]);
    let twice = json!({ "parents": [{ "name": "edge" }, { "kind": "api-gateway", "name": "edge" }] });
    check(kind, twice, &["Parents[1] names api-gateway \"edge\" twice"]);
    check(kind, json!({ "parents": [{ "name": "e", "partition": "p" }] }), &["Parents[0] names another"]);
    let many: Vec<_> = (0..257).map(|i| json!({ "name": format!("g{i}") })).collect();
    check(kind, json!({ "parents": many }), &["Parents exceeds maximum element count 256"]);
    told(kind, "*", json!({}), &["Name must be the name of one entry, and not a wildcard"]);
}

#[test]
fn what_a_route_for_connections_says_wrongly_is_told_by_its_field() {
    parents(TCP);
    check(TCP, json!({ "services": [{ "name": "db" }] }), &[]);
    let two = json!({ "services": [{ "name": "a" }, { "name": "b" }] });
    check(TCP, two, &["Services hold 2 services; tcp-route currently only supports one service"]);
    check(TCP, json!({ "services": [{}] }), &["Services[0].Name is required"]);
    check(TCP, json!({ "services": [{ "name": "a", "partition": "p" }] }), &["Services[0] names another"]);
}

#[test]
fn what_certificates_lack_is_told_by_its_field() {
    for kind in ["file-system-certificate", "inline-certificate"] {
        check(kind, json!({ "certificate": "c", "private_key": "k" }), &[]);
        check(kind, json!({ "private_key": "k" }), &["Certificate is required"]);
        check(kind, json!({ "certificate": "c" }), &["PrivateKey is required"]);
        told(
            kind,
            "*",
            json!({ "certificate": "c", "private_key": "k" }),
            &["Name must be the name of one entry"],
        );
    }
    let long = "a".repeat(256 * 1024 + 1);
    let inline = |key: &str| json!({ "certificate": "c", "private_key": "k", key: long });
    check("inline-certificate", inline("certificate"), &["Certificate exceeds maximum length 262144"]);
    check("inline-certificate", inline("private_key"), &["PrivateKey exceeds maximum length 262144"]);
}

#[test]
fn n_193_a_private_key_is_printed_by_no_debug() {
    let own = entry("inline-certificate", "one", json!({ "certificate": "c", "private_key": "canary" }));
    assert!(!format!("{own:?}").contains("canary"));
}
