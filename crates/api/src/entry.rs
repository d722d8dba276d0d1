//! Configuration entries, in bodies, files and answers.
//!
//! This file has what all entries share. Each kind has its own fields in a file of its own, and a row in the table
//! here.

mod guard;
mod service_intentions;
mod shape;

use std::collections::BTreeMap;

use concord_model::Stamp;
use concord_model::entry::{
    ApiGateway, BoundApiGateway, Entry, EntryKind, EntryName, ExportedServices, FileSystemCertificate,
    HttpRoute, IngressGateway, InlineCertificate, JwtProvider, Mesh, Naming, ProxyDefaults, ServiceDefaults,
    ServiceResolver, ServiceRouter, ServiceSplitter, TcpRoute, TerminatingGateway,
};
use concord_syntax::Node;
use serde::{Deserialize, Serialize};

pub use self::guard::{Unguarded, unguarded};
pub use self::service_intentions::{EntrySource, ServiceIntentionsEntry};
use self::shape::{EntryShape, Head, pattern};
use crate::catalog::shown_partition;
use crate::decode::{self, REQUEST_DECODING_FAILED};
use crate::definition::field;
use crate::encode::{Layout, json};
use crate::fault::{Fault, Faults};
use crate::fingerprint::hash64;
use crate::shape::{is_default, null_default};
use crate::spelled::Spelled;

#[cfg(test)]
mod tests;

macro_rules! kinds {
    ($($kind:ident => $shape:ty, heeded: $heeded:literal;)*) => {
        /// The fields of each kind in an answer.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        #[allow(missing_docs, reason = "each variant is documented at its type")]
        pub(crate) enum Said { $($kind($shape),)* }

        fn said(entry: &Entry) -> (Said, &BTreeMap<String, String>) {
            match entry {
                $(Entry::$kind(entry) => (Said::$kind(<$shape>::from_model(entry)), &entry.meta),)*
            }
        }

        /// Whether proxies do not use entries of this kind yet: they are only stored and shown.
        pub fn unheeded(kind: EntryKind) -> bool {
            match kind { $(EntryKind::$kind => !$heeded,)* }
        }

        /// The fields that a user may write in entries of a kind.
        #[cfg(test)]
        fn traced(kind: EntryKind) -> std::collections::BTreeSet<String> {
            match kind { $(EntryKind::$kind => tests::pages::fields_of::<<$shape as EntryShape>::Body>(),)* }
        }

        fn resolve(kind: EntryKind, source: (&Node, &str), head: Head, faults: &mut Vec<Fault>) -> Result<Option<Entry>, Faults> {
            match kind {
                $(EntryKind::$kind => resolve_as::<$shape>(source, head, faults).map(|own| own.map(Entry::$kind)),)*
            }
        }
    };
}

kinds! {
    ServiceIntentions => ServiceIntentionsEntry, heeded: true;
    ServiceDefaults => Spelled<ServiceDefaults>, heeded: true;
    ProxyDefaults => Spelled<ProxyDefaults>, heeded: true;
    Mesh => Spelled<Mesh>, heeded: false;
    ServiceResolver => Spelled<ServiceResolver>, heeded: false;
    ServiceRouter => Spelled<ServiceRouter>, heeded: false;
    ServiceSplitter => Spelled<ServiceSplitter>, heeded: false;
    JwtProvider => Spelled<JwtProvider>, heeded: false;
    IngressGateway => Spelled<IngressGateway>, heeded: false;
    TerminatingGateway => Spelled<TerminatingGateway>, heeded: false;
    ExportedServices => Spelled<ExportedServices>, heeded: false;
    InlineCertificate => Spelled<InlineCertificate>, heeded: false;
    FileSystemCertificate => Spelled<FileSystemCertificate>, heeded: false;
    ApiGateway => Spelled<ApiGateway>, heeded: false;
    BoundApiGateway => Spelled<BoundApiGateway>, heeded: false;
    HttpRoute => Spelled<HttpRoute>, heeded: false;
    TcpRoute => Spelled<TcpRoute>, heeded: false;
}

/// An entry in an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConfigEntry {
    kind: &'static str,
    name: String,
    /// The fields of its kind.
    #[serde(flatten)]
    said: Said,
    #[serde(skip_serializing_if = "is_default")]
    meta: BTreeMap<String, String>,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    partition: String,
    /// Fingerprint of the content.
    #[serde(skip_serializing_if = "is_default")]
    hash: u64,
    create_index: u64,
    modify_index: u64,
}

/// The fields that all entries share, as a user writes them. Fields that exist only in answers are accepted and
/// ignored, so that an answer can be sent back.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct HeadBody {
    name: String,
    #[serde(deserialize_with = "null_default")]
    meta: BTreeMap<String, String>,
    namespace: String,
    partition: String,
}

/// The keys that every entry may have.
const HEAD_KEYS: &[&str] =
    &["Kind", "Name", "Meta", "Namespace", "Partition", "Hash", "CreateIndex", "ModifyIndex"];

