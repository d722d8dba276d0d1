//! Bodies into definitions.
//!
//! As in Consul, request bodies pass over keys nobody knows, while configuration entries and configuration
//! files refuse them.

use concord_syntax::{self as syntax, Node};
use serde::de::DeserializeOwned;

use crate::fault::{Fault, Faults};

/// What the text is called in faults.
const SOURCE: &str = "request body";
/// How Consul begins most refusals of a body.
pub const REQUEST_DECODE_FAILED: &str = "Request decode failed";
/// How Consul begins refusals of a configuration entry.
pub const REQUEST_DECODING_FAILED: &str = "Request decoding failed";

/// Reads a JSON body into a tree.
pub fn tree(body: &[u8], context: &'static str) -> Result<Node, Faults> {
    let text = std::str::from_utf8(body).map_err(|_| Faults {
        context,
        faults: vec![Fault::rule("", "the body is not valid UTF-8; send JSON encoded as UTF-8")],
    })?;
    syntax::json::parse(text).map_err(|error| Faults::syntax(context, error))
}

/// Reads a JSON body, passing over unknown keys.
pub fn body<T: DeserializeOwned>(body: &[u8], context: &'static str) -> Result<T, Faults> {
    let node = tree(body, context)?;
    syntax::decode_lenient(&node, SOURCE).map_err(|found| Faults::decode(context, found))
}

/// Reads a JSON body, refusing unknown keys.
pub fn strict_body<T: DeserializeOwned>(body: &[u8], context: &'static str) -> Result<T, Faults> {
    strict(&tree(body, context)?, SOURCE, context)
}

/// Reads a tree, refusing unknown keys.
pub(crate) fn strict<T: DeserializeOwned>(
    node: &Node,
    source: &str,
    context: &'static str,
) -> Result<T, Faults> {
    syntax::decode(node, source).map_err(|found| Faults::decode(context, found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::AuthorizeBody;
    use crate::definition::ServiceDefinition;
    use crate::entry::decode_entry;

    #[test]
    fn n_20_deep_nesting_in_a_body_is_refused() {
        let nested = |key: &str| {
            let text = format!("{{\"{key}\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
            text.into_bytes()
        };
        let status = |found: Faults| found.status();
        assert_eq!(ServiceDefinition::decode(&nested("Unheard")).map_err(status).err(), Some(400));
        assert_eq!(decode_entry(&nested("Kind")).map_err(status).err(), Some(400));
        assert_eq!(AuthorizeBody::decode(&nested("Unheard")).map_err(status).err(), Some(400));
        assert!(ServiceDefinition::decode(br#"{"Name":"web","Unheard":[[[1]]]}"#).is_ok());
    }

    #[test]
    fn other_encodings_are_refused() {
        let found = tree(&[0xff, b'{'], REQUEST_DECODE_FAILED).expect_err("must be refused");
        assert_eq!(
            found.to_string(),
            "Request decode failed: the body is not valid UTF-8; send JSON encoded as UTF-8"
        );
    }
}
