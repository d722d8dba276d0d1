//! What an episode is about, and how its requests are drawn.

use super::request::{Request, Who};
use super::{acl, agent, catalog, mesh, names, odd};
use crate::chance::Chance;

/// What an episode is mostly about, so that its requests meet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Area {
    Agent,
    Catalog,
    Mesh,
    Acl,
    Odd,
}

/// The areas, each as often as it is drawn.
const AREAS: [Area; 10] = [
    Area::Agent,
    Area::Agent,
    Area::Agent,
    Area::Catalog,
    Area::Catalog,
    Area::Catalog,
    Area::Mesh,
    Area::Mesh,
    Area::Acl,
    Area::Odd,
];
/// How many of an episode's requests are about what it is about, in percent.
const FOCUS: u64 = 75;

impl Area {
    /// Any area.
    pub(super) fn any(chance: &mut Chance) -> Self {
        *chance.one(&AREAS)
    }
}

/// Any request of an episode about an area. With ACLs on, some bear lesser tokens.
pub(super) fn any(area: Area, chance: &mut Chance, acl: bool) -> Request {
    let area = if chance.percent(FOCUS) { area } else { Area::any(chance) };
    let drawn = match area {
        Area::Agent => agent::any(chance),
        Area::Catalog => catalog::any(chance),
        Area::Mesh => mesh::any(chance),
        Area::Acl => acl::any(chance),
        Area::Odd => odd::any(chance),
    };
    let mut drawn = if chance.percent(15) { names::with_parameter(drawn, chance) } else { drawn };
    if acl && chance.percent(15) {
        drawn.who = *chance.one(&[Who::Reader, Who::Limited, Who::Bare, Who::Unknown, Who::Nobody]);
    }
    drawn
}
