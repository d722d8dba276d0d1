//! Requests about tokens and policies.

use serde_json::{Value, json};

use super::names;
use super::request::Request;
use super::side::{NO_ID, TOKENS};
use super::vary;
use crate::chance::Chance;

pub(super) fn any(chance: &mut Chance) -> Request {
    match chance.below(100) {
        0..22 => token(chance),
        22..28 => {
            let token = new_token(chance);
            let (body, odd) = vary::body(token, chance);
            by_id("PUT", "token", chance).with_body(body).with_odd(odd)
        }
        28..34 => {
            let request = by_id("GET", "token", chance);
            if chance.percent(50) { request.with_query("expanded").with_odd("expanded") } else { request }
        }
        34..37 => by_id("DELETE", "token", chance),
        37..41 => clone_token(chance),
        41..46 => Request::new("GET", "/v1/acl/token/self", "/v1/acl/token/self"),
        46..52 => tokens(chance),
        52..64 => {
            let (body, odd) = vary::body(new_policy(chance), chance);
            Request::new("PUT", "/v1/acl/policy", "/v1/acl/policy").with_body(body).with_odd(odd)
        }
        64..68 => {
            let (body, odd) = vary::body(new_policy(chance), chance);
            by_id("PUT", "policy", chance).with_body(body).with_odd(odd)
        }
        68..72 => by_id("GET", "policy", chance),
        72..75 => by_id("DELETE", "policy", chance),
        75..78 => {
            let name = *chance.one(&[
                "p1",
                "reader",
                "global-management",
                "nope",
                "a%20b",
                "a/b",
                "builtin/global-read-only",
            ]);
            Request::new("GET", "/v1/acl/policy/name/:name", format!("/v1/acl/policy/name/{name}"))
                .with_odd(name)
        }
        78..82 => Request::new("GET", "/v1/acl/policies", "/v1/acl/policies"),
        82..84 => {
            let (body, odd) = vary::body(json!({ "BootstrapSecret": "x" }), chance);
            Request::new("PUT", "/v1/acl/bootstrap", "/v1/acl/bootstrap").with_body(body).with_odd(odd)
        }
        _ => probe(chance),
    }
}

fn id(kind: &str, chance: &mut Chance) -> String {
    match chance.below(8) {
        0 => "x".to_owned(),
        1 => NO_ID.to_owned(),
        2 if kind == "policy" => "00000000-0000-0000-0000-000000000001".to_owned(),
        3 if kind == "policy" => "00000000-0000-0000-0000-000000000002".to_owned(),
        2 => "00000000-0000-0000-0000-000000000002".to_owned(),
        3 => TOKENS[chance.index(TOKENS.len())].2.to_owned(),
        n => format!("{{{kind}:{n}}}"),
    }
}

fn by_id(method: &'static str, kind: &str, chance: &mut Chance) -> Request {
    let mut id = id(kind, chance);
    // Built-in tokens and policies stay unchanged, so that later answers stay meaningful.
    if method == "PUT" && id.starts_with("00000000-") {
        id = NO_ID.to_owned();
    }
    let pattern = if kind == "token" { "/v1/acl/token/:accessor" } else { "/v1/acl/policy/:id" };
    let odd = if id.starts_with('{') { "" } else { &id };
    Request::new(method, pattern, format!("/v1/acl/{kind}/{id}")).with_odd(odd)
}

/// A new token, whose links may include identities.
fn new_token(chance: &mut Chance) -> Value {
    let mut body = json!({ "Description": "made" });
    for _ in 0..2 {
        match chance.below(11) {
            0 => body["Policies"] = json!([{ "Name": "reader" }]),
            1 => body["Policies"] = json!([{ "ID": "{policy:0}" }, { "Name": "reader" }]),
            2 => body["Policies"] = json!([{ "Name": chance.one(&["nope", "", "global-management"]) }]),
            3 => {
                body["ServiceIdentities"] =
                    json!([{ "ServiceName": chance.one(&["web", "db", "Web", "a b", "", "-x", "x_y"]) }])
            }
            4 => {
                body["ServiceIdentities"] = json!([{ "ServiceName": "web", "Datacenters": ["dc1"] }, { "ServiceName": "web", "Datacenters": ["dc2"] }])
            }
            5 => {
                body["NodeIdentities"] = json!([{ "NodeName": chance.one(&["n1", "N1", "a b", "", "x_y"]), "Datacenter": chance.one(&["dc1", "dc2", ""]) }])
            }
            6 => body["Local"] = json!(true),
            7 => body["ExpirationTTL"] = json!(chance.one(&["1h", "1s", "90000h", "x"])),
            8 => {
                body["SecretID"] =
                    json!(chance.one(&["0f0f0f0f-0000-4000-8000-0000000000a1", "x", TOKENS[0].1]))
            }
            9 => {
                body["AccessorID"] =
                    json!(chance.one(&["0f0f0f0f-0000-4000-8000-0000000000b1", "x", TOKENS[0].2]))
            }
            _ => {}
        }
    }
    if chance.percent(3) {
        body["ExpirationTime"] = json!(chance.one(&["2020-01-01T00:00:00Z", "x", "2999-01-01T00:00:00Z"]));
    }
    if chance.percent(3) {
        body["Roles"] = json!([]);
    }
    body
}

