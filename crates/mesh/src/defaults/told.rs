//! A value and where it comes from.

use std::borrow::Cow;
use std::fmt;

use concord_model::entry::EntryName;

/// Where a value comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Nobody has set it.
    Unset,
    /// The registration.
    Registration,
    /// A configuration entry.
    Entry {
        /// Its kind and name.
        name: EntryName,
        /// The field, with dots where it is nested.
        field: Cow<'static, str>,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => f.write_str("not set"),
            Self::Registration => f.write_str("the registration"),
            Self::Entry { name, field } => write!(f, "{field} of {name}"),
        }
    }
}

/// A value and where it comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

impl<T> Told<T> {
    /// A value of the registration.
    pub(super) fn registered(value: T) -> Self {
        Self { value, origin: Origin::Registration }
    }

    /// A value of an entry.
    pub(super) fn said(value: T, name: &EntryName, field: impl Into<Cow<'static, str>>) -> Self {
        Self { value, origin: Origin::Entry { name: name.clone(), field: field.into() } }
    }
}

impl<T: Default> Default for Told<T> {
    /// The value that nobody has set.
    fn default() -> Self {
        Self { value: T::default(), origin: Origin::Unset }
    }
}
