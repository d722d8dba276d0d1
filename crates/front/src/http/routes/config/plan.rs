//! `config/plan`, and the JSON form of a plan.

use std::sync::Arc;

use concord_api::plan::{
    ConfigPlan, PlanItem, PlannedChain, PlannedChains, PlannedEntry, PlannedOutcome, PlannedRequest,
    PlannedVerdict, PlannedVerdicts, ToldChain, changed_fields, decode_plan,
};
use concord_mesh::explain::request::AskedRequest;
use concord_mesh::plan::{ChainChange, ChainChanges, ChainState, Effects, Flip, Flips, Outcome, Plan, Step};
use concord_rpc::request::{PlanEntries, PlannedChange};

use crate::http::context::Ctx;
use crate::http::{Call, HttpError, Reply};

pub(super) async fn planning(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    if call.parameter("cas").is_some() {
        let text = "?cas: a plan is made of what is stored now, so it has no condition; leave it out";
        return Err(HttpError::bad_request(text.to_owned()));
    }
    let changes = decode_plan(&call.body)?.into_iter().map(|item| match item {
        PlanItem::Write(entry) => PlannedChange::Write(entry),
        PlanItem::Delete(name) => PlannedChange::Delete(name),
    });
    let (plan, mut meta) = ctx.ask(&call, PlanEntries { changes: changes.collect() }).await?;
    meta.consistency = None;
    Ok(Reply::json(shape(&plan)).with_meta(&meta))
}

fn shape(plan: &Plan) -> ConfigPlan {
    let Plan { index, steps, effects: Effects { verdicts, chains } } = plan;
    ConfigPlan {
        index: *index,
        entries: steps.iter().map(entry).collect(),
        refused: plan.refused(),
        verdicts: all_verdicts(verdicts),
        chains: all_chains(chains),
    }
}

fn entry(step: &Step) -> PlannedEntry {
    let Step { name, outcome } = step;
    let (outcome, (fields, fields_left_out), reason) = match outcome {
        Outcome::Created { .. } => (PlannedOutcome::Created, (Vec::new(), 0), ""),
        Outcome::Changed { before, after } => (PlannedOutcome::Changed, changed_fields(before, after), ""),
        Outcome::Unchanged => (PlannedOutcome::Unchanged, (Vec::new(), 0), ""),
        Outcome::Removed { .. } => (PlannedOutcome::Removed, (Vec::new(), 0), ""),
        Outcome::Absent => (PlannedOutcome::Absent, (Vec::new(), 0), ""),
        Outcome::Accepted => (PlannedOutcome::Accepted, (Vec::new(), 0), ""),
        Outcome::Refused { reason } => (PlannedOutcome::Refused, (Vec::new(), 0), reason.as_str()),
    };
    let (kind, name) = (name.kind.to_string(), name.as_str().to_owned());
    PlannedEntry { kind, name, outcome, fields, fields_left_out, reason: reason.to_owned() }
}

pub(super) fn all_verdicts(flips: &Flips) -> PlannedVerdicts {
    let Flips { all, pairs, first, without_example, cut } = flips;
    PlannedVerdicts {
        count: *all,
        pairs: *pairs,
        complete: !cut,
        without_example: *without_example,
        listed: first.iter().map(verdict).collect(),
    }
}

fn verdict(flip: &Flip) -> PlannedVerdict {
    let Flip { source, destination, request, allowed } = flip;
    PlannedVerdict {
        source: source.to_string(),
        destination: destination.to_string(),
        request: request.as_ref().map(asked),
        allowed: *allowed,
    }
}

fn asked(request: &AskedRequest) -> PlannedRequest {
    let AskedRequest { method, target, headers, tokens } = request;
    PlannedRequest {
        method: method.clone(),
        path: target.clone(),
        header: headers.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        claims: tokens.iter().cloned().collect(),
    }
}

pub(super) fn all_chains(chains: &ChainChanges) -> PlannedChains {
    let ChainChanges { all, broken, mended, first, cut } = chains;
    PlannedChains {
        count: *all,
        broken: *broken,
        mended: *mended,
        complete: !cut,
        listed: first.iter().map(chain).collect(),
    }
}

fn chain(change: &ChainChange) -> PlannedChain {
    let ChainChange { service, before, after } = change;
    PlannedChain { service: service.to_string(), before: told(before), after: told(after) }
}

fn told(state: &ChainState) -> ToldChain {
    match state {
        ChainState::Whole { lines, left_out } => {
            ToldChain { fault: String::new(), lines: lines.clone(), lines_left_out: *left_out }
        }
        ChainState::Broken { fault } => ToldChain { fault: fault.clone(), ..ToldChain::default() },
    }
}
