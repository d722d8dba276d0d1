//! Changes of the headers of requests and responses, as routes, splits and gateways make them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::is_default;

/// Changes of headers.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct HeaderModifiers {
    /// Headers that are added beside those that are there.
    #[serde(skip_serializing_if = "is_default")]
    pub add: BTreeMap<String, String>,
    /// Headers that replace those that are there.
    #[serde(skip_serializing_if = "is_default")]
    pub set: BTreeMap<String, String>,
    /// Headers that are removed.
    #[serde(skip_serializing_if = "is_default")]
    pub remove: Vec<String>,
}

impl HeaderModifiers {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        let Self { add, set, remove } = self;
        add.is_empty() && set.is_empty() && remove.is_empty()
    }
}
