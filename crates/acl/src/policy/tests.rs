//! Tests of reading rules, and of rules that are refused.

use super::{Fault, POLICY_BYTES_MAX, Policy, PolicyError, Rule};
use crate::right::{Grant, Labelled, Level, Scalar};

/// The rules, one in each line.
fn shown(policy: &Policy) -> String {
    let line = |rule: &Rule| match rule {
        Rule::Whole { resource, grant } => format!("{} {}", resource.as_str(), grant.as_str()),
        Rule::Names { resource, scope, grant } => {
            format!("{} {scope:?} {}", resource.as_str(), grant.as_str())
        }
    };
    policy.rules().iter().map(line).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(rules: &str, expected: &[&str]) {
    let policy = Policy::parse(rules).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(shown(&policy), expected.join("\n"));
}

#[track_caller]
fn check_refused(rules: &str, expected: &[&str]) {
    match Policy::parse(rules) {
        Err(PolicyError::Rules(faults)) => {
            assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
        }
        other => panic!("expected faults, got {other:?}"),
    }
}

#[test]
fn every_resource_is_understood() {
    check("", &[]);
    check(
        "acl = \"read\" operator = \"write\" mesh = \"deny\" peering = \"read\" keyring = \"write\"",
        &["acl read", "operator write", "mesh deny", "peering read", "keyring write"],
    );
    for resource in ["agent", "event", "key", "node", "query", "service", "session"] {
        let text = format!(
            "{resource} \"a\" {{ policy = \"read\" }}\n{resource}_prefix \"\" {{ policy = \"deny\" }}"
        );
        let lines = [format!("{resource} Exact(\"a\") read"), format!("{resource} Prefix(\"\") deny")];
        check(&text, &lines.each_ref().map(String::as_str));
    }
}

#[test]
fn services_carry_intentions_and_keys_have_list() {
    check(
        "service \"web\" { policy = \"write\" intentions = \"read\" }",
        &["service Exact(\"web\") write", "intention Exact(\"web\") read"],
    );
    check("key_prefix \"a/\" { policy = \"list\" }", &["key Prefix(\"a/\") list"]);
    check_refused(
        "node \"a\" { policy = \"list\" }",
        &["1:21: node.\"a\".policy: invalid level, expected one of deny, read, write"],
    );
    check_refused(
        "node \"a\" { policy = \"read\" intentions = \"read\" }",
        &["1:28: node.\"a\".intentions: unknown key"],
    );
}

#[test]
fn json_in_its_two_forms() {
    let rules = ["key Exact(\"a\") read", "key Exact(\"b\") write", "acl read"];
    check(r#"{"key":{"a":{"policy":"read"},"b":{"policy":"write"}},"acl":"read"}"#, &rules);
    check(r#"{"key":[{"a":[{"policy":"read"}]},{"b":{"policy":"write"}}],"acl":"read"}"#, &rules);
}

#[test]
fn n_68_duplicate_keys_are_refused() {
    check_refused("acl = \"read\"\nacl = \"write\"", &["2:1: acl: given more than once"]);
    check_refused(
        "key \"a\" { policy = \"deny\" }\nkey \"a\" { policy = \"write\" }",
        &["2:5: key.\"a\": given more than once"],
    );
    check_refused(
        "key \"a\" { policy = \"deny\" policy = \"write\" }",
        &["1:27: key.\"a\".policy: given more than once"],
    );
    check_refused(
        r#"{"service":{"w":{"policy":"deny"},"w":{"policy":"write"}}}"#,
        &["1:35: service.\"w\": given more than once"],
    );
    check_refused(
        r#"{"service":{"w":[{"policy":"deny"},{"policy":"write"}]}}"#,
        &["1:17: service.\"w\": expected an object with a policy"],
    );
    check(
        "key \"a\" { policy = \"deny\" }\nkey_prefix \"a\" { policy = \"deny\" }",
        &["key Exact(\"a\") deny", "key Prefix(\"a\") deny"],
    );
}

#[test]
fn n_68_unknown_keys_are_refused() {
    check_refused("services \"a\" { policy = \"read\" }", &["1:1: services: unknown key"]);
    check_refused(
        "service \"a\" { policy = \"read\" extra = 1 }",
        &["1:31: service.\"a\".extra: unknown key"],
    );
    check_refused(
        "service \"a\" \"b\" { policy = \"read\" }",
        &["1:13: service.\"a\".b: unknown key", "1:13: service.\"a\": the rule has no \"policy\""],
    );
}

#[test]
fn n_68_mixed_case_is_refused() {
    check_refused(
        "Service \"a\" { policy = \"read\" }",
        &["1:1: Service: unknown key, did you mean \"service\"?"],
    );
    check_refused(
        "service \"a\" { Policy = \"read\" policy = \"deny\" }",
        &["1:15: service.\"a\".Policy: unknown key, did you mean \"policy\"?"],
    );
    check_refused(
        "keyPrefix \"a\" { policy = \"read\" }",
        &["1:1: keyPrefix: unknown key, did you mean \"key_prefix\"?"],
    );
    check_refused("acl = \"Read\"", &["1:7: acl: invalid level, expected one of deny, read, write"]);
}

#[test]
fn n_68_ten_mebibytes_are_refused() {
    let rules = "# \n".repeat(10 * 1024 * 1024 / 3);
    assert!(matches!(Policy::parse(&rules), Err(PolicyError::TooLarge { size }) if size > POLICY_BYTES_MAX));
    assert!(Policy::parse(&"#".repeat(POLICY_BYTES_MAX)).is_ok());
}

#[test]
fn enterprise_parts_are_refused_by_name() {
    for field in ["namespace", "namespace_prefix", "partition", "partition_prefix"] {
        let text = format!("{field} \"a\" {{ key \"b\" {{ policy = \"read\" }} }}");
        let Err(PolicyError::Rules(faults)) = Policy::parse(&text) else { panic!("{field} was accepted") };
        assert_eq!(faults[0].fault, Fault::Enterprise { field });
    }
    let Err(error) = Policy::parse("key \"a\" { policy = \"write\" sentinel { code = \"x\" } }") else {
        panic!("accepted")
    };
    assert!(error.to_string().contains("\"sentinel\" is a Consul Enterprise feature"), "{error}");
}

#[test]
fn half_written_rules_are_refused() {
    check_refused("service \"a\" {}", &["1:13: service.\"a\": the rule has no \"policy\""]);
    check_refused(
        "service \"a\" { intentions = \"read\" }",
        &["1:13: service.\"a\": the rule has no \"policy\""],
    );
    check_refused(
        "service = \"read\"",
        &["1:11: service: expected a label and an object, such as service \"web\" { policy = \"read\" }"],
    );
    check_refused(
        "acl { policy = \"read\" }",
        &["1:5: acl: invalid level, expected one of deny, read, write"],
    );
    check_refused("acl = \"\"", &["1:7: acl: invalid level, expected one of deny, read, write"]);
}

#[test]
fn what_is_neither_hcl_nor_json_is_refused() {
    assert!(matches!(Policy::parse("service {"), Err(PolicyError::Syntax(_))));
    assert!(matches!(Policy::parse("[]"), Err(PolicyError::Syntax(_))));
}

#[test]
fn faults_are_bounded() {
    let rules: String = (0..5000).map(|i| format!("k{i} = 1\n")).collect();
    let Err(PolicyError::Rules(faults)) = Policy::parse(&rules) else { panic!("accepted") };
    assert_eq!(faults.len(), super::fault::FAULTS_MAX);
}

#[test]
fn identities_grant_what_they_stand_for() {
    assert_eq!(
        shown(&Policy::parse(&crate::identity::service_rules("web")).unwrap()),
        "service Exact(\"web\") write\nservice Exact(\"web-sidecar-proxy\") write\nservice Prefix(\"\") read\nnode Prefix(\"\") read"
    );
    assert_eq!(
        shown(&Policy::parse(&crate::identity::node_rules("n")).unwrap()),
        "node Exact(\"n\") write\nservice Prefix(\"\") read"
    );
}

#[test]
fn rules_for_the_same_merge() {
    let rule = |grant| Rule::Whole { resource: Scalar::Acl, grant };
    let policy = Policy::from_rules([
        rule(Grant::Allow(Level::Read)),
        rule(Grant::Allow(Level::Write)),
        Rule::exact(Labelled::Key, "a", Grant::Allow(Level::Write)),
        Rule::exact(Labelled::Key, "a", Grant::Deny),
        Rule::prefix(Labelled::Key, "a", Grant::Allow(Level::List)),
    ]);
    assert_eq!(shown(&policy), "acl write\nkey Exact(\"a\") deny\nkey Prefix(\"a\") list");
}
