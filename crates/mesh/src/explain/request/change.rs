//! Changes of permissions and intentions.

use std::fmt;

use concord_model::intention::{
    Action, Decision, Destination, HttpPermission, PathMatch, Permission, ServiceIntentions, Source,
    SourceIntention,
};
use concord_model::{Pattern, ServiceRef};
use serde::{Deserialize, Serialize};

use crate::entry::PERMISSIONS_MAX;
use crate::intention::Intention;
use crate::request::{RequestBecause, RequestVerdict};

/// The methods that a permission can name.
const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// A change of one intention.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RequestChange {
    /// The source of the intention.
    pub source: Source,
    /// Its destination.
    pub destination: Destination,
    /// What to do.
    pub step: RequestStep,
}

/// What to do with an intention.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestStep {
    /// Change the action of a permission.
    SetPermission {
        /// Its place, from 0.
        permission: usize,
        /// The new action.
        to: Action,
    },
    /// Add a permission.
    AddPermission {
        /// Before the one at this place; behind all if there is none.
        before: usize,
        /// The permission.
        added: Permission,
    },
    /// Give the intention these permissions; it is added if there is none.
    Permit {
        /// Whether the intention exists.
        exists: bool,
        /// Its permissions afterwards.
        permissions: Vec<Permission>,
    },
    /// Give the intention this action; it is added if there is none.
    Act {
        /// Whether the intention exists.
        exists: bool,
        /// Its action afterwards.
        action: Action,
    },
}

/// Which other requests of the same caller a change is about.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Those with the same method and path.
    Request,
    /// All for which the permission decides.
    Permission,
    /// All of the pair.
    Pair,
}

/// The permission that would decide as wanted.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) action: Action,
    pub(super) method: &'a str,
    /// The canonical path; `None` if permissions cannot help.
    pub(super) path: Option<&'a str>,
}

impl Wanted<'_> {
    /// A permission for this method and path and nothing else.
    fn permission(&self) -> Option<Permission> {
        let path = match self.path? {
            // CONNECT has no path.
            "" => None,
            path if path.starts_with('/') => Some(PathMatch::Exact(path.to_owned())),
            _ => Some(PathMatch::Regex(r"\*".to_owned())),
        };
        let methods = Some(self.method.to_owned()).filter(|method| METHODS.contains(&method.as_str()));
        let methods: Vec<_> = methods.into_iter().collect();
        if path.is_none() && methods.is_empty() {
            return None;
        }
        let http = HttpPermission { path, headers: Vec::new(), methods };
        Some(Permission { action: self.action, http: Some(http), jwt: None })
    }
}

/// The changes that may reverse a verdict, those that keep more as it is first.
pub(super) fn candidates(
    source: &ServiceRef,
    destination: &ServiceRef,
    verdict: &RequestVerdict,
    wanted: &Wanted<'_>,
) -> Vec<(Reach, RequestChange)> {
    let rule = verdict.rule();
    let pair = (exactly(source), Destination::of(destination));
    let exists = rule.is_some_and(|rule| (&rule.source, &rule.destination) == (&pair.0, &pair.1));
    let at_pair = |step| RequestChange { source: pair.0.clone(), destination: pair.1.clone(), step };
    let mut all = Vec::new();
    if let Some(rule) = rule {
        all.extend(of_permissions(rule, verdict, wanted));
    }
    if let Some(permission) = wanted.permission() {
        let rest = rule.map(|rule| as_permissions(rule)).unwrap_or_default();
        let permissions: Vec<_> = [vec![permission], rest].concat();
        if permissions.len() <= PERMISSIONS_MAX {
            all.push((Reach::Request, at_pair(RequestStep::Permit { exists, permissions })));
        }
    }
    all.push((Reach::Pair, at_pair(RequestStep::Act { exists, action: wanted.action })));
    all
}

/// Changes of the permissions of the intention that decides.
fn of_permissions(
    rule: &Intention,
    verdict: &RequestVerdict,
    wanted: &Wanted<'_>,
) -> Vec<(Reach, RequestChange)> {
    let Decision::Requests(list) = &rule.decision else { return Vec::new() };
    if rule.destination.service().is_none() {
        // Entries of several destinations cannot have permissions.
        return Vec::new();
    }
    let at_rule =
        |step| RequestChange { source: rule.source.clone(), destination: rule.destination.clone(), step };
    let deciding = match &verdict.because {
        RequestBecause::Permission { tried, .. } => Some(tried.permission),
        _ => None,
    };
    let mut all = Vec::new();
    let added = wanted.permission();
    if let Some(at) = deciding {
        let same = |added: &Permission| Permission { action: wanted.action, ..list[at].clone() } == *added;
        let reach = if added.as_ref().is_some_and(same) { Reach::Request } else { Reach::Permission };
        let step = RequestStep::SetPermission { permission: at, to: wanted.action };
        all.push((reach, at_rule(step)));
    }
    if let Some(added) = added.filter(|_| list.len() < PERMISSIONS_MAX) {
        let before = deciding.unwrap_or(list.len());
        all.push((Reach::Request, at_rule(RequestStep::AddPermission { before, added })));
    }
    all
}

