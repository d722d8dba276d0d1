//! Cases that chance seldom meets, asked of each Envoy in each way: repeated headers and odd tokens.

use concord_mesh::request::Header;
use concord_model::entry::RequestNormalization;
use concord_model::intention::{
    Action, Decision, HeaderMatch, HeaderValueMatch, HttpPermission, JwtProviderRequirement, JwtRequirement,
    Permission,
};
use serde_json::{Value, json};

use super::client::Client;
use super::process::Envoy;
use super::{Case, tokens, ways};
use crate::made_request::Sent;
use crate::world::{entry, service, source};

/// A mesh in which `a` calls, with these permissions.
fn case(default: Action, list: Vec<Permission>) -> Case {
    let entries = vec![entry("web", vec![(source("a"), Decision::Requests(list))])];
    Case { entries, default, settings: RequestNormalization::default(), caller: service("a"), given: false }
}

fn if_header(action: Action, name: &str, value: HeaderValueMatch) -> Permission {
    let header = HeaderMatch { name: name.to_owned(), value, ignore_case: false, invert: false };
    let http = Some(HttpPermission { path: None, headers: vec![header], methods: vec![] });
    Permission { action, http, jwt: None }
}

fn if_token(claims: &[(&str, &str)]) -> Permission {
    let claim = |(path, value): &(&str, &str)| (vec![(*path).to_owned()], (*value).to_owned());
    let verify_claims = claims.iter().map(claim).collect();
    let providers = vec![JwtProviderRequirement { name: "p1".to_owned(), verify_claims }];
    Permission { action: Action::Allow, http: None, jwt: Some(JwtRequirement { providers }) }
}

/// What every Envoy answers to requests with these headers, one after the other.
#[track_caller]
fn check(test: &str, case: &Case, requests: &[(&[(&str, &str)], u16)]) {
    for way in ways(test) {
        let envoy = Envoy::start(&way.program, way.joins, |directory| {
            vec![case.listener(&directory.join("0.sock"), way.version)]
        });
        let mut client = Client::new(envoy.socket(0));
        for (lines, expected) in requests {
            let host = Header { name: "host", value: b"a.com" };
            let own = lines.iter().map(|(name, value)| Header { name, value: value.as_bytes() });
            let headers: Vec<_> = [host].into_iter().chain(own).collect();
            let sent = Sent {
                method: "GET",
                target: b"/".to_vec(),
                authority: None,
                headers: vec![],
                tokens: vec![],
            };
            let (status, _) = client.ask(&sent, &headers);
            assert_eq!(status, *expected, "{lines:?}, joined: {}, {:?}", way.joins, way.program);
        }
    }
}

#[test]
fn n_300_a_repeated_header_lets_no_allow_permission_apply() {
    let exact = |text: &str| HeaderValueMatch::Exact(text.to_owned());
    let allowed = case(Action::Deny, vec![if_header(Action::Allow, "x-a", exact("1"))]);
    let test = "n_300_a_repeated_header_lets_no_allow_permission_apply";
    check(
        test,
        &allowed,
        &[
            (&[], 403),
            (&[("x-a", "1")], 200),
            (&[("x-a", "2")], 403),
            (&[("x-a", "1"), ("x-b", "2"), ("x-b", "3")], 200),
            (&[("x-a", "1"), ("x-a", "2")], 403),
            (&[("x-a", "2"), ("x-a", "1")], 403),
            (&[("x-a", "1"), ("x-a", "1")], 403),
            (&[("x-a", "1"), ("x-a", "")], 403),
            (&[("x-a", "1"), ("x_a", "2")], 403),
            (&[("x-a", "1"), ("x-a", "\u{e9}")], 403),
            (&[("x-a", "1,2")], 403),
        ],
    );
    let denied = case(
        Action::Allow,
        vec![if_header(Action::Deny, "x-a", exact("1")), if_header(Action::Deny, "x-b", exact("3,4"))],
    );
    check(
        test,
        &denied,
        &[
            (&[], 200),
            (&[("x-a", "1")], 403),
            (&[("x-a", "2")], 200),
            (&[("x-a", "2"), ("x-a", "3")], 200),
            (&[("x-a", "2"), ("x-a", "1")], 403),
            (&[("x-a", "1"), ("x-a", "2")], 403),
            (&[("x-a", "2"), ("x-a", "\u{e9}")], 403),
            (&[("x-b", "3"), ("x-b", "4")], 403),
            (&[("x-b", "3,4")], 403),
            (&[("x-b", "4")], 200),
        ],
    );
}

#[test]
fn n_301_odd_tokens_let_no_permission_apply() {
    let name = "token-p1";
    let signed = |claims: &Value| tokens::signed("p1", claims);
    let with = |role: &str| signed(&json!({ "iss": "p1", "exp": 4_102_444_800_u64, "role": role }));
    let (admin, user) = (with("admin"), with("user"));
    let endless = signed(&json!({ "iss": "p1", "role": "admin" }));
    let ended = signed(&json!({ "iss": "p1", "exp": 1_000_000_000, "role": "admin" }));
    let foreign = tokens::signed("p2", &json!({ "iss": "p1", "exp": 4_102_444_800_u64, "role": "admin" }));
    let case = case(Action::Deny, vec![if_token(&[("role", "admin")])]);
    check(
        "n_301_odd_tokens_let_no_permission_apply",
        &case,
        &[
            (&[], 403),
            (&[(name, &admin)], 200),
            (&[(name, &user)], 403),
            (&[(name, &endless)], 403),
            (&[(name, &ended)], 403),
            (&[(name, &foreign)], 403),
            (&[(name, "x.y.z")], 403),
            // Of several tokens of an issuer Envoy judges the first that it verifies.
            (&[(name, &admin), (name, &user)], 200),
            (&[(name, &user), (name, &admin)], 403),
            (&[(name, &user), (name, &endless)], 403),
            (&[(name, &user), (name, &user)], 403),
        ],
    );
}