fn token(chance: &mut Chance) -> Request {
    let (body, odd) = vary::body(new_token(chance), chance);
    Request::new("PUT", "/v1/acl/token", "/v1/acl/token").with_body(body).with_odd(odd)
}

fn clone_token(chance: &mut Chance) -> Request {
    let id = id("token", chance);
    let (body, odd) = vary::body(json!({ "Description": "made" }), chance);
    let request = Request::new("PUT", "/v1/acl/token/:accessor/clone", format!("/v1/acl/token/{id}/clone"));
    let request = if chance.percent(70) { request.with_body(body).with_odd(odd) } else { request };
    request.with_odd(if id.starts_with('{') { "" } else { &id })
}

fn tokens(chance: &mut Chance) -> Request {
    let query =
        *chance.one(&["", "", "policy={policy:0}", "policy=x", "servicename=web", "role=x", "authmethod=x"]);
    let request = Request::new("GET", "/v1/acl/tokens", "/v1/acl/tokens").with_odd(query);
    if query.is_empty() { request } else { request.with_query(query) }
}

fn new_policy(chance: &mut Chance) -> Value {
    let rules = *chance.one(&[
        "", "service \"web\" { policy = \"write\" }", "service_prefix \"\" { policy = \"read\" intentions = \"read\" }",
        "{\"service\":{\"web\":{\"policy\":\"write\"}}}", "acl = \"read\"", "operator = \"write\" mesh = \"read\"",
        "key_prefix \"a\" { policy = \"list\" }", "nope = \"x\"", "service \"web\" { policy = \"nope\" }", "{",
        "session_prefix \"\" { policy = \"write\" } agent \"n1\" { policy = \"read\" } event \"\" { policy = \"write\" }",
        "service \"web\" { policy = \"write\" sentinel { code = \"x\" } }", "query_prefix \"\" { policy = \"deny\" }",
    ]);
    let name = *chance.one(&["p1", "p2", "p1", "reader", "a b", "", "global-management", "a/b"]);
    let mut body = json!({ "Name": name, "Description": "d", "Rules": rules });
    match chance.below(8) {
        0 => body["Datacenters"] = json!([chance.one(&["dc1", "dc2", "a b", ""])]),
        1 => body["ID"] = json!(chance.one(&["x", NO_ID])),
        _ => {}
    }
    body
}

fn probe(chance: &mut Chance) -> Request {
    let question = |chance: &mut Chance| {
        let mut question = json!({
            "Resource": chance.one(&["acl", "agent", "event", "intention", "key", "keyring", "node", "operator", "query",
                "service", "session", "mesh", "peering", "nope", "Service", ""]),
            "Access": chance.one(&["read", "write", "read", "write", "list", "write-prefix", "read-prefix", "deny", "Read", "nope", ""]),
        });
        if chance.percent(60) {
            question["Segment"] = json!(chance.one(&["web", "", "n1", "foo/", "db"]));
        }
        question
    };
    let count = *chance.one(&[0, 1, 1, 1, 1, 2, 64, 65]);
    let questions: Vec<Value> = (0..count).map(|_| question(chance)).collect();
    let odd = match questions.as_slice() {
        [one] => format!(
            "{} {}",
            one["Resource"].as_str().unwrap_or_default(),
            one["Access"].as_str().unwrap_or_default()
        ),
        many => format!("{} questions", many.len()),
    };
    let (body, changed) = vary::body(Value::Array(questions), chance);
    let path = "/v1/internal/acl/authorize";
    let request = Request::new("POST", path, path).with_body(body).with_odd(odd).with_odd(changed);
    if chance.percent(5) { names::with_parameter(request, chance) } else { request }
}
