//! Tokens: what entries and permissions demand of them.

use concord_model::intention::{JwtProviderRequirement, JwtRequirement};
use serde_json::{Value, json};

use super::*;

/// `provider` or `provider path.to.claim=value …`, several separated by `|`.
fn demand(text: &str) -> JwtRequirement {
    let providers = text.split('|').map(|one| {
        let mut words = one.split_whitespace();
        let name = words.next().unwrap().to_owned();
        let claim = |word: &str| {
            let (path, value) = word.split_once('=').unwrap();
            (path.split('.').map(str::to_owned).collect(), value.to_owned())
        };
        JwtProviderRequirement { name, verify_claims: words.map(claim).collect() }
    });
    JwtRequirement { providers: providers.collect() }
}

fn with_token(action: Action, text: &str) -> Permission {
    Permission { action, http: None, jwt: Some(demand(text)) }
}

fn of_entry(entry: &ServiceIntentions, tokens: &[(&str, Value)], default: DefaultPolicy) -> RequestVerdict {
    let tokens: Vec<_> = tokens.iter().map(|(provider, claims)| Token { provider, claims }).collect();
    let received = Received { tokens: &tokens, ..get(b"/", &[]) };
    let policy = Policy::compile(&service("api"), [entry]);
    decide_by(&policy, received, &RequestNormalization::default(), default)
}

#[track_caller]
fn check(text: &str, tokens: &[(&str, Value)], denies: bool, allows: bool) {
    let allow = of_entry(&permitted(vec![with_token(Action::Allow, text)]), tokens, DENY);
    assert_eq!(allow.allowed, allows, "allow {text}");
    let deny = of_entry(&permitted(vec![with_token(Action::Deny, text)]), tokens, ALLOW);
    assert_eq!(!deny.allowed, denies, "deny {text}");
    let connection = intention(source("web"), Decision::Connection(Action::Allow));
    let mut demanding = entry(destination("api"), vec![connection]);
    demanding.jwt = Some(demand(text));
    for default in [ALLOW, DENY] {
        let verdict = of_entry(&demanding, tokens, default);
        assert_eq!(verdict.allowed, allows, "demand {text}");
        assert_eq!(matches!(verdict.because, RequestBecause::TokenDemanded { .. }), !allows);
    }
}

#[test]
fn n_83_a_request_without_a_verified_token_has_no_claims() {
    check("okta", &[], false, false);
    check("okta role=admin", &[], false, false);
    check("okta", &[("okta", json!({}))], true, true);
    let two = [("okta", json!({"role": "admin"})), ("okta", json!({"role": "guest"}))];
    let verdict = of_entry(&permitted(vec![with_token(Action::Allow, "okta")]), &two, ALLOW);
    let because = RequestBecause::Refused(Refusal::TwoTokens { provider: "okta".to_owned() });
    assert_eq!(verdict, RequestVerdict { allowed: false, because });
}

#[test]
fn n_83_claims_equal_by_their_text_and_nothing_else_satisfies() {
    let sent = |claims: Value| [("okta", claims)];
    for (claims, denies, allows) in [
        (json!({"a": {"role": "admin"}}), true, true),
        (json!({"a": {"role": "admin", "x": 1}}), true, true),
        (json!({"a": {"role": "Admin"}}), false, false),
        (json!({"a": {"role": "admin "}}), false, false),
        (json!({"a": {"role": ["admin", "guest"]}}), true, false),
        (json!({"a": {"role": {"admin": true}}}), false, false),
        (json!({"a": {"role": null}}), false, false),
        (json!({"a": "admin"}), false, false),
        (json!({"role": "admin"}), false, false),
        (json!({"a.role": "admin"}), false, false),
        (json!({"a": [{"role": "admin"}]}), false, false),
        (json!([]), false, false),
        (json!("admin"), false, false),
    ] {
        check("okta a.role=admin", &sent(claims), denies, allows);
    }
    check("okta level=5", &sent(json!({"level": "5"})), true, true);
    check("okta level=5", &sent(json!({"level": 5})), true, false);
    check("okta level=true", &sent(json!({"level": true})), true, false);
    check("okta a=1 b=2", &sent(json!({"a": "1", "b": "2"})), true, true);
    check("okta a=1 b=2", &sent(json!({"a": "1"})), false, false);
}

#[test]
fn n_84_a_token_of_another_provider_never_satisfies() {
    let admin = || json!({"role": "admin"});
    check("okta", &[("other", admin())], false, false);
    check("okta role=admin", &[("other", admin()), ("okta", json!({"role": "guest"}))], false, false);
    check("okta role=admin|other role=guest", &[("other", admin())], false, false);
    check("okta role=guest|other role=admin", &[("other", admin())], true, true);
    check("okta", &[("Okta", admin())], false, false);
}

#[test]
fn n_84_the_demands_of_entry_and_permission_must_both_hold() {
    let mut both = permitted(vec![with_token(Action::Allow, "p2 role=admin")]);
    both.jwt = Some(demand("p1"));
    let p1 = ("p1", json!({}));
    let p2 = ("p2", json!({"role": "admin"}));
    assert!(of_entry(&both, &[p1.clone(), p2.clone()], DENY).allowed);
    for sent in [vec![p1], vec![p2], vec![]] {
        assert!(!of_entry(&both, &sent, DENY).allowed, "{sent:?}");
    }
    // Nor does a default that allows waive the demand.
    assert!(!of_entry(&both, &[], ALLOW).allowed);
}

#[test]
fn n_84_a_demand_holds_for_sources_that_the_entry_does_not_name() {
    let mut own =
        entry(destination("api"), vec![intention(source("db"), Decision::Connection(Action::Allow))]);
    own.jwt = Some(demand("okta"));
    let all = entry(destination("*"), vec![intention(source("*"), Decision::Connection(Action::Allow))]);
    let policy = Policy::compile(&service("api"), &[own.clone(), all.clone()]);
    let request = Request::read(get(b"/", &[]), &RequestNormalization::default()).unwrap();
    assert!(!policy.decide_request(&service("web"), &request, DENY).allowed);
    assert!(!of_entry(&own, &[], ALLOW).allowed);
    // A less exact entry demands nothing where a more exact one decides.
    let (mut all, own) = (all, ServiceIntentions { jwt: None, ..own });
    all.jwt = Some(demand("okta"));
    let policy = Policy::compile(&service("api"), &[own, all]);
    assert!(policy.decide_request(&service("db"), &request, DENY).allowed);
    assert!(!policy.decide_request(&service("web"), &request, DENY).allowed);
}
