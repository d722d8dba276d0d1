//! Messages that operators write as JSON, with `@type`: of any type of Envoy's API, with all fields, whether they are
//! generated or not.
//!
//! What they look like is in `descriptors.gz`, which `cargo xtask protos` writes. It is unpacked when the first one is
//! read. Custom filters that are not part of Envoy's API can be written as `xds.type.v3.TypedStruct`.

mod canonical;
mod known;

use prost::{Message, Name};
use prost_reflect::ReflectMessage as _;
pub use prost_reflect::{DynamicMessage, Value};

pub use self::canonical::bytes;
pub use self::known::unpack;
use self::known::{ANY, descriptor};
use crate::Any;

const DOMAIN: &str = "type.googleapis.com";

/// Why a text is no message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JsonError {
    /// It is not the JSON of a message.
    #[error("{0}")]
    Syntax(String),
    /// It is a message of another type.
    #[error("\"@type\" is {found:?}; it must be \"{DOMAIN}/{needed}\"")]
    Type {
        /// The type that it has.
        found: String,
        /// The type that is needed.
        needed: String,
    },
}

/// Reads a message of a type from JSON whose `@type` names it.
///
/// # Errors
/// The text is no such message.
pub fn parse<M: Name>(text: &str) -> Result<DynamicMessage, JsonError> {
    let any = descriptor(ANY).expect("the pool has the well-known types");
    let mut source = serde_json::Deserializer::from_str(text);
    let read = DynamicMessage::deserialize(any, &mut source);
    let any = read.and_then(|any| source.end().map(|()| any));
    let any = any.map_err(|error| JsonError::Syntax(error.to_string()))?;
    let url = any.get_field_by_name("type_url").and_then(|url| url.as_str().map(str::to_owned));
    let (found, needed) = (url.unwrap_or_default(), M::full_name());
    if found.rsplit('/').next() != Some(&needed) {
        return Err(JsonError::Type { found, needed });
    }
    unpack(&any).ok_or_else(|| JsonError::Syntax("the message cannot be read".to_owned()))
}

/// The same message, with a field for each of those of its type.
pub fn of<M: Message + Name>(message: &M) -> DynamicMessage {
    let own = descriptor(&M::full_name()).expect("a generated message is one of Envoy's");
    let mut made = DynamicMessage::new(own);
    made.transcode_from(message).expect("its code and its descriptor are made of the same definition");
    made
}

/// A message as an `Any`. The same message gives the same bytes.
pub fn pack(message: &DynamicMessage) -> Any {
    let name = message.descriptor();
    Any { type_url: format!("{DOMAIN}/{}", name.full_name()), value: bytes(message) }
}

#[cfg(test)]
mod tests;
