//! Configuration entries, in bodies, files and answers. `service-intentions` is the kind there is so far.

use std::collections::{BTreeMap, BTreeSet};

use concord_model::entry::Entry;
use concord_model::intention::{
    Destination, LegacyFields, ServiceIntentions, Source, SourceIntention, precedence,
};
use concord_model::{Namespace, Pattern, PeerName, Stamp};
use concord_syntax::Node;
use serde::{Deserialize, Serialize};

use crate::Moment;
use crate::catalog::shown_partition;
use crate::decode::{self, REQUEST_DECODING_FAILED};
use crate::definition::field;
use crate::encode::{Layout, json};
use crate::fault::{Fault, Faults};
use crate::fingerprint::hash64;
use crate::intention::{
    Jwt, PARTIAL_WILDCARD, Permission, SOURCE_TYPE, check_description, check_source_type, decide,
};
use crate::limits::SOURCES_MAX;
use crate::proxy::text;
use crate::shape::{is_default, null_default};

#[cfg(test)]
mod tests;

/// An entry in an answer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ConfigEntry {
    /// Intentions of one destination.
    ServiceIntentions(ServiceIntentionsEntry),
}

/// A `service-intentions` entry in an answer.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServiceIntentionsEntry {
    /// `service-intentions`.
    pub kind: String,
    /// The destination, or `*`.
    pub name: String,
    /// Who calls, by falling precedence.
    #[serde(deserialize_with = "null_default")]
    pub sources: Vec<EntrySource>,
    /// Token every request must carry.
    #[serde(rename = "JWT", skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
    /// Metadata.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "is_default")]
    pub meta: BTreeMap<String, String>,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub partition: String,
    /// Fingerprint of the content.
    #[serde(skip_serializing_if = "is_default")]
    pub hash: u64,
    /// When it was made.
    pub create_index: u64,
    /// When it changed.
    pub modify_index: u64,
}

/// One source of an entry in an answer.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct EntrySource {
    /// The source, or `*`.
    pub name: String,
    /// `allow` or `deny`; left out where permissions decide.
    #[serde(skip_serializing_if = "is_default")]
    pub action: String,
    /// What decides by request.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Permission>,
    /// 9 for exact to exact, down to 1.
    pub precedence: u8,
    /// Id of the older API.
    #[serde(rename = "LegacyID", skip_serializing_if = "is_default")]
    pub legacy_id: String,
    /// Always `consul`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// What people noted about it.
    #[serde(skip_serializing_if = "is_default")]
    pub description: String,
    /// Metadata of the older API.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "is_default")]
    pub legacy_meta: BTreeMap<String, String>,
    /// When it was made with the older API.
    #[serde(skip_serializing_if = "Moment::is_zero")]
    pub legacy_create_time: Moment,
    /// When it was changed with the older API.
    #[serde(skip_serializing_if = "Moment::is_zero")]
    pub legacy_update_time: Moment,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub partition: String,
    /// Peered cluster of the source.
    #[serde(skip_serializing_if = "is_default")]
    pub peer: String,
}

/// A `service-intentions` entry as a user writes it. Fields only told in answers are accepted and not read,
/// so that an answer can be sent back.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct IntentionsBody {
    #[serde(rename = "Kind")]
    _kind: String,
    name: String,
    #[serde(deserialize_with = "null_default")]
    sources: Vec<SourceBody>,
    #[serde(rename = "JWT")]
    jwt: Option<Jwt>,
    #[serde(deserialize_with = "null_default")]
    meta: BTreeMap<String, String>,
    namespace: String,
    partition: String,
    #[serde(rename = "Hash")]
    _hash: Option<Node>,
    #[serde(rename = "CreateIndex")]
    _create_index: Option<Node>,
    #[serde(rename = "ModifyIndex")]
    _modify_index: Option<Node>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct SourceBody {
    name: String,
    action: String,
    #[serde(deserialize_with = "null_default")]
    permissions: Vec<Permission>,
    #[serde(rename = "Precedence")]
    _precedence: Option<Node>,
    #[serde(rename = "Type")]
    kind: String,
    description: String,
    namespace: String,
    partition: String,
    peer: String,
    sameness_group: String,
    #[serde(rename = "LegacyID")]
    _legacy_id: Option<String>,
    #[serde(deserialize_with = "null_default")]
    legacy_meta: BTreeMap<String, String>,
    #[serde(rename = "LegacyCreateTime")]
    _legacy_create_time: Option<Moment>,
    #[serde(rename = "LegacyUpdateTime")]
    _legacy_update_time: Option<Moment>,
}

