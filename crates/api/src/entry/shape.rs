//! The JSON of an entry's kind, without the fields that all entries share.

use std::collections::BTreeMap;

use concord_model::entry::Record;
use concord_model::intention::Destination;
use concord_model::{Pattern, ServiceName, Stamp};
use serde::de::DeserializeOwned;

use crate::definition::field;
use crate::fault::Fault;
use crate::intention::PARTIAL_WILDCARD;
use crate::spelled::Spelled;

/// The fields of one kind of entry.
pub(super) trait EntryShape: Sized {
    /// The type in the model.
    type Model;
    /// The JSON that a user writes; unknown keys are refused.
    type Body: DeserializeOwned;
    /// Converts from the model.
    fn from_model(entry: &Self::Model) -> Self;
    /// Converts to the model and adds errors; `None` if the body makes no sense.
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

/// The fields that all entries share.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// Its name; `None` if it has no valid one, which has been reported.
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
