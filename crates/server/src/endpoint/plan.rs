//! What would become of entries if they were written.
//!
//! Each change is carried out on trial: checked as a write is, encoded as for the log, and applied to a copy of the
//! newest state. So it is refused for exactly what would refuse the write. Nothing reaches the log.

use std::collections::BTreeMap;

use concord_mesh::entry::Change;
use concord_mesh::plan::{Effects, Facts, Outcome, Plan, STEPS_MAX, Side, Step, effects};
use concord_model::ServiceRef;
use concord_model::entry::EntryName;
use concord_model::intention::Destination;
use concord_rpc::request::{ApplyEntry, DeleteEntry, PlanEntries, PlannedChange};
use concord_rpc::{Need, Request, RpcError};
use concord_state::{Command, CommandReply, Envelope, Store, View, command};

use crate::endpoint::catalog::seen_services;
use crate::endpoint::entry::{ToWrite, fits, to_write, valid};
use crate::limits::STUDY_TIME;
use crate::log::refused;
use crate::reading::Reading;

pub(crate) fn plan_entries(reading: &mut Reading<'_>, request: &PlanEntries) -> Result<Plan, RpcError> {
    let PlanEntries { changes } = request;
    if changes.len() > STEPS_MAX {
        let text = format!("at most {STEPS_MAX} entries are planned at a time, these are {}", changes.len());
        return Err(RpcError::Invalid(text));
    }
    for change in changes {
        reading.caller.meet(&need(change)).map_err(|error| about(&change.name(), error))?;
    }
    let mut trial = Trial::new(reading);
    let steps = changes.iter().map(|change| trial.step(reading, change)).collect::<Result<_, _>>()?;
    let Trial { before, store, changed } = trial;
    let effects = compared(reading, &before, &store.view(), &changed);
    Ok(Plan { index: before.index(), steps, effects })
}

/// The right that the change itself needs.
fn need(change: &PlannedChange) -> Need {
    match change.clone() {
        PlannedChange::Write(entry) => ApplyEntry { entry: *entry, cas: None }.need(),
        PlannedChange::Delete(name) => DeleteEntry { name, cas: None }.need(),
    }
}

/// A refusal for a missing right, with the entry that it is about.
fn about(name: &EntryName, error: RpcError) -> RpcError {
    match error {
        RpcError::Denied(text) => RpcError::Denied(format!("{text} (entry {}/{})", name.kind, name.as_str())),
        other => other,
    }
}

/// The refusal of a plan whose entries take too long to try.
fn too_long(name: &EntryName) -> RpcError {
    RpcError::Invalid(format!(
        "the plan came to {}/{} when its {} s were over; plan fewer entries at a time",
        name.kind,
        name.as_str(),
        STUDY_TIME.as_secs(),
    ))
}

/// The newest state, and a copy of it in which the changes are carried out.
struct Trial {
    before: View,
    store: Store,
    changed: Vec<EntryName>,
}

impl Trial {
    fn new(reading: &Reading<'_>) -> Self {
        let before = reading.reader.view().clone();
        Self { store: Store::on_trial(&before), before, changed: Vec::new() }
    }

    /// What would become of an entry. Returns an error if there is no time left to try it.
    fn step(&mut self, reading: &Reading<'_>, change: &PlannedChange) -> Result<Step, RpcError> {
        let name = change.name();
        if reading.enough() {
            return Err(too_long(&name));
        }
        let outcome = self.carry_out(reading, change);
        let outcome = outcome.unwrap_or_else(|error| Outcome::Refused { reason: error.to_string() });
        if matches!(outcome, Outcome::Unchanged | Outcome::Absent | Outcome::Refused { .. }) {
            return Ok(Step { outcome: shown(reading, &name, outcome), name });
        }
        self.changed.push(name.clone());
        Ok(Step { outcome: shown(reading, &name, outcome), name })
    }

    fn carry_out(&mut self, reading: &Reading<'_>, change: &PlannedChange) -> Result<Outcome, RpcError> {
        let view = self.store.view();
        let before = view.read().entry(&change.name());
        match change {
            PlannedChange::Write(entry) => {
                valid(entry)?;
                let ToWrite::Entry(entry) = to_write(&view, (**entry).clone(), None)? else {
                    return Ok(Outcome::Unchanged);
                };
                self.apply(reading, command::SetEntry { entry: *entry, cas: None })?;
                let after = self.store.view().read().entry(&change.name());
                Ok(match (before, after) {
                    (Some(before), Some(after)) => Outcome::Changed { before, after },
                    (None, Some(after)) => Outcome::Created { after },
                    (_, None) => return Err(RpcError::Internal("the entry was not stored".to_owned())),
                })
            }
            PlannedChange::Delete(name) => {
                fits(&view, Change { name, to: None })?;
                self.apply(reading, command::DeleteEntry { entry: name.clone(), cas: None })?;
                Ok(before.map_or(Outcome::Absent, |before| Outcome::Removed { before }))
            }
        }
    }

    /// Applies a command as the log would.
    fn apply(
        &mut self,
        reading: &Reading<'_>,
        command: impl Into<Command>,
    ) -> Result<CommandReply, RpcError> {
        let view = self.store.view();
        let envelope = Envelope::new(command, reading.now, view.read().cluster_id());
        let bytes = envelope.encode().map_err(|error| RpcError::Internal(error.to_string()))?;
        let applied = self.store.apply(view.index() + 1, &bytes);
        let applied = applied.map_err(|halt| RpcError::Internal(halt.to_string()))?;
        applied.reply.accepted().map_err(|refusal| refused(&refusal))
    }
}

/// What of an outcome the caller may be told: nothing of an entry that it may not read.
fn shown(reading: &Reading<'_>, name: &EntryName, outcome: Outcome) -> Outcome {
    if matches!(outcome, Outcome::Refused { .. }) || reading.caller.sees().entry(name) {
        return outcome;
    }
    reading.hide();
    Outcome::Accepted
}

/// What follows from the changes, as far as the caller may know of the services.
fn compared(reading: &mut Reading<'_>, before: &View, after: &View, changed: &[EntryName]) -> Effects {
    let intentions = [before, after].map(|view| view.read().intentions());
    let side = |entries, at: usize| Side { entries, intentions: &intentions[at] };
    with_facts(reading, |facts| effects(side(before, 0), side(after, 1), changed, facts))
}

/// What is compared for this caller: services, intentions and chains that it may know of.
pub(super) fn with_facts<T>(reading: &mut Reading<'_>, compare: impl FnOnce(Facts<'_>) -> T) -> T {
    let seen: Vec<_> = seen_services(reading, &BTreeMap::new()).into_keys().map(ServiceRef::local).collect();
    let sees = reading.caller.sees();
    let called = reading.keep(seen.clone(), |to| sees.intentions_to(&Destination::of(to)));
    let sees_chain = |service: &ServiceRef| {
        let sees = sees.service(&service.name);
        if !sees {
            reading.hide();
        }
        sees
    };
    let enough = || reading.enough();
    compare(Facts {
        callers: &seen,
        called: &called,
        known: &seen,
        sees_chain: &sees_chain,
        enough: &enough,
        default: reading.config.intention_default,
        datacenter: &reading.config.datacenter,
    })
}
