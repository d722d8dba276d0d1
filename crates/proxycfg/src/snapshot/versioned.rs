//! A part of a snapshot, with its version.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A part of a snapshot, with the version of its last change.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub struct Versioned<T> {
    /// The version of the snapshot at its last change.
    pub version: u64,
    /// The part itself.
    pub value: Arc<T>,
}

impl<T> Clone for Versioned<T> {
    fn clone(&self) -> Self {
        Self { version: self.version, value: Arc::clone(&self.value) }
    }
}

impl<T> Deref for Versioned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> Versioned<T> {
    /// Whether the parts have the same content, whatever their versions.
    pub fn says_the_same_as(&self, value: &Arc<T>) -> bool {
        Arc::ptr_eq(&self.value, value) || self.value == *value
    }

    /// The part after a change: one that says the same as before keeps its version and its memory, any other has the
    /// version `next`.
    pub(crate) fn after(last: Option<&Self>, value: Arc<T>, next: u64) -> Self {
        match last {
            Some(last) if last.says_the_same_as(&value) => last.clone(),
            Some(_) | None => Self { version: next, value },
        }
    }
}
