//! Decisions about requests to one destination.

use std::sync::Arc;

use concord_model::ServiceRef;
use concord_model::intention::{Action, Decision};

use super::canonical::Request;
use super::fit::Fit;
use super::token;
use super::verdict::{RequestBecause, RequestVerdict, Tried};
use crate::intention::{DefaultPolicy, Found, Intention, Policy};

impl Policy {
    /// Whether a request of `source` may reach the destination, and what decides.
    pub fn decide_request(
        &self,
        source: &ServiceRef,
        request: &Request<'_>,
        default: DefaultPolicy,
    ) -> RequestVerdict {
        let found = self.deciding(source);
        let rule = found.map(|found| Arc::clone(found.rule()));
        if self.lacks_token(found, request) {
            return verdict(Action::Deny, RequestBecause::TokenDemanded { rule, no_requests: false });
        }
        let tried = found.and_then(|found| found.permissions()).and_then(|list| list.decide(request));
        match (rule, tried) {
            (Some(rule), Some(tried)) => verdict(tried.action, RequestBecause::Permission { rule, tried }),
            (Some(rule), None) if !rule.decision.is_by_request() => {
                verdict(action(&rule), RequestBecause::Connection { rule })
            }
            (rule, _) => verdict(default.action, RequestBecause::Default { source: default.source, rule }),
        }
    }

    /// The permissions that are tried for a request of `source`, up to the one that decides.
    pub fn tried(&self, source: &ServiceRef, request: &Request<'_>) -> Vec<Tried> {
        let found = self.deciding(source).filter(|found| !self.lacks_token(Some(*found), request));
        let permissions = found.and_then(|found| found.permissions());
        permissions.map(|permissions| permissions.tried(request)).unwrap_or_default()
    }

    /// Whether a token is missing without which the request is denied. An intention that denies all needs none.
    fn lacks_token(&self, found: Option<Found<'_>>, request: &Request<'_>) -> bool {
        !found.is_some_and(|found| denies_all(found.rule()))
            && self.demands(found).any(|demand| token::fit(demand, request.received.tokens) != Fit::Yes)
    }
}

fn verdict(action: Action, because: RequestBecause) -> RequestVerdict {
    RequestVerdict { allowed: action.allows(), because }
}

/// Whether an intention denies all requests, whatever token they have.
fn denies_all(rule: &Intention) -> bool {
    rule.decision == Decision::Connection(Action::Deny)
}

/// The action of an intention that has one.
fn action(rule: &Intention) -> Action {
    match &rule.decision {
        Decision::Connection(action) => *action,
        Decision::Requests(_) => Action::Deny,
    }
}
