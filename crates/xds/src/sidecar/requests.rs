//! Intentions about requests, as routes to the local service with rules of their own (D57).
//!
//! The filter itself denies everything. Each route is for one class of paths and carries the rules for it; a rule about
//! values of headers is there for each class of headers (D59). The routes
//! are a resource of their own, so that a change of rights drains no listener, and the next request on an open
//! connection is judged by it.

mod authority;
mod class;
mod condition;
mod header;
mod path;
mod test;
mod text;
mod token;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use concord_envoy_proto::envoy::config::rbac::v3::rbac::Action as Listed;
use concord_envoy_proto::envoy::config::rbac::v3::{Policy, Principal, Rbac as Rules};
use concord_envoy_proto::envoy::config::route::v3::route::Action as RouteTo;
use concord_envoy_proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use concord_envoy_proto::envoy::config::route::v3::{Route, RouteAction, RouteConfiguration, VirtualHost};
use concord_envoy_proto::envoy::extensions::filters::http::rbac::v3::{Rbac, RbacPerRoute};
use concord_envoy_proto::google::api::expr::v1alpha1::Expr;
use concord_envoy_proto::{Any, any};
use concord_mesh::intention::Intention;
use concord_model::TrustDomain;
use concord_model::entry::RequestNormalization;
use concord_model::intention::{Action, Decision, HeaderMatch, HttpPermission, Permission, Source};
use concord_proxycfg::IntentionSection;

use self::class::{HeaderClass, PathClass};
use self::header::is_spelled_too_often;
use self::test::{Judged, Test};
pub(super) use self::token::Told;
use super::inbound::Timeouts;
use super::{address, intentions};
use crate::names;
use crate::resource::Resource;

/// Headers by which a caller could steer this proxy or deceive the service about it.
pub(super) const STRIPPED: [&str; 12] = [
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-external-address",
    "x-envoy-internal",
    "x-envoy-ip-tags",
    "x-envoy-original-dst-host",
    "x-envoy-original-host",
    "x-envoy-original-path",
    "x-envoy-peer-metadata",
];

/// What rules are made from.
pub(super) struct Judge<'a> {
    pub(super) section: &'a IntentionSection,
    pub(super) trust_domain: &'a TrustDomain,
    pub(super) settings: RequestNormalization,
    /// How what the filter of tokens tells is asked for.
    pub(super) told: Told,
}

/// The routes of the public listener.
pub(super) fn routes(judge: &Judge<'_>, timeouts: &Timeouts) -> Resource {
    let host = VirtualHost {
        name: names::PUBLIC_LISTENER.to_owned(),
        domains: vec!["*".to_owned()],
        routes: judge.classes().iter().map(|class| judge.route(*class, timeouts)).collect(),
        ..VirtualHost::default()
    };
    let routes = RouteConfiguration {
        name: names::PUBLIC_LISTENER.to_owned(),
        virtual_hosts: vec![host],
        request_headers_to_remove: STRIPPED.map(str::to_owned).to_vec(),
        ..RouteConfiguration::default()
    };
    Resource::new(routes.name.clone(), &routes).naming([names::LOCAL_APP.to_owned()])
}

/// The rules of the filter itself, for requests that have no route: all are denied.
pub(super) fn deny_all() -> Rbac {
    Rbac { rules: Some(listing(Listed::Allow, BTreeMap::new())), ..Rbac::default() }
}

/// Whether a rule names a header that could be spelled in too many ways. Then the mesh must refuse `_` in names.
pub(super) fn needs_plain_names(section: &IntentionSection) -> bool {
    headers(section).any(is_spelled_too_often)
}

fn permissions(section: &IntentionSection) -> impl Iterator<Item = &Permission> {
    let sources = section.entries.iter().flat_map(|entry| &entry.sources);
    sources.flat_map(|source| match &source.decision {
        Decision::Requests(list) => list.as_slice(),
        Decision::Connection(_) => &[],
    })
}

fn conditions(section: &IntentionSection) -> impl Iterator<Item = &HttpPermission> {
    permissions(section).filter_map(|own| own.http.as_ref())
}

