//! Intentions as single rules: their JSON, the body of an upsert, and names in query strings.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use concord_model::intention::{
    DESCRIPTION_BYTES_MAX, Decision, Destination, JwtRequirement, LegacyFields, Source, SourceIntention,
};
use concord_model::{Namespace, Pattern, PeerName, ServiceName, ServiceRef, Stamp};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::Moment;
use crate::catalog::shown_partition;
use crate::decode::{self, REQUEST_DECODE_FAILED};
use crate::definition::field;
use crate::encode::{Layout, json};
use crate::fault::{Fault, Faults, Problem};
use crate::fingerprint::hash256;
use crate::proxy::text;
use crate::shape::{is_default, null_default};

mod by_id;
mod permission;

pub use by_id::IntentionWithId;
pub use permission::{HeaderPermission, HttpPermission, Jwt, JwtClaim, JwtProvider, Permission};
pub(crate) use permission::{decide, split};

#[cfg(test)]
mod tests;

/// Consul's error for `w*`.
pub(crate) const PARTIAL_WILDCARD: &str = "wildcard character '*' cannot be used with partial values";
/// The only type of source.
pub const SOURCE_TYPE: &str = "consul";

/// One intention: an element of the list, the answer of `intentions/exact`, a value of `intentions/match`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Intention {
    /// Only for intentions made with the older API, which has ids.
    #[serde(rename = "ID", skip_serializing_if = "is_default")]
    pub id: String,
    /// A description for people.
    #[serde(skip_serializing_if = "is_default")]
    pub description: String,
    /// Namespace of the source.
    #[serde(rename = "SourceNS")]
    pub source_ns: String,
    /// Name of the source, or `*`.
    pub source_name: String,
    /// Namespace of the destination.
    #[serde(rename = "DestinationNS")]
    pub destination_ns: String,
    /// Name of the destination, or `*`.
    pub destination_name: String,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub source_partition: String,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub destination_partition: String,
    /// Peered cluster of the source.
    #[serde(skip_serializing_if = "is_default")]
    pub source_peer: String,
    /// Always `consul`.
    pub source_type: String,
    /// `allow` or `deny`; left out if permissions decide.
    #[serde(skip_serializing_if = "is_default")]
    pub action: String,
    /// The permissions, which decide per request.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Permission>,
    /// The token that every request must carry.
    #[serde(rename = "JWT", skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
    /// Metadata of the destination's entry.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "is_default")]
    pub meta: BTreeMap<String, String>,
    /// From 9 (exact to exact) down to 1.
    pub precedence: u8,
    /// Only for intentions made with the older API.
    #[serde(skip_serializing_if = "is_default")]
    pub created_at: Moment,
    /// Only for intentions made with the older API.
    #[serde(skip_serializing_if = "is_default")]
    pub updated_at: Moment,
    /// Fingerprint of the content, base64. Only for intentions made with the older API.
    #[serde(skip_serializing_if = "is_default")]
    pub hash: String,
    /// Index of the creation of the destination's entry.
    pub create_index: u64,
    /// Index of the last change of the destination's entry.
    pub modify_index: u64,
}

/// The parts of an intention.
#[derive(Clone, Copy, Debug)]
pub struct IntentionParts<'a> {
    /// The called service.
    pub destination: &'a Destination,
    /// The calling service.
    pub source: &'a Source,
    /// Precedence among the matching intentions.
    pub precedence: u8,
    /// The decision.
    pub decision: &'a Decision,
    /// A description for people.
    pub description: &'a str,
    /// Fields of the older API.
    pub legacy: Option<&'a LegacyFields>,
    /// The token that every request must carry.
    pub jwt: Option<&'a JwtRequirement>,
    /// Metadata of the destination's entry.
    pub meta: &'a BTreeMap<String, String>,
    /// Create and modify indexes of the destination's entry.
    pub stamp: Stamp,
}

/// Answer of `intentions/check`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct IntentionCheck {
    /// Whether the connection is allowed.
    pub allowed: bool,
}

