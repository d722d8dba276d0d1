//! Intentions: who may call whom.
//!
//! They are kept as one `service-intentions` entry per destination. What they decide together is
//! the business of `mesh`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::{Namespace, Partition, Pattern, PeerName, ServiceName, ServiceRef};
use crate::{Stamp, Timestamp, Uuid};

/// Longest description of an intention, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 512;

/// Let it through, or not.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Let it through.
    Allow,
    /// Refuse it.
    Deny,
}

impl Action {
    /// As written in the API: `allow` or `deny`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }

    /// Reads the API's form.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "allow" => Some(Self::Allow),
            "deny" => Some(Self::Deny),
            _ => None,
        }
    }

    /// Whether it lets through.
    pub fn allows(self) -> bool {
        self == Self::Allow
    }

    /// The other one.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::Allow => Self::Deny,
            Self::Deny => Self::Allow,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The destination an entry is about.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Destination {
    /// Partition of the destination.
    #[serde(default, skip_serializing_if = "Partition::is_default")]
    pub partition: Partition,
    /// Namespace of the destination, or all.
    pub namespace: Pattern<Namespace>,
    /// Name of the destination, or all.
    pub name: Pattern<ServiceName>,
}

impl Destination {
    /// The service, if it is one and not all.
    pub fn service(&self) -> Option<ServiceRef> {
        let (namespace, name) = (self.namespace.exact()?.clone(), self.name.exact()?.clone());
        Some(ServiceRef { partition: self.partition.clone(), namespace, peer: None, name })
    }

    /// Whether the entry is about that service. A destination is always in our own cluster.
    pub fn covers(&self, service: &ServiceRef) -> bool {
        service.peer.is_none()
            && self.partition == service.partition
            && self.namespace.matches(&service.namespace)
            && self.name.matches(&service.name)
    }
}

impl fmt::Display for Destination {
    /// `name`, `namespace/name` or `partition/namespace/name`: default components are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scope(f, &self.partition, &self.namespace)?;
        f.write_str(self.name.as_str())
    }
}

/// The source an intention is about.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Source {
    /// Partition of the source.
    #[serde(default, skip_serializing_if = "Partition::is_default")]
    pub partition: Partition,
    /// Namespace of the source, or all.
    pub namespace: Pattern<Namespace>,
    /// Peered cluster of the source; `None` for our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// Name of the source, or all.
    pub name: Pattern<ServiceName>,
}

impl Source {
    /// Whether the intention is about that caller.
    pub fn covers(&self, service: &ServiceRef) -> bool {
        self.peer == service.peer
            && self.partition == service.partition
            && self.namespace.matches(&service.namespace)
            && self.name.matches(&service.name)
    }
}

impl fmt::Display for Source {
    /// As [`Destination`], with `peer:<peer>/` before it for a peered cluster.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(peer) = &self.peer {
            write!(f, "peer:{peer}/")?;
        }
        write_scope(f, &self.partition, &self.namespace)?;
        f.write_str(self.name.as_str())
    }
}

fn write_scope(
    f: &mut fmt::Formatter<'_>,
    partition: &Partition,
    namespace: &Pattern<Namespace>,
) -> fmt::Result {
    let default = namespace.exact().is_some_and(Namespace::is_default);
    if !partition.is_default() {
        write!(f, "{partition}/{namespace}/")
    } else if !default {
        write!(f, "{namespace}/")
    } else {
        Ok(())
    }
}

/// Precedence of an intention: 9 for exact destination and exact source, down to 1.
///
/// The base is 9, 6 or 3 for a destination with exact name, all names of one namespace, or all
/// namespaces; one is taken off for each wildcard of the source. (Documented behaviour of Consul.)
pub fn precedence(destination: &Destination, source: &Source) -> u8 {
    let base = match (&destination.namespace, &destination.name) {
        (Pattern::Exact(_), Pattern::Exact(_)) => 9,
        (Pattern::Exact(_), Pattern::Any) => 6,
        (Pattern::Any, _) => 3,
    };
    base - u8::from(source.namespace.is_any()) - u8::from(source.name.is_any())
}

/// One source of a destination's entry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SourceIntention {
    /// Who calls.
    pub source: Source,
    /// What then.
    pub decision: Decision,
    /// What people noted about it; at most [`DESCRIPTION_BYTES_MAX`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Fields of the older, id-based API, kept for its readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<LegacyFields>,
}

/// Fields of the older, id-based API.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LegacyFields {
    /// The intention's id.
    pub id: Uuid,
    /// Its metadata.
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
    /// When it was made.
    pub create_time: Timestamp,
    /// When it was changed.
    pub update_time: Timestamp,
}

/// What an intention decides by.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// By identity alone, for the connection.
    Connection(Action),
    /// By the request: the first permission that matches decides; none: the default policy.
    Requests(Vec<Permission>),
}

impl Decision {
    /// Whether it takes requests to decide.
    pub fn is_by_request(&self) -> bool {
        matches!(self, Self::Requests(_))
    }
}

/// One permission of a request-level intention.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Permission {
    /// What happens to requests it matches.
    pub action: Action,
    /// Which requests it matches; `None` matches all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpPermission>,
    /// Which token the request must carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtRequirement>,
}

/// Which requests a permission matches. All stated conditions must hold.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct HttpPermission {
    /// Condition on the path; `None` matches all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// Conditions on headers.
    #[serde(default)]
    pub headers: Vec<HeaderMatch>,
    /// Methods; empty matches all.
    #[serde(default)]
    pub methods: Vec<String>,
}

/// Condition on a path.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathMatch {
    /// The whole path.
    Exact(String),
    /// How the path begins.
    Prefix(String),
    /// A regular expression over the whole path.
    Regex(String),
}

/// Condition on a header.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct HeaderMatch {
    /// The header's name.
    pub name: String,
    /// What its value must be.
    pub value: HeaderValueMatch,
    /// Compare without regard to case.
    #[serde(default)]
    pub ignore_case: bool,
    /// Match where the condition does not hold.
    #[serde(default)]
    pub invert: bool,
}

/// Condition on a header's value.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderValueMatch {
    /// The header is there at all.
    Present,
    /// The whole value.
    Exact(String),
    /// How the value begins.
    Prefix(String),
    /// How the value ends.
    Suffix(String),
    /// What the value contains.
    Contains(String),
    /// A regular expression over the whole value.
    Regex(String),
}

/// Which JSON web tokens a request must carry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct JwtRequirement {
    /// Providers, any of which may have issued it.
    pub providers: Vec<JwtProviderRequirement>,
}

/// A provider and what its tokens must claim.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct JwtProviderRequirement {
    /// Name of the `jwt-provider` entry.
    pub name: String,
    /// Claims that must hold: path and value.
    #[serde(default)]
    pub verify_claims: Vec<(Vec<String>, String)>,
}

/// The intentions of one destination: a `service-intentions` entry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServiceIntentions {
    /// Who is called.
    pub destination: Destination,
    /// Who calls, each source at most once.
    #[serde(default)]
    pub sources: Vec<SourceIntention>,
    /// Token every request to the destination must carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtRequirement>,
    /// Metadata.
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}
