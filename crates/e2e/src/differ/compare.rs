//! How two answers to the same request differ.

use serde_json::Value;

use super::mask;
use crate::http::Reply;

/// Headers about the state from which an answer was made. In refusals they count only if the status is 404, because
/// a client can wait until something exists.
const META: &[&str] = &[
    "X-Consul-Index",
    "X-Consul-KnownLeader",
    "X-Consul-LastContact",
    "X-Consul-Query-Backend",
    "X-Consul-Effective-Consistency",
    "X-Consul-Results-Filtered-By-ACLs",
];
/// Headers which clients read and whose value must be the same on both sides.
const SAME: &[&str] = &[
    "Allow",
    "Content-Type",
    "Location",
    "X-Cache",
    "X-Consul-Default-ACL-Policy",
    "X-Consul-Effective-Consistency",
    "X-Consul-KnownLeader",
    "X-Consul-Query-Backend",
    "X-Consul-Reason",
    "X-Consul-Results-Filtered-By-ACLs",
    "X-Consul-Translate-Addresses",
];
/// Headers which clients read and whose value differs between the sides. Only their presence is compared.
const THERE: &[&str] = &["Age", "X-Consul-ContentHash", "X-Consul-Index", "X-Consul-LastContact"];

/// One difference between two answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Difference {
    /// The kind of the difference: what differs and where, without names and values specific to this request.
    pub(super) what: String,
    /// The value on each side.
    pub(super) sides: [String; 2],
}

/// The differences between two answers.
pub(super) fn differences(ours: &Reply, theirs: &Reply) -> Vec<Difference> {
    let mut found = Vec::new();
    if ours.status != theirs.status {
        // Further differences follow from this one.
        let what = format!("status {}, theirs {}", ours.status, theirs.status);
        note(&mut found, what, &ours.body, &theirs.body);
        return found;
    }
    headers(ours, theirs, &mut found);
    if ours.status < 300 || ours.body.starts_with('{') && theirs.body.starts_with('{') {
        body(&ours.body, &theirs.body, &mut found);
    }
    found
}

fn headers(ours: &Reply, theirs: &Reply, found: &mut Vec<Difference>) {
    let counts = |name: &&&str| ours.status < 300 || ours.status == 404 || !META.contains(*name);
    for name in SAME.iter().filter(counts) {
        let sort = |value: &str| {
            let mut parts: Vec<&str> = value.split(", ").collect();
            parts.sort_unstable();
            parts.join(", ")
        };
        let value = |reply: &Reply| {
            reply.header(name).map_or_else(|| "-".to_owned(), |value| mask::text(&sort(value)))
        };
        let (one, other) = (value(ours), value(theirs));
        if one != other {
            let what = match *name {
                // These values contain names.
                "Location" | "X-Consul-Reason" => format!("header {name}"),
                _ => format!("header {name}: {one}, theirs {other}"),
            };
            note(found, what, one, other);
        }
    }
    for name in THERE.iter().filter(counts) {
        let has = |reply: &Reply| if reply.header(name).is_some() { "there" } else { "not there" };
        if has(ours) != has(theirs) {
            let what = format!("header {name}: {}, theirs {}", has(ours), has(theirs));
            note(found, what, &ours.body, &theirs.body);
        }
    }
}

fn body(ours: &str, theirs: &str, found: &mut Vec<Difference>) {
    if ours == theirs {
        return;
    }
    let read = |text: &str| serde_json::from_str::<Value>(text).map(mask::json).ok();
    match (read(ours), read(theirs)) {
        (Some(one), Some(other)) => values(&one, &other, "", found),
        (None, None) if is_pem(ours) && is_pem(theirs) => {}
        (None, None) if mask::text(ours) == mask::text(theirs) => {}
        (None, None) => note(found, "text".to_owned(), ours, theirs),
        (one, _) => {
            let what = if one.is_some() { "JSON, theirs is not" } else { "no JSON, theirs is" };
            note(found, format!("body: {what}"), ours, theirs);
        }
    }
}

fn is_pem(text: &str) -> bool {
    text.trim_start().starts_with("-----BEGIN CERTIFICATE-----")
}

