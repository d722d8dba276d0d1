//! The state of one decoding: its options, the path to the current value, and the faults.

use std::cell::RefCell;
use std::fmt;

use serde::de::{Expected, Unexpected};

use super::fault::{Diagnostic, Fault, quoted, shortened};
use crate::limits::{DIAGNOSTICS_MAX, SUGGESTED_KEY_CHARS_MAX};
use crate::spelling::{camel_case, edits, edits_max, snake_case};
use crate::tree::{Member, Pos, plain_key, same_key};

/// The options of decoding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Options {
    /// Refuse a repeated key, unless it is a block in a list or a label in a map. Otherwise the last scalar wins and
    /// lists are joined.
    pub strict_duplicates: bool,
    /// Convert values: `"80"` to a number and `80` to a string if the target needs it, a single value to a list of one,
    /// and a list of one object to that object.
    pub weak: bool,
    /// Top-level keys that the caller has already read. They are skipped, and may be suggested for a misspelt key.
    pub beside: &'static [&'static str],
    /// Skip top-level keys without a field; other code reads them.
    pub partial: bool,
    /// Refuse a field that is given by keys that are spelt differently. Otherwise they are values of one key.
    pub one_spelling: bool,
    /// Suggest keys in the style of the written key: `port` for `prot`, `Port` for `Prot`. Otherwise suggest the
    /// field's declared name.
    pub written_style: bool,
}

impl Default for Options {
    /// The options for configuration files: unknown keys are faults, repeated keys are not, and values are converted.
    fn default() -> Self {
        Self {
            strict_duplicates: false,
            weak: true,
            beside: &[],
            partial: false,
            one_spelling: false,
            written_style: true,
        }
    }
}

/// The state of one decoding.
pub(super) struct Context<'a> {
    pub(super) options: Options,
    pub(super) source: &'a str,
    pub(super) found: RefCell<Vec<Diagnostic>>,
}

/// The path to a value, as a linked list on the stack.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
}

/// The error type for serde. The innermost value that the error passes sets its position.
#[derive(Debug)]
pub(super) struct Error {
    pub(super) fault: Fault,
    pub(super) place: Option<(Pos, String)>,
}

// === impl Context ===

impl Context<'_> {
    /// Whether a top-level key is left to other code.
    pub(super) fn passes_over(&self, key: &str, path: &Path<'_>) -> bool {
        let Options { beside, partial, .. } = self.options;
        matches!(path, Path::Root) && (partial || beside.iter().any(|other| same_key(other, key)))
    }

    pub(super) fn two_spellings(&self, later: &Member, earlier: &Member, path: &Path<'_>) {
        let mut found = self.found.borrow_mut();
        if found.len() < DIAGNOSTICS_MAX {
            found.push(Diagnostic {
                source: self.source.to_owned(),
                pos: later.key_pos,
                path: Path::Key(path, &later.key).to_string(),
                fault: Fault::TwoSpellings { key: later.key.clone(), other: earlier.key.clone() },
            });
        }
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

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(Fault::Value(misfit("type", found, wanted)))
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(Fault::Value(misfit("value", found, wanted)))
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

/// What was found and what is wanted. A number of Rust's is told by its range.
fn misfit(what: &str, found: Unexpected<'_>, wanted: &dyn Expected) -> String {
    let wanted = wanted.to_string();
    let Some(range) = range(&wanted) else {
        return format!("invalid {what}: {found}, expected {wanted}");
    };
    match found {
        Unexpected::Signed(number) => format!("expected {range}, found {number}"),
        Unexpected::Unsigned(number) => format!("expected {range}, found {number}"),
        Unexpected::Float(number) => format!("expected {range}, found {number}"),
        other => format!("expected {range}, found {other}"),
    }
}

/// The numbers of a type, by its name.
fn range(name: &str) -> Option<String> {
    fn from<T: fmt::Display>(least: T, most: T) -> Option<String> {
        Some(format!("a whole number from {least} to {most}"))
    }
    match name {
        "u8" => from(u8::MIN, u8::MAX),
        "u16" => from(u16::MIN, u16::MAX),
        "u32" => from(u32::MIN, u32::MAX),
        "u64" | "usize" => from(u64::MIN, u64::MAX),
        "i8" => from(i8::MIN, i8::MAX),
        "i16" => from(i16::MIN, i16::MAX),
        "i32" => from(i32::MIN, i32::MAX),
        "i64" | "isize" => from(i64::MIN, i64::MAX),
        _ => None,
    }
}

/// The field whose name has the fewest edits to the key, if these are at most a third of the key's length.
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
