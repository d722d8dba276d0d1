//! The subject of an episode, and how its requests are drawn.

use super::request::{Request, Who};
use super::{acl, agent, catalog, mesh, names, odd, routing};
use crate::chance::Chance;

/// The subject of most requests of an episode, so that they affect each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Area {
    Agent,
    Catalog,
    Mesh,
    Routing,
    Acl,
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
    /// A random area.
    pub(super) fn any(chance: &mut Chance) -> Self {
        *chance.one(&AREAS)
    }
}

/// A random request of an episode about this area. With ACLs on, some requests bear tokens with fewer permissions.
pub(super) fn any(area: Area, chance: &mut Chance, acl: bool) -> Request {
    let area = if chance.percent(FOCUS) { area } else { Area::any(chance) };
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
