//! The syntax tree of both languages: values with positions, and objects with the order and repetition of their keys.
//!
//! Repeated keys are kept, because their meaning depends on the target: labelled blocks are merged, repeated blocks are
//! a list, and of a repeated scalar the last one applies or it is an error. [`mod@crate::decode`] decides.

use std::collections::HashMap;
use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A position in a text: line and column from 1, the column in characters.
///
/// A value that does not come from a text has line 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Pos {
    /// The line, from 1. 0 if the value does not come from a text.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A value and its position.
///
/// Equality compares only the values.
#[derive(Clone, Debug)]
pub struct Node {
    /// The position of the value's first character.
    pub pos: Pos,
    /// The value.
    pub kind: Kind,
}

/// The kinds of values.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// JSON's `null`. HCL has no such value.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction and exponent that fits 64 bits.
    Int(i64),
    /// Any other number, always finite.
    Float(f64),
    /// Text with resolved escapes. `${…}` is not changed.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// An object or block.
    Object(Object),
}

/// The members of an object in their original order, including repeated keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object {
    /// The members in their original order.
    pub members: Vec<Member>,
}

/// One member of an object.
///
/// Equality ignores the position of the key.
#[derive(Clone, Debug)]
pub struct Member {
    /// The key as written.
    pub key: String,
    /// The position of the key.
    pub key_pos: Pos,
    /// The value.
    pub value: Node,
}

/// The text is not valid HCL1 or JSON.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct SyntaxError {
    /// The line of the fault, from 1.
    pub line: u32,
    /// The column of the fault in characters, from 1.
    pub column: u32,
    /// What was found and what was expected.
    pub message: String,
}

/// Whether two keys are equal apart from case, `_` and `-`: `NodeName`, `node_name` and `node-name` are the same key.
pub fn same_key(a: &str, b: &str) -> bool {
    let plain = |key: &str| plain_key(key).collect::<String>();
    if a.is_ascii() && b.is_ascii() { plain_key(a).eq(plain_key(b)) } else { plain(a) == plain(b) }
}

/// The characters of a key that matter in comparisons.
pub(crate) fn plain_key(key: &str) -> impl Iterator<Item = char> {
    key.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase)
}

// === impl Node ===

impl Node {
    /// A node that does not come from a text.
    pub fn new(kind: Kind) -> Self {
        Self { pos: Pos::default(), kind }
    }

    /// The kind of value, in words for messages.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) | Kind::Float(_) => "a number",
            Kind::String(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Object(_) => "an object",
        }
    }

    /// The members, if this is an object.
    pub fn as_object(&self) -> Option<&Object> {
        match &self.kind {
            Kind::Object(object) => Some(object),
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::String(_) | Kind::List(_) => {
                None
            }
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::List(_) | Kind::Object(_) => {
                None
            }
        }
    }

    /// The elements, if this is a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            Kind::Null
            | Kind::Bool(_)
            | Kind::Int(_)
            | Kind::Float(_)
            | Kind::String(_)
            | Kind::Object(_) => None,
        }
    }

    /// The last value under this key of an object. Keys are compared with [`same_key`].
    pub fn find(&self, key: &str) -> Option<&Self> {
        self.as_object()?.find(key)
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Serialize for Node {
    /// Writes the value as data: keys as written, repeated blocks as a list, and the last of other repeated values.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.kind {
            Kind::Null => serializer.serialize_unit(),
            Kind::Bool(value) => serializer.serialize_bool(*value),
            Kind::Int(value) => serializer.serialize_i64(*value),
            Kind::Float(value) => serializer.serialize_f64(*value),
            Kind::String(value) => serializer.serialize_str(value),
            Kind::List(items) => items.serialize(serializer),
            Kind::Object(object) => object.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    /// Reads any value, without positions. With this type a struct keeps a part of its input opaque.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

// === impl Object ===

impl Object {
    /// The last value under this key. Keys are compared with [`same_key`].
    pub fn find(&self, key: &str) -> Option<&Node> {
        self.members.iter().rev().find(|entry| same_key(&entry.key, key)).map(|entry| &entry.value)
    }

    /// The members grouped by exact key. The groups are in order of first appearance.
    pub fn groups(&self) -> Vec<(&Member, Vec<&Node>)> {
        group(self.members.iter())
    }
}

/// Groups members by exact key, in order of first appearance.
pub(crate) fn group<'a>(members: impl Iterator<Item = &'a Member>) -> Vec<(&'a Member, Vec<&'a Node>)> {
    let mut groups: Vec<(&Member, Vec<&Node>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for entry in members {
        let place = *places.entry(&entry.key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, values)) => values.push(&entry.value),
            None => groups.push((entry, vec![&entry.value])),
        }
    }
    groups
}

/// The objects under a repeated key if the target is unknown: repeated blocks, which means that each value is an object
/// or a list of objects. Otherwise `None`.
pub(crate) fn repeated_objects<'a>(values: &[&'a Node]) -> Option<Vec<&'a Node>> {
    let mut objects = Vec::with_capacity(values.len());
    for value in values {
        match &value.kind {
            Kind::Object(_) => objects.push(*value),
            Kind::List(items) if items.iter().all(|item| item.as_object().is_some()) => objects.extend(items),
            Kind::List(_) | Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::String(_) => {
                return None;
            }
        }
    }
    Some(objects)
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let groups = self.groups();
        let mut map = serializer.serialize_map(Some(groups.len()))?;
        for (entry, values) in groups {
            match values.as_slice() {
                [value] => map.serialize_entry(&entry.key, value)?,
                [] => {}
                [.., last] => match repeated_objects(&values) {
                    Some(objects) => map.serialize_entry(&entry.key, &Blocks(&objects))?,
                    None => map.serialize_entry(&entry.key, last)?,
                },
            }
        }
        map.end()
    }
}

struct Blocks<'a>(&'a [&'a Node]);

impl Serialize for Blocks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
        for node in self.0 {
            seq.serialize_element(node)?;
        }
        seq.end()
    }
}

// === impl Member ===

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

// === impl SyntaxError ===

impl SyntaxError {
    pub(crate) fn new(pos: Pos, message: impl Into<String>) -> Self {
        Self { line: pos.line, column: pos.column, message: message.into() }
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::new(Kind::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::new(Kind::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::new(Kind::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::new(Kind::Int(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::new(i64::try_from(value).map_or(Kind::Float(value as f64), Kind::Int)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::new(if value.is_finite() { Kind::Float(value) } else { Kind::Null }))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::new(Kind::String(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::new(Kind::String(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::new(Kind::List(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut object = Object::default();
        while let Some((key, value)) = map.next_entry()? {
            object.members.push(Member { key, key_pos: Pos::default(), value });
        }
        Ok(Node::new(Kind::Object(object)))
    }
}
