//! The intention decision: whether a service may call another one, and which rule decides.
//!
//! Of all intentions that cover a source and a destination, only the one with the highest precedence decides. The
//! exactness of the destination counts before that of the source. Without such an intention, the default decides.
//! This is the decision about a *connection*. An intention with permissions decides about requests, which are not
//! visible at connection level, so it denies the connection (Consul's `authorize` and `check` answer the same). The
//! same holds where an entry demands a token, of the sources that it names and of those about which no more exact
//! entry decides: the token is not visible at connection level, and allowing the connection would waive the demand.
//!
//! [`Policy`] is compiled for one destination, [`Table`] for all of them; both give the same verdicts. Trust domain
//! and datacenter are ignored here: the handshake has checked them.

mod policy;
mod table;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use concord_model::intention::{
    Action, Decision, Destination, JwtRequirement, LegacyFields, ServiceIntentions, Source, precedence,
};
use concord_model::{Partition, PeerName, Stamp};
use serde::{Deserialize, Serialize};

pub(crate) use self::policy::Found;
pub use self::policy::Policy;
pub use self::table::Table;

/// One intention: one source of one destination's entry, with everything that applies to it.
///
/// What the entry says about all of its sources is shared between them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Intention {
    /// The called service.
    pub destination: Destination,
    /// The calling service.
    pub source: Source,
    /// From 9, the most exact, down to 1; see [`precedence`].
    pub precedence: u8,
    /// The decision.
    pub decision: Decision,
    /// A description for people.
    #[serde(default)]
    pub description: String,
    /// Fields of the older, id-based API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<LegacyFields>,
    /// The token that every request to the destination must carry, whatever its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Arc<JwtRequirement>>,
    /// Metadata of the entry.
    #[serde(default)]
    pub meta: Arc<BTreeMap<String, String>>,
    /// When the entry changed.
    #[serde(default)]
    pub stamp: Stamp,
}

impl Intention {
    /// The intentions of an entry, one per source, in the order of the entry.
    pub fn of_entry(entry: &ServiceIntentions) -> impl Iterator<Item = Self> {
        let meta = Arc::new(entry.meta.clone());
        let jwt = entry.jwt.clone().map(Arc::new);
        entry.sources.iter().map(move |one| Self {
            destination: entry.destination.clone(),
            source: one.source.clone(),
            precedence: precedence(&entry.destination, &one.source),
            decision: one.decision.clone(),
            description: one.description.clone(),
            legacy: one.legacy.clone(),
            jwt: jwt.clone(),
            meta: Arc::clone(&meta),
            stamp: entry.stamp,
        })
    }

    /// The action for a connection; `None` if the intention only decides about requests.
    pub fn connection(&self) -> Option<Action> {
        match (&self.decision, &self.jwt) {
            (Decision::Connection(Action::Deny), _) => Some(Action::Deny),
            (Decision::Connection(Action::Allow), None) => Some(Action::Allow),
            (Decision::Connection(Action::Allow), Some(_)) | (Decision::Requests(_), _) => None,
        }
    }

    /// The order in which intentions are tried and listed: highest precedence first. Ties are ordered by peer,
    /// partition, namespace and name of the source, then of the destination. Two intentions are equal only if they
    /// have the same pair of patterns.
    pub fn order(&self, other: &Self) -> Ordering {
        other.precedence.cmp(&self.precedence).then_with(|| {
            let (a, b) = (&self.source, &other.source);
            peer_text(a.peer.as_ref())
                .cmp(peer_text(b.peer.as_ref()))
                .then_with(|| a.partition.cmp(&b.partition))
                .then_with(|| a.namespace.as_str().cmp(b.namespace.as_str()))
                .then_with(|| a.name.as_str().cmp(b.name.as_str()))
                .then_with(|| {
                    let (a, b) = (&self.destination, &other.destination);
                    a.partition
                        .cmp(&b.partition)
                        .then_with(|| a.namespace.as_str().cmp(b.namespace.as_str()))
                        .then_with(|| a.name.as_str().cmp(b.name.as_str()))
                })
        })
    }

    fn verdict(self: &Arc<Self>) -> Verdict {
        let rule = Arc::clone(self);
        match self.connection() {
            Some(action) => Verdict { allowed: action.allows(), because: Because::Connection { rule } },
            None => Verdict { allowed: false, because: Because::Requests { rule } },
        }
    }
}

fn peer_text(peer: Option<&PeerName>) -> &str {
    peer.map_or("", PeerName::as_str)
}

