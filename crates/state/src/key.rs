//! Keys: the compact byte strings by which rows are stored and watched.
//!
//! A key is a sequence of components, each closed by a zero byte. So two keys are equal only if all their components
//! are, and the first *n* components of a key form a prefix that no other sequence of components has. Zero and one
//! bytes inside a component are escaped. Snapshots contain keys, so their form is part of the snapshot format.

pub(crate) mod part;

use std::borrow::Borrow;
use std::sync::Arc;
use std::{fmt, iter};

use concord_model::PeerName;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const END: u8 = 0;
const ESCAPE: u8 = 1;
const ESCAPED_END: u8 = 1;
const ESCAPED_ESCAPE: u8 = 2;

/// The key of a row, or of a class of rows (the first components of the rows' keys).
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key(Arc<[u8]>);

impl Key {
    /// The prefixes of the key that end at a component boundary, the shortest first: the empty one, one component,
    /// and so on up to the whole key.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.0.iter().enumerate().filter(|(_, byte)| **byte == END).map(|(at, _)| at + 1);
        iter::once(0).chain(ends).map(|end| &self.0[..end])
    }

    /// The first bytes of the key, as a key. For the whole length it returns the key itself without a copy.
    pub(crate) fn up_to(&self, length: usize) -> Self {
        if length == self.0.len() { self.clone() } else { Self(self.0[..length].into()) }
    }

    /// The bytes of the key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0).replace('\0', "|"))
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl de::Visitor<'_> for Bytes {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a key")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Key, E> {
                Ok(Key(bytes.into()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Builds a key component by component.
#[derive(Debug, Default)]
pub(crate) struct KeyBuilder(Vec<u8>);

impl KeyBuilder {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(64))
    }

    /// Appends one component.
    pub(crate) fn with(mut self, component: &str) -> Self {
        for byte in component.bytes() {
            match byte {
                END => self.0.extend([ESCAPE, ESCAPED_END]),
                ESCAPE => self.0.extend([ESCAPE, ESCAPED_ESCAPE]),
                other => self.0.push(other),
            }
        }
        self.0.push(END);
        self
    }

    /// Appends an optional peer. Our own cluster is the empty component, which no peer can be named.
    pub(crate) fn peer(self, peer: Option<&PeerName>) -> Self {
        self.with(peer.map_or("", PeerName::as_str))
    }

    pub(crate) fn build(self) -> Key {
        Key(self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(components: &[&str]) -> Key {
        components.iter().fold(KeyBuilder::new(), |key, component| key.with(component)).build()
    }

    #[test]
    fn a_key_begins_with_each_of_its_components() {
        let whole = key(&["default", "", "web"]);
        let beginnings = [key(&[]), key(&["default"]), key(&["default", ""]), whole.clone()];
        assert!(whole.prefixes().eq(beginnings.iter().map(Key::as_bytes)));
    }

    #[test]
    fn components_cannot_imitate_boundaries() {
        let cases: [&[&str]; 6] =
            [&["a", "b"], &["ab"], &["a\0b"], &["a", "", "b"], &["a\u{1}\u{1}b"], &["a\u{1}", "b"]];
        for (at, one) in cases.iter().enumerate() {
            for other in &cases[at + 1..] {
                assert_ne!(key(one), key(other), "{one:?} and {other:?}");
            }
        }
    }
}
