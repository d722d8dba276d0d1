//! `service-intentions`: who may call one destination.

use std::collections::{BTreeMap, BTreeSet};

use concord_model::intention::{
    Destination, LegacyFields, ServiceIntentions, Source, SourceIntention, precedence,
};
use concord_model::{Namespace, Pattern, PeerName, Stamp};
use concord_syntax::Node;
use serde::{Deserialize, Serialize};

use super::shape::{EntryShape, Head, pattern};
use crate::Moment;
use crate::catalog::shown_partition;
use crate::definition::field;
use crate::fault::Fault;
use crate::intention::{Jwt, Permission, SOURCE_TYPE, check_description, check_source_type, decide};
use crate::limits::SOURCES_MAX;
use crate::proxy::text;
use crate::shape::{is_default, null_default};

/// Such an entry in an answer.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServiceIntentionsEntry {
    /// The sources, highest precedence first.
    #[serde(deserialize_with = "null_default")]
    pub sources: Vec<EntrySource>,
    /// The token that every request must carry.
    #[serde(rename = "JWT", skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
}

/// One source of an entry in an answer.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct EntrySource {
    /// The source, or `*`.
    pub name: String,
    /// `allow` or `deny`; left out if permissions decide.
    #[serde(skip_serializing_if = "is_default")]
    pub action: String,
    /// The permissions, which decide per request.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Permission>,
    /// From 9 (exact to exact) down to 1.
    pub precedence: u8,
    /// Id in the older API.
    #[serde(rename = "LegacyID", skip_serializing_if = "is_default")]
    pub legacy_id: String,
    /// Always `consul`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// A description for people.
    #[serde(skip_serializing_if = "is_default")]
    pub description: String,
    /// Metadata of the older API.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "is_default")]
    pub legacy_meta: BTreeMap<String, String>,
    /// When the older API created it.
    #[serde(skip_serializing_if = "Moment::is_zero")]
    pub legacy_create_time: Moment,
    /// When the older API last changed it.
    #[serde(skip_serializing_if = "Moment::is_zero")]
    pub legacy_update_time: Moment,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub partition: String,
    /// Peered cluster of the source.
    #[serde(skip_serializing_if = "is_default")]
    pub peer: String,
}

/// Such an entry as a user writes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct IntentionsBody {
    #[serde(deserialize_with = "null_default")]
    sources: Vec<SourceBody>,
    #[serde(rename = "JWT")]
    jwt: Option<Jwt>,
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

impl EntryShape for ServiceIntentionsEntry {
    type Model = ServiceIntentions;
    type Body = IntentionsBody;

    fn from_model(entry: &ServiceIntentions) -> Self {
        let ServiceIntentions { destination, sources, jwt, meta: _, stamp: _ } = entry;
        Self {
            sources: sources.iter().map(|source| EntrySource::from_model(destination, source)).collect(),
            jwt: jwt.as_ref().map(Jwt::from_model),
        }
    }

    fn resolve(body: IntentionsBody, head: Head, faults: &mut Vec<Fault>) -> Option<ServiceIntentions> {
        if body.sources.is_empty() {
            faults.push(Fault::rule("Sources", "At least one source is required"));
        }
        if body.sources.len() > SOURCES_MAX {
            let text = format!("Sources: at most {SOURCES_MAX} sources are allowed in one entry");
            faults.push(Fault::rule("Sources", text));
            return None;
        }
        let mut sources = body.resolve_sources(head.name.as_ref().is_some_and(Pattern::is_any), faults);
        let destination = Destination {
            partition: field::partition(),
            namespace: Pattern::Exact(Namespace::default()),
            name: head.name?,
        };
        sources.sort_by(|a, b| {
            let rank = |source: &SourceIntention| precedence(&destination, &source.source);
            rank(b)
                .cmp(&rank(a))
                .then_with(|| a.source.peer.cmp(&b.source.peer))
                .then_with(|| a.source.cmp(&b.source))
        });
        let jwt = body.jwt.as_ref().map(Jwt::to_model);
        Some(ServiceIntentions { destination, sources, jwt, meta: head.meta, stamp: Stamp::default() })
    }
}

impl IntentionsBody {
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
        // Ids and times of the older API may be sent back; writing the whole entry removes them. Metadata of the
        // older API would be lost, so it is refused instead of ignored.
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
