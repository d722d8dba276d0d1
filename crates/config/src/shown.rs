//! A knob, and its value as it is shown.

use std::fmt;

use concord_api::fingerprint::hash64;
use concord_model::Secret;

/// One knob of a configuration `C`.
#[derive(Debug)]
pub struct Knob<C> {
    /// The key with the blocks around it, joined by dots.
    pub key: &'static str,
    /// The default as [`Shown`] prints it; `-dev` changes some, see [`DEV_DEFAULTS`](crate::knob::DEV_DEFAULTS).
    pub default: &'static str,
    /// Its meaning.
    pub doc: &'static str,
    /// Its current value.
    pub value: fn(&C) -> Shown,
}

impl<C> Clone for Knob<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Knob<C> {}

/// A current value: it can be compared, and printed without revealing a secret.
#[derive(Clone)]
pub enum Shown {
    /// Printed as it is.
    Plain(String),
    /// Compared but never printed.
    Hidden(Option<Secret>),
    /// Too long to print; compared by its fingerprint.
    Content {
        /// The number of elements.
        count: usize,
        /// Fingerprint of all of them.
        hash: u64,
    },
}

/// A count, and a fingerprint of the debug form, which is compared and not printed.
pub(crate) fn content_of(count: usize, value: &impl fmt::Debug) -> Shown {
    Shown::Content { count, hash: hash64(format!("{value:?}").as_bytes()) }
}

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(one), Self::Plain(two)) => one == two,
            (Self::Hidden(None), Self::Hidden(None)) => true,
            (Self::Hidden(Some(one)), Self::Hidden(Some(two))) => one.matches(two.expose()),
            (Self::Content { count: _, hash: one }, Self::Content { count: _, hash: two }) => one == two,
            (Self::Plain(_) | Self::Hidden(_) | Self::Content { .. }, _) => false,
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::Hidden(None) => Ok(()),
            Self::Hidden(Some(_)) => f.write_str("<hidden>"),
            Self::Content { count, hash: _ } => count.fmt(f),
        }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
