//! Masks what two agents cannot have in common: indexes, times, ids, certificates.

use serde_json::{Map, Value};

use super::side::{NO_ID, TOKENS};

/// Keys whose values differ between agents.
const OWN: &[&str] = &[
    "AccessorID",
    "ActiveRootID",
    "CertPEM",
    "ContentHash",
    "CreateIndex",
    "DebugConfig",
    "CreateTime",
    "CreatedAt",
    "ExpirationTime",
    "ExternalTrustDomain",
    "Hash",
    "IntermediateCerts",
    "ModifyIndex",
    "ModifyTime",
    "NotAfter",
    "NotBefore",
    "PrivateKeyPEM",
    "RootCert",
    "SecretID",
    "SerialNumber",
    "ServiceURI",
    "SigningKeyID",
    "Stats",
    "TrustDomain",
    "UpdatedAt",
    "ValidAfter",
    "ValidBefore",
    "xDS",
];
/// Ids which requests contain and which are therefore the same on both sides.
const SAID: &[&str] = &[
    "11111111-1111-1111-1111-111111111111",
    "22222222-2222-2222-2222-222222222222",
    "00000000-0000-0000-0000-000000000001",
    "00000000-0000-0000-0000-000000000002",
    "0f0f0f0f-0000-4000-8000-0000000000a1",
    "0f0f0f0f-0000-4000-8000-0000000000b1",
];

/// A value with the agent-specific parts masked. Presence still counts, and zero stays zero.
pub(super) fn json(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            // A member, or the service `consul` of the servers.
            let has_own_port = map.contains_key("ProtocolCur")
                || ["Service", "ServiceName"]
                    .iter()
                    .any(|key| map.get(*key).is_some_and(|name| name == "consul"));
            // The other agent lists the checks of its own instances in random order and without types. It may update an
            // alias of the node's checks up to a minute late.
            let is_alias = map.contains_key("CheckID") && is_of_alias(&map);
            let is_own_health = map.contains_key("AggregatedStatus");
            let masked = map.into_iter().map(|(key, mut value)| {
                if is_own_health && let Some(checks) = value.as_array_mut() {
                    checks.sort_by_key(|check| check["CheckID"].to_string());
                    checks.iter_mut().filter_map(Value::as_object_mut).for_each(|check| {
                        check.remove("Type");
                    });
                }
                let is_port = has_own_port && ["Port", "ServicePort"].contains(&key.as_str())
                    || key.ends_with("_port")
                    || key == "port";
                let is_own = is_port || OWN.contains(&key.as_str());
                let value = if is_own { own(value) } else { json(value) };
                let key =
                    if is_alias && key == "Status" { "Status of an alias".to_owned() } else { text(&key) };
                (key, value)
            });
            Value::Object(masked.collect())
        }
        Value::Array(all) => Value::Array(all.into_iter().map(json).collect()),
        Value::String(string) => Value::String(text(&string)),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// Whether a check is an alias: by its type or, without a type, by the name which an alias check of a sidecar has.
fn is_of_alias(check: &Map<String, Value>) -> bool {
    let is = |key: &str, fits: fn(&str) -> bool| check.get(key).and_then(Value::as_str).is_some_and(fits);
    is("Type", |kind| kind == "alias") || is("Name", |name| name.starts_with("Connect Sidecar Aliasing "))
}

fn own(value: Value) -> Value {
    match value {
        Value::String(said) if SAID.contains(&said.as_str()) || is_fixed(&said) => Value::String(said),
        Value::String(text) if !text.is_empty() => Value::String("<own>".to_owned()),
        Value::Number(number) if number.as_f64() != Some(0.0) => Value::String("<number>".to_owned()),
        Value::Array(all) if !all.is_empty() => Value::String("<list>".to_owned()),
        Value::Object(map) if !map.is_empty() => Value::String("<object>".to_owned()),
        other => other,
    }
}

fn is_fixed(id: &str) -> bool {
    id == NO_ID || TOKENS.iter().any(|(_, secret, accessor)| *secret == id || *accessor == id)
}

