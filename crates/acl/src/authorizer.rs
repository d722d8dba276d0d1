//! The answer to "may they?": all policies of a token merged, immutable, shared by cloning.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::denied::PermissionDenied;
use super::policy::{Policy, Rule, Scope};
use super::right::{Grant, Labelled, Level, Right, Scalar};
use super::table::Table;

#[cfg(test)]
mod tests;

/// The name that stands for every destination of an intention.
const WILDCARD: &str = "*";

/// The answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Access {
    /// They may.
    Allow,
    /// They may not.
    Deny,
}

/// What holds where no rule says anything. Never for ACLs and snapshots: those always need a rule.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DefaultPolicy {
    /// Everything not refused is allowed.
    Allow,
    /// Everything not allowed is refused.
    #[default]
    Deny,
}

/// Decides about rights. Cloning shares; it never changes, so whoever holds one decides consistently.
#[derive(Clone, Debug)]
pub struct Authorizer {
    grounds: Grounds,
}

/// What decides.
#[derive(Clone, Debug)]
enum Grounds {
    /// Everything is allowed, ACLs included.
    Management,
    Rules(Arc<Rules>),
}

#[derive(Debug)]
struct Rules {
    wholes: [Option<Grant>; Scalar::COUNT],
    tables: [Table; Labelled::ALL.len()],
    default: DefaultPolicy,
}

/// Merged rules on their way into tables.
#[derive(Default)]
struct Merge {
    wholes: [Option<Grant>; Scalar::COUNT],
    names: BTreeMap<(Labelled, Scope), Grant>,
}

// === impl Access ===

impl Access {
    /// Whether they may.
    pub fn is_allowed(self) -> bool {
        self == Self::Allow
    }

    fn when(allowed: bool) -> Self {
        if allowed { Self::Allow } else { Self::Deny }
    }
}

// === impl Authorizer ===

impl Authorizer {
    /// Merges policies; their order does not matter.
    pub fn new(policies: &[&Policy], default: DefaultPolicy) -> Self {
        let mut merge = Merge::default();
        for rule in policies.iter().flat_map(|policy| policy.rules()) {
            merge.add(rule);
        }
        Self { grounds: Grounds::Rules(Arc::new(merge.finish(default))) }
    }

    /// Allows everything, ACLs and snapshots included.
    pub fn manage_all() -> Self {
        Self { grounds: Grounds::Management }
    }

    /// Allows everything but ACLs and snapshots.
    pub fn allow_all() -> Self {
        Self::new(&[], DefaultPolicy::Allow)
    }

    /// Allows nothing.
    pub fn deny_all() -> Self {
        Self::new(&[], DefaultPolicy::Deny)
    }

    /// Decides about a right. Every other question of this type is asked through here.
    pub fn check(&self, right: &Right<'_>) -> Access {
        match &self.grounds {
            Grounds::Management => Access::Allow,
            Grounds::Rules(rules) => rules.check(right),
        }
    }

    /// Decides about a right and says who was refused.
    pub fn require(&self, accessor_id: &str, right: Right<'_>) -> Result<(), PermissionDenied> {
        match self.check(&right) {
            Access::Allow => Ok(()),
            Access::Deny => Err(PermissionDenied::new(accessor_id, right)),
        }
    }

    /// Whether connections no intention speaks about are allowed, as far as ACLs decide it.
    pub fn intention_default_allow(&self) -> Access {
        match &self.grounds {
            Grounds::Management => Access::Allow,
            Grounds::Rules(rules) => Access::when(rules.default == DefaultPolicy::Allow),
        }
    }

    /// Take or restore a snapshot.
    pub fn snapshot(&self) -> Access {
        self.check(&Right::Snapshot)
    }

    /// See every node.
    pub fn node_read_all(&self) -> Access {
        self.check(&Right::All { resource: Labelled::Node, level: Level::Read })
    }

    /// See every service.
    pub fn service_read_all(&self) -> Access {
        self.check(&Right::All { resource: Labelled::Service, level: Level::Read })
    }

    /// See every service whose name begins so.
    pub fn service_read_prefix(&self, prefix: &str) -> Access {
        self.check(&Right::Under { resource: Labelled::Service, prefix: prefix.into(), level: Level::Read })
    }

    /// Change at least one service.
    pub fn service_write_any(&self) -> Access {
        self.check(&Right::Any { resource: Labelled::Service, level: Level::Write })
    }

    /// See the names of all keys that begin so.
    pub fn key_list(&self, prefix: &str) -> Access {
        self.check(&Right::named(Labelled::Key, prefix, Level::List))
    }

    /// Change every key that begins so, as recursive deletion does.
    pub fn key_write_prefix(&self, prefix: &str) -> Access {
        self.check(&Right::Under { resource: Labelled::Key, prefix: prefix.into(), level: Level::Write })
    }
}

macro_rules! whole_rights {
    ($($read:ident $write:ident $resource:ident $what:literal)*) => {
        impl Authorizer {
            $(
                #[doc = concat!("See ", $what, ".")]
                pub fn $read(&self) -> Access {
                    self.check(&Right::whole(Scalar::$resource, Level::Read))
                }

                #[doc = concat!("Change ", $what, ".")]
                pub fn $write(&self) -> Access {
                    self.check(&Right::whole(Scalar::$resource, Level::Write))
                }
            )*
        }
    };
}

