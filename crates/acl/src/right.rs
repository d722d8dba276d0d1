//! The vocabulary: resources, levels, and the rights that are asked for.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A resource with one rule for the whole datacenter.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scalar {
    /// Tokens, policies, roles, auth methods, snapshots.
    Acl,
    /// Keys of the gossip encryption.
    Keyring,
    /// Configuration of the mesh as a whole; without a rule, that of the operator.
    Mesh,
    /// Servers, autopilot, the certificate authority.
    Operator,
    /// Cluster peerings; without a rule, that of the operator.
    Peering,
}

/// A resource with rules for names and prefixes of names.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Labelled {
    /// Utility operations of an agent, by node name.
    Agent,
    /// User events, by event name.
    Event,
    /// Intentions, by the name of their destination service.
    Intention,
    /// Keys of the key-value store.
    Key,
    /// Catalog nodes.
    Node,
    /// Prepared queries, by name.
    Query,
    /// Catalog services.
    Service,
    /// Sessions, by node name.
    Session,
}

/// How much is asked for or granted; each includes those before it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// See it.
    Read,
    /// See all keys under a prefix; only keys distinguish it from reading.
    List,
    /// Change it.
    Write,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Grant {
    /// Nothing is allowed.
    Deny,
    /// This level and the ones it includes are allowed, the others are not.
    Allow(Level),
}

/// What somebody asks to do.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Right<'a> {
    /// On a resource with one rule.
    Whole {
        /// The resource.
        resource: Scalar,
        /// How much.
        level: Level,
    },
    /// On one name. The intention of destination `*` stands for all: it may be read by whoever may read any
    /// and written by whoever may write every one.
    Named {
        /// The resource.
        resource: Labelled,
        /// The name.
        name: Cow<'a, str>,
        /// How much.
        level: Level,
    },
    /// On every name below a prefix, as recursive deletion needs.
    Under {
        /// The resource.
        resource: Labelled,
        /// The prefix; empty means every name.
        prefix: Cow<'a, str>,
        /// How much.
        level: Level,
    },
    /// On every name there is.
    All {
        /// The resource.
        resource: Labelled,
        /// How much.
        level: Level,
    },
    /// On at least one name.
    Any {
        /// The resource.
        resource: Labelled,
        /// How much.
        level: Level,
    },
    /// Take or restore a snapshot of everything; the same as writing ACLs.
    Snapshot,
}

// === impl Scalar ===

impl Scalar {
    /// How many there are.
    pub(crate) const COUNT: usize = 5;

    /// The word for it in rules and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acl => "acl",
            Self::Keyring => "keyring",
            Self::Mesh => "mesh",
            Self::Operator => "operator",
            Self::Peering => "peering",
        }
    }
}

// === impl Labelled ===

impl Labelled {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Agent,
        Self::Event,
        Self::Intention,
        Self::Key,
        Self::Node,
        Self::Query,
        Self::Service,
        Self::Session,
    ];

    /// The word for it in rules and messages; intentions appear in rules as a part of services.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Event => "event",
            Self::Intention => "intention",
            Self::Key => "key",
            Self::Node => "node",
            Self::Query => "query",
            Self::Service => "service",
            Self::Session => "session",
        }
    }
}

// === impl Level ===

impl Level {
    /// The word for it in rules and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Write => "write",
        }
    }
}

// === impl Grant ===

impl Grant {
    /// Whether this level is allowed.
    pub fn allows(self, level: Level) -> bool {
        match self {
            Self::Deny => false,
            Self::Allow(granted) => granted >= level,
        }
    }

    /// Of two rules at the same specificity the one that counts: deny, else the higher level.
    pub fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Allow(a), Self::Allow(b)) => Self::Allow(a.max(b)),
            (Self::Deny, _) | (_, Self::Deny) => Self::Deny,
        }
    }

    /// The word for it in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow(level) => level.as_str(),
        }
    }
}

// === impl Right ===

impl<'a> Right<'a> {
    /// The right on one name.
    pub fn named(resource: Labelled, name: impl Into<Cow<'a, str>>, level: Level) -> Self {
        Self::Named { resource, name: name.into(), level }
    }

    /// The right on a resource with one rule.
    pub fn whole(resource: Scalar, level: Level) -> Self {
        Self::Whole { resource, level }
    }

    /// The resource in the words of rules and messages.
    pub fn resource(&self) -> &'static str {
        match self {
            Self::Whole { resource, .. } => resource.as_str(),
            Self::Named { resource, .. }
            | Self::Under { resource, .. }
            | Self::All { resource, .. }
            | Self::Any { resource, .. } => resource.as_str(),
            Self::Snapshot => Scalar::Acl.as_str(),
        }
    }

    /// How much is asked for.
    pub fn level(&self) -> Level {
        match self {
            Self::Whole { level, .. }
            | Self::Named { level, .. }
            | Self::Under { level, .. }
            | Self::All { level, .. }
            | Self::Any { level, .. } => *level,
            Self::Snapshot => Level::Write,
        }
    }

    /// The name or prefix asked about, if there is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Named { name, .. } => Some(name),
            Self::Under { prefix, .. } => Some(prefix),
            Self::Whole { .. } | Self::All { .. } | Self::Any { .. } | Self::Snapshot => None,
        }
    }

    /// The same right, borrowing nothing.
    pub fn into_owned(self) -> Right<'static> {
        match self {
            Self::Whole { resource, level } => Right::Whole { resource, level },
            Self::Named { resource, name, level } => {
                Right::Named { resource, name: Cow::Owned(name.into_owned()), level }
            }
            Self::Under { resource, prefix, level } => {
                Right::Under { resource, prefix: Cow::Owned(prefix.into_owned()), level }
            }
            Self::All { resource, level } => Right::All { resource, level },
            Self::Any { resource, level } => Right::Any { resource, level },
            Self::Snapshot => Right::Snapshot,
        }
    }
}

impl fmt::Display for Right<'_> {
    /// `'service:write' on "web"`, the form permission errors have.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}:{}'", self.resource(), self.level().as_str())?;
        match self.name() {
            None | Some("") => Ok(()),
            Some(name) => {
                // Names come from requests: line ends in them must not forge log lines.
                let plain: String =
                    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
                write!(f, " on \"{plain}\"")
            }
        }
    }
}
