//! Which records a caller may see: one rule for each kind of record.
//!
//! Servers filter their answers by it, the agent's cache what it hands out, and the agent the lists of its
//! own. The rules are Consul's. No rule stands a second time anywhere else.

use concord_acl::{Access, Authorizer, Labelled, Level, Right, Scalar};
use concord_model::catalog::{Check, ServiceInstance};
use concord_model::entry::{EntryName, EntryRight};
use concord_model::intention::{Destination, Source};
use concord_model::{NodeName, ServiceName};

use crate::request::InstanceSelection;

/// The right to an entry, as the table of kinds has it; none if everybody has it.
pub(crate) fn right_to_entry(name: &EntryName, level: Level) -> Option<Right<'_>> {
    let asked = if level == Level::Write { name.kind.write_right() } else { name.kind.read_right() };
    match asked {
        EntryRight::Open => None,
        EntryRight::Intention => Some(Right::named(Labelled::Intention, name.as_str(), level)),
        EntryRight::Service => Some(Right::named(Labelled::Service, name.as_str(), level)),
        EntryRight::Mesh => Some(Right::whole(Scalar::Mesh, level)),
    }
}

/// What somebody may see.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    authorizer: &'a Authorizer,
}

impl<'a> Sight<'a> {
    /// What these rights open.
    pub fn of(authorizer: &'a Authorizer) -> Self {
        Self { authorizer }
    }

    /// Every node there is or will be. Who does not see this may still see all that there are.
    pub fn every_node(self) -> bool {
        self.may(&Right::All { resource: Labelled::Node, level: Level::Read })
    }

    /// A node.
    pub fn node(self, node: &NodeName) -> bool {
        self.reads(Labelled::Node, node.as_str())
    }

    /// A service as such: its name, and what is registered under it with an agent.
    pub fn service(self, service: &ServiceName) -> bool {
        self.reads(Labelled::Service, service.as_str())
    }

    /// An instance in the catalog: it tells about its node, too.
    pub fn instance(self, node: &NodeName, instance: &ServiceInstance) -> bool {
        self.node(node) && self.service(&instance.service)
    }

    /// An instance that was asked for. Who asks for those that take mesh traffic for a service has to see
    /// that service as well.
    pub fn selected(self, select: &InstanceSelection, node: &NodeName, instance: &ServiceInstance) -> bool {
        (!select.connect || self.service(&select.service.name)) && self.instance(node, instance)
    }

    /// A check in the catalog: it tells about its node, and about its service if it has one.
    pub fn check(self, node: &NodeName, check: &Check) -> bool {
        self.node(node) && check.service_name.as_ref().is_none_or(|service| self.service(service))
    }

    /// A check at the agent that runs it: there the check of a service tells about that service alone.
    pub fn own_check(self, node: &NodeName, check: &Check) -> bool {
        check.service_name.as_ref().map_or_else(|| self.node(node), |service| self.service(service))
    }

    /// Everything that is said about calls to a destination.
    pub fn intentions_to(self, destination: &Destination) -> bool {
        self.reads(Labelled::Intention, destination.name.as_str())
    }

    /// A configuration entry.
    pub fn entry(self, name: &EntryName) -> bool {
        right_to_entry(name, Level::Read).is_none_or(|right| self.may(&right))
    }

    /// One intention: either end of it is enough, but a source at a peer is not ours to have rights to.
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