fn headers(section: &IntentionSection) -> impl Iterator<Item = &HeaderMatch> {
    conditions(section).flat_map(|own| &own.headers)
}

/// The callers of an intention, and the requests that they may send.
struct Allowed {
    callers: Source,
    requests: Requests,
}

#[derive(PartialEq)]
enum Requests {
    /// Whatever their headers have.
    Any(Test),
    /// By what these headers have, for each class.
    ByHeaders(Vec<String>, [Test; 3]),
}

impl Requests {
    /// The tests, each with the requests for which it is.
    fn tests(&self) -> Vec<(Test, Option<Expr>)> {
        match self {
            Self::Any(test) => vec![(test.clone(), None)],
            Self::ByHeaders(names, tests) => {
                let classes = HeaderClass::ALL.iter().zip(tests);
                classes.map(|(class, test)| (test.clone(), Some(class.condition(names)))).collect()
            }
        }
    }

    /// The requests that may not be sent, if headers do not matter.
    fn denied(&self) -> Option<Test> {
        match self {
            Self::Any(test) => Some(test.clone().not()),
            Self::ByHeaders(..) => None,
        }
    }
}

impl Judge<'_> {
    /// The classes of paths that the rules distinguish.
    fn classes(&self) -> &'static [PathClass] {
        let is_path = |own: &HttpPermission| {
            own.path.is_some() || own.headers.iter().any(|header| header.name.eq_ignore_ascii_case(":path"))
        };
        class::paths(conditions(self.section).any(is_path))
    }

    fn route(&self, class: PathClass, timeouts: &Timeouts) -> Route {
        let action = RouteAction {
            cluster_specifier: Some(ClusterSpecifier::Cluster(names::LOCAL_APP.to_owned())),
            timeout: timeouts.request.map(address::duration),
            idle_timeout: timeouts.idle.map(address::duration),
            ..RouteAction::default()
        };
        Route {
            r#match: Some(class::matching(class)),
            typed_per_filter_config: [(names::RBAC_FILTER.to_owned(), self.per_route(class))].into(),
            action: Some(RouteTo::Route(action)),
            ..Route::default()
        }
    }

    fn per_route(&self, class: PathClass) -> Any {
        let rbac = Rbac { rules: Some(self.rules(class)), ..Rbac::default() };
        any(&RbacPerRoute { rbac: Some(rbac) })
    }

    /// The rules for a class of paths. Where the default allows they list what is denied, else what is allowed. What is
    /// allowed is listed, too, if a condition decides: one that cannot be evaluated then allows nothing.
    fn rules(&self, class: PathClass) -> Rules {
        let all = self.decided(class);
        let demanded = Test::all(self.demands(0));
        let default = match self.section.default.action {
            Action::Allow => demanded,
            Action::Deny => Test::Never,
        };
        let denied: Option<Vec<_>> = all.iter().map(|own| own.requests.denied()).collect();
        let mut list = List::default();
        if let Some(denied) = denied.filter(|_| default == Test::Always) {
            for (at, requests) in denied.into_iter().enumerate() {
                list.add(requests, self.principal(&all, at), None);
            }
            return list.finish(Listed::Deny);
        }
        for (at, own) in all.iter().enumerate() {
            let callers = self.principal(&all, at);
            for (requests, condition) in own.requests.tests() {
                list.add(requests, callers.clone(), condition);
            }
        }
        list.add(default, intentions::others(all.iter().map(|own| &own.callers), self.trust_domain), None);
        list.finish(Listed::Allow)
    }

    /// The callers of an intention, but for those about whom an earlier one decides otherwise.
    fn principal(&self, all: &[Allowed], at: usize) -> Principal {
        let own = &all[at];
        let before = all[..at].iter().filter(|other| other.requests != own.requests);
        intentions::callers_but(&own.callers, before.map(|other| &other.callers), self.trust_domain)
    }

    /// The intentions by precedence, each with the requests that it allows.
    fn decided(&self, class: PathClass) -> Vec<Allowed> {
        let rules = intentions::first_of_each(self.section);
        rules
            .map(|rule| Allowed { requests: self.requests(&rule, class), callers: rule.source.clone() })
            .collect()
    }

    fn requests(&self, rule: &Intention, path: PathClass) -> Requests {
        let names = names(rule);
        let single = self.allowed(rule, (path, HeaderClass::Single));
        if names.is_empty() {
            return Requests::Any(single);
        }
        let tests = HeaderClass::ALL.map(|class| self.allowed(rule, (path, class)));
        if tests.iter().all(|own| *own == single) {
            return Requests::Any(single);
        }
        Requests::ByHeaders(names, tests)
    }

    fn allowed(&self, rule: &Intention, class: (PathClass, HeaderClass)) -> Test {
        let own = match &rule.decision {
            Decision::Connection(Action::Deny) => return Test::Never,
            Decision::Connection(Action::Allow) => Test::Always,
            Decision::Requests(list) => {
                let default = if self.section.default.action.allows() { Test::Always } else { Test::Never };
                let judged = |own: &Permission| (own.action, self.judged(own, class));
                test::allowed(&list.iter().map(judged).collect::<Vec<_>>(), default)
            }
        };
        let demands = self.demands(intentions::exactness(&rule.destination));
        Test::all(demands.chain([own]))
    }

    /// The tokens that entries demand which are at least this exact.
    fn demands(&self, least: u8) -> impl Iterator<Item = Test> {
        let exact = move |own: &&_| intentions::exactness(own) >= least;
        let entries = self.section.entries.iter().filter(move |entry| exact(&&entry.destination));
        entries.filter_map(|entry| entry.jwt.as_ref()).map(|own| self.told.judged(own).sure)
    }

    fn judged(&self, own: &Permission, (path, class): (PathClass, HeaderClass)) -> Judged {
        let http = own.http.as_ref();
        let methods = http.filter(|own| !own.methods.is_empty()).map(|own| authority::methods(&own.methods));
        let paths = http.and_then(|own| own.path.as_ref());
        let paths = paths.map(|own| path::judged(own, path, &self.settings));
        let headers = http.into_iter().flat_map(|own| &own.headers);
        let headers = headers.map(|own| header::judged(own, path, class));
        let token = own.jwt.as_ref().map(|own| self.told.judged(own));
        Judged::all(methods.into_iter().chain(paths).chain(headers).chain(token).collect())
    }
}