/// Kinds of Consul that are not built yet.
const OTHER_KINDS: [&str; 18] = [
    "api-gateway",
    "bound-api-gateway",
    "control-plane-request-limit",
    "exported-services",
    "file-system-certificate",
    "http-route",
    "ingress-gateway",
    "inline-certificate",
    "jwt-provider",
    "mesh",
    "proxy-defaults",
    "sameness-group",
    "service-defaults",
    "service-resolver",
    "service-router",
    "service-splitter",
    "tcp-route",
    "terminating-gateway",
];

/// The kind of an entry that is not built yet, if it is of one.
pub fn unbuilt_kind(node: &Node) -> Option<&'static str> {
    let written = node.find("Kind")?.as_str()?;
    OTHER_KINDS.into_iter().find(|kind| *kind == written)
}

/// Reads the body of `PUT config`. Unknown keys are refused.
pub fn decode_entry(body: &[u8]) -> Result<Entry, Faults> {
    entry_from_node(&decode::tree(body, REQUEST_DECODING_FAILED)?, "request body")
}

/// Reads an entry from a tree: from a file or from `config_entries.bootstrap`.
pub fn entry_from_node(node: &Node, source: &str) -> Result<Entry, Faults> {
    let refused =
        |text: String| Faults { context: REQUEST_DECODING_FAILED, faults: vec![Fault::rule("Kind", text)] };
    let kind = node
        .find("Kind")
        .ok_or_else(|| refused("Payload does not contain a kind/Kind key at the top level".to_owned()))?
        .as_str()
        .ok_or_else(|| refused("Kind value in payload is not a string".to_owned()))?;
    check_kind(kind).map_err(|faults| match faults.status() {
        400 => Faults { context: REQUEST_DECODING_FAILED, ..faults },
        _ => faults,
    })?;
    let body: IntentionsBody = decode::strict(node, source, REQUEST_DECODING_FAILED)?;
    body.resolve().map(Entry::ServiceIntentions)
}

/// Refuses kinds there are not, and those that are not built yet; for bodies as for paths.
pub fn check_kind(kind: &str) -> Result<(), Faults> {
    if kind == concord_model::entry::EntryKind::ServiceIntentions.as_str() {
        return Ok(());
    }
    if OTHER_KINDS.contains(&kind) {
        return Err(Faults::one(Fault::not_available("Kind", format!("config entry kind {kind}"))));
    }
    let shown: String = kind.chars().take(64).collect();
    Err(Faults::one(Fault::rule("Kind", format!("invalid config entry kind: {shown}"))))
}

impl IntentionsBody {
    fn resolve(&self) -> Result<ServiceIntentions, Faults> {
        let mut faults = Vec::new();
        field::tenancy(&self.namespace, &self.partition, &mut faults);
        field::meta("Meta", &self.meta, &mut faults);
        field::not_available("JWT", self.jwt.is_some(), "JWT requirements of intentions", &mut faults);
        if self.name.is_empty() {
            faults.push(Fault::rule("Name", "Name is required"));
        }
        if self.sources.is_empty() {
            faults.push(Fault::rule("Sources", "At least one source is required"));
        }
        if self.sources.len() > SOURCES_MAX {
            let text = format!("Sources: at most {SOURCES_MAX} sources are allowed in one entry");
            return Err(Faults::one(Fault::rule("Sources", text)));
        }
        let name = if self.name.is_empty() { None } else { pattern("Name", &self.name, &mut faults) };
        let wildcard = name.as_ref().is_some_and(Pattern::is_any);
        let mut sources = self.resolve_sources(wildcard, &mut faults);
        let Some(name) = name.filter(|_| faults.is_empty()) else { return Err(Faults::many("", faults)) };
        let destination = Destination {
            partition: field::partition(),
            namespace: Pattern::Exact(Namespace::default()),
            name,
        };
        sources.sort_by(|a, b| {
            let rank = |source: &SourceIntention| precedence(&destination, &source.source);
            rank(b)
                .cmp(&rank(a))
                .then_with(|| a.source.peer.cmp(&b.source.peer))
                .then_with(|| a.source.cmp(&b.source))
        });
        Ok(ServiceIntentions {
            destination,
            sources,
            jwt: None,
            meta: self.meta.clone(),
            stamp: Stamp::default(),
        })
    }

    fn resolve_sources(&self, wildcard: bool, faults: &mut Vec<Fault>) -> Vec<SourceIntention> {
        let mut seen = BTreeSet::new();
        let mut sources = Vec::with_capacity(self.sources.len());
        for (i, written) in self.sources.iter().enumerate() {
            let Some(source) = written.resolve(&format!("Sources[{i}]"), wildcard, faults) else { continue };
            if !seen.insert(source.source.clone()) {
                let text = match &source.source.peer {
                    Some(peer) => {
                        format!(
                            "Sources[{i}] defines peer({:?}) {:?} more than once",
                            peer.as_str(),
                            written.name
                        )
                    }
                    None => format!("Sources[{i}] defines {:?} more than once", written.name),
                };
                faults.push(Fault::rule(format!("Sources[{i}]"), text));
            }
            sources.push(source);
        }
        sources
    }
}

