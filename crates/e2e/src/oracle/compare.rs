//! In what two sets of resources differ: path and both values.

use std::collections::BTreeSet;

use serde_json::Value;

use super::dump::{REFUSED, Resources, UNPLAYED};

/// What one of two has not.
const NOTHING: &str = "–";

/// A difference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Difference {
    /// Resource and field, with names in brackets.
    pub(super) path: String,
    /// Ours and theirs.
    pub(super) sides: [String; 2],
}

/// All differences.
pub(super) fn differences(ours: &Resources, theirs: &Resources) -> Vec<Difference> {
    let mut found = Vec::new();
    // Of a scenario that somebody does not play nothing else is known.
    let who = match (ours.get(UNPLAYED), theirs.get(UNPLAYED)) {
        (None, None) => None,
        (Some(_), None) => Some("not played by ours"),
        (None, Some(_)) => Some("not played by theirs"),
        (Some(_), Some(_)) => Some("not played by both"),
    };
    if let Some(who) = who {
        return vec![difference(who, shown(ours.get(UNPLAYED)), shown(theirs.get(UNPLAYED)))];
    }
    for name in keys(ours.keys(), theirs.keys()) {
        let (ours, theirs) = (ours.get(&name), theirs.get(&name));
        match name.starts_with(REFUSED) && ours == theirs {
            // Nothing is known then of what both would have been given.
            true => found.push(difference(&format!("{name} by both"), shown(ours), shown(theirs))),
            false => compare(&name, ours, theirs, &mut found),
        }
    }
    found
}

fn keys<'a>(
    ours: impl Iterator<Item = &'a String>,
    theirs: impl Iterator<Item = &'a String>,
) -> BTreeSet<String> {
    ours.chain(theirs).cloned().collect()
}

fn compare(path: &str, ours: Option<&Value>, theirs: Option<&Value>, found: &mut Vec<Difference>) {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if ours == theirs => {}
        (Some(Value::Object(ours)), Some(Value::Object(theirs))) => {
            for key in keys(ours.keys(), theirs.keys()) {
                compare(&format!("{path}.{key}"), ours.get(&key), theirs.get(&key), found);
            }
        }
        (Some(Value::Array(ours)), Some(Value::Array(theirs))) => lists(path, ours, theirs, found),
        (ours, theirs) => found.push(difference(path, shown(ours), shown(theirs))),
    }
}

fn lists(path: &str, ours: &[Value], theirs: &[Value], found: &mut Vec<Difference>) {
    let [one, other] = [ours, theirs].map(labels);
    let (Some(one), Some(other)) = (one, other) else {
        for at in 0..ours.len().max(theirs.len()) {
            compare(&format!("{path}[{at}]"), ours.get(at), theirs.get(at), found);
        }
        return;
    };
    let both = |list: &[String], known: &[String]| -> Vec<String> {
        list.iter().filter(|label| known.contains(label)).cloned().collect()
    };
    let orders = [both(&one, &other), both(&other, &one)];
    if orders[0] != orders[1] && !path.ends_with("lb_endpoints") {
        found.push(difference(&format!("{path}: order"), orders[0].join(", "), orders[1].join(", ")));
    }
    for label in keys(one.iter(), other.iter()) {
        let find = |list: &[String], values: &'_ [Value]| {
            list.iter().position(|own| *own == label).map(|at| values[at].clone())
        };
        compare(&format!("{path}[{label}]"), find(&one, ours).as_ref(), find(&other, theirs).as_ref(), found);
    }
}

/// What tells the items of a list apart, if each has such a thing.
fn labels(list: &[Value]) -> Option<Vec<String>> {
    let label = |own: &Value| {
        let address = &own["endpoint"]["address"]["socket_address"];
        let text = own["name"].as_str().or_else(|| own["tag_name"].as_str()).map(str::to_owned);
        text.or_else(|| Some(format!("{}:{}", address["address"].as_str()?, address["port_value"])))
    };
    let all: Vec<String> = list.iter().map(label).collect::<Option<_>>()?;
    let different: BTreeSet<_> = all.iter().collect();
    (different.len() == all.len()).then_some(all)
}

fn difference(path: &str, ours: String, theirs: String) -> Difference {
    Difference { path: path.to_owned(), sides: [ours, theirs] }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => NOTHING.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(ours: Value, theirs: Value, expected: &[(&str, &str, &str)]) {
        let [ours, theirs] = [ours, theirs].map(|own| [("x".to_owned(), own)].into());
        let expected: Vec<_> = expected
            .iter()
            .map(|(path, ours, theirs)| difference(path, (*ours).to_owned(), (*theirs).to_owned()))
            .collect();
        assert_eq!(differences(&ours, &theirs), expected);
    }

    #[test]
    fn differences_are_told_by_path_and_both_values() {
        check(json!({ "a": 1 }), json!({ "a": 1 }), &[]);
        check(json!({ "a": 1, "b": {} }), json!({ "a": 2 }), &[("x.a", "1", "2"), ("x.b", "{}", NOTHING)]);
        check(json!({ "l": [1, 2] }), json!({ "l": [1] }), &[("x.l[1]", "2", NOTHING)]);
    }

    #[test]
    fn what_envoy_refuses_of_both_is_no_agreement() {
        let refused: Resources = [(format!("{REFUSED}[x]"), json!("no keys"))].into();
        let found = differences(&refused, &refused);
        assert_eq!(
            found,
            [difference("refused by Envoy[x] by both", "no keys".to_owned(), "no keys".to_owned())]
        );
    }

    #[test]
    fn items_with_names_are_compared_by_name_and_their_order_is_one_more_value() {
        let named = |names: &[&str]| json!({ "l": names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() });
        check(named(&["a", "b"]), named(&["b", "a"]), &[("x.l: order", "a, b", "b, a")]);
        check(named(&["a", "b"]), named(&["b"]), &[("x.l[a]", r#"{"name":"a"}"#, NOTHING)]);
    }
}
