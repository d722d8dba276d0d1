//! The intention decision: may this service call that one, and which rule says so.
//!
//! Of all intentions that cover a source and a destination, the one of highest precedence decides,
//! alone; the destination's exactness counts before the source's. None: the default decides.
//! This is the decision about a *connection*. An intention with permissions decides about requests,
//! which a connection cannot show, so for a connection it means no (as Consul's `authorize` and
//! `check` answer). The same holds for an entry that demands a token of every request: whoever looks
//! at connections only cannot see the token, and letting the connection through would waive it.
//!
//! [`Policy`] is compiled for one destination, [`Table`] for all of them; both give the same
//! verdicts. Trust domain and datacenter play no part: the handshake has checked them.

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

pub use self::policy::Policy;
pub use self::table::Table;

/// One intention: one source of one destination's entry, with all that is said about it.
///
/// What the entry says for all of its sources is shared between them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Intention {
    /// Who is called.
    pub destination: Destination,
    /// Who calls.
    pub source: Source,
    /// 9 for the most exact, down to 1; see [`precedence`].
    pub precedence: u8,
    /// What then.
    pub decision: Decision,
    /// What people noted about it.
    #[serde(default)]
    pub description: String,
    /// Fields of the older, id-based API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<LegacyFields>,
    /// Token that every request to the destination must carry, whatever its source.
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

    /// What it says about a connection, or `None` if it only speaks of requests.
    pub fn connection(&self) -> Option<Action> {
        match (&self.decision, &self.jwt) {
            (Decision::Connection(Action::Deny), _) => Some(Action::Deny),
            (Decision::Connection(Action::Allow), None) => Some(Action::Allow),
            (Decision::Connection(Action::Allow), Some(_)) | (Decision::Requests(_), _) => None,
        }
    }

    /// The order in which intentions are tried and listed: by precedence, the highest first; among
    /// equals by the text of peer, partition, namespace and name of the source, then of the
    /// destination. Equal only for one and the same pair of patterns.
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
    /// As Consul words an intention in its reasons:
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

/// The default partition is not written, as in Consul's community edition.
fn write_partition(f: &mut fmt::Formatter<'_>, partition: &Partition) -> fmt::Result {
    if partition.is_default() { Ok(()) } else { write!(f, "{partition}/") }
}

/// What decides where no intention does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct DefaultPolicy {
    /// What then happens.
    pub action: Action,
    /// Which setting says so.
    pub source: DefaultSource,
}

impl DefaultPolicy {
    /// The default of a configuration: `default_intention_policy` if it is set, else what ACLs say:
    /// their `default_policy`, and allow while they are off.
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

/// The setting a default comes from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultSource {
    /// The setting `default_intention_policy`.
    DefaultIntentionPolicy,
    /// The default policy of ACLs, which is allow while they are off.
    AclDefault,
}

impl DefaultSource {
    /// Consul's words for it.
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
    /// Whether the connection may be made.
    pub allowed: bool,
    /// What decided.
    pub because: Because,
}

impl Verdict {
    /// The reason in Consul's words, as `authorize` answers it.
    pub fn reason(&self) -> String {
        match &self.because {
            Because::Connection { rule } => format!("Matched L4 intention: {rule}"),
            Because::Requests { rule } => format!("Matched L7 intention: {rule}"),
            Because::Default(source) => source.reason().to_owned(),
        }
    }

    /// The intention that decided; `None` if the default did.
    pub fn rule(&self) -> Option<&Arc<Intention>> {
        match &self.because {
            Because::Connection { rule } | Because::Requests { rule } => Some(rule),
            Because::Default(_) => None,
        }
    }
}

/// What decided about a connection.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// An intention about connections.
    Connection {
        /// The intention.
        rule: Arc<Intention>,
    },
    /// An intention about requests; a connection is refused, since it cannot show what is asked.
    Requests {
        /// The intention.
        rule: Arc<Intention>,
    },
    /// No intention covers the pair.
    Default(DefaultSource),
}