impl SourceBody {
    fn resolve(&self, at: &str, wildcard: bool, faults: &mut Vec<Fault>) -> Option<SourceIntention> {
        field::enterprise(&format!("{at}.Namespace"), &self.namespace, faults);
        field::enterprise(&format!("{at}.Partition"), &self.partition, faults);
        let group = !self.sameness_group.is_empty();
        field::not_available(&format!("{at}.SamenessGroup"), group, "sameness groups", faults);
        // Ids and times of the older API may be sent back; writing the entry as an entry ends them. Metadata
        // would be lost with them, so that it is not passed over.
        if !self.legacy_meta.is_empty() {
            let field = format!("{at}.LegacyMeta");
            faults.push(Fault::rule(&field, format!("{field} must be omitted")));
        }
        check_source_type(&format!("{at}.Type"), &self.kind, faults);
        check_description(&format!("{at}.Description"), &self.description, faults);
        if self.name.is_empty() {
            faults.push(Fault::rule(format!("{at}.Name"), format!("{at}.Name is required")));
        }
        let decision = decide(&format!("{at}."), &self.action, &self.permissions, wildcard, faults);
        let peer = field::optional_name(&format!("{at}.Peer"), &self.peer, faults);
        if self.name.is_empty() {
            return None;
        }
        let source = Source {
            partition: field::partition(),
            namespace: Pattern::Exact(Namespace::default()),
            peer,
            name: pattern(&format!("{at}.Name"), &self.name, faults)?,
        };
        Some(SourceIntention {
            source,
            decision: decision?,
            description: self.description.clone(),
            legacy: None,
        })
    }
}

fn pattern(
    field: &str,
    written: &str,
    faults: &mut Vec<Fault>,
) -> Option<Pattern<concord_model::ServiceName>> {
    if written != "*" && written.contains('*') {
        let text = format!("{field}: {PARTIAL_WILDCARD}");
        faults.push(Fault::rule(field, text));
        return None;
    }
    Pattern::parse(written).map_err(|error| faults.push(Fault::rule(field, format!("{field}: {error}")))).ok()
}

impl ConfigEntry {
    /// The shape of an entry.
    pub fn from_model(entry: &Entry) -> Self {
        match entry {
            Entry::ServiceIntentions(entry) => {
                Self::ServiceIntentions(ServiceIntentionsEntry::from_model(entry))
            }
        }
    }
}

impl ServiceIntentionsEntry {
    /// The shape of a destination's intentions, in the order kept.
    pub fn from_model(entry: &ServiceIntentions) -> Self {
        let ServiceIntentions { destination, sources, jwt, meta, stamp } = entry;
        let mut own = Self {
            kind: concord_model::entry::EntryKind::ServiceIntentions.as_str().to_owned(),
            name: destination.name.to_string(),
            sources: sources.iter().map(|source| EntrySource::from_model(destination, source)).collect(),
            jwt: jwt.as_ref().map(Jwt::from_model),
            meta: meta.clone(),
            partition: shown_partition(&destination.partition),
            hash: 0,
            create_index: 0,
            modify_index: 0,
        };
        own.hash = hash64(&json(&own, Layout::Compact).expect("the shape has text keys only"));
        Self { create_index: stamp.create, modify_index: stamp.modify, ..own }
    }
}

impl EntrySource {
    fn from_model(destination: &Destination, intention: &SourceIntention) -> Self {
        let SourceIntention { source, decision, description, legacy } = intention;
        let Source { partition, namespace: _, peer, name } = source;
        let (action, permissions) = crate::intention::split(decision);
        let (legacy_id, legacy_meta, created, updated) = match legacy {
            None => (String::new(), BTreeMap::new(), Moment(None), Moment(None)),
            Some(LegacyFields { id, meta, create_time, update_time }) => {
                (id.to_string(), meta.clone(), Moment::from(*create_time), Moment::from(*update_time))
            }
        };
        Self {
            name: name.to_string(),
            action,
            permissions,
            precedence: precedence(destination, source),
            legacy_id,
            kind: SOURCE_TYPE.to_owned(),
            description: description.clone(),
            legacy_meta,
            legacy_create_time: created,
            legacy_update_time: updated,
            partition: shown_partition(partition),
            peer: text(peer.as_ref().map(PeerName::as_str)),
        }
    }
}