/// A text with agent-specific ids, times and ports masked.
pub(super) fn text(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(id) = rest.get(..36).filter(|id| is_uuid(id)) {
            masked.push_str(if SAID.contains(&id) || is_fixed(id) { id } else { "<id>" });
            rest = &rest[36..];
        } else if let Some(time) = rest.get(..20).filter(|time| is_time(time)) {
            masked.push_str("<time>");
            rest = &rest[time.len() - 1..];
            let end = rest.find(|c: char| !c.is_ascii_digit() && !".Z+-:".contains(c)).unwrap_or(rest.len());
            rest = &rest[end..];
        } else if let Some(print) = fingerprint(rest) {
            masked.push_str("<fingerprint>");
            rest = &rest[print..];
        } else if let Some(tail) = rest.strip_prefix("127.0.0.1:") {
            let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
            // A port which a request contains has at most three digits.
            let port = if end > 3 { "<port>" } else { &tail[..end] };
            masked.push_str("127.0.0.1:");
            masked.push_str(port);
            rest = &tail[end..];
        } else {
            masked.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    masked
}

/// Length in bytes of the fingerprint at the beginning of a text: at least eight bytes in hexadecimal with colons.
fn fingerprint(text: &str) -> Option<usize> {
    let fits = |(at, byte): (usize, u8)| if at % 3 == 2 { byte == b':' } else { byte.is_ascii_hexdigit() };
    let length = text.bytes().enumerate().take_while(|one| fits(*one)).count();
    (length >= 23).then_some(length)
}

fn is_uuid(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// Whether a text begins like `2026-11-29T01:02:03Z`; a fraction or another zone may follow the seconds.
fn is_time(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        19 => b".Z+-".contains(&byte),
        _ => byte.is_ascii_digit(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn what_is_an_agents_own_is_masked_and_nothing_else() {
        let masked = super::json(json!({
            "ID": "0b4b2e38-6f5b-4a4b-9d2c-111111111111", "CreateIndex": 7, "ModifyIndex": 0, "Hash": "x", "Name": "web",
            "Text": "at 2026-11-29T01:02:03.5Z of 0b4b2e38-6f5b-4a4b-9d2c-111111111111, 127.0.0.1:8300 and 127.0.0.1:80",
            "Own": ["11111111-1111-1111-1111-111111111111"], "Print": "aa:bb:cc:dd:ee:ff:00:11", "Stats": { "a": 1 },
            "Member": { "ProtocolCur": 2, "Port": 8301, "Tags": { "port": "8300", "dc": "dc1" } },
            "One": { "Service": "consul", "Port": 8300 }, "Other": { "Service": "web", "Port": 8300 },
            "Here": { "AggregatedStatus": "passing", "Checks": [{ "CheckID": "b", "Type": "alias", "Status": "x" },
                { "CheckID": "a" }] },
            "There": { "Checks": [{ "CheckID": "b" }, { "CheckID": "a" }] },
            "Aliases": [{ "CheckID": "a", "Type": "alias", "Status": "x" },
                { "CheckID": "a", "Name": "Connect Sidecar Aliasing web", "Status": "x" },
                { "CheckID": "a", "Type": "ttl", "Status": "x" }, { "Type": "alias", "Status": "x" }],
        }));
        let expected = json!({
            "ID": "<id>", "CreateIndex": "<number>", "ModifyIndex": 0, "Hash": "<own>", "Name": "web",
            "Text": "at <time> of <id>, 127.0.0.1:<port> and 127.0.0.1:80",
            "Own": ["11111111-1111-1111-1111-111111111111"], "Print": "<fingerprint>", "Stats": "<object>",
            "Member": { "ProtocolCur": 2, "Port": "<number>", "Tags": { "port": "<own>", "dc": "dc1" } },
            "One": { "Service": "consul", "Port": "<number>" }, "Other": { "Service": "web", "Port": 8300 },
            "Here": { "AggregatedStatus": "passing", "Checks": [{ "CheckID": "a" }, { "CheckID": "b", "Status": "x" }] },
            "There": { "Checks": [{ "CheckID": "b" }, { "CheckID": "a" }] },
            "Aliases": [{ "CheckID": "a", "Type": "alias", "Status of an alias": "x" },
                { "CheckID": "a", "Name": "Connect Sidecar Aliasing web", "Status of an alias": "x" },
                { "CheckID": "a", "Type": "ttl", "Status": "x" }, { "Type": "alias", "Status": "x" }],
        });
        assert_eq!(masked, expected);
    }
}
