//! The implementation of serde's traits. A value is all nodes written under one key.

use serde::de::value::{BorrowedStrDeserializer, I64Deserializer, StrDeserializer};
use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use crate::duration;
use crate::tree::{Kind, Member, Node, group, repeated_objects, same_key};

use super::context::{Context, Error, Path};
use super::fault::Fault;
use super::scalar::{self, Number, wanted};

/// The name of newtypes over nanoseconds that may also be written in Go's notation for durations.
const SPAN: &str = "Span";

/// All nodes written under one key, in order.
#[derive(Clone)]
pub(super) struct Value<'de, 'c> {
    context: &'c Context<'c>,
    path: &'c Path<'c>,
    earlier: Vec<&'de Node>,
    last: &'de Node,
}

impl<'de, 'c> Value<'de, 'c> {
    /// The value of a whole text.
    pub(super) fn new(context: &'c Context<'c>, node: &'de Node) -> Self {
        Self { context, path: &Path::Root, earlier: Vec::new(), last: node }
    }

    fn of(context: &'c Context<'c>, path: &'c Path<'c>, mut nodes: Vec<&'de Node>) -> Self {
        let last = nodes.pop().expect("a key that was written has a value");
        Self { context, path, earlier: nodes, last }
    }

    fn nodes(&self) -> impl Iterator<Item = &'de Node> {
        self.earlier.iter().copied().chain([self.last])
    }

    fn weak(&self) -> bool {
        self.context.options.weak
    }

    fn is_null(&self) -> bool {
        self.last.kind == Kind::Null
    }

    fn repeated(&self) -> Error {
        Error::new(Fault::Repeated { count: self.earlier.len() + 1 })
    }

    /// The node that applies if only one is allowed.
    fn single(&self) -> Result<&'de Node, Error> {
        if self.context.options.strict_duplicates && !self.earlier.is_empty() {
            return Err(self.repeated());
        }
        Ok(self.last)
    }

    /// The objects of this value, including those in lists of objects. Empty for `null`.
    fn objects(&self, what: &str) -> Result<Vec<&'de Node>, Error> {
        if self.earlier.is_empty() && self.is_null() {
            return Ok(Vec::new());
        }
        let nodes: Vec<_> = self.nodes().collect();
        let odd = |node: &&&'de Node| !self.weak() && node.as_list().is_some();
        if let Some(list) = nodes.iter().find(odd) {
            return Err(Error::new(wanted(what, list)).at(list.pos, self.path));
        }
        repeated_objects(&nodes).ok_or_else(|| {
            let odd = nodes.iter().find(|node| node.as_object().is_none()).unwrap_or(&self.last);
            Error::new(wanted(what, odd)).at(odd.pos, self.path)
        })
    }

    /// The members of the only object that is allowed here.
    fn members(&self, what: &str) -> Result<Members<'de, 'c>, Error> {
        let objects = self.objects(what)?;
        if objects.len() > 1 {
            return Err(Error::new(Fault::Repeated { count: objects.len() }));
        }
        Ok(Members::new(self.context, self.path, group(members(&objects))))
    }

    fn number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match scalar::integer(self.single()?, self.weak()).map_err(Error::new)? {
            Number::Int(value) => visitor.visit_i64(value),
            Number::Float(value) => visitor.visit_f64(value),
        }
    }
}

