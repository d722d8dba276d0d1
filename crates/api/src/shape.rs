//! Small serde helpers of the JSON types: what is left out, what is `null`, what stays secret.

use concord_syntax::{Kind, Node};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// For Go's `omitempty`.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Reads `null` as the empty value, as Go does.
pub(crate) fn null_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Writes an empty list or map as `null`, as Go does for one that was never created.
pub(crate) fn null_if_empty<S: Serializer, T: Default + PartialEq + Serialize>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if is_default(value) { serializer.serialize_none() } else { value.serialize(serializer) }
}

/// Whether anything in a tree differs from its zero value. Go's clients print every field of a structure, and a zero
/// duration as `0s`; that means the same as leaving it out.
pub(crate) fn says_something(node: &Node) -> bool {
    match &node.kind {
        Kind::Null => false,
        Kind::Bool(value) => *value,
        Kind::Int(value) => *value != 0,
        Kind::Float(value) => *value != 0.0,
        Kind::String(text) => !matches!(text.as_str(), "" | "0s"),
        Kind::List(items) => !items.is_empty(),
        Kind::Object(object) => object.members.iter().any(|entry| says_something(&entry.value)),
    }
}

/// Serialises a secret text; used only where the API contains one.
pub(crate) mod exposed {
    use concord_model::Secret;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub(crate) fn optional<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.as_ref().map_or("", Secret::expose))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        Option::<String>::deserialize(deserializer).map(|text| Secret::new(text.unwrap_or_default()))
    }
}

/// Reads a secret text, which may be left out.
pub(crate) fn secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<concord_model::Secret>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()).map(concord_model::Secret::new))
}

/// Free-form settings with sorted keys at every level, as Go prints maps.
pub(crate) mod settings {
    use std::collections::BTreeMap;

    use concord_model::proxy::Settings;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    struct Sorted<'a>(&'a Value);

    impl Serialize for Sorted<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.0 {
                Value::Object(members) => {
                    let sorted: BTreeMap<_, _> =
                        members.iter().map(|(key, value)| (key, Sorted(value))).collect();
                    sorted.serialize(serializer)
                }
                Value::Array(items) => serializer.collect_seq(items.iter().map(Sorted)),
                scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                    scalar.serialize(serializer)
                }
            }
        }
    }

    pub(crate) fn serialize<S: Serializer>(settings: &Settings, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(settings.iter().map(|(key, value)| (key, Sorted(value))))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Settings, D::Error> {
        Option::<Settings>::deserialize(deserializer).map(Option::unwrap_or_default)
    }
}
