//! `connect ca …`.

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
    refuse(&["connect", "ca", "set-config"], 1, "-config-file is needed");
    let (_b, list) = file("ca.json", "[1]");
    refuse(&["connect", "ca", "set-config", "-config-file", &list], 1, "ca.json:1:");
}