whole_rights! {
    acl_read acl_write Acl "tokens, policies, roles and auth methods"
    keyring_read keyring_write Keyring "the keys of the gossip encryption"
    mesh_read mesh_write Mesh "the configuration of the mesh as a whole"
    operator_read operator_write Operator "servers, autopilot and the certificate authority"
    peering_read peering_write Peering "cluster peerings"
}

macro_rules! named_rights {
    ($($read:ident $write:ident $resource:ident $what:literal)*) => {
        impl Authorizer {
            $(
                #[doc = concat!("See ", $what, ".")]
                pub fn $read(&self, name: &str) -> Access {
                    self.check(&Right::named(Labelled::$resource, name, Level::Read))
                }

                #[doc = concat!("Change ", $what, ".")]
                pub fn $write(&self, name: &str) -> Access {
                    self.check(&Right::named(Labelled::$resource, name, Level::Write))
                }
            )*
        }
    };
}

named_rights! {
    agent_read agent_write Agent "the utility operations of the agent on a node"
    event_read event_write Event "user events of a name"
    intention_read intention_write Intention "the intentions of a destination; `*` stands for any when reading, for all when writing"
    key_read key_write Key "a key"
    node_read node_write Node "a node"
    query_read query_write Query "a prepared query"
    service_read service_write Service "a service"
    session_read session_write Session "the sessions of a node"
}

// === impl Rules ===

impl Rules {
    fn check(&self, right: &Right<'_>) -> Access {
        let said = match right {
            Right::Whole { resource, level } => self.whole(*resource).map(|grant| grant.allows(*level)),
            Right::Snapshot => self.whole(Scalar::Acl).map(|grant| grant.allows(Level::Write)),
            Right::Named { resource: Labelled::Intention, name, level } if name == WILDCARD => match level {
                Level::Read | Level::List => self.table(Labelled::Intention).allows_any(*level),
                Level::Write => self.table(Labelled::Intention).allows_all(*level),
            },
            Right::Named { resource, name, level } => {
                self.table(*resource).find(name).map(|grant| grant.allows(*level))
            }
            Right::Under { resource, prefix, level } => self.table(*resource).allows_under(prefix, *level),
            Right::All { resource, level } => self.table(*resource).allows_all(*level),
            Right::Any { resource, level } => self.table(*resource).allows_any(*level),
        };
        Access::when(said.unwrap_or_else(|| self.default_allows(right)))
    }

    fn whole(&self, resource: Scalar) -> Option<Grant> {
        let own = self.wholes[resource as usize];
        match resource {
            Scalar::Mesh | Scalar::Peering => own.or(self.wholes[Scalar::Operator as usize]),
            Scalar::Acl | Scalar::Keyring | Scalar::Operator => own,
        }
    }

    fn table(&self, resource: Labelled) -> &Table {
        &self.tables[resource as usize]
    }

    fn default_allows(&self, right: &Right<'_>) -> bool {
        match right {
            Right::Snapshot | Right::Whole { resource: Scalar::Acl, .. } => false,
            Right::Whole { .. }
            | Right::Named { .. }
            | Right::Under { .. }
            | Right::All { .. }
            | Right::Any { .. } => self.default == DefaultPolicy::Allow,
        }
    }
}

// === impl Merge ===

impl Merge {
    fn add(&mut self, rule: &Rule) {
        match rule {
            Rule::Whole { resource, grant } => {
                let slot = &mut self.wholes[*resource as usize];
                *slot = Some(slot.map_or(*grant, |other| other.merge(*grant)));
            }
            Rule::Names { resource, scope, grant } => {
                let key = (*resource, scope.clone());
                self.names.entry(key).and_modify(|other| *other = other.merge(*grant)).or_insert(*grant);
            }
        }
    }

    /// Fills in what service rules say about intentions: whoever may see a service may see its intentions;
    /// changing them is never implied.
    fn imply_intentions(&mut self) {
        let services: Vec<_> = self
            .names
            .iter()
            .filter(|((resource, _), _)| *resource == Labelled::Service)
            .map(|((_, scope), grant)| (scope.clone(), *grant))
            .collect();
        for (scope, grant) in services {
            let implied = match grant {
                Grant::Deny => Grant::Deny,
                Grant::Allow(_) => Grant::Allow(Level::Read),
            };
            self.names.entry((Labelled::Intention, scope)).or_insert(implied);
        }
    }

    fn finish(mut self, default: DefaultPolicy) -> Rules {
        self.imply_intentions();
        let mut exact: [Vec<_>; Labelled::ALL.len()] = Default::default();
        let mut prefixes: [Vec<_>; Labelled::ALL.len()] = Default::default();
        for ((resource, scope), grant) in self.names {
            match scope {
                Scope::Exact(name) => exact[resource as usize].push((name, grant)),
                Scope::Prefix(prefix) => prefixes[resource as usize].push((prefix, grant)),
            }
        }
        let tables = Labelled::ALL.map(|resource| {
            let index = resource as usize;
            Table::new(std::mem::take(&mut exact[index]), std::mem::take(&mut prefixes[index]))
        });
        Rules { wholes: self.wholes, tables, default }
    }
}
