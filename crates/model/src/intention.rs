//! Intentions: which services may call which.
//!
//! They are stored as one `service-intentions` entry for each destination. `mesh` computes what they decide together.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::{Namespace, Partition, Pattern, PeerName, ServiceName, ServiceRef};
use crate::{Stamp, Timestamp, Uuid};

/// Longest description of an intention, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 512;

/// The decision about a connection or request.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Allow it.
    Allow,
    /// Refuse it.
    Deny,
}

impl Action {
    /// The text in the API: `allow` or `deny`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }

    /// Reads the text of the API.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "allow" => Some(Self::Allow),
            "deny" => Some(Self::Deny),
            _ => None,
        }
    }

    /// Whether the decision is to allow.
    pub fn allows(self) -> bool {
        self == Self::Allow
    }

    /// The opposite decision.
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

/// The destination of an entry.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Destination {
    /// Partition of the destination.
    #[serde(default, skip_serializing_if = "Partition::is_default")]
    pub partition: Partition,
    /// Namespace of the destination, or all namespaces.
    pub namespace: Pattern<Namespace>,
    /// Name of the destination, or all names.
    pub name: Pattern<ServiceName>,
}

impl Destination {
    /// Exactly this service of our own cluster.
    pub fn of(service: &ServiceRef) -> Self {
        let ServiceRef { partition, namespace, peer: _, name } = service.clone();
        Self { partition, namespace: Pattern::Exact(namespace), name: Pattern::Exact(name) }
    }

    /// The service, if the destination has no wildcard.
    pub fn service(&self) -> Option<ServiceRef> {
        let (namespace, name) = (self.namespace.exact()?.clone(), self.name.exact()?.clone());
        Some(ServiceRef { partition: self.partition.clone(), namespace, peer: None, name })
    }

    /// Whether the entry applies to this service. A destination is always in our own cluster.
    pub fn covers(&self, service: &ServiceRef) -> bool {
        service.peer.is_none()
            && self.partition == service.partition
            && self.namespace.matches(&service.namespace)
            && self.name.matches(&service.name)
    }
}

impl fmt::Display for Destination {
    /// `name`, `namespace/name` or `partition/namespace/name`. Default components are omitted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scope(f, &self.partition, &self.namespace)?;
        f.write_str(self.name.as_str())
    }
}

/// The source of an intention.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Source {
    /// Partition of the source.
    #[serde(default, skip_serializing_if = "Partition::is_default")]
    pub partition: Partition,
    /// Namespace of the source, or all namespaces.
    pub namespace: Pattern<Namespace>,
    /// Peered cluster of the source. `None` for our own cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// Name of the source, or all names.
    pub name: Pattern<ServiceName>,
}

impl Source {
    /// Whether the intention applies to this caller.
    pub fn covers(&self, service: &ServiceRef) -> bool {
        self.peer == service.peer
            && self.partition == service.partition
            && self.namespace.matches(&service.namespace)
            && self.name.matches(&service.name)
    }
}

impl fmt::Display for Source {
    /// Like [`Destination`], with `peer:<peer>/` in front for a peered cluster.
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

/// Precedence of an intention: from 9 for an exact destination and an exact source down to 1.
///
/// The base is 9 for a destination with exact name, 6 for all names of one namespace, and 3 for all namespaces. Each
/// wildcard of the source subtracts one. (Documented behaviour of Consul.)
pub fn precedence(destination: &Destination, source: &Source) -> u8 {
    let base = match (&destination.namespace, &destination.name) {
        (Pattern::Exact(_), Pattern::Exact(_)) => 9,
        (Pattern::Exact(_), Pattern::Any) => 6,
        (Pattern::Any, _) => 3,
    };
    base - u8::from(source.namespace.is_any()) - u8::from(source.name.is_any())
}

/// One source in a destination's entry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SourceIntention {
    /// The caller.
    pub source: Source,
    /// The decision about its calls.
    pub decision: Decision,
    /// Description for people, at most [`DESCRIPTION_BYTES_MAX`] bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Fields of the older, id-based API, kept for its clients.
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
    /// When it was created.
    pub create_time: Timestamp,
    /// When it was changed.
    pub update_time: Timestamp,
}

/// How an intention decides.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// By identity alone, for the whole connection.
    Connection(Action),
    /// By request: the first matching permission decides. If none matches, the default policy decides.
    Requests(Vec<Permission>),
}

impl Decision {
    /// Whether requests are needed to decide.
    pub fn is_by_request(&self) -> bool {
        matches!(self, Self::Requests(_))
    }
}

/// One permission of a request-level intention.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Permission {
    /// The decision about requests that match.
    pub action: Action,
    /// The requests that match. `None` matches all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpPermission>,
    /// The token that the request must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtRequirement>,
}

/// The requests that match a permission. All conditions must hold.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct HttpPermission {
    /// Condition on the path. `None` matches all paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// Conditions on headers.
    #[serde(default)]
    pub headers: Vec<HeaderMatch>,
    /// The matching methods. Empty matches all.
    #[serde(default)]
    pub methods: Vec<String>,
}

/// Condition on a path.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathMatch {
    /// The whole path is equal.
    Exact(String),
    /// The path starts with this text.
    Prefix(String),
    /// A regular expression matches the whole path.
    Regex(String),
}

/// Condition on a header.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct HeaderMatch {
    /// The header's name.
    pub name: String,
    /// The condition on its value.
    pub value: HeaderValueMatch,
    /// Ignore upper and lower case in the comparison.
    #[serde(default)]
    pub ignore_case: bool,
    /// Match if the condition does not hold.
    #[serde(default)]
    pub invert: bool,
}

/// Condition on a header's value.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderValueMatch {
    /// The header exists.
    Present,
    /// The whole value is equal.
    Exact(String),
    /// The value starts with this text.
    Prefix(String),
    /// The value ends with this text.
    Suffix(String),
    /// The value contains this text.
    Contains(String),
    /// A regular expression matches the whole value.
    Regex(String),
}

/// The JSON web token that a request must have.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct JwtRequirement {
    /// The accepted issuers of the token.
    pub providers: Vec<JwtProviderRequirement>,
}

/// An issuer of tokens, and the claims that its tokens must have.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct JwtProviderRequirement {
    /// Name of the `jwt-provider` entry.
    pub name: String,
    /// Required claims: path and value.
    #[serde(default)]
    pub verify_claims: Vec<(Vec<String>, String)>,
}

/// The intentions of one destination: a `service-intentions` entry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServiceIntentions {
    /// The destination of the calls.
    pub destination: Destination,
    /// The callers. Each source occurs at most once.
    #[serde(default)]
    pub sources: Vec<SourceIntention>,
    /// The token that each request to the destination must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtRequirement>,
    /// Metadata.
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}
