//! The vocabulary of rules: resources, levels and rights.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A resource with one rule for the whole datacenter.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scalar {
    /// Tokens, policies, roles, auth methods and snapshots.
    Acl,
    /// Keys of the gossip encryption.
    Keyring,
    /// Configuration of the whole mesh. Without a rule of its own the rule for `operator` applies.
    Mesh,
    /// Servers, autopilot and the certificate authority.
    Operator,
    /// Cluster peerings. Without a rule of its own the rule for `operator` applies.
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

/// A level of access. Each level includes the ones before it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Read it.
    Read,
    /// List all keys with a prefix. Only for keys this differs from reading.
    List,
    /// Write it.
    Write,
}

/// The decision of a rule.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Grant {
    /// Nothing is allowed.
    Deny,
    /// This level and the ones before it are allowed, higher levels are refused.
    Allow(Level),
}

/// A requested right.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Right<'a> {
    /// To a resource with one rule.
    Whole {
        /// The resource.
        resource: Scalar,
        /// The requested level.
        level: Level,
    },
    /// To one name. For intentions the name `*` means all destinations: to read them a token needs read access to at
    /// least one, to write them it needs write access to all.
    Named {
        /// The resource.
        resource: Labelled,
        /// The name.
        name: Cow<'a, str>,
        /// The requested level.
        level: Level,
    },
    /// To all names that start with a prefix, as recursive deletion needs.
    Under {
        /// The resource.
        resource: Labelled,
        /// The prefix. Empty means all names.
        prefix: Cow<'a, str>,
        /// The requested level.
        level: Level,
    },
    /// To all names.
    All {
        /// The resource.
        resource: Labelled,
        /// The requested level.
        level: Level,
    },
    /// To at least one name.
    Any {
        /// The resource.
        resource: Labelled,
        /// The requested level.
        level: Level,
    },
    /// To take or restore a snapshot of everything. It equals write access to ACLs.
    Snapshot,
}

// === impl Scalar ===

impl Scalar {
    /// The number of variants.
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
    /// All variants.
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

    /// The word for it in rules and messages. In rules, intentions are part of services.
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

    /// Combines two rules of the same specificity: deny wins, otherwise the higher level.
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
    /// The right to one name.
    pub fn named(resource: Labelled, name: impl Into<Cow<'a, str>>, level: Level) -> Self {
        Self::Named { resource, name: name.into(), level }
    }

    /// The right to a resource with one rule.
    pub fn whole(resource: Scalar, level: Level) -> Self {
        Self::Whole { resource, level }
    }

    /// The word for the resource in rules and messages.
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

    /// The requested level.
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

    /// The name or prefix, if there is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Named { name, .. } => Some(name),
            Self::Under { prefix, .. } => Some(prefix),
            Self::Whole { .. } | Self::All { .. } | Self::Any { .. } | Self::Snapshot => None,
        }
    }

    /// The same right without borrowed data.
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
    /// `'service:write' on "web"`, as in permission errors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}:{}'", self.resource(), self.level().as_str())?;
        match self.name() {
            None | Some("") => Ok(()),
            Some(name) => {
                // Names come from requests. A line end in a name could forge a line of the log.
                let plain: String =
                    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
                write!(f, " on \"{plain}\"")
            }
        }
    }
}
