//! Decodes trees to typed values. It accepts the same spellings as Consul's decoder, and refuses unknown keys and wrong
//! values.
//!
//! - A key of a struct matches a field regardless of case and of `_` or `-` between words
//!   ([`same_key`](crate::same_key)), also by a serde alias. Keys of maps are not changed.
//! - A key without a field is a fault. All such faults are reported, with their position and the nearest known key.
//! - A list of one object is accepted as an object for a struct or map, and a single value as a list of one. Repeated
//!   blocks are a list, and labelled blocks with one key are merged into a map.
//! - With [`Options::weak`] numbers, booleans and strings are converted to each other if that is unambiguous.
//! - Without it each value, including lists and objects, must be of the target's kind, as in JSON.
//! - `null` equals a missing key. Where a value is needed, it is the empty value.
//!
//! With `#[serde(flatten)]` and internally tagged enums serde hides the names of fields from this decoder: then keys
//! match only exactly, and unknown keys are not found. Instead, read the tag with [`Node::find`] and decode the right
//! type. A field with opaque contents is a [`Node`] or another self-describing type.

use std::cell::RefCell;

use serde::de::DeserializeOwned;

use crate::tree::Node;

mod context;
mod fault;
mod scalar;
mod value;

#[cfg(test)]
mod tests;

pub use context::Options;
pub use fault::{Diagnostic, Fault};
pub(crate) use scalar::parse_integer;

use context::Context;
use value::Value;

/// Decodes a tree with the default [`Options`]. The error contains all faults, in order of their position.
///
/// `source` names the text in the faults.
pub fn decode<T: DeserializeOwned>(node: &Node, source: &str) -> Result<T, Vec<Diagnostic>> {
    decode_with(node, source, Options::default())
}

/// Decodes a tree whose values must be of the target's kinds, as in a request body.
pub fn decode_exact<T: DeserializeOwned>(node: &Node, source: &str) -> Result<T, Vec<Diagnostic>> {
    decode_with(node, source, Options { weak: false, written_style: false, ..Options::default() })
}

/// Decodes a tree with these options. The error contains all faults, in order of their position.
///
/// It contains all unknown keys outside of the first unusable value, up to
/// [`DIAGNOSTICS_MAX`](crate::limits::DIAGNOSTICS_MAX).
pub fn decode_with<T: DeserializeOwned>(
    node: &Node,
    source: &str,
    options: Options,
) -> Result<T, Vec<Diagnostic>> {
    let context = Context { options, source, found: RefCell::default() };
    let result = T::deserialize(Value::new(&context, node));
    let mut found = context.found.into_inner();
    match result {
        Ok(value) if found.is_empty() => return Ok(value),
        Ok(_) => {}
        Err(error) => found.push(Diagnostic {
            source: source.to_owned(),
            pos: error.place.as_ref().map_or(node.pos, |place| place.0),
            path: error.place.map(|place| place.1).unwrap_or_default(),
            fault: error.fault,
        }),
    }
    found.sort_by_key(|diagnostic| diagnostic.pos);
    Err(found)
}
