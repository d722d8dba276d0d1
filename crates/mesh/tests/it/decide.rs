//! Tests of the decision: against the oracle, and case by case.

use concord_mesh::intention::{Because, DefaultPolicy, DefaultSource, Policy, Table};
use concord_model::intention::{Action, Decision, Destination, LegacyFields, ServiceIntentions, Source};
use concord_model::{Namespace, Partition, Pattern, PeerName, ServiceName, ServiceRef, Timestamp, Uuid};

use crate::oracle;
use crate::random::{Names, Random, action, entry, intention, requirement};

const DENY: DefaultPolicy = DefaultPolicy { action: Action::Deny, source: DefaultSource::AclDefault };
const ALLOW: DefaultPolicy =
    DefaultPolicy { action: Action::Allow, source: DefaultSource::DefaultIntentionPolicy };

/// `[partition/]namespace/name`; the partition only if it is not the default one.
fn parts(text: &str) -> (Partition, Pattern<Namespace>, Pattern<ServiceName>) {
    let parts: Vec<&str> = text.split('/').collect();
    let (partition, namespace, name) = match parts[..] {
        [name] => ("default", "default", name),
        [namespace, name] => ("default", namespace, name),
        [partition, namespace, name] => (partition, namespace, name),
        _ => panic!("too many slashes in {text}"),
    };
    (Partition::parse(partition).unwrap(), Pattern::parse(namespace).unwrap(), Pattern::parse(name).unwrap())
}

fn to(text: &str) -> Destination {
    let (partition, namespace, name) = parts(text);
    Destination { partition, namespace, name }
}

fn from(text: &str) -> Source {
    let (peer, text) = match text.strip_prefix("peer:").and_then(|rest| rest.split_once('/')) {
        Some((peer, rest)) => (Some(PeerName::parse(peer).unwrap()), rest),
        None => (None, text),
    };
    let (partition, namespace, name) = parts(text);
    Source { partition, namespace, peer, name }
}

fn service(text: &str) -> ServiceRef {
    let Source { partition, namespace, peer, name } = from(text);
    let (Pattern::Exact(namespace), Pattern::Exact(name)) = (namespace, name) else { panic!("a pattern") };
    ServiceRef { partition, namespace, peer, name }
}

/// Lines of `source => destination action`, action being `allow`, `deny` or `requests`.
fn mesh(text: &str) -> Vec<ServiceIntentions> {
    let mut entries: Vec<ServiceIntentions> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (source, rest) = line.split_once(" => ").unwrap();
        let (destination, what) = rest.split_once(' ').unwrap();
        let decision = match what {
            "requests" => Decision::Requests(vec![]),
            action => Decision::Connection(Action::parse(action).unwrap()),
        };
        let destination = to(destination);
        let one = intention(from(source), decision);
        match entries.iter_mut().find(|entry| entry.destination == destination) {
            Some(entry) => entry.sources.push(one),
            None => entries.push(entry(destination, vec![one])),
        }
    }
    entries
}

#[track_caller]
fn check(text: &str, source: &str, destination: &str, default: DefaultPolicy, expected: &str) {
    let entries = mesh(text);
    let (source, destination) = (service(source), service(destination));
    let verdict = Table::compile(&entries).decide(&source, &destination, default);
    assert_eq!(Policy::compile(&destination, &entries).decide(&source, default), verdict);
    let word = if verdict.allowed { "allowed" } else { "denied" };
    assert_eq!(format!("{word}: {}", verdict.reason()), expected);
}

#[test]
fn a_million_random_decisions_agree_with_a_linear_scan() {
    let names = Names::wide();
    let mut random = Random::new(1);
    let (mut cases, mut by_rule, mut allowed) = (0u32, 0u32, 0u32);
    while cases < 1_000_000 {
        let (count, sources) = (1 + random.below(30), 1 + random.below(16));
        let entries = names.entries(&mut random, count, sources);
        let table = Table::compile(&entries);
        for _ in 0..25 {
            let destination = names.callee(&mut random);
            let policy = Policy::compile(&destination, &entries);
            for _ in 0..20 {
                let source = names.service(&mut random);
                let default =
                    DefaultPolicy { action: action(&mut random), source: DefaultSource::AclDefault };
                let expected = oracle::decide(&entries, &source, &destination, default.action);
                let verdict = policy.decide(&source, default);
                assert_eq!(verdict, table.decide(&source, &destination, default));
                assert_eq!(verdict.allowed, expected.allowed, "{source:?} {destination:?} {entries:#?}");
                let rule = expected.by.map(|(e, s)| (&entries[e].destination, &entries[e].sources[s].source));
                assert_eq!(verdict.rule().map(|rule| (&rule.destination, &rule.source)), rule);
                cases += 1;
                by_rule += u32::from(rule.is_some());
                allowed += u32::from(verdict.allowed);
            }
        }
    }
    // Both outcomes must be frequent, or the comparison would prove little.
    assert!(by_rule > cases / 10 && by_rule < cases * 9 / 10, "{by_rule} of {cases} by a rule");
    assert!(allowed > cases / 10 && allowed < cases * 9 / 10, "{allowed} of {cases} allowed");
}

