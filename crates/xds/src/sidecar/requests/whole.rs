//! The rules of all classes as one list, for a manager whose routes are not ours.
//!
//! What a route decides for ours is a condition of each rule here. A request of no class is denied.

use std::collections::BTreeMap;

use concord_envoy_proto::envoy::config::rbac::v3::permission::{Rule, Set};
use concord_envoy_proto::envoy::config::rbac::v3::principal::Identifier;
use concord_envoy_proto::envoy::config::rbac::v3::rbac::Action as Listed;
use concord_envoy_proto::envoy::config::rbac::v3::{Permission, Policy, Principal};
use concord_envoy_proto::envoy::config::route::v3::RouteMatch;
use concord_envoy_proto::envoy::config::route::v3::route_match::PathSpecifier;
use concord_envoy_proto::envoy::extensions::filters::http::rbac::v3::Rbac;
use concord_envoy_proto::envoy::r#type::matcher::v3::PathMatcher;
use concord_envoy_proto::envoy::r#type::matcher::v3::path_matcher::Rule as PathRule;

use super::{Judge, class, listing};
use crate::names;
use crate::sidecar::tls::regex;

impl Judge<'_> {
    /// The rules for every request: what is denied first, if something is, and then what is allowed.
    pub(in crate::sidecar) fn whole(&self) -> (Option<Rbac>, Rbac) {
        let (mut before, mut denied, mut allowed) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for class in self.classes() {
            let own = of_match(class::matching(*class));
            let within = all(vec![own.clone(), none_of(before.clone())]);
            let rules = self.rules(*class);
            let list = match rules.action() {
                Listed::Deny => {
                    let others = policy_of(within.clone(), anybody());
                    allowed.insert(names::layer_7(allowed.len()), others);
                    &mut denied
                }
                Listed::Allow | Listed::Log => &mut allowed,
            };
            for policy in rules.policies.into_values() {
                let permissions = policy.permissions.into_iter().map(|one| all(vec![within.clone(), one]));
                let policy = Policy { permissions: permissions.collect(), ..policy };
                list.insert(names::layer_7(list.len()), policy);
            }
            before.push(own);
        }
        let rbac = |action, policies| Rbac { rules: Some(listing(action, policies)), ..Rbac::default() };
        let denying = (!denied.is_empty()).then(|| rbac(Listed::Deny, denied));
        (denying, rbac(Listed::Allow, allowed))
    }
}

fn anybody() -> Principal {
    Principal { identifier: Some(Identifier::Any(true)) }
}

fn policy_of(permission: Permission, principal: Principal) -> Policy {
    Policy { permissions: vec![permission], principals: vec![principal], ..Policy::default() }
}

/// The condition of a route.
fn of_match(own: RouteMatch) -> Permission {
    let mut conditions = Vec::new();
    if let Some(PathSpecifier::SafeRegex(path)) = own.path_specifier {
        let rule = Some(PathRule::Path(regex(path.regex)));
        conditions.push(of(Rule::UrlPath(PathMatcher { rule })));
    }
    conditions.extend(own.headers.into_iter().map(|header| of(Rule::Header(header))));
    all(conditions)
}

fn none_of(rules: Vec<Permission>) -> Permission {
    match rules.is_empty() {
        true => of(Rule::Any(true)),
        false => of(Rule::NotRule(Box::new(of(Rule::OrRules(Set { rules }))))),
    }
}

fn all(rules: Vec<Permission>) -> Permission {
    of(Rule::AndRules(Set { rules }))
}

fn of(rule: Rule) -> Permission {
    Permission { rule: Some(rule) }
}
