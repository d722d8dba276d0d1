//! The rules that Envoy gets say of every caller what the decision function says.

use concord_envoy_proto::envoy::config::listener::v3::{Listener, filter::ConfigType};
use concord_envoy_proto::envoy::config::rbac::v3::principal::Identifier;
use concord_envoy_proto::envoy::config::rbac::v3::rbac::Action as Listed;
use concord_envoy_proto::envoy::config::rbac::v3::{Principal, Rbac};
use concord_envoy_proto::envoy::extensions::filters::network::rbac::v3::Rbac as Filter;
use concord_envoy_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use concord_mesh::intention::Policy;
use concord_model::intention::{Action, Decision, JwtRequirement, Permission, ServiceIntentions};
use concord_model::{Namespace, ServiceIdentity, ServiceName};
use concord_xds::{ResourceType, sidecar};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use regex::Regex;

use crate::world;
use crate::world::{NEWEST, dc, default, domain, entry, message, service, snapshot, source, unpacked};

/// The rules of `web`'s public listener.
fn rules(entries: &[ServiceIntentions], action: Action) -> Rbac {
    let snapshot = snapshot(world::sidecar(vec![]), entries.to_vec(), action, vec![]);
    let built = sidecar(&snapshot, NEWEST).unwrap();
    let listener: Listener =
        message(&built.resources, ResourceType::Listener, "public_listener:0.0.0.0:21000");
    let first = &listener.filter_chains[0].filters[0];
    assert_eq!(first.name, "envoy.filters.network.rbac", "nothing comes before the intentions");
    let Some(ConfigType::TypedConfig(config)) = &first.config_type else { panic!("no configuration") };
    unpacked::<Filter>(config).rules.expect("a filter without rules would let everything pass")
}

/// What Envoy's filter does, as its documentation has it.
fn envoy_allows(rules: &Rbac, identity: &str) -> bool {
    let matches = rules.policies.values().any(|policy| policy.principals.iter().any(|one| is(one, identity)));
    match rules.action() {
        Listed::Allow => matches,
        Listed::Deny => !matches,
        Listed::Log => panic!("a log decides nothing"),
    }
}

pub(crate) fn is(principal: &Principal, identity: &str) -> bool {
    match principal.identifier.as_ref().unwrap() {
        Identifier::AndIds(set) => set.ids.iter().all(|one| is(one, identity)),
        Identifier::OrIds(set) => set.ids.iter().any(|one| is(one, identity)),
        Identifier::NotId(one) => !is(one, identity),
        Identifier::Authenticated(who) => {
            match who.principal_name.as_ref().unwrap().match_pattern.as_ref().unwrap() {
                MatchPattern::SafeRegex(pattern) => {
                    Regex::new(&format!("^(?:{})$", pattern.regex)).unwrap().is_match(identity)
                }
                other => panic!("{other:?}"),
            }
        }
        Identifier::Any(any) => *any,
        other => panic!("{other:?}"),
    }
}

fn caller(namespace: &str, name: &str) -> ServiceIdentity {
    let (namespace, name) = (Namespace::parse(namespace).unwrap(), ServiceName::parse(name).unwrap());
    ServiceIdentity::try_new(domain(), <_>::default(), namespace, dc("dc2"), name).unwrap()
}

#[track_caller]
fn check(entries: &[ServiceIntentions], action: Action) {
    let policy = Policy::compile(&service("web"), entries);
    let rules = rules(entries, action);
    for namespace in ["default", "team", "other"] {
        for name in ["a", "b", "a.b", "axb", "web", "nobody"] {
            let caller = caller(namespace, name);
            let expected = policy.decide(&caller.service_ref(), default(action)).allowed;
            assert_eq!(
                envoy_allows(&rules, &caller.to_string()),
                expected,
                "{caller}, default {action}, {entries:#?}"
            );
        }
    }
}

const ALLOW: Decision = Decision::Connection(Action::Allow);
const DENY: Decision = Decision::Connection(Action::Deny);

#[test]
fn n_260_without_intentions_the_default_decides() {
    assert_eq!(rules(&[], Action::Deny).action(), Listed::Allow);
    assert_eq!(rules(&[], Action::Allow).action(), Listed::Deny);
    for action in [Action::Allow, Action::Deny] {
        assert!(rules(&[], action).policies.is_empty());
        check(&[], action);
    }
}

#[test]
fn n_261_a_more_exact_denial_stands_before_a_wildcard() {
    let entries = [entry("web", vec![(source("a"), DENY), (source("*"), ALLOW)])];
    check(&entries, Action::Deny);
    check(&entries, Action::Allow);
    let entries = [entry("web", vec![(source("*"), DENY)]), entry("*", vec![(source("a"), ALLOW)])];
    check(&entries, Action::Deny);
    check(&entries, Action::Allow);
}

#[test]
fn a_dot_in_a_name_is_a_dot() {
    check(&[entry("web", vec![(source("a.b"), ALLOW)])], Action::Deny);
}

#[test]
fn n_262_what_a_connection_does_not_show_is_not_allowed() {
    let requests = Decision::Requests(vec![Permission { action: Action::Allow, http: None, jwt: None }]);
    check(&[entry("web", vec![(source("a"), requests)])], Action::Allow);
    let demanding = ServiceIntentions {
        jwt: Some(JwtRequirement { providers: vec![] }),
        ..entry("*", vec![(source("a"), ALLOW)])
    };
    let exact = entry("web", vec![(source("b"), ALLOW)]);
    check(&[demanding.clone(), exact], Action::Allow);
    check(&[demanding], Action::Deny);
}

#[test]
fn random_intentions_mean_the_same_to_envoy() {
    let from = prop::sample::select(vec!["a", "b", "a.b", "*", "team/a", "team/*", "*/*", "nobody"]);
    let decision = prop_oneof![
        3 => Just(ALLOW),
        3 => Just(DENY),
        1 => Just(Decision::Requests(vec![Permission { action: Action::Allow, http: None, jwt: None }])),
    ];
    let sources = prop::collection::vec((from.prop_map(source), decision), 0..5);
    let one = (prop::sample::select(vec!["web", "*", "*/*", "other"]), sources, prop::bool::weighted(0.15));
    let entries = prop::collection::vec(one, 0..4).prop_map(|entries| {
        let mut seen = std::collections::BTreeSet::new();
        let mut built = Vec::new();
        for (to, sources, demands) in entries {
            if seen.insert(to) {
                let jwt = demands.then(|| JwtRequirement { providers: vec![] });
                built.push(ServiceIntentions { jwt, ..entry(to, sources) });
            }
        }
        built
    });
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 500, failure_persistence: None, ..Config::default() },
        TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
    );
    let cases = (entries, prop::bool::ANY);
    runner
        .run(&cases, |(entries, allow)| {
            check(&entries, if allow { Action::Allow } else { Action::Deny });
            Ok(())
        })
        .unwrap();
}
