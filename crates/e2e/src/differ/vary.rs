//! Changes a body in one place, or writes a key in another style.

use serde_json::{Value, json};

use crate::chance::Chance;

/// Keys which are added to objects where they do not belong.
const STRANGE: &[&str] =
    &["Nope", "CheckID", "nope", "CreateIndex", "Namespace", "Partition", "ID", "Locality"];

/// A body, sometimes with one change, and a description of the change.
pub(super) fn body(mut body: Value, chance: &mut Chance) -> (String, String) {
    if chance.percent(60) {
        return (body.to_string(), String::new());
    }
    if chance.percent(4) {
        let text = *chance.one(&[
            "",
            "null",
            "[]",
            "{}",
            "\"x\"",
            "1",
            "{",
            "{\"a\":1,}",
            "{}{}",
            "true",
            " ",
            "{\"Name\":\"web\"}x",
        ]);
        return (text.to_owned(), format!("body {text}"));
    }
    let mut places = Vec::new();
    walk(&body, String::new(), &mut places);
    if places.is_empty() {
        return (body.to_string(), String::new());
    }
    let place = chance.one(&places).clone();
    let odd = change(&mut body, &place, chance);
    (body.to_string(), odd)
}

fn walk(value: &Value, path: String, places: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
                places.push(path.clone());
                walk(inner, path, places);
            }
        }
        Value::Array(all) => {
            for (at, inner) in all.iter().enumerate() {
                places.push(format!("{path}/{at}"));
                walk(inner, format!("{path}/{at}"), places);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn change(body: &mut Value, place: &str, chance: &mut Chance) -> String {
    let shown: String = place.split('/').skip(1).map(shown).collect::<Vec<_>>().join(".");
    let (parent, key) = place.rsplit_once('/').expect("a place has a parent");
    let key = key.replace("~1", "/").replace("~0", "~");
    let kind = chance.below(9);
    if kind >= 5
        && let Some(Value::Object(map)) = body.pointer_mut(parent)
    {
        return match kind {
            5 => {
                map.remove(&key);
                format!("without {shown}")
            }
            6 => {
                let strange = *chance.one(STRANGE);
                map.entry(strange).or_insert(json!("x"));
                format!("{strange} beside {shown}")
            }
            7 => {
                let value = map.remove(&key).unwrap_or_default();
                map.insert(snake(&key), value);
                format!("snake case {shown}")
            }
            _ => {
                let value = map.remove(&key).unwrap_or_default();
                map.insert(key.to_ascii_lowercase(), value);
                format!("lower case {shown}")
            }
        };
    }
    let value = body.pointer_mut(place).expect("the place is there");
    match kind {
        0 => {
            *value = Value::Null;
            format!("null {shown}")
        }
        1 | 5 | 7 => {
            *value = zero(value);
            format!("zero {shown}")
        }
        2 => {
            *value = json!(chance.one(&["x", "0s", "1h", "-1", "a b", "10"]));
            format!("{shown} {value}")
        }
        3 => {
            *value = json!(chance.one(&[7, 0, -1, 70_000]));
            format!("{shown} {value}")
        }
        _ => {
            let others = [
                json!(true),
                json!([]),
                json!({}),
                json!(["x"]),
                json!({ "a": "b" }),
                json!(1.5),
                json!([1]),
            ];
            *value = chance.one(&others).clone();
            format!("{shown} {value}")
        }
    }
}

fn shown(segment: &str) -> String {
    if segment.parse::<usize>().is_ok() { "[]".to_owned() } else { segment.replace("~1", "/") }
}

fn zero(value: &Value) -> Value {
    match value {
        Value::Bool(_) => json!(false),
        Value::Number(_) => json!(0),
        Value::Array(_) => json!([]),
        Value::Object(_) => json!({}),
        Value::Null | Value::String(_) => json!(""),
    }
}

/// Converts `ServiceID` to `service_id`.
fn snake(key: &str) -> String {
    let letters: Vec<char> = key.chars().collect();
    let mut written = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let begins = letter.is_uppercase()
            && at > 0
            && (!letters[at - 1].is_uppercase()
                || letters.get(at + 1).is_some_and(|next| next.is_lowercase()));
        if begins {
            written.push('_');
        }
        written.extend(letter.to_lowercase());
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_in_the_other_style() {
        for (camel, written) in
            [("ServiceID", "service_id"), ("TTL", "ttl"), ("HTTPMethod", "http_method"), ("a", "a")]
        {
            assert_eq!(snake(camel), written);
        }
    }

    #[test]
    fn each_kind_of_change_is_drawn_and_says_what_it_is() {
        let mut chance = Chance::of_seed(1);
        let drawn: Vec<_> =
            (0..500).map(|_| body(json!({ "Name": "web", "Check": { "TTL": "1h" } }), &mut chance)).collect();
        for word in ["null ", "zero ", "without ", " beside ", "snake case ", "lower case ", "body "] {
            assert!(drawn.iter().any(|(_, odd)| odd.contains(word)), "{word}");
        }
        let without = json!({ "Name": "web", "Check": {} });
        assert!(drawn.iter().any(|(text, odd)| odd == "without Check.TTL"
            && serde_json::from_str::<Value>(text).ok() == Some(without.clone())));
        assert!(drawn.iter().any(|(_, odd)| odd.is_empty()));
    }
}
