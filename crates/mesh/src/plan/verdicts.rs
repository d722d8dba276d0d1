//! The verdicts that a change reverses.
//!
//! A pair is judged once where no request matters on either side. Else it is judged for each example, in several
//! spellings if what is done to spellings changes. What decides
//! about a pair is the same for all callers that the same two intentions cover, so the examples are judged once for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_model::ServiceRef;
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol, RequestNormalization};
use concord_model::intention::JwtRequirement;
use serde::{Deserialize, Serialize};

use super::examples::{Examples, examples};
use super::facts::{Facts, Side};
use super::limits::{FLIPS_LISTED_MAX, JUDGED_MAX};
use crate::explain::request::AskedRequest;
use crate::intention::{DefaultPolicy, Found, Intention, Policy, Table};
use crate::protocol::{Unsaid, protocol_by};
use crate::request::Request;

/// The verdicts that a change reverses.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Flips {
    /// How many there are: one for a pair whose connections are judged otherwise, one for each example of a request.
    pub all: usize,
    /// How many pairs they are about.
    pub pairs: usize,
    /// The first of them, at most [`FLIPS_LISTED_MAX`].
    pub first: Vec<Flip>,
    /// How many permissions name requests of which no example was found.
    pub without_example: usize,
    /// Whether pairs or examples were left out, because there are more than [`JUDGED_MAX`], or more of one pair than
    /// [`EXAMPLES_MAX`](super::EXAMPLES_MAX), or because nobody waits for more. Then the counts are lower bounds.
    pub cut: bool,
}

/// A verdict that a change reverses.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Flip {
    /// The calling service.
    pub source: ServiceRef,
    /// The called service.
    pub destination: ServiceRef,
    /// The request; `None` if the verdict is about the pair, whatever is requested.
    pub request: Option<AskedRequest>,
    /// Whether it is allowed after the change.
    pub allowed: bool,
}

/// What is judged otherwise about a pair: a request or all, and whether it is allowed afterwards.
type Reversed = Vec<(Option<AskedRequest>, bool)>;

pub(super) fn compare(before: Side<'_>, after: Side<'_>, changed: &[EntryName], facts: Facts<'_>) -> Flips {
    let tables = [before, after].map(|side| Table::compile(side.intentions));
    let settings = [before, after].map(normalization);
    let mut flips = Flips::default();
    let mut judged = 0;
    for to in facts.called.iter().filter(|to| changed.iter().any(|name| concerns(name, to))) {
        let side = |at: usize| Called {
            policy: tables[at].policy(to),
            protocol: protocol_of([before, after][at], to),
            settings: settings[at],
            default: facts.default,
        };
        let sides = [side(0), side(1)];
        let mut known: BTreeMap<[Option<usize>; 2], Arc<Reversed>> = BTreeMap::new();
        for from in facts.callers {
            judged += 1;
            if judged > JUDGED_MAX || (facts.enough)() {
                flips.cut = true;
                return flips;
            }
            let by = [0, 1]
                .map(|at| sides[at].policy.deciding(from).map(|found| Arc::as_ptr(found.rule()).addr()));
            let reversed = known.entry(by).or_insert_with(|| {
                let (reversed, examined) = reversed(&sides, from, &mut flips);
                judged += examined;
                Arc::new(reversed)
            });
            flips.add(from, to, reversed);
        }
    }
    flips
}

/// Whether an entry can matter for calls to a service.
fn concerns(name: &EntryName, to: &ServiceRef) -> bool {
    match name.kind {
        EntryKind::ServiceIntentions => name.scope.covers(to),
        EntryKind::ServiceDefaults => name.scope.service().as_ref() == Some(to),
        EntryKind::ProxyDefaults | EntryKind::Mesh => true,
        _ => false,
    }
}

