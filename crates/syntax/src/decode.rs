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
use std::fmt;

use serde::de::DeserializeOwned;

use crate::limits::{DIAGNOSTICS_MAX, QUOTED_CHARS_MAX, SUGGESTED_KEY_CHARS_MAX};
use crate::spelling::{camel_case, edits, edits_max, snake_case};
use crate::tree::{Entry, Node, Pos, plain_key, same_key};

mod scalar;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use scalar::parse_integer;
use value::Value;

/// How to read what the types leave open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Options {
    /// Refuse a key that is given twice, unless it is a block in a list or a label in a map. Otherwise the
    /// last scalar wins and lists join.
    pub strict_duplicates: bool,
    /// Let values turn into each other: `"80"` is a number and `80` is a string where the target asks for it,
    /// a single value is a list of one, a list of one object is that object.
    pub weak: bool,
    /// Keys at the top that were read already: they are passed over, and are known where a key is misspelt.
    pub beside: &'static [&'static str],
    /// Pass over keys at the top that no field is named for: they are somebody else's.
    pub partial: bool,
    /// Tell the key that was probably meant in the style of the one that was written: `port` for `prot`, `Port` for
    /// `Prot`. Otherwise it is told as the field is declared.
    pub written_style: bool,
}

/// One fault of an input, with all a person needs to mend it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// What the text was: a file name, `-hcl`, `request body`.
    pub source: String,
    /// Where the fault is; line 0 if the value was not read from a text.
    pub pos: Pos,
    /// The keys down to the fault as they were written, `services[1].port`; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with one value or key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// No field is named for this key.
    #[error("unknown key {}{}", quoted(key), suggested(suggestion.as_deref()))]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The nearest field, if one is near, spelt as the options want it.
        suggestion: Option<String>,
    },
    /// The key is given more than once and only one value has a meaning here.
    #[error("given {count} times; only one is allowed here")]
    Repeated {
        /// How often it is given.
        count: usize,
    },
    /// The value cannot become what is wanted; the text says what was found and what is wanted.
    #[error("{0}")]
    Value(String),
}

impl Default for Options {
    /// What configuration files want: unknown keys are faults, repeats are not, values convert.
    fn default() -> Self {
        Self { strict_duplicates: false, weak: true, beside: &[], partial: false, written_style: true }
    }
}

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

impl fmt::Display for Diagnostic {
    /// `agent.hcl:3:5: ports.htp: unknown key "htp", did you mean "http"?`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if self.pos.line > 0 {
            write!(f, ":{}", self.pos)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.fault)
    }
}

impl std::error::Error for Diagnostic {}

/// What one decoding carries along.
struct Context<'a> {
    options: Options,
    source: &'a str,
    found: RefCell<Vec<Diagnostic>>,
}

/// The way down to a value, linked upwards through the stack.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
}

/// The error that travels through serde; the innermost value it passes gives it its place.
#[derive(Debug)]
struct Error {
    fault: Fault,
    place: Option<(Pos, String)>,
}

// === impl Context ===

impl Context<'_> {
    /// Whether a key at that place is somebody else's.
    fn passes_over(&self, key: &str, path: &Path<'_>) -> bool {
        let Options { beside, partial, .. } = self.options;
        matches!(path, Path::Root) && (partial || beside.iter().any(|other| same_key(other, key)))
    }

    fn unknown_key(&self, entry: &Entry, path: &Path<'_>, fields: &'static [&'static str]) {
        let beside = if matches!(path, Path::Root) { self.options.beside } else { &[] };
        let mut found = self.found.borrow_mut();
        if found.len() == DIAGNOSTICS_MAX {
            return;
        }
        let small = entry.key.starts_with(|c: char| c.is_lowercase());
        let told = |field: &str| match (self.options.written_style, small) {
            (true, true) => snake_case(field),
            (true, false) => camel_case(field),
            (false, _) => field.to_owned(),
        };
        let suggestion = nearest(&entry.key, fields.iter().chain(beside).copied()).map(told);
        found.push(Diagnostic {
            source: self.source.to_owned(),
            pos: entry.key_pos,
            path: Path::Key(path, &entry.key).to_string(),
            fault: Fault::UnknownKey { key: entry.key.clone(), suggestion },
        });
    }
}

// === impl Path ===

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(&shortened(key)),
            Self::Key(parent, key) => write!(f, "{parent}.{}", shortened(key)),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

// === impl Error ===

impl Error {
    fn new(fault: Fault) -> Self {
        Self { fault, place: None }
    }

    fn at(mut self, pos: Pos, path: &Path<'_>) -> Self {
        self.place.get_or_insert_with(|| (pos, path.to_string()));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Fault::Value(message.to_string()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Fault::Value(format!("`{field}` is missing")))
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self::new(Fault::Repeated { count: 2 })
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Fault::Value(format!("{} is not one of {}", quoted(variant), expected.join(", "))))
    }
}

/// The first characters of a text that may be of any length.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text))
}

fn suggested(suggestion: Option<&str>) -> String {
    suggestion.map(|key| format!(", did you mean {key:?}?")).unwrap_or_default()
}

/// The field whose name is fewest edits away, if that is at most a third of the key.
fn nearest(key: &str, fields: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if key.chars().nth(SUGGESTED_KEY_CHARS_MAX).is_some() {
        return None;
    }
    let key: String = plain_key(key).collect();
    let most = edits_max(key.chars().count());
    fields
        .map(|field| (edits(&key, &plain_key(field).collect::<String>()), field))
        .filter(|(edits, _)| *edits <= most)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, field)| field)
}
