//! The subject of an episode, and how its requests are drawn.

use super::request::{Request, Who};
use super::{acl, agent, catalog, mesh, names, odd, routing};
use crate::chance::Chance;

/// The subject of most requests of an episode, so that they affect each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Area {
    /// The agent's services and checks.
    Agent,
    /// The catalog and health.
    Catalog,
    /// Intentions, defaults and certificates.
    Mesh,
    /// Routers, splitters, resolvers, gateways and chains.
    Routing,
    /// Tokens and policies.
    Acl,
    /// What no client sends.
    Odd,
}

/// The areas. The number of entries of an area is its weight in a random choice.
const AREAS: [Area; 12] = [
    Area::Agent,
    Area::Agent,
    Area::Agent,
    Area::Catalog,
    Area::Catalog,
    Area::Catalog,
    Area::Mesh,
    Area::Mesh,
    Area::Routing,
    Area::Routing,
    Area::Acl,
    Area::Odd,
];
/// Probability, in percent, that a request of an episode is about the episode's area.
const FOCUS: u64 = 75;

impl Area {
    /// Reads the name of an area.
    pub(super) fn parse(name: &str) -> Option<Self> {
        AREAS.into_iter().find(|area| format!("{area:?}").eq_ignore_ascii_case(name))
    }

    /// A random area.
    pub(super) fn any(chance: &mut Chance) -> Self {
        *chance.one(&AREAS)
    }
}

/// A random request of an episode, mostly about the episode's area.
pub(super) fn mostly(area: Area, chance: &mut Chance, acl: bool) -> Request {
    let area = if chance.percent(FOCUS) { area } else { Area::any(chance) };
    any(area, chance, acl)
}

/// A random request about this area. With ACLs on, some requests bear tokens with fewer permissions.
pub(super) fn any(area: Area, chance: &mut Chance, acl: bool) -> Request {
    let drawn = match area {
        Area::Agent => agent::any(chance),
        Area::Catalog => catalog::any(chance),
        Area::Mesh => mesh::any(chance),
        Area::Routing => routing::any(chance),
        Area::Acl => acl::any(chance),
        Area::Odd => odd::any(chance),
    };
    let mut drawn = if chance.percent(15) { names::with_parameter(drawn, chance) } else { drawn };
    if acl && chance.percent(15) {
        drawn.who = *chance.one(&[Who::Reader, Who::Limited, Who::Bare, Who::Unknown, Who::Nobody]);
    }
    drawn
}
