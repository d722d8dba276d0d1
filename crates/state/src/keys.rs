//! The keys of all tables: by which key a row is stored, and which classes of rows can be scanned and watched.
//!
//! Each table of the declaration (`schema`) has a module here. Its functions build keys and classes from their parts.
//! A class that is not declared has no function, and a table that no query reads cannot be passed to a
//! [`Reader`](crate::Reader). Both mistakes fail to compile.

use std::marker::PhantomData;
use std::ops::{Deref, RangeInclusive};

use concord_model::ca::{CaConfig, CaRoots, ProviderRecord};
use concord_model::catalog::{Check, CheckStatus, Node, NodeScope, ServiceInstance};
use concord_model::entry::{EntryKind, EntryName};
use concord_model::intention::{Destination, Source, SourceIntention};
use concord_model::token::{AclPolicy, SecretHash, Token};
use concord_model::{
    CheckId, InstanceId, Namespace, NodeName, Pattern, ServiceName, ServiceRef, Timestamp, Uuid,
};
use serde::{Deserialize, Serialize};

use crate::key::part::{Local, Part, Shown, SpeaksFor};
use crate::key::{Key, KeyBuilder};
use crate::row::{
    AclBootstrap, EntryLink, EntryRow, EntryTime, IntentionRef, NodeCheck, Placed, ServiceHealth,
    ServiceScope, ServiceSummary, ServiceTraits, UpstreamUse, VirtualAddress,
};

/// The properties of a table, and what of it can be watched.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) id: TableId,
    /// Whether single rows can be read; such a row is watched by its own key.
    pub(crate) exact: bool,
    /// Whether the whole table is a class. It is, unless no query reads the table.
    pub(crate) watched: bool,
    /// The other classes: the number of key components after which each of them ends. A class whose last part is a
    /// path has a range, because it ends after each step of the path.
    pub(crate) classes: &'static [RangeInclusive<usize>],
}

impl Shape {
    /// All keys by which a row is watched: the classes it belongs to, the widest first, then the row itself.
    pub(crate) fn watched_of<'k>(&self, key: &'k Key) -> impl Iterator<Item = &'k [u8]> {
        let whole = key.as_bytes().len();
        let watched = move |(components, prefix): &(usize, &[u8])| match prefix.len() {
            0 => self.watched,
            length if length == whole => self.exact,
            _ => self.classes.iter().any(|class| class.contains(components)),
        };
        key.prefixes().enumerate().filter(watched).map(|(_, prefix)| prefix)
    }
}

/// The rows of one table, as a type.
pub(crate) trait Keyed: 'static {
    /// The type of a row.
    type Row: PartialEq + 'static;
    const SHAPE: &'static Shape;
}

/// Tables that queries read.
pub(crate) trait Watched: Keyed {}

/// The key of a row that can be read alone.
pub(crate) struct RowKey<K>(Key, PhantomData<K>);

impl<K> Deref for RowKey<K> {
    type Target = Key;
    fn deref(&self) -> &Key {
        &self.0
    }
}

impl<K> From<RowKey<K>> for Key {
    fn from(key: RowKey<K>) -> Self {
        key.0
    }
}

/// A declared class of the rows of a table.
pub(crate) struct Class<K>(Key, PhantomData<K>);

impl<K: Watched> Class<K> {
    /// The whole table.
    pub(crate) fn all() -> Self {
        Self(all(), PhantomData)
    }
}

impl<K> Deref for Class<K> {
    type Target = Key;
    fn deref(&self) -> &Key {
        &self.0
    }
}

impl<K> From<Class<K>> for Key {
    fn from(class: Class<K>) -> Self {
        class.0
    }
}

/// The class that is a whole table.
pub(crate) fn all() -> Key {
    KeyBuilder::new().build()
}

/// The key of the row of a table that has one.
pub(crate) fn only() -> Key {
    KeyBuilder::new().with("").build()
}

