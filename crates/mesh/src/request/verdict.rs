//! The decision about a request, with its reason.

use std::fmt;
use std::sync::Arc;

use concord_model::intention::Action;
use serde::{Deserialize, Serialize};

use super::fit::Fit;
use super::refusal::Refusal;
use crate::intention::{Because, DefaultSource, Intention, TOKEN_DEMANDED, Verdict};

/// A condition of a permission.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// `HTTP.Methods`.
    Methods,
    /// `HTTP.PathExact`, `HTTP.PathPrefix` or `HTTP.PathRegex`.
    Path,
    /// `HTTP.Header[index]`.
    Header(usize),
    /// `JWT`.
    Token,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Methods => f.write_str("HTTP.Methods"),
            Self::Path => f.write_str("HTTP.Path"),
            Self::Header(index) => write!(f, "HTTP.Header[{index}]"),
            Self::Token => f.write_str("JWT"),
        }
    }
}

/// A permission that was tried.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tried {
    /// Its place in the intention, from 0.
    pub permission: usize,
    /// Its action.
    pub action: Action,
    /// What its conditions say together.
    pub fit: Fit,
    /// The first condition that says no, else the first that is unclear. `None` if all say yes.
    pub condition: Option<Condition>,
}

impl Tried {
    /// Whether it decides.
    pub fn applies(&self) -> bool {
        self.fit.applies(self.action)
    }
}

/// The decision about a request, with its reason.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[must_use]
pub struct RequestVerdict {
    /// Whether the request may reach the destination.
    pub allowed: bool,
    /// What decided.
    pub because: RequestBecause,
}

/// What decided about a request.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestBecause {
    /// The request cannot be judged.
    Refused(Refusal),
    /// The action of an intention.
    Connection {
        /// The intention.
        rule: Arc<Intention>,
    },
    /// An intention with permissions, or an entry that demands a token, and a destination whose protocol has no requests.
    NoRequests {
        /// The intention.
        rule: Arc<Intention>,
    },
    /// A permission of an intention.
    Permission {
        /// The intention.
        rule: Arc<Intention>,
        /// The permission, and what its conditions say.
        tried: Tried,
    },
    /// An entry demands a token that the request does not have.
    TokenDemanded {
        /// The intention that would decide otherwise. `None` if the default would.
        rule: Option<Arc<Intention>>,
        /// Whether the destination's protocol has no requests, so that nothing can carry one.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        no_requests: bool,
    },
    /// The default: no intention covers the pair, or none of its permissions applies.
    Default {
        /// The setting.
        source: DefaultSource,
        /// The intention whose permissions do not apply.
        rule: Option<Arc<Intention>>,
    },
}

impl RequestVerdict {
    /// The intention that decided, or whose permissions left it to the default.
    pub fn rule(&self) -> Option<&Arc<Intention>> {
        match &self.because {
            RequestBecause::Refused(_) => None,
            RequestBecause::Connection { rule }
            | RequestBecause::NoRequests { rule }
            | RequestBecause::Permission { rule, .. } => Some(rule),
            RequestBecause::TokenDemanded { rule, .. } | RequestBecause::Default { rule, .. } => {
                rule.as_ref()
            }
        }
    }

    /// The reason, in one sentence.
    pub fn reason(&self) -> String {
        match &self.because {
            RequestBecause::Refused(refusal) => refusal.to_string(),
            RequestBecause::Connection { rule } => format!("Matched L4 intention: {rule}"),
            RequestBecause::NoRequests { rule } => {
                format!("The destination's protocol has no requests; matched L7 intention: {rule}")
            }
            RequestBecause::Permission { rule, tried } => {
                let Tried { permission, action, .. } = tried;
                format!("Matched L7 intention: {rule}, Permissions[{permission}] ({action})")
            }
            RequestBecause::TokenDemanded { no_requests: false, .. } => TOKEN_DEMANDED.to_owned(),
            RequestBecause::TokenDemanded { no_requests: true, .. } => {
                format!("{TOKEN_DEMANDED}, and a service whose protocol is tcp cannot be shown one")
            }
            RequestBecause::Default { source, rule: None } => source.reason().to_owned(),
            RequestBecause::Default { source, rule: Some(rule) } => {
                format!("{}; no permission applies of L7 intention: {rule}", source.reason())
            }
        }
    }
}

impl From<Refusal> for RequestVerdict {
    fn from(refusal: Refusal) -> Self {
        Self { allowed: false, because: RequestBecause::Refused(refusal) }
    }
}

impl From<Verdict> for RequestVerdict {
    /// The verdict about requests to a destination whose protocol has none.
    fn from(verdict: Verdict) -> Self {
        let by_token = verdict.is_by_token();
        let because = match verdict.because {
            Because::Requests { rule } if by_token => {
                RequestBecause::TokenDemanded { rule: Some(rule), no_requests: true }
            }
            Because::Connection { rule } => RequestBecause::Connection { rule },
            Because::Requests { rule } => RequestBecause::NoRequests { rule },
            Because::TokenDemanded { rule } => RequestBecause::TokenDemanded { rule, no_requests: true },
            Because::Default(source) => RequestBecause::Default { source, rule: None },
        };
        Self { allowed: verdict.allowed, because }
    }
}