/// An intention as sent. For `intentions/exact` the query string has source and destination, and those in the body
/// are ignored. The older API has them in the body.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct IntentionBody {
    action: String,
    #[serde(deserialize_with = "null_default")]
    permissions: Vec<Permission>,
    #[serde(rename = "JWT")]
    jwt: Option<Jwt>,
    description: String,
    source_type: String,
    #[serde(rename = "SourceNS")]
    source_ns: String,
    #[serde(rename = "DestinationNS")]
    destination_ns: String,
    source_partition: String,
    destination_partition: String,
    source_peer: String,
    source_sameness_group: String,
    #[serde(deserialize_with = "null_default")]
    meta: BTreeMap<String, String>,
    // Only the older API reads these.
    #[serde(rename = "ID")]
    id: String,
    source_name: String,
    destination_name: String,

    // Answers contain these fields, and clients send back what they read.
    _default_addr: IgnoredAny,
    _default_port: IgnoredAny,
    _precedence: IgnoredAny,
    _created_at: IgnoredAny,
    _updated_at: IgnoredAny,
    _hash: IgnoredAny,
    _create_index: IgnoredAny,
    _modify_index: IgnoredAny,
}

/// An intention that replaces the one with the same source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IntentionUpsert {
    /// The called service.
    pub destination: Destination,
    /// The calling service and the decision.
    pub intention: SourceIntention,
    /// Must be empty or equal to the entry's.
    pub meta: BTreeMap<String, String>,
    /// The same.
    pub jwt: Option<JwtRequirement>,
}

impl Intention {
    /// The JSON of one intention.
    pub fn from_model(parts: IntentionParts<'_>) -> Self {
        let IntentionParts {
            destination,
            source,
            precedence,
            decision,
            description,
            legacy,
            jwt,
            meta,
            stamp,
        } = parts;
        let (action, permissions) = split(decision);
        let content = Self {
            id: legacy.map(|legacy| legacy.id.to_string()).unwrap_or_default(),
            description: description.to_owned(),
            source_ns: source.namespace.to_string(),
            source_name: source.name.to_string(),
            destination_ns: destination.namespace.to_string(),
            destination_name: destination.name.to_string(),
            source_partition: shown_partition(&source.partition),
            destination_partition: shown_partition(&destination.partition),
            source_peer: text(source.peer.as_ref().map(PeerName::as_str)),
            source_type: SOURCE_TYPE.to_owned(),
            action,
            permissions,
            jwt: jwt.map(Jwt::from_model),
            meta: legacy.map_or(meta, |legacy| &legacy.meta).clone(),
            precedence,
            created_at: Moment(None),
            updated_at: Moment(None),
            hash: String::new(),
            create_index: 0,
            modify_index: 0,
        };
        Self {
            hash: legacy.map(|_| content.fingerprint()).unwrap_or_default(),
            created_at: Moment(legacy.map(|legacy| legacy.create_time)),
            updated_at: Moment(legacy.map(|legacy| legacy.update_time)),
            create_index: stamp.create,
            modify_index: stamp.modify,
            ..content
        }
    }

    fn fingerprint(&self) -> String {
        STANDARD.encode(hash256(&json(self, Layout::Compact).expect("the shape has text keys only")))
    }
}

impl IntentionBody {
    /// Reads the body.
    pub fn decode(body: &[u8]) -> Result<Self, Faults> {
        decode::body(body, REQUEST_DECODE_FAILED)
    }

    /// Validates the body for the source and destination in the query string.
    pub fn resolve(&self, source: Source, destination: Destination) -> Result<IntentionUpsert, Faults> {
        let mut faults = Vec::new();
        for (name, value) in [
            ("SourceNS", &self.source_ns),
            ("DestinationNS", &self.destination_ns),
            ("SourcePartition", &self.source_partition),
            ("DestinationPartition", &self.destination_partition),
        ] {
            if value != "*" {
                field::enterprise(name, value, &mut faults);
            }
        }
        let group = !self.source_sameness_group.is_empty();
        field::not_available("SourceSamenessGroup", group, "sameness groups", &mut faults);
        if source.peer.is_some() || !self.source_peer.is_empty() {
            let text = "SourcePeer cannot be set here; write the service-intentions entry instead";
            faults.push(Fault::rule("SourcePeer", text));
        }
        check_source_type("SourceType", &self.source_type, &mut faults);
        check_description("Description", &self.description, &mut faults);
        field::meta("Meta", &self.meta, &mut faults);
        let wildcard = destination.name.is_any();
        let decision = decide("", &self.action, &self.permissions, wildcard, &mut faults);
        match decision {
            Some(decision) if faults.is_empty() => {
                let description = self.description.clone();
                let intention = SourceIntention { source, decision, description, legacy: None };
                let (meta, jwt) = (self.meta.clone(), self.jwt.as_ref().map(Jwt::to_model));
                Ok(IntentionUpsert { destination, intention, meta, jwt })
            }
            _ => Err(Faults::many("", faults)),
        }
    }
}

