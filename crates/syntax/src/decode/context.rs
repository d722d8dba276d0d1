//! What one decoding carries along: how to read, the way down, and what was found.

use std::cell::RefCell;
use std::fmt;

use super::fault::{Diagnostic, Fault, quoted, shortened};
use crate::limits::{DIAGNOSTICS_MAX, SUGGESTED_KEY_CHARS_MAX};
use crate::spelling::{camel_case, edits, edits_max, snake_case};
use crate::tree::{Member, Pos, plain_key, same_key};

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

impl Default for Options {
    /// What configuration files want: unknown keys are faults, repeats are not, values convert.
    fn default() -> Self {
        Self { strict_duplicates: false, weak: true, beside: &[], partial: false, written_style: true }
    }
}

/// What one decoding carries along.
pub(super) struct Context<'a> {
    pub(super) options: Options,
    pub(super) source: &'a str,
    pub(super) found: RefCell<Vec<Diagnostic>>,
}

/// The way down to a value, linked upwards through the stack.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
}

/// The error that travels through serde; the innermost value it passes gives it its place.
#[derive(Debug)]
pub(super) struct Error {
    pub(super) fault: Fault,
    pub(super) place: Option<(Pos, String)>,
}

// === impl Context ===

impl Context<'_> {
    /// Whether a key at that place is somebody else's.
    pub(super) fn passes_over(&self, key: &str, path: &Path<'_>) -> bool {
        let Options { beside, partial, .. } = self.options;
        matches!(path, Path::Root) && (partial || beside.iter().any(|other| same_key(other, key)))
    }

    pub(super) fn unknown_key(&self, entry: &Member, path: &Path<'_>, fields: &'static [&'static str]) {
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
    pub(super) fn new(fault: Fault) -> Self {
        Self { fault, place: None }
    }

    pub(super) fn at(mut self, pos: Pos, path: &Path<'_>) -> Self {
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
