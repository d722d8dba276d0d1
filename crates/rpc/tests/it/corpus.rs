//! Samples of everything that is said between our own processes: what one version has written, the next one reads.
//!
//! `CONCORD_BLESS=1 cargo test -p concord-rpc corpus` writes samples that are missing. One that is there is never
//! written again: if it cannot be read any more, the code is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

use concord_rpc::wire::{Asked, Told, decode, encode};
use concord_rpc::{AnyReply, AnyRequest, Consistency};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::samples;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus/format-1")
}

/// The committed file of that name.
#[allow(clippy::disallowed_methods, reason = "whether to write samples is said in the environment")]
fn committed(name: &str, current: &[u8]) -> Vec<u8> {
    let path = corpus().join(name);
    if !path.exists() && std::env::var("CONCORD_BLESS").is_ok() {
        fs::create_dir_all(corpus()).unwrap();
        fs::write(&path, current).unwrap();
    }
    fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; write it with CONCORD_BLESS=1", path.display()))
}

/// The files of one request, of whoever asks and of whoever answers.
fn named(name: &str, what: &str, ending: &str) -> String {
    if what.is_empty() { format!("{name}.{ending}") } else { format!("{name}.{what}.{ending}") }
}

/// Everything that may be asked, by the name of its file.
fn asked() -> BTreeMap<String, Asked> {
    let mut all = Vec::new();
    for (name, what, request) in samples::requests() {
        all.push((named(name, what, "ask"), samples::ask(request, Consistency::Stale)));
    }
    for (name, asked) in samples::of_a_watch() {
        all.push((named(name, "watch", "ask"), asked));
    }
    for consistency in samples::consistencies() {
        let (_, _, request) = samples::requests().swap_remove(0);
        all.push((named("Ask", consistency.effective(), "ask"), samples::ask(request, consistency)));
    }
    each_once(all)
}

/// Everything that may be told, by the name of its file.
fn told() -> BTreeMap<String, Told> {
    let mut all = Vec::new();
    for (name, what, reply) in samples::replies() {
        all.push((named(name, what, "told"), samples::told(reply)));
    }
    for error in samples::errors() {
        let variant: String =
            format!("{error:?}").chars().take_while(|char| char.is_alphanumeric()).collect();
        all.push((named("Error", &variant, "told"), samples::refused(error)));
    }
    each_once(all)
}

fn each_once<T>(all: Vec<(String, T)>) -> BTreeMap<String, T> {
    let count = all.len();
    let all: BTreeMap<_, _> = all.into_iter().collect();
    assert_eq!(all.len(), count, "two samples have one name");
    all
}

/// The committed bytes of every sample, by the name of their file.
fn files() -> BTreeMap<String, Vec<u8>> {
    fn bytes<T: Serialize>(samples: BTreeMap<String, T>) -> impl Iterator<Item = (String, Vec<u8>)> {
        let read = |name: &str, sample: &T| committed(name, &encode(sample).unwrap());
        samples.into_iter().map(move |(name, sample)| (name.clone(), read(&name, &sample)))
    }
    bytes(asked()).chain(bytes(told())).collect()
}

/// Whether bytes can be read as what the name of their file says.
fn readable(name: &str, bytes: &[u8]) -> bool {
    if name.ends_with(".ask") { decode::<Asked>(bytes).is_ok() } else { decode::<Told>(bytes).is_ok() }
}

#[test]
fn every_request_has_a_sample_and_so_has_its_reply() {
    let known: BTreeSet<_> = AnyRequest::NAMES.iter().copied().collect();
    let requests = samples::requests();
    for (name, what, request) in &requests {
        assert_eq!(request.name(), *name, "{what}");
    }
    let asked: BTreeSet<_> = requests.iter().map(|(name, ..)| *name).collect();
    let told: BTreeSet<_> = samples::replies().iter().map(|(name, ..)| *name).collect();
    for (what, named) in [("request", asked), ("reply", told)] {
        let without: Vec<_> = known.difference(&named).collect();
        assert!(
            without.is_empty(),
            "no sample of the {what} of {without:?}: write one below tests/it/samples/"
        );
    }
}

