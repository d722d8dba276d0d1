//! JSON as protobuf has it. The depth of the JSON is limited where it is read.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Value};

/// An object.
pub fn structure(object: &Map<String, Value>) -> Struct {
    Struct { fields: object.iter().map(|(key, own)| (key.clone(), value(own))).collect() }
}

/// Any value.
pub fn value(own: &Value) -> prost_types::Value {
    let kind = match own {
        Value::Null => Kind::NullValue(0),
        Value::Bool(truth) => Kind::BoolValue(*truth),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(list) => Kind::ListValue(ListValue { values: list.iter().map(value).collect() }),
        Value::Object(object) => Kind::StructValue(structure(object)),
    };
    prost_types::Value { kind: Some(kind) }
}
