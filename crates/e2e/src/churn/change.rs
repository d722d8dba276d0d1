//! The changes, and how they are drawn.

use std::collections::BTreeMap;

use super::history::Intention;
use crate::chance::Chance;

/// How many further instances there may be.
pub(super) const INSTANCES: u8 = 12;

/// What there is now.
pub(super) struct Now<'a> {
    /// The further instances, and whether each takes connections.
    pub(super) instances: &'a BTreeMap<u8, bool>,
    /// Whether nobody may pass.
    pub(super) denies: bool,
}

/// A change.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// An instance comes.
    Up(u8),
    /// An instance goes.
    Down(u8),
    /// An instance comes whose check fails, and where nobody listens.
    Dead(u8),
    /// What the intention lets pass.
    Intention(Intention),
    /// A router sets a header, or is deleted.
    Router(bool),
    /// A resolver has another time to connect, or is deleted.
    Resolver(Option<u8>),
    /// Requests are split between the service and itself, or no more.
    Splitter(bool),
    /// Another setting of the service.
    Defaults(u8),
    /// The policy of the Envoys' token is written anew, with the same meaning.
    Policy,
    /// The Envoys' token loses its rights, and gets them again.
    Revoked,
    /// A token that nobody uses is made and deleted.
    Token,
    /// The authority gets a new root.
    Rotation,
}

impl Change {
    /// A random change that is one.
    pub(super) fn draw(chance: &mut Chance, now: &Now<'_>) -> Self {
        match chance.below(100) {
            0..=39 => Self::instance(chance, now.instances),
            40..=59 => Self::Intention(*chance.one(&[
                Intention::All,
                Intention::All,
                Intention::Public,
                Intention::Nobody,
            ])),
            // Of requests that are denied nobody sees which headers they have.
            60..=69 if now.denies => Self::Intention(Intention::All),
            60..=69 => Self::Router(chance.percent(70)),
            70..=77 => {
                Self::Resolver(chance.percent(70).then(|| u8::try_from(1 + chance.below(9)).unwrap_or(1)))
            }
            78..=84 => Self::Splitter(chance.percent(60)),
            85..=89 => Self::Defaults(u8::try_from(1 + chance.below(9)).unwrap_or(1)),
            90..=93 => Self::Policy,
            94 => Self::Revoked,
            95..=97 => Self::Token,
            _ => Self::Rotation,
        }
    }

    fn instance(chance: &mut Chance, instances: &BTreeMap<u8, bool>) -> Self {
        let at = u8::try_from(2 + chance.below(u64::from(INSTANCES))).unwrap_or(2);
        match instances.contains_key(&at) {
            true => Self::Down(at),
            false if chance.percent(25) => Self::Dead(at),
            false => Self::Up(at),
        }
    }

    /// What it is, for counts.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Up(_) => "instance up",
            Self::Down(_) => "instance down",
            Self::Dead(_) => "instance up, failing",
            Self::Intention(_) => "intention",
            Self::Router(_) => "router",
            Self::Resolver(_) => "resolver",
            Self::Splitter(_) => "splitter",
            Self::Defaults(_) => "defaults",
            Self::Policy => "policy",
            Self::Revoked => "rights taken and given",
            Self::Token => "token",
            Self::Rotation => "rotation",
        }
    }
}