pub(crate) fn check_source_type(field: &str, written: &str, faults: &mut Vec<Fault>) {
    if !matches!(written, "" | SOURCE_TYPE) {
        faults.push(Fault::rule(field, format!("{field} must be set to 'consul'")));
    }
}

pub(crate) fn check_description(field: &str, written: &str, faults: &mut Vec<Fault>) {
    if written.len() > DESCRIPTION_BYTES_MAX {
        let text = format!("{field} exceeds maximum length {DESCRIPTION_BYTES_MAX}");
        faults.push(Fault::rule(field, text));
    }
}

// === names in query strings ===

/// Parses a destination: `name`, `namespace/name` or `partition/namespace/name`; the name may be `*`.
pub fn parse_destination(text: &str) -> Result<Destination, Faults> {
    let name = pattern("destination", text, text)?;
    Ok(Destination { partition: field::partition(), namespace: Pattern::Exact(Namespace::default()), name })
}

/// Parses a source: like a destination, or `peer:<peer>/<name>`.
pub fn parse_source(text: &str) -> Result<Source, Faults> {
    let (peer, rest) = match text.strip_prefix("peer:") {
        Some(rest) => {
            let (peer, name) = rest
                .split_once('/')
                .ok_or_else(|| invalid("source", text, "need to specify the service name as well"))?;
            let peer = PeerName::parse(peer).map_err(|error| invalid("source", text, &error.to_string()))?;
            (Some(peer), name)
        }
        None => (None, text),
    };
    let name = pattern("source", text, rest)?;
    Ok(Source { partition: field::partition(), namespace: Pattern::Exact(Namespace::default()), peer, name })
}

/// Parses the name of one service: like a destination, but not `*`. `parameter` is named in errors.
pub fn parse_service(parameter: &'static str, text: &str) -> Result<ServiceRef, Faults> {
    match pattern(parameter, text, text)? {
        Pattern::Exact(name) => Ok(ServiceRef::local(name)),
        Pattern::Any => Err(invalid(parameter, text, "it must name one service")),
    }
}

/// The same, but `*` is allowed for all services and gives `None`.
pub fn parse_any_service(parameter: &'static str, text: &str) -> Result<Option<ServiceRef>, Faults> {
    Ok(match pattern(parameter, text, text)? {
        Pattern::Exact(name) => Some(ServiceRef::local(name)),
        Pattern::Any => None,
    })
}

fn pattern(parameter: &str, whole: &str, text: &str) -> Result<Pattern<ServiceName>, Faults> {
    let parts: Vec<&str> = text.split('/').collect();
    let (partition, namespace, name) = match parts.as_slice() {
        [name] => ("", "", *name),
        [namespace, name] => ("", *namespace, *name),
        [partition, namespace, name] => (*partition, *namespace, *name),
        _ => return Err(invalid(parameter, whole, "input can contain at most two '/'")),
    };
    let mut faults = Vec::new();
    field::enterprise(&format!("{parameter} partition"), partition, &mut faults);
    // A wildcard for all namespaces means the only one that exists.
    if namespace != "*" {
        field::enterprise(&format!("{parameter} namespace"), namespace, &mut faults);
    }
    if !faults.is_empty() {
        return Err(Faults::many("", faults));
    }
    if name != "*" && name.contains('*') {
        return Err(invalid(parameter, whole, PARTIAL_WILDCARD));
    }
    Pattern::parse(name).map_err(|error| invalid(parameter, whole, &error.to_string()))
}

fn invalid(parameter: &str, text: &str, why: &str) -> Faults {
    let shown: String = text.chars().take(128).collect();
    let problem = Problem::Rule(format!("{parameter} {shown:?} is invalid: {why}"));
    Faults::one(Fault { field: parameter.to_owned(), problem })
}
