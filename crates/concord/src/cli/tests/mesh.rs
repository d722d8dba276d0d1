//! Tests of `connect ca …`, and of what `connect proxy` refuses before it sends a request.

use super::{Bench, check, file, refuse};

#[test]
fn the_ca_configuration_is_printed_as_json() {
    let answer = r#"{"Provider":"consul","Config":{"LeafCertTTL":"72h"},"State":null,
        "ForceWithoutCrossSigning":false,"CreateIndex":5,"ModifyIndex":5}"#;
    let ran = Bench::answering(answer).run(&["connect", "ca", "get-config"]);
    assert_eq!((ran.code, ran.asked), (0, vec!["GET /v1/connect/ca/configuration".to_owned()]));
    let printed: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(printed["Config"]["LeafCertTTL"], "72h");
    assert_eq!(printed["State"], serde_json::Value::Null);
}

#[test]
fn the_ca_configuration_is_set_from_a_file() {
    let (_a, path) = file("ca.json", r#"{"Provider":"consul","Config":{"LeafCertTTL":"24h"}}"#);
    let sent = r#"PUT /v1/connect/ca/configuration {"Provider":"consul","Config":{"LeafCertTTL":"24h"}"#;
    let ran = Bench::answering("").run(&["connect", "ca", "set-config", "-config-file", &path]);
    check(&ran, &[&format!("{sent}}}")], "Configuration updated!\n");
    let words = ["connect", "ca", "set-config", "-force-without-cross-signing", "-config-file", &path];
    let ran = Bench::answering("").run(&words);
    check(&ran, &[&format!(r#"{sent},"ForceWithoutCrossSigning":true}}"#)], "Configuration updated!\n");
    let words = ["connect", "ca", "set-config", "-force-without-oldest-root", "-config-file", &path];
    let ran = Bench::answering("").run(&words);
    check(&ran, &[&format!(r#"{sent},"ForceWithoutOldestRoot":true}}"#)], "Configuration updated!\n");
    refuse(&["connect", "ca", "set-config"], 1, "-config-file is needed");
    let (_b, list) = file("ca.json", "[1]");
    refuse(&["connect", "ca", "set-config", "-config-file", &list], 1, "ca.json:1:");
}

#[track_caller]
fn proxy_refused(flags: &[&str], message: &str) {
    let words: Vec<&str> = ["connect", "proxy"].iter().chain(flags).copied().collect();
    refuse(&words, 1, message);
}

#[test]
fn a_proxy_is_named_once_or_described() {
    proxy_refused(&[], "one of -sidecar-for, -proxy-id and -service is needed");
    proxy_refused(&["-sidecar-for=web", "-service=web"], "only one of -sidecar-for, -proxy-id and -service");
    proxy_refused(&["-sidecar-for=web", "-upstream=db:9191"], "-upstream describes a proxy of -service");
    proxy_refused(
        &["-proxy-id=web-proxy", "-listen=:8443"],
        "leave -listen out, and change the registration",
    );
    proxy_refused(&["-proxy-id=web-proxy", "-register"], "the one that -proxy-id names has a registration");
}

#[test]
fn what_cannot_be_described_is_refused_with_its_flag_and_the_remedy() {
    let described = |flags: &[&str], message: &str| {
        let words: Vec<&str> = ["-service=web"].iter().chain(flags).copied().collect();
        proxy_refused(&words, message);
    };
    described(&[], "add -upstream to connect the service to another one, or -listen and -service-addr");
    described(&["-listen=:8443"], "-listen needs -service-addr");
    described(
        &["-service-addr=127.0.0.1:8080", "-upstream=db:9191"],
        "add -listen, or leave -service-addr out",
    );
    described(&["-register-id=a", "-upstream=db:9191"], "-register-id names a registration: add -register");
    let listening =
        |listen: &str, message: &str| described(&["-service-addr=127.0.0.1:8080", listen], message);
    listening("-listen=8443", "-listen: expected address:port");
    listening("-listen=:0", "-listen: expected address:port with a port from 1 to 65535");
    listening("-listen=localhost:8443", "-listen: \"localhost\" is no IP address");
    described(&["-listen=:8443", "-service-addr=127.0.0.1:http"], "-service-addr: expected address:port");
    described(&["-upstream=db"], "-upstream: expected name:[address:]port");
    described(&["-upstream=db:0"], "-upstream: expected name:[address:]port");
    described(&["-upstream=d/b:9191"], "-upstream: ");
    described(&["-upstream=db:9191", "-upstream=db:9192"], "-upstream: upstream db is there twice");
    described(
        &["-upstream=db:9191", "-upstream=api:9191"],
        "127.0.0.1:9191 of upstream api is taken by upstream db",
    );
    described(
        &["-upstream=geo.query:9191"],
        "not available yet: prepared-query upstreams (-upstream geo.query:…); name a service",
    );
    // A service may be marked as one by its type.
    for typed in ["-upstream=db.service:9192", "-upstream=db.:9192"] {
        described(&["-upstream=db:9191", typed], "-upstream: upstream db is there twice");
    }
    described(&["-upstream=db.node:9191"], "the type \"node\" is neither service nor query");
    proxy_refused(&["-service=a/b", "-upstream=db:9191"], "-service: ");
}

#[test]
fn a_registration_needs_where_others_find_it() {
    let register = |flags: &[&str], message: &str| {
        let words: Vec<&str> = ["-service=web", "-register"].iter().chain(flags).copied().collect();
        proxy_refused(&words, message);
    };
    register(&["-upstream=db:9191"], "-register needs -listen: others find the proxy there");
    register(&["-listen=:8443"], "-register needs -service-addr");
}
