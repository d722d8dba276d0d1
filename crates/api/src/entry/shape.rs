//! The shape an entry of one kind has, beside what all entries have.

use std::collections::BTreeMap;

use concord_model::entry::Record;
use concord_model::intention::Destination;
use concord_model::{Pattern, ServiceName, Stamp};
use serde::de::DeserializeOwned;

use crate::definition::field;
use crate::fault::Fault;
use crate::intention::PARTIAL_WILDCARD;
use crate::spelled::Spelled;

/// What the entries of one kind say, beside what all entries have.
pub(super) trait EntryShape: Sized {
    /// What it is within.
    type Model;
    /// What a user writes; unknown keys are refused.
    type Body: DeserializeOwned;
    /// As shown.
    fn from_model(entry: &Self::Model) -> Self;
    /// As written, with its faults; none if it cannot be made sense of.
    fn resolve(body: Self::Body, head: Head, faults: &mut Vec<Fault>) -> Option<Self::Model>;
}

impl<T: Clone + DeserializeOwned> EntryShape for Spelled<T> {
    type Model = Record<T>;
    type Body = T;

    fn from_model(entry: &Record<T>) -> Self {
        Self(entry.said.clone())
    }

    fn resolve(said: T, head: Head, _: &mut Vec<Fault>) -> Option<Record<T>> {
        let Head { name, meta } = head;
        let (partition, namespace) = (field::partition(), Pattern::Exact(field::namespace()));
        let scope = Destination { partition, namespace, name: name? };
        Some(Record { scope, said, meta, stamp: Stamp::default() })
    }
}

/// What every entry has.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// Its name; none if it has no usable one, which is told.
    pub(super) name: Option<Pattern<ServiceName>>,
    pub(super) meta: BTreeMap<String, String>,
}

pub(super) fn pattern(field: &str, written: &str, faults: &mut Vec<Fault>) -> Option<Pattern<ServiceName>> {
    if written != "*" && written.contains('*') {
        let text = format!("{field}: {PARTIAL_WILDCARD}");
        faults.push(Fault::rule(field, text));
        return None;
    }
    Pattern::parse(written).map_err(|error| faults.push(Fault::rule(field, format!("{field}: {error}")))).ok()
}
