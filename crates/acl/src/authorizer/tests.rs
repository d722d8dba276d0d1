//! The rights that sets of policies give, rule by rule.

use concord_model::intention::Action;

use super::{Access, Authorizer};
use crate::policy::Policy;

fn authorizer(policies: &[&str], default: Action) -> Authorizer {
    let policies: Vec<_> =
        policies.iter().map(|rules| Policy::parse(rules).expect("the rules are right")).collect();
    Authorizer::new(&policies.iter().collect::<Vec<_>>(), default)
}

/// Checks both answers: with default deny, then with default allow.
#[track_caller]
fn check(policies: &[&str], ask: impl Fn(&Authorizer) -> Access, with_deny: Access, with_allow: Access) {
    assert_eq!(ask(&authorizer(policies, Action::Deny)), with_deny, "default deny");
    assert_eq!(ask(&authorizer(policies, Action::Allow)), with_allow, "default allow");
}

#[track_caller]
fn allows(policies: &[&str], ask: impl Fn(&Authorizer) -> Access) {
    check(policies, ask, Access::Allow, Access::Allow);
}

#[track_caller]
fn denies(policies: &[&str], ask: impl Fn(&Authorizer) -> Access) {
    check(policies, ask, Access::Deny, Access::Deny);
}

#[track_caller]
fn leaves_open(policies: &[&str], ask: impl Fn(&Authorizer) -> Access) {
    check(policies, ask, Access::Deny, Access::Allow);
}

#[test]
fn the_most_specific_rule_decides() {
    let rules = [
        "node_prefix \"\" { policy = \"read\" } node_prefix \"a\" { policy = \"write\" } node_prefix \"ab\" { policy = \"deny\" } node \"abc\" { policy = \"read\" }",
    ];
    allows(&rules, |a| a.node_read("x"));
    denies(&rules, |a| a.node_write("x"));
    allows(&rules, |a| a.node_write("a"));
    allows(&rules, |a| a.node_write("az"));
    denies(&rules, |a| a.node_read("ab"));
    denies(&rules, |a| a.node_read("abcd"));
    allows(&rules, |a| a.node_read("abc"));
    denies(&rules, |a| a.node_write("abc"));
    leaves_open(&rules, |a| a.service_read("abc"));
}

#[test]
fn among_policies_deny_wins_at_the_same_specificity_only() {
    let (read, write, deny) = (
        "key \"a\" { policy = \"read\" }",
        "key \"a\" { policy = \"write\" }",
        "key \"a\" { policy = \"deny\" }",
    );
    allows(&[read, write], |a| a.key_write("a"));
    denies(&[read, write, deny], |a| a.key_read("a"));
    let general = "key_prefix \"\" { policy = \"deny\" }";
    allows(&[general, write], |a| a.key_write("a"));
    denies(&["acl = \"write\"", "acl = \"deny\""], Authorizer::acl_read);
}

#[test]
fn mesh_and_peering_fall_back_to_the_operator() {
    allows(&["operator = \"write\""], Authorizer::mesh_write);
    allows(&["operator = \"read\""], Authorizer::peering_read);
    denies(&["operator = \"read\""], Authorizer::peering_write);
    denies(&["operator = \"write\" mesh = \"read\""], Authorizer::mesh_write);
    denies(&["operator = \"write\" peering = \"deny\""], Authorizer::peering_read);
    allows(&["mesh = \"write\""], Authorizer::mesh_write);
    leaves_open(&["mesh = \"write\""], Authorizer::operator_read);
    leaves_open(&["operator = \"write\""], Authorizer::keyring_read);
}

#[test]
fn seeing_a_service_shows_its_intentions_and_never_lets_change_them() {
    for level in ["read", "write"] {
        let rules = format!("service \"web\" {{ policy = \"{level}\" }}");
        allows(&[&rules], |a| a.intention_read("web"));
        denies(&[&rules], |a| a.intention_write("web"));
    }
    denies(&["service \"web\" { policy = \"deny\" }"], |a| a.intention_read("web"));
    denies(&["service \"web\" { policy = \"write\" intentions = \"deny\" }"], |a| a.intention_read("web"));
    allows(&["service \"web\" { policy = \"read\" intentions = \"write\" }"], |a| a.intention_write("web"));
    leaves_open(&["service \"web\" { policy = \"write\" }"], |a| a.intention_read("db"));
    let named = [
        "service \"web\" { policy = \"read\" intentions = \"write\" }",
        "service \"web\" { policy = \"write\" }",
    ];
    allows(&named, |a| a.intention_write("web"));
}