fn values(ours: &Value, theirs: &Value, path: &str, found: &mut Vec<Difference>) {
    if ours == theirs {
        return;
    }
    match (ours, theirs) {
        (Value::Object(one), Value::Object(other)) => {
            for (key, value) in one {
                let path = format!("{path}.{}", general(key));
                match other.get(key) {
                    Some(other) => values(value, other, &path, found),
                    None => note(found, format!("json {path}: not theirs"), value, "-"),
                }
            }
            for (key, value) in other.iter().filter(|(key, _)| !one.contains_key(*key)) {
                note(found, format!("json {path}.{}: not ours", general(key)), "-", value);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let sorted = |all: &[Value]| {
                let mut texts: Vec<String> = all.iter().map(Value::to_string).collect();
                texts.sort();
                texts
            };
            if sorted(one) == sorted(other) {
                return note(found, format!("json {path}[]: another order"), ours, theirs);
            }
            for (one, other) in one.iter().zip(other) {
                values(one, other, &format!("{path}[]"), found);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            let which = if one.len() < other.len() { "fewer" } else { "more" };
            note(found, format!("json {path}[]: {which} than theirs"), ours, theirs);
        }
        (one, other) if kind(one) == kind(other) => {
            note(found, format!("json {path}: another value"), one, other);
        }
        (one, other) => {
            let what = format!("json {path}: {}, theirs {}", kind(one), kind(other));
            note(found, what, one, other);
        }
    }
}

/// Adds a difference, unless one of this kind was found before.
fn note(found: &mut Vec<Difference>, what: String, ours: impl ToString, theirs: impl ToString) {
    if found.iter().all(|known| known.what != what) {
        found.push(Difference { what, sides: [ours.to_string(), theirs.to_string()] });
    }
}

/// Keys which the API defines begin with a capital letter; any other key is a name which a user chose.
fn general(key: &str) -> &str {
    if key.starts_with(|c: char| c.is_ascii_uppercase()) { key } else { "*" }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(all) if all.is_empty() => "an empty list",
        Value::Array(_) => "a list",
        Value::Object(map) if map.is_empty() => "an empty object",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Reply { status, headers, body: body.to_owned() }
    }

    fn whats(ours: &Reply, theirs: &Reply) -> Vec<String> {
        differences(ours, theirs).into_iter().map(|one| one.what).collect()
    }

    #[track_caller]
    fn check(ours: &str, theirs: &str, expected: &[&str]) {
        assert_eq!(whats(&reply(200, &[], ours), &reply(200, &[], theirs)), expected);
    }

    #[test]
    fn bodies_differ_in_kinds_and_not_in_what_is_an_agents_own() {
        check(r#"{"CreateIndex":5}"#, r#"{"CreateIndex": 9}"#, &[]);
        check(r#"{"A":{"x":1}}"#, r#"{"A":{"x":2}}"#, &["json .A.*: another value"]);
        check(r#"{"A":null}"#, r#"{"A":[]}"#, &["json .A: null, theirs an empty list"]);
        check(r#"{"A":{}}"#, r#"{"A":[1]}"#, &["json .A: an empty object, theirs a list"]);
        check(r#"[{"A":1},{"A":2}]"#, r#"[{"A":2},{"A":1}]"#, &["json []: another order"]);
        check(
            r#"[{"A":1,"B":1},{"A":1,"B":1}]"#,
            r#"[{"A":1},{"A":1,"C":1}]"#,
            &["json [].B: not theirs", "json [].C: not ours"],
        );
        check("[1]", "[1,2]", &["json []: fewer than theirs"]);
        check("x", "true", &["body: no JSON, theirs is"]);
    }

    #[test]
    fn status_and_headers_count_and_words_of_refusals_do_not() {
        let found = whats(&reply(400, &[], "one"), &reply(500, &[], "other"));
        assert_eq!(found, ["status 400, theirs 500"]);
        let other = reply(400, &[("X-Consul-Index", "5")], "other");
        assert!(differences(&reply(400, &[], "one"), &other).is_empty());
        let found = whats(
            &reply(200, &[("X-Consul-Index", "5"), ("allow", "PUT, GET")], "1"),
            &reply(200, &[("X-Consul-LastContact", "0"), ("Allow", "GET, PUT"), ("X-Cache", "HIT")], "1"),
        );
        assert_eq!(
            found,
            [
                "header X-Cache: -, theirs HIT",
                "header X-Consul-Index: there, theirs not there",
                "header X-Consul-LastContact: not there, theirs there",
            ]
        );
    }
}
