//! The request that is asked about in a query string, and the JSON form of its explanation.

use concord_api::explain::{RequestChange, RequestDecidedBy, RequestExplain, TriedPermission};
use concord_mesh::explain::reached::Decided;
use concord_mesh::explain::request::{AskedRequest, Reach, RequestExplanation, RequestProposal};
use concord_mesh::request::{Fit, RequestBecause, Tried};

use super::names::service;
use super::{of_one, once, question};
use crate::http::routes::intention::shape::shape as intention;
use crate::http::{Call, HttpError};

/// The parameters that describe a request.
const PARAMETERS: [&str; 4] = ["method", "path", "header", "claims"];

/// The request of the query string: `method` (GET), `path` (/), `header=name=value` and `claims=provider={…}`, the
/// last two with repetitions. `None` if the question is about a connection.
pub(in crate::http::routes::intention) fn asked(call: &Call) -> Result<Option<AskedRequest>, HttpError> {
    if !PARAMETERS.iter().any(|name| call.parameter(name).is_some()) {
        return Ok(None);
    }
    let split = |name, text: &str| {
        let pair = text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let wrong = || {
            HttpError::bad_request(format!("Invalid value for ?{name}: {text:?}; use {name}=<name>=<value>"))
        };
        pair.filter(|(key, _)| !key.is_empty()).ok_or_else(wrong)
    };
    if call.parameter("path") == Some("") {
        let text = "Invalid value for ?path: it is empty; use the path as it would be sent, as /";
        return Err(HttpError::bad_request(text.to_owned()));
    }
    let headers = call.parameters("header").map(|text| split("header", text)).collect::<Result<_, _>>()?;
    let tokens = call.parameters("claims").map(|text| {
        let (provider, claims) = split("claims", text)?;
        let claims = serde_json::from_str(&claims).ok().filter(serde_json::Value::is_object);
        let wrong = || {
            HttpError::bad_request(format!(
                "Invalid value for ?claims: the claims of {provider:?} must be a JSON object"
            ))
        };
        Ok((provider.clone(), claims.ok_or_else(wrong)?))
    });
    let tokens = tokens.collect::<Result<_, HttpError>>()?;
    let or = |name, default: &str| call.parameter(name).unwrap_or(default).to_owned();
    let asked = AskedRequest { method: or("method", "GET"), target: or("path", "/"), headers, tokens };
    Ok(Some(asked))
}

/// Converts an explanation to its JSON form.
pub(in crate::http::routes::intention) fn shape(explanation: &RequestExplanation) -> RequestExplain {
    let RequestExplanation { source, destination, protocol, protocol_note, way, .. } = explanation;
    let (answer, decided) = explanation.decided();
    let question = question((source, destination), answer, way.as_ref());
    match decided {
        Decided::Once(at) => {
            let pair = pair(at);
            RequestExplain { question: once(question, &at.destination, pair.question), ..pair }
        }
        Decided::Apart(all) => RequestExplain {
            question,
            protocol: protocol.as_str().to_owned(),
            protocol_note: protocol_note.clone().unwrap_or_default(),
            decided_by: RequestDecidedBy::Targets,
            at: all.into_iter().map(pair).collect(),
            ..RequestExplain::default()
        },
    }
}

/// What is decided about a request at a service.
fn pair(explanation: &RequestExplanation) -> RequestExplain {
    let RequestExplanation {
        source,
        destination,
        protocol,
        protocol_note,
        verdict,
        sent,
        tried,
        shadows,
        changes,
        no_change,
        way: _,
        reached: _,
    } = explanation;
    RequestExplain {
        question: of_one((source, destination), verdict.allowed, verdict.reason()),
        protocol: protocol.as_str().to_owned(),
        protocol_note: protocol_note.clone().unwrap_or_default(),
        decided_by: decided_by(&verdict.because),
        intention: verdict.rule().map(|rule| intention(rule)),
        path: sent.as_ref().map(|sent| sent.path.clone()).unwrap_or_default(),
        path_ambiguous: sent.as_ref().is_some_and(|sent| sent.ambiguous),
        tried: tried.iter().map(tried_permission).collect(),
        shadows: shadows.iter().map(|rule| intention(rule)).collect(),
        changes: changes.iter().map(change).collect(),
        why_no_change: no_change.as_ref().map(ToString::to_string).unwrap_or_default(),
        ..RequestExplain::default()
    }
}

fn decided_by(because: &RequestBecause) -> RequestDecidedBy {
    match because {
        RequestBecause::Refused(_) => RequestDecidedBy::Refused,
        RequestBecause::Connection { .. } => RequestDecidedBy::Intention,
        RequestBecause::NoRequests { .. } => RequestDecidedBy::NoRequests,
        RequestBecause::Permission { .. } => RequestDecidedBy::Permission,
        RequestBecause::TokenDemanded { .. } => RequestDecidedBy::Token,
        RequestBecause::Default { .. } => RequestDecidedBy::Default,
    }
}

fn tried_permission(tried: &Tried) -> TriedPermission {
    let Tried { permission, action, fit, condition } = tried;
    let fit = match fit {
        Fit::No => "no",
        Fit::Unclear => "unclear",
        Fit::Yes => "yes",
    };
    TriedPermission {
        permission: *permission,
        action: action.to_string(),
        applies: tried.applies(),
        fit: fit.to_owned(),
        condition: condition.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

fn change(proposal: &RequestProposal) -> RequestChange {
    let RequestProposal { change, reach, also_affects } = proposal;
    let reach = match reach {
        Reach::Request => "request",
        Reach::Permission => "permission",
        Reach::Pair => "pair",
    };
    RequestChange {
        summary: change.to_string(),
        reach: reach.to_owned(),
        other_callers: also_affects.count,
        callers: also_affects.listed.iter().map(|pair| service(&pair.source)).collect(),
    }
}
