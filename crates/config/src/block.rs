//! Blocks of keys as written. Each key is read into the struct that declares it, and several structs may share a block.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use concord_model::Secret;
use concord_model::proxy::Settings;
use concord_syntax::duration;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Keys of one block. A struct of keys is made by the macro `keys`.
pub(crate) trait Block: Default {
    /// Their names, those of shared structs included.
    fn names() -> &'static [&'static str];

    /// Reads the value of a key. Whether the key is one of these.
    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, values: &mut A) -> Result<bool, A::Error>;

    /// The names of all keys, with those of blocks inside.
    #[cfg(test)]
    fn print(&self, into: &mut serde_json::Map<String, serde_json::Value>);
}

/// What a key may be followed by.
pub(crate) trait Written: Sized {
    /// Reads it.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// An object if it is a block.
    #[cfg(test)]
    fn printed(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

macro_rules! keys {
    (
        $(#[$meta:meta])*
        struct $name:ident { $(..$shared:ident: $shared_type:ty,)* $($key:ident: $type:ty,)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $name {
            $(pub(crate) $shared: $shared_type,)*
            $(pub(crate) $key: $type,)*
        }

        impl crate::block::Block for $name {
            fn names() -> &'static [&'static str] {
                static NAMES: std::sync::OnceLock<Vec<&'static str>> = std::sync::OnceLock::new();
                NAMES.get_or_init(|| {
                    let own: &[&'static str] = &[$(stringify!($key)),*];
                    let shared: &[&[&'static str]] = &[$(<$shared_type as crate::block::Block>::names()),*];
                    [own, &shared.concat()].concat()
                })
            }

            #[allow(unused_variables, reason = "a block may have no keys")]
            fn read<'de, A: serde::de::MapAccess<'de>>(
                &mut self,
                name: &str,
                values: &mut A,
            ) -> Result<bool, A::Error> {
                $(if crate::block::Block::read(&mut self.$shared, name, values)? {
                    return Ok(true);
                })*
                match name {
                    $(stringify!($key) => {
                        self.$key = values.next_value_seed(crate::block::Value::new())?;
                        Ok(true)
                    })*
                    _ => Ok(false),
                }
            }

            #[cfg(test)]
            #[allow(unused_variables, reason = "a block may have no keys")]
            fn print(&self, into: &mut serde_json::Map<String, serde_json::Value>) {
                $(crate::block::Block::print(&self.$shared, into);)*
                $(into.insert(stringify!($key).to_owned(), crate::block::Written::printed(&self.$key));)*
            }
        }

        impl crate::merge::Merge for $name {
            fn merge(&mut self, later: Self) {
                let Self { $($shared,)* $($key,)* } = later;
                $(crate::merge::Merge::merge(&mut self.$shared, $shared);)*
                $(crate::merge::Merge::merge(&mut self.$key, $key);)*
            }
        }
    };
}
pub(crate) use keys;

/// The value that follows a key.
pub(crate) struct Value<T>(PhantomData<T>);

impl<T> Value<T> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Written> DeserializeSeed<'de> for Value<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::read(deserializer)
    }
}

impl<'de, T: Block> Visitor<'de> for Value<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut values: A) -> Result<T, A::Error> {
        let mut own = T::default();
        while let Some(name) = values.next_key::<String>()? {
            if !own.read(&name, &mut values)? {
                values.next_value::<IgnoredAny>()?;
            }
        }
        Ok(own)
    }
}

impl<T: Block> Written for T {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("", T::names(), Value::new())
    }

    #[cfg(test)]
    fn printed(&self) -> serde_json::Value {
        let mut keys = serde_json::Map::new();
        self.print(&mut keys);
        serde_json::Value::Object(keys)
    }
}

macro_rules! as_they_are {
    ($($type:ty,)*) => {
        $(impl Written for $type {
            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }
        })*
    };
}

as_they_are! {
    Option<bool>,
    Option<i64>,
    Option<String>,
    Vec<String>,
    BTreeMap<String, String>,
    Settings,
}

impl Written for Option<Secret> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()).map(Secret::new))
    }
}

impl Written for Option<Duration> {
    /// A duration with a unit. A bare number is refused, because its unit is unclear.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenDuration)
    }
}

struct WrittenDuration;

impl Visitor<'_> for WrittenDuration {
    type Value = Option<Duration>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as \"10s\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if text.is_empty() {
            return Ok(None);
        }
        duration::parse(text).map(Some).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Err(E::custom(format_args!("{number} has no unit; write a duration such as \"{number}s\"")))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}
