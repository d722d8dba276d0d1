//! Decodes request bodies.
//!
//! Unknown keys are refused, as in Consul: a misspelt key must not be ignored silently. In request bodies every value
//! must also have the right type. Configuration files and entries are decoded as tolerantly as HCL.

use concord_syntax::{self as syntax, Node, Options};
use serde::de::DeserializeOwned;

use crate::fault::{Fault, Faults};

/// The name of the text in error messages.
const SOURCE: &str = "request body";
/// The text with which Consul begins most refusals of a body.
pub const REQUEST_DECODE_FAILED: &str = "Request decode failed";
/// The text with which Consul begins refusals of a configuration entry.
pub const REQUEST_DECODING_FAILED: &str = "Request decoding failed";

/// Parses a JSON body into a tree.
pub fn tree(body: &[u8], context: &'static str) -> Result<Node, Faults> {
    let text = std::str::from_utf8(body).map_err(|_| Faults {
        context,
        faults: vec![Fault::rule("", "the body is not valid UTF-8; send JSON encoded as UTF-8")],
    })?;
    syntax::json::parse(text).map_err(|error| Faults::syntax(context, error))
}

/// Parses a JSON body. Keys match in any of their spellings.
pub fn body<T: DeserializeOwned>(body: &[u8], context: &'static str) -> Result<T, Faults> {
    let node = tree(body, context)?;
    syntax::decode_exact(&node, SOURCE).map_err(|found| Faults::decode(context, found))
}

/// Decodes a tree; refuses unknown keys.
pub(crate) fn strict<T: DeserializeOwned>(
    node: &Node,
    source: &str,
    context: &'static str,
) -> Result<T, Faults> {
    syntax::decode(node, source).map_err(|found| Faults::decode(context, found))
}

/// Decodes the keys of a tree that the type names. Other code decodes the other top-level keys.
pub(crate) fn part<T: DeserializeOwned>(
    node: &Node,
    source: &str,
    context: &'static str,
) -> Result<T, Faults> {
    let options = Options { partial: true, one_spelling: true, ..Options::default() };
    syntax::decode_with(node, source, options).map_err(|found| Faults::decode(context, found))
}

/// Decodes a tree except for top-level keys that were decoded before. Unknown keys are refused.
pub(crate) fn beside<T: DeserializeOwned>(
    node: &Node,
    source: &str,
    context: &'static str,
    read: &'static [&'static str],
) -> Result<T, Faults> {
    let options = Options { beside: read, one_spelling: true, ..Options::default() };
    syntax::decode_with(node, source, options).map_err(|found| Faults::decode(context, found))
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
    }

    #[test]
    fn what_a_body_says_in_vain_or_in_another_kind_is_refused_by_name() {
        let check = |body: &str, expected: &str| {
            let said = ServiceDefinition::decode(body.as_bytes()).expect_err(body).to_string();
            assert!(said.starts_with("Request decode failed: ") && said.contains(expected), "{body}: {said}");
        };
        check(r#"{"Name":"web","Conect":{}}"#, r#"unknown key "Conect", did you mean "Connect"?"#);
        // Whatever the spelling in the body, the message has the spelling of the HTTP API.
        check(r#"{"name":"web","prot":80}"#, r#"unknown key "prot", did you mean "Port"?"#);
        check(r#"{"Name":"web","Check":{"Intervall":"1s"}}"#, "Check.Intervall");
        check(r#"{"Name":5}"#, "expected a string, found 5");
        check(r#"{"Name":"web","Port":"80"}"#, "expected a number, found \"80\"");
        check(r#"{"Name":"web","Tags":"a"}"#, "expected a list, found \"a\"");
        check(r#"{"Name":"web","Connect":[{"Native":true}]}"#, "expected an object, found a list");
        check("[]", "expected an object, found a list");
        let authorize =
            br#"{"Target":"db","ClientCertURI":"spiffe://t/ns/default/dc/d/svc/web","Namespace":"n"}"#;
        let said = AuthorizeBody::decode(authorize).expect_err("a key that would be passed over").to_string();
        assert!(said.contains("unknown key \"Namespace\""), "{said}");
        let spelt = br#"{"name":"web","enable_tag_override":true,"check":{"ttl":"10s"},"Tags":null}"#;
        assert!(ServiceDefinition::decode(spelt).is_ok());
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