#[test]
fn lists_and_matches_agree_with_a_linear_scan() {
    let names = Names::wide();
    for seed in 0..500 {
        let mut random = Random::new(1000 + seed);
        let entries = names.entries(&mut random, 8, 6);
        let table = Table::compile(&entries);
        for _ in 0..20 {
            let (source, destination) = (names.service(&mut random), names.service(&mut random));
            let expected: Vec<_> = oracle::covering(&entries, &source, &destination)
                .into_iter()
                .map(|(e, s)| (entries[e].destination.clone(), entries[e].sources[s].source.clone()))
                .collect();
            let pair =
                |rule: &concord_mesh::intention::Intention| (rule.destination.clone(), rule.source.clone());
            let covering = table.policy(&destination).covering(&source);
            assert_eq!(covering.iter().map(|rule| pair(rule)).collect::<Vec<_>>(), expected);
            let by_destination = table.matching_destination(&destination);
            let both = by_destination.iter().filter(|rule| rule.source.covers(&source));
            assert_eq!(both.map(|rule| pair(rule)).collect::<Vec<_>>(), expected);
            let by_source = table.matching_source(&source);
            let both = by_source.iter().filter(|rule| rule.destination.covers(&destination));
            assert_eq!(both.map(|rule| pair(rule)).collect::<Vec<_>>(), expected);
        }
        let list = table.list();
        assert_eq!(list.len(), entries.iter().map(|entry| entry.sources.len()).sum::<usize>());
        assert!(list.windows(2).all(|two| two[0].order(&two[1]).is_lt()));
        for rule in list {
            assert_eq!(table.exact(&rule.source, &rule.destination), Some(&rule));
        }
    }
}

#[test]
fn an_exact_pair_is_decided_by_its_intention() {
    let text = "web => api allow";
    check(
        text,
        "web",
        "api",
        DENY,
        "allowed: Matched L4 intention: default/web => default/api (Precedence: 9, Action: ALLOW)",
    );
    check(text, "web", "db", DENY, "denied: Default behavior configured by ACLs");
    check(text, "api", "web", DENY, "denied: Default behavior configured by ACLs");
    check(text, "api", "web", ALLOW, "allowed: Default intention policy");
}

#[test]
fn the_destination_counts_before_the_source() {
    check(
        "* => api deny\nweb => * allow",
        "web",
        "api",
        DENY,
        "denied: Matched L4 intention: default/* => default/api (Precedence: 8, Action: DENY)",
    );
    check(
        "* => * deny\nweb => * allow",
        "web",
        "api",
        DENY,
        "allowed: Matched L4 intention: default/web => default/* (Precedence: 6, Action: ALLOW)",
    );
    check(
        "*/* => */* allow\n* => */* deny",
        "web",
        "api",
        ALLOW,
        "denied: Matched L4 intention: default/* => */* (Precedence: 2, Action: DENY)",
    );
}

#[test]
fn an_intention_about_requests_refuses_the_connection() {
    check(
        "web => api requests\n* => api allow",
        "web",
        "api",
        ALLOW,
        "denied: Matched L7 intention: default/web => default/api (Precedence: 9, Permissions: 0)",
    );
}

#[test]
fn a_demanded_token_is_not_waived_for_a_connection() {
    let mut entries = mesh("web => api allow\ndb => api deny");
    let decide = |entries: &[ServiceIntentions], source| {
        Policy::compile(&service("api"), entries).decide(&service(source), ALLOW)
    };
    assert!(decide(&entries, "web").allowed);
    entries[0].jwt = Some(requirement());
    let verdict = decide(&entries, "web");
    assert!(!verdict.allowed);
    assert!(matches!(verdict.because, Because::Requests { .. }));
    assert!(matches!(decide(&entries, "db").because, Because::Connection { .. }));
}

