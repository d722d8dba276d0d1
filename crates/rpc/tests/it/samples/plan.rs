//! Plans: every outcome, and something in every field of what follows.

use std::sync::Arc;

use concord_mesh::explain::request::AskedRequest;
use concord_mesh::plan::*;
use concord_mesh::status::*;
use concord_model::ServiceRef;
use concord_model::entry::{Entry, EntryKind};
use concord_rpc::request::*;
use concord_rpc::{AnyReply, AnyRequest};

use super::entry::entry;
use super::{Sample, every, name, sample};

pub(crate) fn requests() -> Vec<Sample<AnyRequest>> {
    let own = entry(EntryKind::ServiceResolver, 0);
    let changes = every!(PlannedChange:
        PlannedChange::Write(_) => PlannedChange::Write(Box::new(own.clone())),
        PlannedChange::Delete(_) => PlannedChange::Delete(own.name()),
    );
    vec![
        sample!(AnyRequest, ReadEntryStatus, "", ReadEntryStatus { name: own.name() }),
        sample!(AnyRequest, PlanEntries, "", PlanEntries { changes }),
    ]
}

pub(crate) fn replies() -> Vec<Sample<AnyReply>> {
    let own = || Arc::new(entry(EntryKind::ServiceResolver, 0));
    let outcomes = every!(Outcome:
        Outcome::Created { .. } => Outcome::Created { after: own() },
        Outcome::Changed { .. } => Outcome::Changed { before: own(), after: own() },
        Outcome::Unchanged => Outcome::Unchanged,
        Outcome::Removed { .. } => Outcome::Removed { before: own() },
        Outcome::Absent => Outcome::Absent,
        Outcome::Accepted => Outcome::Accepted,
        Outcome::Refused { .. } => Outcome::Refused { reason: "why".to_owned() },
    );
    let steps = outcomes.into_iter().map(|outcome| Step { name: own().name(), outcome }).collect();
    let effects = Effects { verdicts: verdicts(), chains: chains() };
    let status = status(own(), effects.clone());
    vec![
        sample!(AnyReply, PlanEntries, "", Plan { index: 9, steps, effects }),
        sample!(AnyReply, ReadEntryStatus, "", Some(status)),
        sample!(AnyReply, ReadEntryStatus, "none", None),
    ]
}

fn status(entry: Arc<Entry>, effects: Effects) -> EntryStatus {
    let broken = BrokenChain { service: ServiceRef::local(name("web")), fault: "why".to_owned() };
    let listed = Listed { all: 2, first: vec![ServiceRef::local(name("api"))] };
    EntryStatus {
        name: entry.name(),
        stamp: entry.stamp(),
        refused: Some("why".to_owned()),
        chains: TakesPart { whole: 1, broken: 2, first: vec![broken], cut: true },
        effects,
        proxies: listed.clone(),
        names: listed,
    }
}

fn verdicts() -> Flips {
    let request = AskedRequest {
        method: "GET".to_owned(),
        target: "/admin".to_owned(),
        headers: vec![("x".to_owned(), "y".to_owned())],
        tokens: vec![("okta".to_owned(), serde_json::json!({"role": "admin"}))],
    };
    let flip = |request| Flip {
        source: ServiceRef::local(name("web")),
        destination: ServiceRef::local(name("db")),
        request,
        allowed: true,
    };
    Flips { all: 3, pairs: 2, first: vec![flip(None), flip(Some(request))], without_example: 1, cut: true }
}

fn chains() -> ChainChanges {
    let states = every!(ChainState:
        ChainState::Whole { .. } => ChainState::Whole { lines: vec!["protocol http".to_owned()], left_out: 1 },
        ChainState::Broken { .. } => ChainState::Broken { fault: "why".to_owned() },
    );
    let change = ChainChange {
        service: ServiceRef::local(name("web")),
        before: states[0].clone(),
        after: states[1].clone(),
    };
    ChainChanges { all: 4, broken: 2, mended: 1, first: vec![change], cut: true }
}
