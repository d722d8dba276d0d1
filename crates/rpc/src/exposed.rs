//! The wire form of a secret. It is used only for messages between our own processes.

use concord_model::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) fn serialize<S: Serializer>(secret: &Option<Secret>, out: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(out)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Secret::new))
}