#[test]
fn n_244_a_demanded_token_is_waived_for_nobody() {
    let mut entries = mesh("web => api allow\n* => * allow");
    let decide = |entries: &[ServiceIntentions], source, default| {
        let (from, to) = (service(source), service("api"));
        let verdict = Policy::compile(&to, entries).decide(&from, default);
        assert_eq!(Table::compile(entries).decide(&from, &to, default), verdict);
        verdict
    };
    assert!(decide(&entries, "db", DENY).allowed);
    entries[0].jwt = Some(requirement());
    // An entry about all destinations is less exact than the one that demands the token,
    let verdict = decide(&entries, "db", ALLOW);
    assert_eq!(verdict.reason(), "The destination's entry demands a token");
    assert!(matches!(verdict.because, Because::TokenDemanded { rule: Some(_) }));
    // and so is the default.
    let own = &entries[..1];
    assert!(matches!(decide(own, "db", ALLOW).because, Because::TokenDemanded { rule: None }));
    assert!(matches!(decide(own, "db", DENY).because, Because::Default(_)), "it is denied without a token");
    // A less exact entry demands nothing where a more exact one decides.
    entries[0].jwt = None;
    entries[1].jwt = Some(requirement());
    assert!(decide(&entries, "web", DENY).allowed);
    assert!(!decide(&entries, "db", ALLOW).allowed);
}

#[test]
fn components_are_part_of_the_key() {
    let denied = "denied: Default behavior configured by ACLs";
    check("web => api allow", "team/web", "api", DENY, denied);
    check("web => api allow", "eu/default/web", "api", DENY, denied);
    check("web => api allow", "peer:east/web", "api", DENY, denied);
    check("peer:east/web => api allow", "web", "api", DENY, denied);
    check("peer:east/* => api allow", "peer:west/web", "api", DENY, denied);
    check("*/* => api allow", "eu/default/web", "api", DENY, denied);
    check("web => */* allow", "web", "eu/default/api", DENY, denied);
    check("web => api allow", "web", "peer:east/api", DENY, denied);
    check(
        "peer:east/* => eu/team/api allow",
        "peer:east/web",
        "eu/team/api",
        DENY,
        "allowed: Matched L4 intention: peer(east)/default/* => eu/team/api (Precedence: 8, Action: ALLOW)",
    );
}

#[test]
fn n_82b_a_name_is_no_regular_expression() {
    let denied = "denied: Default behavior configured by ACLs";
    check("web.v1 => api allow", "webxv1", "api", DENY, denied);
    check("a+b => api allow", "aab", "api", DENY, denied);
    check("a(b => api allow", "ab", "api", DENY, denied);
    check("Web => api allow", "web", "api", DENY, denied);
    check(
        "a(b => api allow",
        "a(b",
        "api",
        DENY,
        "allowed: Matched L4 intention: default/a(b => default/api (Precedence: 9, Action: ALLOW)",
    );
}

#[test]
fn the_id_of_the_older_api_is_told() {
    let mut entries = mesh("web => api deny");
    let id = Uuid::parse("8f246b77-f3e1-ff88-5b48-8ec93abf3e05").unwrap();
    entries[0].sources[0].legacy = Some(LegacyFields {
        id,
        meta: [].into(),
        create_time: Timestamp::EPOCH,
        update_time: Timestamp::EPOCH,
    });
    let verdict = Policy::compile(&service("api"), &entries).decide(&service("web"), DENY);
    assert_eq!(
        verdict.reason(),
        "Matched L4 intention: default/web => default/api (ID: 8f246b77-f3e1-ff88-5b48-8ec93abf3e05, Precedence: 9, Action: DENY)"
    );
}

#[test]
fn a_table_follows_its_entries() {
    let entries = mesh("web => api deny");
    let mut table = Table::compile(&entries);
    assert!(!table.decide(&service("web"), &service("api"), ALLOW).allowed);
    let before = table.clone();
    table.set(&mesh("web => api allow")[0]);
    assert!(table.decide(&service("web"), &service("api"), DENY).allowed);
    assert!(!before.decide(&service("web"), &service("api"), ALLOW).allowed);
    assert!(table.remove(&to("api")) && !table.remove(&to("api")));
    assert!(table.is_empty());
    assert!(matches!(table.decide(&service("web"), &service("api"), DENY).because, Because::Default(_)));
}

#[test]
fn the_default_is_the_mesh_s_own_before_that_of_acls() {
    let own = DefaultPolicy::resolve(Some(Action::Deny), Action::Allow);
    assert_eq!(own, DefaultPolicy { action: Action::Deny, source: DefaultSource::DefaultIntentionPolicy });
    assert_eq!(
        DefaultPolicy::resolve(None, Action::Allow),
        DefaultPolicy { action: Action::Allow, source: DefaultSource::AclDefault }
    );
}

#[test]
fn a_verdict_survives_its_wire_form() {
    let verdict = Policy::compile(&service("api"), &mesh("web => api deny")).decide(&service("web"), DENY);
    let text = serde_json::to_string(&verdict).unwrap();
    assert_eq!(serde_json::from_str::<concord_mesh::intention::Verdict>(&text).unwrap(), verdict);
}
