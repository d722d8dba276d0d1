//! Intentions as rules of Envoy's RBAC filter.
//!
//! Of all intentions that cover a caller, the first in precedence decides. Envoy asks otherwise: whether any policy of
//! one action matches. So the list is of those callers about whom the default does not decide: where the default denies
//! it allows them, where the default allows it denies them. Each of its intentions excepts the callers whom an
//! intention before it leaves to the default's action.
//!
//! An intention that decides by request, or whose entry demands a token, denies: a connection shows neither.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concord_envoy_proto::envoy::config::rbac::v3::permission::Rule;
use concord_envoy_proto::envoy::config::rbac::v3::principal::{Authenticated, Identifier, Set};
use concord_envoy_proto::envoy::config::rbac::v3::rbac::Action as Listed;
use concord_envoy_proto::envoy::config::rbac::v3::{Permission, Policy, Principal, Rbac};
use concord_mesh::intention::Intention;
use concord_model::intention::{Action, Destination, Source, precedence};
use concord_model::{Namespace, Partition, Pattern, ServiceName, TrustDomain};
use concord_proxycfg::IntentionSection;

use super::tls::regex;
use crate::names;

/// The rules of a service for connections.
pub(super) fn rules(section: &IntentionSection, trust_domain: &TrustDomain) -> Rbac {
    let default = if section.default.action.allows() && demanded(section).is_none() {
        Action::Allow
    } else {
        Action::Deny
    };
    let decided = decided(section);
    let principals: Vec<_> = (0..decided.len())
        .filter(|at| decided[*at].1 != default)
        .map(|at| principal(&decided, at, default, trust_domain))
        .collect();
    let mut policies = BTreeMap::new();
    if !principals.is_empty() {
        let permissions = vec![Permission { rule: Some(Rule::Any(true)) }];
        policies.insert(names::LAYER_4.to_owned(), Policy { permissions, principals, ..Policy::default() });
    }
    let action = if default.allows() { Listed::Deny } else { Listed::Allow };
    Rbac { action: action.into(), policies }
}

/// The intentions by precedence, each with what it means for a connection. Of those with the same source, the first
/// decides. Callers of peered clusters have certificates of another trust domain, and do not get this far.
fn decided(section: &IntentionSection) -> Vec<(Source, Action)> {
    let demanded = demanded(section);
    let decide = |rule: Arc<Intention>| {
        let demands = demanded.is_some_and(|least| least >= exactness(&rule.destination));
        let allows = rule.connection() == Some(Action::Allow) && !demands;
        (rule.source.clone(), if allows { Action::Allow } else { Action::Deny })
    };
    first_of_each(section).map(decide).collect()
}

/// The intentions by precedence, the first of each source.
pub(super) fn first_of_each(section: &IntentionSection) -> impl Iterator<Item = Arc<Intention>> {
    let mut seen = BTreeSet::new();
    let rules = section.policy().rules().into_iter();
    rules.filter(move |rule| rule.source.peer.is_none() && seen.insert(key(&rule.source)))
}

/// The exactness of the most exact entry that demands a token: it demands one of all callers about whom no more exact
/// entry decides.
fn demanded(section: &IntentionSection) -> Option<u8> {
    section
        .entries
        .iter()
        .filter(|entry| entry.jwt.is_some())
        .map(|entry| exactness(&entry.destination))
        .max()
}

pub(super) fn exactness(destination: &Destination) -> u8 {
    let exact = Source {
        partition: Partition::default(),
        namespace: Pattern::Exact(Namespace::default()),
        peer: None,
        name: Pattern::Any,
    };
    precedence(destination, &exact)
}

fn key(source: &Source) -> (Partition, Option<Namespace>, Option<ServiceName>) {
    (source.partition.clone(), source.namespace.exact().cloned(), source.name.exact().cloned())
}

/// The callers of one intention, but for those about whom an earlier one decides otherwise.
fn principal(
    decided: &[(Source, Action)],
    at: usize,
    default: Action,
    trust_domain: &TrustDomain,
) -> Principal {
    let before = decided[..at].iter().filter(|(_, action)| *action == default);
    callers_but(&decided[at].0, before.map(|(source, _)| source), trust_domain)
}

/// The callers of one intention, but for those of others.
pub(super) fn callers_but<'a>(
    own: &Source,
    others: impl Iterator<Item = &'a Source>,
    trust_domain: &TrustDomain,
) -> Principal {
    let others = others.filter(|other| overlap(other, own));
    let not = |other: &Source| of(Identifier::NotId(Box::new(callers(other, trust_domain))));
    let mut ids = vec![callers(own, trust_domain)];
    ids.extend(others.map(not));
    match ids.len() {
        1 => ids.remove(0),
        _ => of(Identifier::AndIds(Set { ids })),
    }
}

/// All callers but those of these intentions.
pub(super) fn others<'a>(
    excepted: impl Iterator<Item = &'a Source>,
    trust_domain: &TrustDomain,
) -> Principal {
    let excepted: Vec<_> = excepted.map(|own| callers(own, trust_domain)).collect();
    match excepted.len() {
        0 => of(Identifier::Any(true)),
        _ => of(Identifier::NotId(Box::new(of(Identifier::OrIds(Set { ids: excepted }))))),
    }
}

/// Whether a caller can be both. They are of one cluster.
fn overlap(one: &Source, other: &Source) -> bool {
    one.partition == other.partition && meet(&one.namespace, &other.namespace) && meet(&one.name, &other.name)
}

fn meet<T: PartialEq>(one: &Pattern<T>, other: &Pattern<T>) -> bool {
    match (one, other) {
        (Pattern::Exact(one), Pattern::Exact(other)) => one == other,
        (Pattern::Any, _) | (_, Pattern::Any) => true,
    }
}

/// The identities of the callers. The datacenter never matters.
fn callers(source: &Source, trust_domain: &TrustDomain) -> Principal {
    const ANY: &str = "[^/]+";
    let partition = if source.partition.is_default() {
        String::new()
    } else {
        format!("/ap/{}", names::quoted(source.partition.as_str()))
    };
    let namespace =
        source.namespace.exact().map_or_else(|| ANY.to_owned(), |own| names::quoted(own.as_str()));
    let name = source.name.exact().map_or_else(|| ANY.to_owned(), |own| names::quoted(own.as_str()));
    let domain = names::quoted(trust_domain.as_str());
    let pattern = format!("^spiffe://{domain}{partition}/ns/{namespace}/dc/{ANY}/svc/{name}$");
    of(Identifier::Authenticated(Authenticated { principal_name: Some(regex(pattern)) }))
}

fn of(identifier: Identifier) -> Principal {
    Principal { identifier: Some(identifier) }
}
