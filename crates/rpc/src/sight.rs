//! Decides which records a caller may see: one rule for each kind of record.
//!
//! Servers filter their answers with these rules, the agent's cache the answers that it returns, and the agent its
//! own lists. The rules are Consul's. No rule exists in a second place.

use concord_acl::{Access, Authorizer, Labelled, Level, Right, Scalar};
use concord_model::catalog::{Check, ServiceInstance};
use concord_model::entry::{Entry, EntryName, EntryRight};
use concord_model::intention::{Destination, Source};
use concord_model::{NodeName, ServiceName, ServiceRef};

use crate::request::InstanceSelection;

/// The rights to an entry, from the table of kinds. Any of them is enough; `None` if everybody may.
pub(crate) fn rights_to_entry(name: &EntryName, level: Level) -> Option<Vec<Right<'_>>> {
    let asked = if level == Level::Write { name.kind.write_right() } else { name.kind.read_right() };
    let mesh = Right::whole(Scalar::Mesh, level);
    match asked {
        EntryRight::Open => None,
        EntryRight::Intention => Some(vec![Right::named(Labelled::Intention, name.as_str(), level)]),
        EntryRight::Service | EntryRight::ServiceAndLinks => {
            Some(vec![Right::named(Labelled::Service, name.as_str(), level)])
        }
        EntryRight::Mesh => Some(vec![mesh]),
        EntryRight::Nobody => Some(Vec::new()),
        EntryRight::MeshOrOwner => {
            Some(vec![Right::Any { resource: Labelled::Service, level: Level::Write }, mesh])
        }
    }
}

/// The rights to write an entry with this content beside the right to its name: some kinds need the right to read each
/// service that the entry names.
pub(crate) fn reads_to_write(entry: &Entry) -> Vec<Right<'static>> {
    let named = match entry.kind().write_right() {
        EntryRight::ServiceAndLinks => concord_mesh::entry::links(entry),
        EntryRight::Open
        | EntryRight::Intention
        | EntryRight::Service
        | EntryRight::Mesh
        | EntryRight::MeshOrOwner
        | EntryRight::Nobody => Vec::new(),
    };
    let read = |service: ServiceRef| Right::named(Labelled::Service, service.name.to_string(), Level::Read);
    named.into_iter().map(read).collect()
}

/// What a caller may see.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    authorizer: &'a Authorizer,
}

impl<'a> Sight<'a> {
    /// What these rights allow to see.
    pub fn of(authorizer: &'a Authorizer) -> Self {
        Self { authorizer }
    }

    /// Whether the caller sees every node, including future ones. A caller for which this is false may still see all
    /// present nodes.
    pub fn every_node(self) -> bool {
        self.may(&Right::All { resource: Labelled::Node, level: Level::Read })
    }

    /// Whether the caller sees a node.
    pub fn node(self, node: &NodeName) -> bool {
        self.reads(Labelled::Node, node.as_str())
    }

    /// Whether the caller sees a service: its name, and its registrations at an agent.
    pub fn service(self, service: &ServiceName) -> bool {
        self.reads(Labelled::Service, service.as_str())
    }

    /// Whether the caller sees an instance in the catalog. The instance also reveals its node.
    pub fn instance(self, node: &NodeName, instance: &ServiceInstance) -> bool {
        self.node(node) && self.service(&instance.service)
    }

    /// Whether the caller sees an instance that it asked for. If it asked for instances that accept mesh traffic for
    /// a service, or for those of its gateways, it must also be allowed to see that service.
    pub fn selected(self, select: &InstanceSelection, node: &NodeName, instance: &ServiceInstance) -> bool {
        (!select.is_indirect() || self.service(&select.service.name)) && self.instance(node, instance)
    }

    /// Whether the caller sees a check in the catalog. The check also reveals its node, and its service if it has
    /// one.
    pub fn check(self, node: &NodeName, check: &Check) -> bool {
        self.node(node) && check.service_name.as_ref().is_none_or(|service| self.service(service))
    }

    /// Whether the caller sees a check at the agent that runs it. There a check of a service reveals only that
    /// service.
    pub fn own_check(self, node: &NodeName, check: &Check) -> bool {
        check.service_name.as_ref().map_or_else(|| self.node(node), |service| self.service(service))
    }

    /// Whether the caller sees all intentions for a destination.
    pub fn intentions_to(self, destination: &Destination) -> bool {
        self.reads(Labelled::Intention, destination.name.as_str())
    }

    /// Whether the caller sees a configuration entry.
    pub fn entry(self, name: &EntryName) -> bool {
        rights_to_entry(name, Level::Read).is_none_or(|rights| rights.iter().any(|right| self.may(right)))
    }

    /// Whether the caller sees one intention. A right to the source or to the destination is enough, but there are no
    /// rights to a source in a peered cluster.
    pub fn intention(self, destination: &Destination, source: &Source) -> bool {
        self.intentions_to(destination)
            || (source.peer.is_none() && self.reads(Labelled::Intention, source.name.as_str()))
    }

    fn reads(self, resource: Labelled, name: &str) -> bool {
        self.may(&Right::named(resource, name, Level::Read))
    }

    fn may(self, right: &Right<'_>) -> bool {
        self.authorizer.check(right) == Access::Allow
    }
}
