//! The authorizer: decides about the rights of a token. It holds the token's merged policies and never changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_model::intention::Action;

use super::denied::PermissionDenied;
use super::policy::{Policy, Rule, Scope};
use super::right::{Grant, Labelled, Level, Right, Scalar};
use super::table::Table;

#[cfg(test)]
mod tests;

/// The name that means every destination of an intention.
const WILDCARD: &str = "*";

/// The decision about a right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Access {
    /// The right is granted.
    Allow,
    /// The right is refused.
    Deny,
}

/// Decides about rights. Clones share the same rules, which never change, so its decisions are consistent.
#[derive(Clone, Debug)]
pub struct Authorizer {
    grounds: Grounds,
}

/// What decides.
#[derive(Clone, Debug)]
enum Grounds {
    /// Everything is allowed, including ACLs.
    Management,
    Rules(Arc<Rules>),
}

#[derive(Debug)]
struct Rules {
    wholes: [Option<Grant>; Scalar::COUNT],
    tables: [Table; Labelled::ALL.len()],
    /// The decision if no rule applies. ACLs and snapshots always need a rule, even with [`Action::Allow`].
    default: Action,
}

/// Merged rules, before the tables are built from them.
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
    /// Merges policies. Their order does not matter.
    pub fn new(policies: &[&Policy], default: Action) -> Self {
        let mut merge = Merge::default();
        for rule in policies.iter().flat_map(|policy| policy.rules()) {
            merge.add(rule);
        }
        Self { grounds: Grounds::Rules(Arc::new(merge.finish(default))) }
    }

    /// Allows everything, including ACLs and snapshots.
    pub fn manage_all() -> Self {
        Self { grounds: Grounds::Management }
    }

    /// Allows everything except ACLs and snapshots.
    pub fn allow_all() -> Self {
        Self::new(&[], Action::Allow)
    }

    /// Allows nothing.
    pub fn deny_all() -> Self {
        Self::new(&[], Action::Deny)
    }

    /// Decides about a right. All other methods that decide use this one.
    pub fn check(&self, right: &Right<'_>) -> Access {
        match &self.grounds {
            Grounds::Management => Access::Allow,
            Grounds::Rules(rules) => rules.check(right),
        }
    }

    /// Decides about a right. The error names the token that was refused.
    pub fn require(&self, accessor_id: &str, right: Right<'_>) -> Result<(), PermissionDenied> {
        match self.check(&right) {
            Access::Allow => Ok(()),
            Access::Deny => Err(PermissionDenied::new(accessor_id, right)),
        }
    }

    /// Whether connections without a matching intention are allowed. The default policy of ACLs decides.
    pub fn intention_default_allow(&self) -> Access {
        match &self.grounds {
            Grounds::Management => Access::Allow,
            Grounds::Rules(rules) => Access::when(rules.default == Action::Allow),
        }
    }

    /// Whether a snapshot may be taken or restored.
    pub fn snapshot(&self) -> Access {
        self.check(&Right::Snapshot)
    }

    /// Whether all nodes may be read.
    pub fn node_read_all(&self) -> Access {
        self.check(&Right::All { resource: Labelled::Node, level: Level::Read })
    }

    /// Whether all services may be read.
    pub fn service_read_all(&self) -> Access {
        self.check(&Right::All { resource: Labelled::Service, level: Level::Read })
    }

    /// Whether all services whose name starts with the prefix may be read.
    pub fn service_read_prefix(&self, prefix: &str) -> Access {
        self.check(&Right::Under { resource: Labelled::Service, prefix: prefix.into(), level: Level::Read })
    }

    /// Whether at least one service may be written.
    pub fn service_write_any(&self) -> Access {
        self.check(&Right::Any { resource: Labelled::Service, level: Level::Write })
    }

    /// Whether the names of all keys that start with the prefix may be listed.
    pub fn key_list(&self, prefix: &str) -> Access {
        self.check(&Right::named(Labelled::Key, prefix, Level::List))
    }

    /// Whether all keys that start with the prefix may be written, as recursive deletion needs.
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
            | Right::Any { .. } => self.default == Action::Allow,
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

    /// Adds rules about intentions that follow from rules about services: a token that may read a service may read its
    /// intentions. The right to write intentions never follows.
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

    fn finish(mut self, default: Action) -> Rules {
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