/// Kinds of Consul that are not built yet.
const UNBUILT: &[&str] = &["control-plane-request-limit", "sameness-group"];

/// The kind of an entry, if it is a kind that is not built yet.
pub fn unbuilt_kind(node: &Node) -> Option<&'static str> {
    let written = node.find("Kind")?.as_str()?;
    UNBUILT.iter().copied().find(|kind| *kind == written)
}

/// Parses the body of `PUT config`. Unknown keys are refused.
pub fn decode_entry(body: &[u8]) -> Result<Entry, Faults> {
    entry_from_node(&decode::tree(body, REQUEST_DECODING_FAILED)?, "request body")
}

/// Decodes an entry from a tree, from a file or from `config_entries.bootstrap`.
pub fn entry_from_node(node: &Node, source: &str) -> Result<Entry, Faults> {
    let refused =
        |text: String| Faults { context: REQUEST_DECODING_FAILED, faults: vec![Fault::rule("Kind", text)] };
    let kind = node
        .find("Kind")
        .ok_or_else(|| refused("Payload does not contain a kind/Kind key at the top level".to_owned()))?
        .as_str()
        .ok_or_else(|| refused("Kind value in payload is not a string".to_owned()))?;
    let kind = parse_kind(kind).map_err(|faults| match faults.status() {
        400 => Faults { context: REQUEST_DECODING_FAILED, ..faults },
        _ => faults,
    })?;
    let open = unguarded(node).into_iter();
    let mut faults: Vec<_> =
        open.map(|value| Fault { problem: value.problem(), field: value.field }).collect();
    let written: HeadBody = decode::part(node, source, REQUEST_DECODING_FAILED)?;
    let head = written.resolve(kind, &mut faults);
    let entry = resolve(kind, (node, source), head, &mut faults)?;
    entry.filter(|_| faults.is_empty()).ok_or_else(|| Faults::many("", faults))
}

fn resolve_as<S: EntryShape>(
    (node, source): (&Node, &str),
    head: Head,
    faults: &mut Vec<Fault>,
) -> Result<Option<S::Model>, Faults> {
    let body: S::Body = decode::beside(node, source, REQUEST_DECODING_FAILED, HEAD_KEYS)?;
    Ok(S::resolve(body, head, faults))
}

/// Parses a kind. Unknown kinds, and kinds that are not built yet, are refused in bodies and in paths.
pub fn parse_kind(kind: &str) -> Result<EntryKind, Faults> {
    if let Some(known) = EntryKind::parse(kind) {
        return Ok(known);
    }
    if UNBUILT.contains(&kind) {
        return Err(Faults::one(Fault::not_available("Kind", format!("config entry kind {kind}"))));
    }
    let shown: String = kind.chars().take(64).collect();
    Err(Faults::one(Fault::rule("Kind", format!("invalid config entry kind: {shown}"))))
}

/// Parses the name of an entry in a path.
pub fn parse_name(kind: EntryKind, name: &str) -> Result<EntryName, Faults> {
    EntryName::parse(kind, name).map_err(|error| Faults::one(Fault::rule("Name", error.to_string())))
}

/// Parses the name of an entry to be removed. For a kind with only one entry, another name is an error.
pub fn parse_name_to_remove(kind: EntryKind, name: &str) -> Result<EntryName, Faults> {
    match kind.naming() {
        Naming::Only(only) if name != only => {
            let shown: String = name.chars().take(64).collect();
            let text = format!("invalid name ({shown:?}), only {only:?} is supported");
            Err(Faults::one(Fault::rule("Name", text)))
        }
        Naming::Only(_) | Naming::Service | Naming::ServiceOrAny | Naming::Free => parse_name(kind, name),
    }
}

impl HeadBody {
    fn resolve(self, kind: EntryKind, faults: &mut Vec<Fault>) -> Head {
        field::tenancy(&self.namespace, &self.partition, faults);
        field::meta("Meta", &self.meta, faults);
        let written = match kind.naming() {
            // For a kind with only one entry the name may be left out.
            Naming::Only(only) if self.name.is_empty() => only,
            Naming::Only(_) | Naming::Service | Naming::ServiceOrAny | Naming::Free => &self.name,
        };
        let name = if written.is_empty() {
            faults.push(Fault::rule("Name", "Name is required"));
            None
        } else {
            pattern("Name", written, faults)
        };
        Head { name, meta: self.meta }
    }
}

impl ConfigEntry {
    /// The JSON of an entry.
    pub fn from_model(entry: &Entry) -> Self {
        let (name, Stamp { create, modify }) = (entry.name(), entry.stamp());
        let (said, meta) = said(entry);
        let own = Self {
            kind: name.kind.as_str(),
            name: name.as_str().to_owned(),
            said,
            meta: meta.clone(),
            partition: shown_partition(&name.scope.partition),
            hash: 0,
            create_index: 0,
            modify_index: 0,
        };
        let hash = hash64(&json(&own, Layout::Compact).expect("the shape has text keys only"));
        Self { hash, create_index: create, modify_index: modify, ..own }
    }
}
