//! The verdict of a question: that of the services that its traffic reaches.
//!
//! Routes, splits, redirects and failover may lead traffic to other services than the one that is asked about, and
//! intentions are asked where it arrives. A part without a share is told, but nothing reaches it.

use concord_model::entry::Weight;

use super::Explanation;
use super::request::RequestExplanation;
use super::route::{Part, Routed, Way};

/// The most places that are explained; of others only the verdict is told. Real splits have two or three.
pub const REACHED_MAX: usize = 8;

/// The verdict of a question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It is allowed at each target that is reached.
    Allowed,
    /// It is denied at each of them.
    Denied,
    /// The targets differ, or it is known of some of them only.
    Depends,
    /// It is known of none.
    Unknown,
}

/// What decides a question.
#[derive(Debug)]
pub enum Decided<'a, T> {
    /// The verdict at one service.
    Once(&'a T),
    /// What is decided at several services, or at all that are known of.
    Apart(Vec<&'a T>),
}

/// What was explained of the places that traffic reaches: each once, the first [`REACHED_MAX`] of them.
#[derive(Debug)]
pub struct Reached<K, T>(Vec<(K, T)>);

impl<K, T> Default for Reached<K, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: PartialEq, T> Reached<K, T> {
    /// The explanation of a place. `None` if it gets none: nothing reaches it, or there are too many.
    pub fn at(&mut self, place: K, share: Weight, explain: impl FnOnce() -> T) -> Option<&T> {
        let known = self.0.iter().position(|(own, _)| *own == place);
        let new = self.0.len();
        if known.is_none() {
            if share.hundredths() <= 0 || new >= REACHED_MAX {
                return None;
            }
            self.0.push((place, explain()));
        }
        self.0.get(known.unwrap_or(new)).map(|(_, explained)| explained)
    }

    /// The explanations, in the order of the places.
    pub fn into_explained(self) -> Vec<T> {
        self.0.into_iter().map(|(_, explained)| explained).collect()
    }
}

impl Explanation {
    /// The verdict of the question, and what decides it.
    pub fn decided(&self) -> (Answer, Decided<'_, Self>) {
        decided(self, self.verdict.allowed, self.way.as_ref(), &self.reached)
    }
}

impl RequestExplanation {
    /// The verdict of the question, and what decides it.
    pub fn decided(&self) -> (Answer, Decided<'_, Self>) {
        decided(self, self.verdict.allowed, self.way.as_ref(), &self.reached)
    }
}

fn decided<'a, T>(
    own: &'a T,
    allowed: bool,
    way: Option<&Way>,
    reached: &'a [T],
) -> (Answer, Decided<'a, T>) {
    let answer = match way {
        // Servers that tell no way decide at the service itself.
        None if allowed => Answer::Allowed,
        None => Answer::Denied,
        Some(Way::Untold(_)) => Answer::Unknown,
        Some(Way::Told(routed)) => routed.answer(),
    };
    let decided = match (way, reached) {
        (None, _) => Decided::Once(own),
        (Some(Way::Untold(_)), _) => Decided::Apart(vec![own]),
        (Some(Way::Told(_)), [only]) if matches!(answer, Answer::Allowed | Answer::Denied) => {
            Decided::Once(only)
        }
        (Some(Way::Told(_)), several) => Decided::Apart(several.iter().collect()),
    };
    (answer, decided)
}

impl Routed {
    /// The verdict at the targets that are reached.
    pub fn answer(&self) -> Answer {
        let reached: Vec<_> = self.parts.iter().filter(|part| part.weight.hundredths() > 0).collect();
        let legs = reached.iter().flat_map(|part| &part.legs).map(|leg| leg.judged.allowed());
        let untold = self.parts_count > self.parts.len() || reached.iter().any(|part| part.is_cut());
        let mut verdicts: Vec<_> = legs.chain(untold.then_some(None)).collect();
        verdicts.sort_unstable();
        verdicts.dedup();
        match verdicts.as_slice() {
            [Some(true)] => Answer::Allowed,
            [Some(false)] => Answer::Denied,
            [None] | [] => Answer::Unknown,
            _ => Answer::Depends,
        }
    }
}

impl Part {
    /// Whether not all of its targets are told.
    fn is_cut(&self) -> bool {
        self.legs.len() <= self.resolver.failover.len()
    }
}
