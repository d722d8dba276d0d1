//! Serialises a value of the model with the API's spelling: the field `tls_min_version` becomes `TLSMinVersion`.
//!
//! Fields that the model leaves out are left out. Keys of maps belong to the user and are not changed. Maps are
//! sorted by key at every level, as in Go. An empty list in a field is `null`, as Go prints a list that nobody has
//! made; in a map, which may be the user's own, it stays as it is.

use std::collections::BTreeMap;

use concord_model::entry::Transition;
use concord_model::{Timeout, Timestamp};
use concord_syntax::duration;
use concord_syntax::spelling::camel_case;
use serde::ser::{
    Error, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, Serializer,
};
use serde_json::Value;

use crate::Moment;

/// Serialises its value with the API's spelling.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Spelled<T>(pub T);

impl<T: Serialize> Serialize for Spelled<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Speller(serializer, Place::Field))
    }
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// In a field of a struct, perhaps within lists.
    Field,
    /// In a map.
    Map,
}

/// A value in its place.
struct Placed<T>(T, Place);

impl<T: Serialize> Serialize for Placed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Speller(serializer, self.1))
    }
}

/// Passes everything to another serializer, with the struct fields renamed.
struct Speller<S>(S, Place);

/// The fields of a struct, written as members of a map.
struct Fields<M>(M);

/// The items of a list. One without items is not begun, because it may be `null`.
enum Items<S: Serializer> {
    Awaited(S, Place, Option<usize>),
    Begun(S::SerializeSeq, Place),
    /// Only while the list is begun.
    Moved,
}

/// The items of a tuple.
struct Parts<T>(T, Place);

/// Collects the members of a map, which are sorted at the end.
struct Sorted<S: Serializer> {
    to: S,
    key: Option<String>,
    members: BTreeMap<String, Value>,
}

macro_rules! pass_on {
    ($($method:ident($type:ty);)*) => {
        $(fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.0.$method(value)
        })*
    };
}

/// An error for kinds of values that the model does not contain.
fn unused<T, E: Error>(what: &str) -> Result<T, E> {
    Err(E::custom(format!("no record of the model holds {what}")))
}

impl<S: Serializer> Serializer for Speller<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Items<S>;
    type SerializeTuple = Parts<S::SerializeTuple>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = Impossible<S::Ok, S::Error>;
    type SerializeMap = Sorted<S>;
    type SerializeStruct = Fields<S::SerializeMap>;
    type SerializeStructVariant = Impossible<S::Ok, S::Error>;

    pass_on! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit_struct(name)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let shown: fn(i64) -> String = match name {
            Timeout::NAME => duration::format_signed,
            Transition::NAME => |nanos| Moment::from(Timestamp::from_nanos(nanos)).to_string(),
            _ => return value.serialize(self),
        };
        let nanos = serde_json::to_value(value).map_err(S::Error::custom)?.as_i64();
        let nanos = nanos.ok_or_else(|| S::Error::custom("a time or a time-out is a number"))?;
        self.0.serialize_str(&shown(nanos))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let mut map = self.0.serialize_map(Some(1))?;
        map.serialize_entry(&camel_case(variant), &Spelled(value))?;
        map.end()
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        Ok(Items::Awaited(self.0, self.1, len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        let place = self.1;
        self.0.serialize_tuple(len).map(|parts| Parts(parts, place))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        unused("a struct without names")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        unused("a variant without names")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        Ok(Sorted { to: self.0, key: None, members: BTreeMap::new() })
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Self::SerializeStruct, S::Error> {
        self.0.serialize_map(Some(len)).map(Fields)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        unused("a variant with names")
    }
}

impl<M: SerializeMap> SerializeStruct for Fields<M> {
    type Ok = M::Ok;
    type Error = M::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        field: &'static str,
        value: &T,
    ) -> Result<(), M::Error> {
        self.0.serialize_entry(&camel_case(field), &Spelled(value))
    }

    fn end(self) -> Result<M::Ok, M::Error> {
        self.0.end()
    }
}

