//! The JSON form of an explanation. Each suggested change is a sentence.

pub(super) mod request;

use concord_api::explain::{DecidedBy, ExplainPair, ExplainProposal, ExplainStep, IntentionExplain};
use concord_mesh::explain::{Affected, Change, Explanation, Pair, Proposal, Step};
use concord_mesh::intention::Because;
use concord_model::intention::{Decision, Destination, Source};
use concord_model::name::DEFAULT;
use concord_model::{PeerName, ServiceRef};

/// Converts an explanation to its JSON form.
pub(super) fn shape(explanation: &Explanation) -> IntentionExplain {
    let Explanation { source, destination, verdict, shadows, smallest_change, alternatives } = explanation;
    IntentionExplain {
        source: service(source),
        destination: service(destination),
        allowed: verdict.allowed,
        reason: verdict.reason(),
        decided_by: match &verdict.because {
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

fn service(service: &ServiceRef) -> String {
    let ServiceRef { partition, namespace, name, peer } = service;
    scoped(peer.as_ref(), partition.as_str(), namespace.as_str(), name.as_str())
}

fn caller(source: &Source) -> String {
    let Source { partition, namespace, peer, name } = source;
    scoped(peer.as_ref(), partition.as_str(), namespace.as_str(), name.as_str())
}

fn called(destination: &Destination) -> String {
    let Destination { partition, namespace, name } = destination;
    scoped(None, partition.as_str(), namespace.as_str(), name.as_str())
}

/// A name in the form of query strings. Parts that are `default` are left out.
fn scoped(peer: Option<&PeerName>, partition: &str, namespace: &str, name: &str) -> String {
    let name = match (partition, namespace) {
        (DEFAULT, DEFAULT) => name.to_owned(),
        (DEFAULT, namespace) => format!("{namespace}/{name}"),
        (partition, namespace) => format!("{partition}/{namespace}/{name}"),
    };
    match peer {
        Some(peer) => format!("peer:{peer}/{name}"),
        None => name,
    }
}
