//! Entries as the log writes them, and the faults that they must have.

use concord_mesh::entry::validate;
use concord_model::entry::Entry;
use serde_json::{Value, json};

/// An entry of a kind.
#[track_caller]
pub(crate) fn entry(kind: &str, name: &str, said: Value) -> Entry {
    let record = json!({ "scope": { "namespace": "default", "name": name }, "said": said });
    serde_json::from_value(json!({ kind: record })).unwrap()
}

/// The faults of an entry begin with these texts.
#[track_caller]
pub(crate) fn told(kind: &str, name: &str, said: Value, expected: &[&str]) {
    let faults = validate(&entry(kind, name, said)).err().unwrap_or_default();
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    let equal = faults.len() == expected.len();
    let equal = equal && faults.iter().zip(expected).all(|(fault, text)| fault.starts_with(text));
    assert!(equal, "found {faults:#?}, expected {expected:#?}");
}

/// The same, whatever the name of the entry.
#[track_caller]
pub(crate) fn check(kind: &str, said: Value, expected: &[&str]) {
    told(kind, "one", said, expected);
}