/// The policies of a listing.
#[derive(Default)]
struct List {
    policies: BTreeMap<String, Policy>,
    /// Callers all of whose requests are listed.
    whole: Vec<Principal>,
}

impl List {
    fn add(&mut self, requests: Test, callers: Principal, condition: Option<Expr>) {
        match (requests, &condition) {
            (Test::Never, _) => {}
            (Test::Always, None) => self.whole.push(callers),
            (requests, _) => {
                let own = Policy { condition, ..policy(requests, vec![callers]) };
                self.policies.insert(names::layer_7(self.policies.len()), own);
            }
        }
    }

    fn finish(mut self, action: Listed) -> Rules {
        if !self.whole.is_empty() {
            self.policies.insert(names::LAYER_4.to_owned(), policy(Test::Always, self.whole));
        }
        listing(action, self.policies)
    }
}

/// The headers at whose values an intention looks, in all spellings.
fn names(rule: &Intention) -> Vec<String> {
    let Decision::Requests(list) = &rule.decision else { return Vec::new() };
    let headers = list.iter().filter_map(|own| own.http.as_ref()).flat_map(|own| &own.headers);
    headers.flat_map(header::spellings).collect::<BTreeSet<_>>().into_iter().collect()
}

fn listing(action: Listed, policies: BTreeMap<String, Policy>) -> Rules {
    Rules { action: action.into(), policies }
}

fn policy(requests: Test, principals: Vec<Principal>) -> Policy {
    Policy { permissions: vec![requests.permission()], principals, ..Policy::default() }
}