/// What an intention says, as permissions that can stand behind others.
fn as_permissions(rule: &Intention) -> Vec<Permission> {
    match &rule.decision {
        Decision::Requests(list) => list.clone(),
        Decision::Connection(action) => {
            let path = Some(PathMatch::Prefix("/".to_owned()));
            let http = HttpPermission { path, ..HttpPermission::default() };
            vec![Permission { action: *action, http: Some(http), jwt: None }]
        }
    }
}

fn exactly(service: &ServiceRef) -> Source {
    let ServiceRef { partition, namespace, peer, name } = service.clone();
    Source { partition, namespace: Pattern::Exact(namespace), peer, name: Pattern::Exact(name) }
}

impl RequestChange {
    /// The entries after the change.
    pub fn applied(&self, entries: &[ServiceIntentions]) -> Vec<ServiceIntentions> {
        let mut entries = entries.to_vec();
        let at = entries.iter().position(|entry| entry.destination == self.destination);
        let at = at.unwrap_or_else(|| {
            entries.push(ServiceIntentions {
                destination: self.destination.clone(),
                sources: Vec::new(),
                jwt: None,
                meta: [].into(),
                stamp: Default::default(),
            });
            entries.len() - 1
        });
        let sources = &mut entries[at].sources;
        let standing = sources.iter().position(|own| own.source == self.source);
        let decision = self.decision(standing.map(|at| &sources[at].decision));
        match standing {
            // An intention of the older API can have no permissions.
            Some(at) => sources[at] = SourceIntention { decision, legacy: None, ..sources[at].clone() },
            None => {
                let (source, description) = (self.source.clone(), String::new());
                sources.push(SourceIntention { source, decision, description, legacy: None });
            }
        }
        entries
    }

    fn decision(&self, standing: Option<&Decision>) -> Decision {
        let mut list = match standing {
            Some(Decision::Requests(list)) => list.clone(),
            Some(Decision::Connection(_)) | None => Vec::new(),
        };
        match &self.step {
            RequestStep::SetPermission { permission, to } => {
                if let Some(own) = list.get_mut(*permission) {
                    own.action = *to;
                }
            }
            RequestStep::AddPermission { before, added } => {
                list.insert((*before).min(list.len()), added.clone());
            }
            RequestStep::Permit { permissions, .. } => list.clone_from(permissions),
            RequestStep::Act { action, .. } => return Decision::Connection(*action),
        }
        Decision::Requests(list)
    }
}

impl fmt::Display for RequestChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, destination, step } = self;
        let pair = format_args!("{source} => {destination}");
        let verb = |exists: &bool| if *exists { "change" } else { "add" };
        match step {
            RequestStep::SetPermission { permission, to } => {
                write!(f, "set Permissions[{permission}] of intention {pair} to {to}")
            }
            RequestStep::AddPermission { before, added } => {
                write!(f, "insert at Permissions[{before}] of intention {pair}: {}", Told(added))
            }
            RequestStep::Permit { exists, permissions } => {
                write!(f, "{} intention {pair} to have Permissions: ", verb(exists))?;
                for (at, permission) in permissions.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{}", Told(permission))?;
                }
                Ok(())
            }
            RequestStep::Act { exists, action } => {
                write!(f, "{} intention {pair}: {action}", verb(exists))
            }
        }
    }
}

/// A permission in a sentence.
struct Told<'a>(&'a Permission);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Permission { action, http, jwt } = self.0;
        write!(f, "{action}")?;
        if let Some(HttpPermission { path, headers, methods }) = http {
            if !methods.is_empty() {
                write!(f, " {}", methods.join("|"))?;
            }
            match path {
                Some(PathMatch::Exact(path)) => write!(f, " PathExact {path:?}")?,
                Some(PathMatch::Prefix(path)) => write!(f, " PathPrefix {path:?}")?,
                Some(PathMatch::Regex(path)) => write!(f, " PathRegex {path:?}")?,
                None => {}
            }
            for header in headers {
                write!(f, " with a condition on header {:?}", header.name)?;
            }
        }
        if jwt.is_some() { f.write_str(" with a token") } else { Ok(()) }
    }
}
