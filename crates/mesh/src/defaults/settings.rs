//! Opaque settings in layers: what a more particular layer leaves empty is filled from the more general one.
//!
//! As in Consul, a value that is zero, false or empty does not count as set. Objects are merged member by member.

use std::collections::BTreeMap;

use concord_model::proxy::Settings;
use serde_json::{Map, Value};

use super::told::{Origin, Told};

/// Opaque settings, each with its origin.
pub(super) type ToldSettings = BTreeMap<String, Told<Value>>;

/// The settings of a registration.
pub(super) fn registered(settings: Settings) -> ToldSettings {
    settings.into_iter().map(|(key, value)| (key, Told::registered(value))).collect()
}

/// The settings without their origins.
pub(super) fn values(settings: ToldSettings) -> Settings {
    settings.into_iter().map(|(key, told)| (key, told.value)).collect()
}

/// Fills what `own` leaves empty from a more general layer.
pub(super) fn fill(own: &mut ToldSettings, general: ToldSettings) {
    for (key, general) in general {
        match own.get_mut(&key) {
            None => drop(own.insert(key, general)),
            Some(own) if is_empty(&own.value) => *own = general,
            Some(own) => fill_value(&mut own.value, general.value),
        }
    }
}

/// Replaces values by those of a more particular layer; its empty values replace nothing.
pub(super) fn replace(own: &mut ToldSettings, particular: &ToldSettings) {
    for (key, told) in particular {
        if told.origin != Origin::Unset && !is_empty(&told.value) {
            own.insert(key.clone(), told.clone());
        }
    }
}

fn fill_value(own: &mut Value, general: Value) {
    if let (Value::Object(own), Value::Object(general)) = (own, general) {
        general.into_iter().for_each(|(key, value)| fill_member(own, key, value));
    }
}

/// A registration may spell a member as files do, an entry's settings are spelled as in answers.
fn fill_member(own: &mut Map<String, Value>, key: String, general: Value) {
    let written = own.keys().find(|own| is_same(own, &key)).cloned();
    match written.and_then(|written| own.get_mut(&written)) {
        None => drop(own.insert(key, general)),
        Some(own) if is_empty(own) => *own = general,
        Some(own) => fill_value(own, general),
    }
}

/// Whether two keys differ in case and underscores only.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let letters =
        |key: &'_ str| key.bytes().filter(|b| *b != b'_').map(|b| b.to_ascii_lowercase()).collect::<Vec<_>>();
    letters(one) == letters(other)
}

/// Whether a value counts as not set.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}
