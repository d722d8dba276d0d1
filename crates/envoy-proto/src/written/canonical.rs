//! The bytes of a message, the same for the same message: fields by their number, entries of maps by their key, also
//! within an `Any`.

use prost::Message as _;
use prost::bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, ReflectMessage as _, Value};

use super::known::{ANY, unpack};

/// The bytes of a message, the same for the same message.
pub fn bytes(message: &DynamicMessage) -> Vec<u8> {
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(|(field, _)| field.number());
    let mut out = Vec::new();
    for (field, value) in fields {
        match value {
            Value::Message(own) => put(field.number(), &within(own), &mut out),
            Value::List(list) if matches!(list.first(), Some(Value::Message(_))) => {
                let messages = list.iter().filter_map(Value::as_message);
                messages.for_each(|own| put(field.number(), &within(own), &mut out));
            }
            Value::Map(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by_key(|(key, _)| *key);
                entries
                    .iter()
                    .for_each(|(key, value)| put(field.number(), &entry(&field, key, value), &mut out));
            }
            plain => out.extend(alone(message, &field, plain)),
        }
    }
    out
}

/// The bytes of a message within another.
fn within(own: &DynamicMessage) -> Vec<u8> {
    if own.descriptor().full_name() != ANY {
        return bytes(own);
    }
    let Some(packed) = unpack(own) else { return bytes(own) };
    let mut any = own.clone();
    any.set_field_by_name("value", Value::Bytes(Bytes::from(bytes(&packed))));
    bytes(&any)
}

fn entry(field: &FieldDescriptor, key: &MapKey, value: &Value) -> Vec<u8> {
    let kind = field.kind();
    let descriptor = kind.as_message().expect("a map is a list of entries");
    let mut one = DynamicMessage::new(descriptor.clone());
    one.set_field(&descriptor.map_entry_key_field(), Value::from(key.clone()));
    one.set_field(&descriptor.map_entry_value_field(), value.clone());
    bytes(&one)
}

/// A field by itself, as bytes.
fn alone(of: &DynamicMessage, field: &FieldDescriptor, value: &Value) -> Vec<u8> {
    let mut one = DynamicMessage::new(of.descriptor());
    one.set_field(field, value.clone());
    one.encode_to_vec()
}

fn put(number: u32, content: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}
