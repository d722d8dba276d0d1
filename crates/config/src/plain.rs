//! Plain settings: a key, a type, a default, and what it means, declared once in the section that holds them.
//!
//! The macro `section` makes of such declarations the struct of keys as written, the section, how one becomes the other,
//! and the rows of the table of knobs. A default is a text: what is shown as the default is what is read as the value. A
//! setting that needs more than its type to be understood is a field that [`crate::resolve`] fills in.

use std::collections::BTreeMap;
use std::time::Duration;

use concord_model::Secret;
use concord_syntax::duration;

use crate::shown::{Shown, content_of};

/// A type of plain settings.
pub(crate) trait Plain: Sized {
    /// As it is written, or not.
    type Written;

    /// The value in force: what was written, or else this default.
    fn resolve(written: &Self::Written, default: &str) -> Self;

    /// As the table of knobs shows it.
    fn shown(&self) -> Shown;
}

impl Plain for bool {
    type Written = Option<Self>;

    fn resolve(written: &Self::Written, default: &str) -> Self {
        written.unwrap_or_else(|| default.parse().expect("the default is true or false"))
    }

    fn shown(&self) -> Shown {
        Shown::Plain(self.to_string())
    }
}

impl Plain for Duration {
    type Written = Option<Self>;

    fn resolve(written: &Self::Written, default: &str) -> Self {
        written.unwrap_or_else(|| duration::parse(default).expect("the default is a duration"))
    }

    fn shown(&self) -> Shown {
        Shown::Plain(duration::format(*self))
    }
}

macro_rules! numbers {
    ($($type:ty,)*) => {
        $(impl Plain for $type {
            type Written = Option<i64>;

            /// 0 and below mean the default, as in Consul.
            fn resolve(written: &Self::Written, default: &str) -> Self {
                let given = written.and_then(|number| Self::try_from(number).ok()).filter(|number| *number > 0);
                given.unwrap_or_else(|| default.parse().expect("the default is a number"))
            }

            fn shown(&self) -> Shown {
                Shown::Plain(self.to_string())
            }
        })*
    };
}

numbers! { u64, usize, }

impl Plain for Option<String> {
    type Written = Self;

    fn resolve(written: &Self::Written, default: &str) -> Self {
        let given = written.clone().unwrap_or_else(|| default.to_owned());
        Some(given).filter(|text| !text.is_empty())
    }

    fn shown(&self) -> Shown {
        Shown::Plain(self.clone().unwrap_or_default())
    }
}

impl Plain for Option<Secret> {
    type Written = Self;

    /// There is no secret that holds where none is written.
    fn resolve(written: &Self::Written, _: &str) -> Self {
        written.clone().filter(|secret| !secret.is_empty())
    }

    fn shown(&self) -> Shown {
        Shown::Hidden(self.clone())
    }
}

impl Plain for Vec<String> {
    type Written = Self;

    /// Lists of all sources are one list, and empty where nothing is written.
    fn resolve(written: &Self::Written, _: &str) -> Self {
        written.clone()
    }

    fn shown(&self) -> Shown {
        Shown::Plain(self.join(" "))
    }
}

impl Plain for BTreeMap<String, String> {
    type Written = Self;

    /// Maps of all sources are one map, and empty where nothing is written.
    fn resolve(written: &Self::Written, _: &str) -> Self {
        written.clone()
    }

    fn shown(&self) -> Shown {
        content_of(self.len(), self)
    }
}

/// Declares a section: `field: Type = key, "default"` for each plain setting, with what it means as its doc; then, after
/// `own`, the fields that are filled in otherwise, with what they hold until then.
///
/// `at` says where the section stands in the configuration and what its keys begin with.
macro_rules! section {
    (
        $(#[$meta:meta])*
        pub struct $name:ident, keys $keys:ident, at $($at:ident).+, $prefix:literal;
        $(
            #[doc = $doc:literal]
            $field:ident: $type:ty = $key:ident, $default:literal;
        )*
        $(own { $($(#[$own_meta:meta])* $own:ident: $own_type:ty = $initial:expr;)* })?
    ) => {
        $(#[$meta])*
        pub struct $name {
            $(#[doc = $doc] pub $field: $type,)*
            $($($(#[$own_meta])* pub $own: $own_type,)*)?
        }

        crate::block::keys! {
            #[doc = concat!("The plain keys of [`", stringify!($name), "`] as written.")]
            struct $keys {
                $($key: <$type as crate::plain::Plain>::Written,)*
            }
        }

        impl $name {
            /// The plain settings, with their defaults where nothing is written.
            pub(crate) fn plain(written: &$keys) -> Self {
                Self {
                    $($field: crate::plain::Plain::resolve(&written.$key, $default),)*
                    $($($own: $initial,)*)?
                }
            }

            fn of(config: &Config) -> &Self {
                &config.$($at).+
            }

            /// The rows of the table of knobs.
            pub(crate) const KNOBS: &[crate::shown::Knob<Config>] = &[
                $(crate::shown::Knob {
                    key: concat!($prefix, stringify!($key)),
                    default: $default,
                    doc: $doc.trim_ascii(),
                    value: |config| crate::plain::Plain::shown(&Self::of(config).$field),
                },)*
            ];
        }
    };
}
pub(crate) use section;