#[test]
fn the_wildcard_destination_stands_for_any_to_read_and_all_to_write() {
    let all = "service_prefix \"\" { policy = \"read\" intentions = \"write\" }";
    allows(&[all], |a| a.intention_write("*"));
    denies(&[all, "service \"db\" { policy = \"read\" intentions = \"deny\" }"], |a| a.intention_write("*"));
    denies(&[all, "service \"db\" { policy = \"read\" }"], |a| a.intention_write("*"));
    leaves_open(&["service_prefix \"a\" { policy = \"read\" intentions = \"write\" }"], |a| {
        a.intention_write("*")
    });
    leaves_open(&["service \"*\" { policy = \"read\" intentions = \"write\" }"], |a| a.intention_write("*"));
    allows(&["service \"db\" { policy = \"read\" }"], |a| a.intention_read("*"));
    denies(&["service_prefix \"\" { policy = \"deny\" }"], |a| a.intention_read("*"));
    leaves_open(&["service \"db\" { policy = \"deny\" }"], |a| a.intention_read("*"));
}

#[test]
fn all_and_any() {
    allows(&["node_prefix \"\" { policy = \"read\" }"], Authorizer::node_read_all);
    denies(
        &["node_prefix \"\" { policy = \"read\" } node \"a\" { policy = \"deny\" }"],
        Authorizer::node_read_all,
    );
    leaves_open(&["node_prefix \"a\" { policy = \"read\" }"], Authorizer::node_read_all);
    allows(&["service_prefix \"\" { policy = \"write\" }"], Authorizer::service_read_all);
    allows(&["service \"a\" { policy = \"write\" }"], Authorizer::service_write_any);
    denies(&["service_prefix \"\" { policy = \"read\" }"], Authorizer::service_write_any);
    leaves_open(&["service \"a\" { policy = \"read\" }"], Authorizer::service_write_any);
    allows(&["service_prefix \"a\" { policy = \"read\" }"], |a| a.service_read_prefix("ab"));
    leaves_open(&["service_prefix \"ab\" { policy = \"read\" }"], |a| a.service_read_prefix("a"));
}

#[test]
fn keys_distinguish_reading_from_listing() {
    let rules = ["key_prefix \"a\" { policy = \"list\" } key_prefix \"b\" { policy = \"read\" }"];
    allows(&rules, |a| a.key_list("a/"));
    allows(&rules, |a| a.key_read("a/x"));
    denies(&rules, |a| a.key_write("a/x"));
    denies(&rules, |a| a.key_list("b/"));
}

#[test]
fn recursive_deletion_needs_every_key_below() {
    let all = "key_prefix \"a/\" { policy = \"write\" }";
    allows(&[all], |a| a.key_write_prefix("a/"));
    allows(&[all], |a| a.key_write_prefix("a/b"));
    leaves_open(&[all], |a| a.key_write_prefix("a"));
    denies(&[all, "key \"a/b\" { policy = \"read\" }"], |a| a.key_write_prefix("a/"));
    denies(&[all, "key_prefix \"a/b/\" { policy = \"deny\" }"], |a| a.key_write_prefix("a/"));
    allows(&[all, "key_prefix \"a/b/\" { policy = \"deny\" }"], |a| a.key_write_prefix("a/c"));
    denies(&["key_prefix \"\" { policy = \"read\" }"], |a| a.key_write_prefix("a"));
}

#[test]
fn acls_and_snapshots_always_need_a_rule() {
    denies(&[], Authorizer::acl_read);
    denies(&[], Authorizer::snapshot);
    denies(&["acl = \"read\""], Authorizer::snapshot);
    allows(&["acl = \"write\""], Authorizer::snapshot);
    leaves_open(&[], Authorizer::operator_write);
}

#[test]
fn the_three_without_rules() {
    let answers = |a: Authorizer| {
        [
            a.acl_write(),
            a.snapshot(),
            a.operator_write(),
            a.key_write("x"),
            a.node_read_all(),
            a.intention_write("*"),
            a.intention_default_allow(),
        ]
        .map(Access::is_allowed)
    };
    assert_eq!(answers(Authorizer::manage_all()), [true; 7]);
    assert_eq!(answers(Authorizer::allow_all()), [false, false, true, true, true, true, true]);
    assert_eq!(answers(Authorizer::deny_all()), [false; 7]);
}

#[test]
fn the_refused_are_named() {
    use crate::right::{Labelled, Level, Right};
    let authorizer = authorizer(&["service \"web\" { policy = \"read\" }"], Action::Deny);
    let right = |level| Right::named(Labelled::Service, "web", level);
    assert_eq!(authorizer.require("id", right(Level::Read)), Ok(()));
    let refused = authorizer.require("id", right(Level::Write)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Permission denied: token with AccessorID 'id' lacks permission 'service:write' on \"web\""
    );
}
