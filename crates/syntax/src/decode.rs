//! From the tree to typed values, as tolerant of writing as Consul's decoder and as strict about nonsense.
//!
//! - Keys of a struct match its fields whatever their case and whether words are joined by `_`, `-` or
//!   nothing ([`same_key`]). Serde aliases count. Keys of maps stay as they were written.
//! - Keys no field is named for are faults, all of them reported with their place and the nearest known key.
//! - A list of one object is an object where a struct or map is wanted; a single value is a list of one where
//!   a list is wanted; repeated blocks are a list; labelled blocks of one key merge into a map.
//! - With [`Options::weak`] numbers, booleans and strings turn into each other where nothing is lost in doubt.
//! - Without it every value must be of the kind the target asks for, lists and objects too: what JSON wants.
//! - `null` is the same as leaving the key out; where it must be a value it is the empty one.
//!
//! Two serde features hide field names from this decoder, so that keys only match exactly and unknown keys
//! go unseen: `#[serde(flatten)]` and internally tagged enums. Look at the tag with [`Node::find`], then decode
//! the right type. A field that shall stay opaque is a [`Node`] or any other self-describing type.

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

/// Decodes a tree with the default [`Options`]; on failure every fault found, in order of their position.
///
/// `source` names the text in the faults.
pub fn decode<T: DeserializeOwned>(node: &Node, source: &str) -> Result<T, Vec<Diagnostic>> {
    decode_with(node, source, Options::default())
}

/// Decodes a tree in which every value must be of the kind the target asks for, as a request body's must.
pub fn decode_exact<T: DeserializeOwned>(node: &Node, source: &str) -> Result<T, Vec<Diagnostic>> {
    decode_with(node, source, Options { weak: false, written_style: false, ..Options::default() })
}

/// Decodes a tree with given options; on failure every fault found, in order of their position.
///
/// All unknown keys outside of the first unusable value are found; at most
/// [`DIAGNOSTICS_MAX`](crate::limits::DIAGNOSTICS_MAX) are reported.
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