#[test]
fn no_file_is_without_a_sample() {
    let known = files();
    for file in fs::read_dir(corpus()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(name == REQUIRED || known.contains_key(&name), "{name} is read by no test any more");
    }
}

/// A secret is shown by no `Debug`; it is in what is encoded. A field that is not encoded is in `Debug`.
#[track_caller]
fn check<T: Debug + DeserializeOwned + Serialize>(name: &str, sample: &T) -> T {
    let written = encode(sample).unwrap();
    let read: T = decode(&committed(name, &written)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(format!("{read:?}"), format!("{sample:?}"), "{name}");
    assert_eq!(encode(&read).unwrap(), written, "{name}");
    read
}

#[test]
fn what_format_1_asks_is_read_as_it_was_meant() {
    for (name, sample) in asked() {
        check(&name, &sample);
    }
}

#[test]
fn what_format_1_tells_is_read_as_it_was_meant() {
    for (name, sample) in told() {
        assert_eq!(check(&name, &sample), sample, "{name}");
    }
}

// === Fields, by where they stand ===

/// A place in a message: keys of maps and positions in lists, as in a JSON pointer.
type Place = Vec<String>;

fn walk(value: &Value, at: &mut Place, visit: &mut impl FnMut(&Place, &Value)) {
    visit(at, value);
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (key, part) in parts {
        at.push(key);
        walk(part, at, visit);
        at.pop();
    }
}

fn is_position(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_digit())
}

/// What is asked or told begins here; before it stand the message and what comes with every request.
fn begins_at(place: &[String]) -> Option<usize> {
    let at = |keys: &[&str]| place.len() >= keys.len() && place.iter().zip(keys).all(|(own, key)| own == key);
    if at(&["ask", "request"]) {
        Some(3)
    } else if at(&["outcome", "Ok", "value"]) {
        Some(4)
    } else {
        None
    }
}

/// Within what users write freely nothing is a field of ours.
fn is_free(place: &[String]) -> bool {
    const FREE: [&str; 8] =
        ["config", "definition", "settings", "arguments", "meta", "node_meta", "state", "tagged_addresses"];
    let parents = &place[..place.len().saturating_sub(1)];
    parents.iter().skip(1).any(|key| FREE.contains(&key.as_str()))
}

fn without_positions(place: &[String]) -> String {
    place.iter().filter(|key| !is_position(key)).cloned().collect::<Vec<_>>().join(".")
}

#[test]
fn every_field_has_a_value_that_is_not_its_default() {
    let (mut seen, mut told) = (BTreeSet::new(), BTreeSet::new());
    for (name, bytes) in files() {
        let message: Value = rmp_serde::from_slice(&bytes).unwrap();
        walk(&message, &mut Place::new(), &mut |place, value| {
            // A request without fields and a reply that says nothing are so by themselves.
            if is_free(place) || begins_at(place) == Some(place.len()) {
                return;
            }
            let place = without_positions(place);
            let says_nothing = match value {
                Value::Null => true,
                Value::Bool(set) => !set,
                Value::Number(number) => number.as_f64() == Some(0.0),
                Value::String(text) => text.is_empty(),
                Value::Array(items) => items.is_empty(),
                Value::Object(fields) => fields.is_empty(),
            };
            if !says_nothing {
                told.insert(place.clone());
            }
            seen.insert((place, name.clone()));
        });
    }
    seen.retain(|(place, _)| !told.contains(place));
    assert!(seen.is_empty(), "always at their defaults: {seen:#?}");
}

/// Fields that a message cannot do without, by what they are in. A field that may be missing stays so:
/// there are messages without it. A new one that is not in here has a default.
const REQUIRED: &str = "required.txt";