/// The protocol that the proxies of a service speak, as explanations see it.
fn protocol_of(side: Side<'_>, service: &ServiceRef) -> Protocol {
    let own = side.entries.entry(&EntryName::of_service(EntryKind::ServiceDefaults, service));
    let all = side.entries.entry(&EntryName::only(EntryKind::ProxyDefaults));
    protocol_by(service, own.as_deref(), all.as_deref(), Unsaid::IsInherited).protocol
}

/// How the mesh makes requests canonical.
fn normalization(side: Side<'_>) -> RequestNormalization {
    let mesh = side.entries.entry(&EntryName::only(EntryKind::Mesh));
    let http = match mesh.as_deref() {
        Some(Entry::Mesh(mesh)) => mesh.said.http,
        _ => None,
    };
    http.and_then(|http| http.incoming?.request_normalization).unwrap_or_default()
}

/// What decides about calls to a service on one side.
struct Called {
    policy: Policy,
    protocol: Protocol,
    settings: RequestNormalization,
    default: DefaultPolicy,
}

/// What is judged otherwise about calls of a service, and how many examples were judged.
fn reversed(sides: &[Called; 2], from: &ServiceRef, flips: &mut Flips) -> (Reversed, usize) {
    let plain = AskedRequest { method: "GET".to_owned(), target: "/".to_owned(), ..AskedRequest::default() };
    let mut examples = if sides.iter().any(|side| side.by_request(from)) {
        sides_examples(sides, from)
    } else {
        let [was, is] = [0, 1].map(|at| sides[at].allows(from, &plain));
        if was != is {
            return (vec![(None, is)], 0);
        }
        Examples { requests: vec![plain], ..Examples::default() }
    };
    // What is made of a spelling, or refused because of it, matters whatever decides.
    if sides[0].settings != sides[1].settings && sides.iter().any(|side| side.protocol.is_http()) {
        examples.respell();
    }
    let Examples { requests, without, cut } = examples;
    flips.without_example += without;
    flips.cut |= cut;
    let examined = requests.len();
    let judge = |asked: AskedRequest| {
        let [was, is] = [0, 1].map(|at| sides[at].allows(from, &asked));
        (was != is).then_some((Some(asked), is))
    };
    (requests.into_iter().filter_map(judge).collect(), examined)
}

fn sides_examples(sides: &[Called; 2], from: &ServiceRef) -> Examples {
    let rules: Vec<&Intention> =
        sides.iter().filter_map(|side| Some(&**side.policy.deciding(from)?.rule())).collect();
    let demands: Vec<&JwtRequirement> =
        sides.iter().flat_map(|side| side.policy.demands(side.policy.deciding(from))).collect();
    examples(&rules, &demands)
}

// === impl Called ===

impl Called {
    /// Whether the verdict depends on the request.
    fn by_request(&self, from: &ServiceRef) -> bool {
        let found = self.policy.deciding(from);
        let permissions = found.is_some_and(|found: Found<'_>| found.rule().decision.is_by_request());
        self.protocol.is_http() && (permissions || self.policy.demands(found).next().is_some())
    }

    fn allows(&self, from: &ServiceRef, asked: &AskedRequest) -> bool {
        if !self.protocol.is_http() {
            return self.policy.decide(from, self.default).allowed;
        }
        asked.received(|received| {
            let request = Request::read(received, &self.settings);
            request.is_ok_and(|request| self.policy.decide_request(from, &request, self.default).allowed)
        })
    }
}

// === impl Flips ===

impl Flips {
    fn add(&mut self, source: &ServiceRef, destination: &ServiceRef, reversed: &Reversed) {
        self.pairs += usize::from(!reversed.is_empty());
        self.all += reversed.len();
        let room = FLIPS_LISTED_MAX - self.first.len();
        self.first.extend(reversed.iter().take(room).map(|(request, allowed)| {
            let (source, destination) = (source.clone(), destination.clone());
            Flip { source, destination, request: request.clone(), allowed: *allowed }
        }));
    }
}