impl fmt::Display for Intention {
    /// The text that Consul uses for an intention in its reasons:
    /// `default/web => default/api (Precedence: 9, Action: ALLOW)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(peer) = &self.source.peer {
            write!(f, "peer({peer})/")?;
        }
        write_partition(f, &self.source.partition)?;
        write!(f, "{}/{} => ", self.source.namespace, self.source.name)?;
        write_partition(f, &self.destination.partition)?;
        write!(f, "{}/{} (", self.destination.namespace, self.destination.name)?;
        if let Some(legacy) = &self.legacy {
            write!(f, "ID: {}, ", legacy.id)?;
        }
        write!(f, "Precedence: {}, ", self.precedence)?;
        match &self.decision {
            Decision::Connection(action) => write!(f, "Action: {})", action.as_str().to_uppercase()),
            Decision::Requests(permissions) => write!(f, "Permissions: {})", permissions.len()),
        }
    }
}

/// The default partition is left out, as in Consul's community edition.
fn write_partition(f: &mut fmt::Formatter<'_>, partition: &Partition) -> fmt::Result {
    if partition.is_default() { Ok(()) } else { write!(f, "{partition}/") }
}

/// The policy where no intention matches.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct DefaultPolicy {
    /// The action.
    pub action: Action,
    /// The setting it comes from.
    pub source: DefaultSource,
}

impl DefaultPolicy {
    /// The default of a configuration: `default_intention_policy` if it is set, else `default_policy` of the ACLs,
    /// which is allow while ACLs are disabled.
    pub fn resolve(default_intention_policy: Option<Action>, acl_default: Action) -> Self {
        match default_intention_policy {
            Some(action) => Self { action, source: DefaultSource::DefaultIntentionPolicy },
            None => Self { action: acl_default, source: DefaultSource::AclDefault },
        }
    }

    fn verdict(self) -> Verdict {
        Verdict { allowed: self.action.allows(), because: Because::Default(self.source) }
    }
}

/// The setting that a default comes from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultSource {
    /// The setting `default_intention_policy`.
    DefaultIntentionPolicy,
    /// The default policy of the ACLs, which is allow while they are disabled.
    AclDefault,
}

impl DefaultSource {
    /// Consul's text for it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::DefaultIntentionPolicy => "Default intention policy",
            Self::AclDefault => "Default behavior configured by ACLs",
        }
    }
}

/// The decision about a connection, with its reason.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[must_use]
pub struct Verdict {
    /// Whether the connection is allowed.
    pub allowed: bool,
    /// What decided.
    pub because: Because,
}

impl Verdict {
    /// The reason in Consul's words, as `authorize` returns it.
    pub fn reason(&self) -> String {
        match &self.because {
            Because::Connection { rule } => format!("Matched L4 intention: {rule}"),
            Because::Requests { rule } => format!("Matched L7 intention: {rule}"),
            Because::TokenDemanded { .. } => TOKEN_DEMANDED.to_owned(),
            Because::Default(source) => source.reason().to_owned(),
        }
    }

    /// Whether a demanded token decided. Consul's reason names an intention that allows if its own entry demands one.
    pub fn is_by_token(&self) -> bool {
        match &self.because {
            Because::Requests { rule } => !rule.decision.is_by_request(),
            Because::TokenDemanded { .. } => true,
            Because::Connection { .. } | Because::Default(_) => false,
        }
    }

    /// The intention that decided; `None` if the default did.
    pub fn rule(&self) -> Option<&Arc<Intention>> {
        match &self.because {
            Because::Connection { rule } | Because::Requests { rule } => Some(rule),
            Because::TokenDemanded { rule } => rule.as_ref(),
            Because::Default(_) => None,
        }
    }
}

/// The reason where an entry demands a token.
pub const TOKEN_DEMANDED: &str = "The destination's entry demands a token";

/// What decided about a connection.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// An intention for connections.
    Connection {
        /// The intention.
        rule: Arc<Intention>,
    },
    /// An intention with permissions, or one that allows and whose entry demands a token. The connection is denied,
    /// because it shows neither.
    Requests {
        /// The intention.
        rule: Arc<Intention>,
    },
    /// An entry demands a token. The connection is denied, because it does not show one.
    TokenDemanded {
        /// The intention of a less exact entry that would allow it. `None` if the default would.
        rule: Option<Arc<Intention>>,
    },
    /// No intention covers the pair.
    Default(DefaultSource),
}