impl<'de> Deserializer<'de> for Value<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if !self.earlier.is_empty()
            && let Some(objects) = repeated_objects(&self.nodes().collect::<Vec<_>>())
        {
            return visitor.visit_seq(Items::new(self.context, self.path, objects));
        }
        match &self.single()?.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Int(value) => visitor.visit_i64(*value),
            Kind::Float(value) => visitor.visit_f64(*value),
            Kind::String(text) => visitor.visit_borrowed_str(text),
            Kind::List(items) => {
                visitor.visit_seq(Items::new(self.context, self.path, items.iter().collect::<Vec<_>>()))
            }
            Kind::Object(object) => {
                visitor.visit_map(Members::new(self.context, self.path, group(object.members.iter())))
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(scalar::boolean(self.single()?, self.weak()).map_err(Error::new)?)
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.number(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.number(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.number(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.number(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.number(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.number(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.number(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.number(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(scalar::float(self.single()?, self.weak()).map_err(Error::new)?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(scalar::text(self.single()?, self.weak()).map_err(Error::new)?)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.single()? {
            node if node.kind == Kind::Null => visitor.visit_unit(),
            node => Err(Error::new(wanted("null", node))),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.last.kind {
            Kind::String(text) if name == SPAN => {
                self.single()?;
                let nanos = if text.is_empty() { Ok(0) } else { duration::parse_signed(text) };
                let nanos = nanos.map_err(|error| Error::new(Fault::Value(error.to_string())))?;
                visitor.visit_newtype_struct(I64Deserializer::<Error>::new(nanos))
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        // A repeated scalar is one scalar, not a list of two. Repeated lists and objects are joined.
        let nodes: Vec<_> =
            if self.nodes().all(is_scalar) { vec![self.single()?] } else { self.nodes().collect() };
        let strict = self.context.options.strict_duplicates && nodes.len() > 1;
        let mut items = Vec::new();
        for node in nodes {
            match &node.kind {
                Kind::Object(_) if self.weak() => items.push(node),
                Kind::Object(_) => return Err(Error::new(wanted("a list", node))),
                Kind::Null => {}
                _ if strict => return Err(self.repeated()),
                Kind::List(list) => items.extend(list),
                Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::String(_) if self.weak() => {
                    items.push(node)
                }
                Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::String(_) => {
                    return Err(Error::new(wanted("a list", node)));
                }
            }
        }
        visitor.visit_seq(Items::new(self.context, self.path, items))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let objects = self.objects("an object")?;
        visitor.visit_map(Members::new(self.context, self.path, group(members(&objects))))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let members = self.members("an object")?;
        visitor.visit_map(members.for_fields(fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(Variant { value: self })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { i128 u128 }
}

fn is_scalar(node: &Node) -> bool {
    match node.kind {
        Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::String(_) => true,
        Kind::Null | Kind::List(_) | Kind::Object(_) => false,
    }
}

fn members<'a>(objects: &[&'a Node]) -> impl Iterator<Item = &'a Member> {
    objects.iter().filter_map(|node| node.as_object()).flat_map(|object| &object.members)
}

/// A key of an object and its values.
struct NamedMember<'de> {
    /// The name for the target: the field's name for a struct, the key as written for a map.
    name: &'de str,
    /// The key as written, for messages.
    written: &'de Member,
    nodes: Vec<&'de Node>,
}

struct Members<'de, 'c> {
    context: &'c Context<'c>,
    path: &'c Path<'c>,
    rest: std::vec::IntoIter<NamedMember<'de>>,
    next: Option<NamedMember<'de>>,
}

impl<'de, 'c> Members<'de, 'c> {
    fn new(context: &'c Context<'c>, path: &'c Path<'c>, groups: Vec<(&'de Member, Vec<&'de Node>)>) -> Self {
        let members: Vec<_> = groups
            .into_iter()
            .map(|(written, nodes)| NamedMember { name: &written.key, written, nodes })
            .collect();
        Self { context, path, rest: members.into_iter(), next: None }
    }

    /// Renames keys to their fields, joins keys of the same field, reports unknown keys, and drops `null` fields.
    fn for_fields(mut self, fields: &'static [&'static str]) -> Self {
        let mut known: Vec<NamedMember<'de>> = Vec::new();
        for member in self.rest {
            let Some(field) = fields.iter().find(|field| same_key(field, member.name)) else {
                if !self.context.passes_over(member.name, self.path) {
                    self.context.unknown_key(member.written, self.path, fields);
                }
                continue;
            };
            match known.iter_mut().find(|other| other.name == *field) {
                Some(other) => {
                    if self.context.options.one_spelling && other.written.key != member.written.key {
                        self.context.two_spellings(member.written, other.written, self.path);
                    }
                    other.nodes.extend(member.nodes);
                }
                None => known.push(NamedMember { name: field, ..member }),
            }
        }
        known.retain(|member| member.nodes.last().is_some_and(|node| node.kind != Kind::Null));
        self.rest = known.into_iter();
        self
    }
}

impl<'de> MapAccess<'de> for Members<'de, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.next = self.rest.next();
        let Some(member) = &self.next else { return Ok(None) };
        let path = Path::Key(self.path, &member.written.key);
        let key = BorrowedStrDeserializer::<Error>::new(member.name);
        seed.deserialize(key).map(Some).map_err(|error| error.at(member.written.key_pos, &path))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let member = self.next.take().expect("serde asks for a key before its value");
        let path = Path::Key(self.path, &member.written.key);
        let value = Value::of(self.context, &path, member.nodes);
        let pos = value.last.pos;
        seed.deserialize(value).map_err(|error| error.at(pos, &path))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Items<'de, 'c> {
    context: &'c Context<'c>,
    path: &'c Path<'c>,
    rest: std::iter::Enumerate<std::vec::IntoIter<&'de Node>>,
}

impl<'de, 'c> Items<'de, 'c> {
    fn new(context: &'c Context<'c>, path: &'c Path<'c>, items: Vec<&'de Node>) -> Self {
        Self { context, path, rest: items.into_iter().enumerate() }
    }
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((index, node)) = self.rest.next() else { return Ok(None) };
        let path = Path::Index(self.path, index);
        let value = Value { context: self.context, path: &path, earlier: Vec::new(), last: node };
        seed.deserialize(value).map(Some).map_err(|error| error.at(node.pos, &path))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// An enum: a string for a variant without content, or an object with one key for a variant with content.
struct Variant<'de, 'c> {
    value: Value<'de, 'c>,
}

impl<'de, 'c> EnumAccess<'de> for Variant<'de, 'c> {
    type Error = Error;
    type Variant = Content<'de, 'c>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content<'de, 'c>), Error> {
        let value = self.value;
        if value.last.as_object().is_none() {
            let text = scalar::text(value.single()?, false).map_err(Error::new)?;
            let variant = seed.deserialize(StrDeserializer::<Error>::new(&text))?;
            return Ok((variant, Content { value: None }));
        }
        let mut members = value.members("an object")?;
        match (members.rest.next(), members.rest.next()) {
            (Some(member), None) => {
                let variant = seed.deserialize(BorrowedStrDeserializer::<Error>::new(member.name))?;
                let value = Value::of(value.context, value.path, member.nodes);
                Ok((variant, Content { value: Some(value) }))
            }
            _ => Err(Error::new(Fault::Value("expected an object with exactly one key".to_owned()))),
        }
    }
}

struct Content<'de, 'c> {
    value: Option<Value<'de, 'c>>,
}

impl<'de, 'c> Content<'de, 'c> {
    fn value(self) -> Result<Value<'de, 'c>, Error> {
        self.value.ok_or_else(|| Error::new(Fault::Value("this variant needs a value of its own".to_owned())))
    }
}

impl<'de> VariantAccess<'de> for Content<'de, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.value {
            Some(value) if !value.is_null() => Err(Error::new(wanted("no value", value.last))),
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.value()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.value()?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.value()?.deserialize_struct("", fields, visitor)
    }
}