macro_rules! key_of {
    () => { only() };
    ($($part:ident)+) => {{
        let key = KeyBuilder::new();
        $(let key = $part.append(key);)+
        key.build()
    }};
}

/// Generates one function of a table's module.
macro_rules! function {
    (row $(#[$attribute:meta])* ($($name:ident: $part:ty),*)) => {
        $(#[$attribute])*
        pub(crate) fn row($($name: $part),*) -> RowKey<Rows> {
            RowKey(key_of!($($name)*), PhantomData)
        }
        impl Watched for Rows {}
    };
    (key $(#[$attribute:meta])* ($($name:ident: $part:ty),*)) => {
        $(#[$attribute])*
        pub(crate) fn key($($name: $part),*) -> Key {
            key_of!($($name)*)
        }
        impl Watched for Rows {}
    };
    (unread ($($name:ident: $part:ty),*)) => {
        pub(crate) fn key($($name: $part),*) -> Key {
            key_of!($($name)*)
        }
    };
    (class $class:ident $(#[$attribute:meta])* ($($name:ident: $part:ty),*)) => {
        $(#[$attribute])*
        pub(crate) fn $class($($name: $part),*) -> Class<Rows> {
            Class(key_of!($($name)*), PhantomData)
        }
    };
    (part $beginning:ident ($($name:ident: $part:ty),*)) => {
        pub(crate) fn $beginning($($name: $part),*) -> Key {
            key_of!($($name)*)
        }
    };
}

/// Whether rows of this declaration can be read one by one.
macro_rules! is_exact {
    (row) => {
        true
    };
    (key) => {
        false
    };
    (unread) => {
        false
    };
}

/// Whether queries read them at all.
macro_rules! is_watched {
    (row) => {
        true
    };
    (key) => {
        true
    };
    (unread) => {
        false
    };
}

/// Generates the module of one table.
macro_rules! module {
    ($table:ident: $id:ident<$row:ty> {
        $(#[$own:meta])* $found:ident $parts:tt;
        $($(#[$attribute:meta])* class $class:ident($($name:ident: $part:ty),*);)*
        $(part $beginning:ident $beginning_parts:tt;)*
    }) => {
        pub(crate) mod $table {
            use super::*;

            #[derive(Debug)]
            pub(crate) enum Rows {}

            impl Keyed for Rows {
                type Row = $row;
                const SHAPE: &'static Shape = &Shape {
                    id: TableId::$id,
                    exact: is_exact!($found),
                    watched: is_watched!($found),
                    classes: &[$(
                        0usize$(.saturating_add(<$part as Part>::LEAST))*
                            ..=0usize$(.saturating_add(<$part as Part>::MOST))*,
                    )*],
                };
            }

            function!($found $(#[$own])* $parts);
            $(function!(class $class $(#[$attribute])* ($($name: $part),*));)*
            $(function!(part $beginning $beginning_parts);)*
        }
    };
}

macro_rules! keys {
    ($($(#[$doc:meta])* $table:ident: $id:ident<$row:ty> $found:tt $saved:tt;)*) => {
        /// Names a table.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum TableId {
            $($(#[$doc])* $id,)*
        }

        impl TableId {
            /// All tables.
            pub const ALL: &[Self] = &[$(Self::$id,)*];
        }

        $(module! { $table: $id<$row> $found })*
    };
}

each_table!(keys);

/// The forms that a pattern covering this service can have: namespace and name, each exact or a wildcard.
pub(crate) fn patterns(service: &ServiceRef) -> [(Pattern<Namespace>, Pattern<ServiceName>); 4] {
    let namespace = || Pattern::Exact(service.namespace.clone());
    let name = || Pattern::Exact(service.name.clone());
    [(namespace(), name()), (namespace(), Pattern::Any), (Pattern::Any, name()), (Pattern::Any, Pattern::Any)]
}

#[cfg(test)]
mod tests;
