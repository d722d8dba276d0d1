//! One request of a run, and how one is drawn.

use super::{acl, agent, catalog, mesh, names, odd};
use crate::chance::Chance;

/// Whose token a request bears.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Who {
    /// Management.
    Root,
    /// May read services and nodes.
    Reader,
    /// May write one service, read another, and not see the rest.
    Limited,
    /// A token without any policy.
    Bare,
    /// A token nobody has.
    Unknown,
    /// No token.
    Nobody,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// What differences are grouped by: the endpoint, without names.
    pub(super) pattern: String,
    pub(super) method: &'static str,
    /// Path and query; `{intention:3}` stands for the id of something made before.
    pub(super) target: String,
    pub(super) who: Who,
    pub(super) body: Option<String>,
    /// What is unusual about it; empty if nothing is.
    pub(super) odd: String,
}

impl Request {
    pub(super) fn new(method: &'static str, pattern: &str, path: impl Into<String>) -> Self {
        Self {
            pattern: format!("{method} {pattern}"),
            method,
            target: path.into(),
            who: Who::Root,
            body: None,
            odd: String::new(),
        }
    }

    pub(super) fn with_body(mut self, body: impl ToString) -> Self {
        self.body = Some(body.to_string());
        self
    }

    pub(super) fn with_odd(mut self, odd: impl AsRef<str>) -> Self {
        if !odd.as_ref().is_empty() {
            if !self.odd.is_empty() {
                self.odd.push_str(", ");
            }
            self.odd.push_str(odd.as_ref());
        }
        self
    }

    /// The same with one more parameter; `text` is escaped already.
    pub(super) fn with_query(mut self, text: &str) -> Self {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(text);
        self
    }
}

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