#[test]
fn a_field_that_could_be_left_out_can_be_left_out_for_ever() {
    let mut tried = BTreeSet::new();
    let mut required = BTreeSet::new();
    for (name, bytes) in files() {
        let message: Value = rmp_serde::from_slice(&bytes).unwrap();
        let mut places = Vec::new();
        walk(&message, &mut Place::new(), &mut |place, _| places.push(place.clone()));
        for place in places {
            let last = place.last().filter(|key| !is_position(key) && !is_free(&place));
            let Some(field) = last.filter(|_| begins_at(&place) != Some(place.len())) else { continue };
            let keys: Vec<&str> = place.iter().map(String::as_str).filter(|key| !is_position(key)).collect();
            let inside = &keys[keys.len().saturating_sub(3)..keys.len() - 1];
            let side = if name.ends_with(".ask") { "asked" } else { "told" };
            let said = format!("{side}: {}.{field}", inside.join("."));
            if !tried.insert((without_positions(&place), side)) || required.contains(&said) {
                continue;
            }
            if !readable(&name, &encode(&without(&message, &place)).unwrap()) {
                required.insert(said);
            }
        }
    }
    let now: String = required.iter().map(|line| format!("{line}\n")).collect();
    let then = String::from_utf8(committed(REQUIRED, now.as_bytes())).unwrap();
    let then: BTreeSet<_> = then.lines().map(ToOwned::to_owned).collect();
    let new: Vec<_> = required.difference(&then).collect();
    assert!(
        new.is_empty(),
        "cannot be left out: {new:#?}\nGive them a default. What came with a request that is new goes to {REQUIRED}."
    );
    assert!(tried.len() > 2 * required.len(), "{} of {} fields are required", required.len(), tried.len());
}

#[test]
fn what_an_older_version_does_not_tell_is_at_its_default() {
    let bytes = committed("ReadStatus.told", &[]);
    let mut message: Value = rmp_serde::from_slice(&bytes).unwrap();
    let status = ["outcome", "Ok", "value", "read_status"].map(ToOwned::to_owned);
    for field in ["snapshot_index", "read_only", "snapshot_failure"] {
        message = without(&message, &[&status[..], &[field.to_owned()]].concat());
    }
    let told: Told = decode(&encode(&message).unwrap()).unwrap();
    let AnyReply::ReadStatus(status) = told.outcome.unwrap().value else { panic!("another reply") };
    assert_eq!((status.snapshot_index, status.read_only, status.snapshot_failure), (0, None, None));
    assert_eq!(status.last_log_term, 2);
}

fn without(message: &Value, place: &[String]) -> Value {
    let mut changed = message.clone();
    let (last, before) = place.split_last().unwrap();
    fields(&mut changed, before).remove(last);
    changed
}

fn fields<'v>(message: &'v mut Value, place: &[String]) -> &'v mut serde_json::Map<String, Value> {
    let pointer: String =
        place.iter().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1"))).collect();
    message.pointer_mut(&pointer).and_then(Value::as_object_mut).unwrap_or_else(|| panic!("no {pointer}"))
}

#[test]
fn what_only_a_later_version_knows_is_passed_over() {
    let places: [(&str, &[&str]); 6] = [
        ("ListNodes.ask", &["ask"]),
        ("ListNodes.ask", &["ask", "head"]),
        ("ListNodes.ask", &["ask", "request", "list_nodes"]),
        ("ListNodes.told", &[]),
        ("ListNodes.told", &["outcome", "Ok"]),
        ("ListNodes.told", &["outcome", "Ok", "value", "list_nodes", "0"]),
    ];
    let files = files();
    for (name, place) in places {
        let place: Place = place.iter().map(ToString::to_string).collect();
        let mut message: Value = rmp_serde::from_slice(&files[name]).unwrap();
        fields(&mut message, &place).insert("of_a_later_version".to_owned(), 1.into());
        assert!(readable(name, &encode(&message).unwrap()), "{name}: {place:?}");
    }
}