impl<S: Serializer> SerializeSeq for Items<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        *self = match std::mem::replace(self, Self::Moved) {
            Self::Awaited(to, place, len) => Self::Begun(to.serialize_seq(len)?, place),
            begun => begun,
        };
        match self {
            Self::Begun(items, place) => items.serialize_element(&Placed(value, *place)),
            Self::Awaited(..) | Self::Moved => unused("a list that goes on after an error"),
        }
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        match self {
            Self::Awaited(to, Place::Field, _) => to.serialize_none(),
            Self::Awaited(to, Place::Map, len) => to.serialize_seq(len)?.end(),
            Self::Begun(items, _) => items.end(),
            Self::Moved => unused("a list that goes on after an error"),
        }
    }
}

impl<Q: SerializeTuple> SerializeTuple for Parts<Q> {
    type Ok = Q::Ok;
    type Error = Q::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Q::Error> {
        self.0.serialize_element(&Placed(value, self.1))
    }

    fn end(self) -> Result<Q::Ok, Q::Error> {
        self.0.end()
    }
}

impl<S: Serializer> SerializeMap for Sorted<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        match serde_json::to_value(key).map_err(S::Error::custom)? {
            Value::String(key) => self.key = Some(key),
            other => return unused(&format!("the key {other}")),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        let key = self.key.take().ok_or_else(|| S::Error::custom("a value came before its key"))?;
        self.members.insert(key, serde_json::to_value(Placed(value, Place::Map)).map_err(S::Error::custom)?);
        Ok(())
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.to.collect_map(self.members)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use concord_model::proxy::{Expose, ExposedPath};
    use serde::Serialize;
    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    struct Sample {
        tls_min_version: &'static str,
        sanitize_x_forwarded_client_cert: bool,
        envoy_listener_json: Option<&'static str>,
        enforcing_consecutive_5xx: u32,
        opaque: BTreeMap<&'static str, Value>,
        expose: Expose,
    }

    #[derive(Serialize)]
    struct Lists {
        none: Vec<u8>,
        of_lists: Vec<Vec<u8>>,
        settings: BTreeMap<&'static str, Value>,
        named: BTreeMap<&'static str, Inner>,
    }

    #[derive(Serialize)]
    struct Inner {
        none: Vec<u8>,
    }

    #[test]
    fn empty_lists_of_fields_are_null_and_those_of_users_stay() {
        let lists = Lists {
            none: Vec::new(),
            of_lists: vec![vec![1], vec![]],
            settings: BTreeMap::from([("a", json!([])), ("b", json!([[], { "c": [] }]))]),
            named: BTreeMap::from([("x", Inner { none: Vec::new() })]),
        };
        let shown = serde_json::to_string(&Spelled(lists)).unwrap();
        let expected = r#"{"None":null,"OfLists":[[1],null],"Settings":{"a":[],"b":[[],{"c":[]}]},"Named":{"x":{"None":null}}}"#;
        assert_eq!(shown, expected);
    }

    #[test]
    fn fields_are_spelled_as_the_api_does_and_keys_of_maps_stay() {
        let path = ExposedPath { listener_port: 80, path: "/x".to_owned(), ..ExposedPath::default() };
        let sample = Sample {
            tls_min_version: "TLSv1_2",
            sanitize_x_forwarded_client_cert: true,
            envoy_listener_json: None,
            enforcing_consecutive_5xx: 100,
            opaque: BTreeMap::from([("some_key", json!({ "z_key": 1, "a_key": [{ "b": 2 }] }))]),
            expose: Expose { checks: false, paths: vec![path] },
        };
        let shown = serde_json::to_string(&Spelled(sample)).unwrap();
        assert_eq!(
            shown,
            concat!(
                r#"{"TLSMinVersion":"TLSv1_2","SanitizeXForwardedClientCert":true,"EnvoyListenerJSON":null,"#,
                r#""EnforcingConsecutive5xx":100,"Opaque":{"some_key":{"a_key":[{"b":2}],"z_key":1}},"#,
                r#""Expose":{"Paths":[{"ListenerPort":80,"Path":"/x"}]}}"#
            )
        );
    }
}
