//! The JSON form of an explanation. Each suggested change is a sentence.

mod names;
pub(super) mod request;
mod route;

use concord_api::explain::{
    DecidedBy, ExplainPair, ExplainProposal, ExplainStep, ExplainVerdict, Explained, IntentionExplain,
};
use concord_mesh::explain::reached::{Answer, Decided};
use concord_mesh::explain::route::Way;
use concord_mesh::explain::{Affected, Change, Explanation, Pair, Proposal, Step};
use concord_mesh::intention::{Because, TOKEN_DEMANDED};
use concord_model::ServiceRef;
use concord_model::intention::Decision;

use self::names::{called, caller, service};

/// Converts an explanation to its JSON form.
pub(super) fn shape(explanation: &Explanation) -> IntentionExplain {
    let Explanation { source, destination, way, .. } = explanation;
    let (answer, decided) = explanation.decided();
    let question = question((source, destination), answer, way.as_ref());
    match decided {
        Decided::Once(at) => {
            let pair = pair(at);
            IntentionExplain { question: once(question, &at.destination, pair.question), ..pair }
        }
        Decided::Apart(all) => IntentionExplain {
            question,
            decided_by: DecidedBy::Targets,
            at: all.into_iter().map(pair).collect(),
            ..IntentionExplain::default()
        },
    }
}

/// A question, and its answer where several targets decide, or none that is known.
fn question(
    (source, destination): (&ServiceRef, &ServiceRef),
    answer: Answer,
    way: Option<&Way>,
) -> Explained {
    let (route, why_no_route) = way.map_or_else(Default::default, route::shape);
    let (verdict, reason) = match answer {
        Answer::Allowed => (ExplainVerdict::Allowed, "Allowed at each target".to_owned()),
        Answer::Denied => (ExplainVerdict::Denied, "Denied at each target".to_owned()),
        Answer::Depends => (ExplainVerdict::Depends, "It depends on the target".to_owned()),
        Answer::Unknown if why_no_route.is_empty() => {
            (ExplainVerdict::Unknown, "It is not known of any target".to_owned())
        }
        Answer::Unknown => (ExplainVerdict::Unknown, format!("Where it goes is not told: {why_no_route}")),
    };
    Explained {
        source: service(source),
        destination: service(destination),
        allowed: answer == Answer::Allowed,
        verdict,
        judged_at: String::new(),
        reason,
        route,
        why_no_route,
    }
}

/// The answer if one service decides.
fn once(question: Explained, at: &ServiceRef, own: Explained) -> Explained {
    let at = Some(service(at)).filter(|at| *at != question.destination);
    Explained { judged_at: at.unwrap_or_default(), reason: own.reason, ..question }
}

/// The answer about one service.
fn of_one((source, destination): (&ServiceRef, &ServiceRef), allowed: bool, reason: String) -> Explained {
    let answer = if allowed { Answer::Allowed } else { Answer::Denied };
    Explained { reason, ..question((source, destination), answer, None) }
}

/// What is decided about a pair.
fn pair(explanation: &Explanation) -> IntentionExplain {
    let Explanation {
        source,
        destination,
        verdict,
        shadows,
        smallest_change,
        alternatives,
        way: _,
        reached: _,
    } = explanation;
    let reason = match verdict.is_by_token() {
        true => format!("{TOKEN_DEMANDED}, which a connection cannot show"),
        false => verdict.reason(),
    };
    IntentionExplain {
        question: of_one((source, destination), verdict.allowed, reason),
        decided_by: match &verdict.because {
            _ if verdict.is_by_token() => DecidedBy::Token,
            Because::Connection { .. } => DecidedBy::Intention,
            Because::Requests { .. } => DecidedBy::Permissions,
            Because::TokenDemanded { .. } => DecidedBy::Token,
            Because::Default(_) => DecidedBy::Default,
        },
        intention: verdict.rule().map(|rule| super::shape::shape(rule)),
        shadows: shadows.iter().map(|rule| super::shape::shape(rule)).collect(),
        smallest_change: smallest_change.as_ref().ok().map(proposal),
        no_change: smallest_change.as_ref().err().map(ToString::to_string).unwrap_or_default(),
        alternatives: alternatives.iter().map(proposal).collect(),
        ..IntentionExplain::default()
    }
}

fn proposal(proposal: &Proposal) -> ExplainProposal {
    let Proposal { change: Change { source, destination, step }, also_affects } = proposal;
    let Affected { count, listed, complete } = also_affects;
    let (source, destination) = (caller(source), called(destination));
    let pair = format!("{source} => {destination}");
    let (step, from, to, summary) = match step {
        Step::Set { from, to } => {
            let (from, to) = (decision(from), to.as_str());
            (ExplainStep::Set, from, to, format!("change intention {pair} from {from} to {to}"))
        }
        Step::Add { action } => {
            let to = action.as_str();
            (ExplainStep::Add, "", to, format!("add intention {pair}: {to}"))
        }
        Step::Remove { was } => {
            let from = decision(was);
            (ExplainStep::Remove, from, "", format!("remove intention {pair} ({from})"))
        }
    };
    ExplainProposal {
        summary,
        step,
        source,
        destination,
        from: from.to_owned(),
        to: to.to_owned(),
        affected: *count,
        affected_complete: *complete,
        affected_pairs: listed.iter().map(affected).collect(),
    }
}

fn affected(pair: &Pair) -> ExplainPair {
    let Pair { source, destination, allowed } = pair;
    ExplainPair { source: service(source), destination: service(destination), allowed: *allowed }
}

fn decision(decision: &Decision) -> &'static str {
    match decision {
        Decision::Connection(action) => action.as_str(),
        Decision::Requests(_) => "permissions",
    }
}
