//! What must hold for all random requests and permissions.

use concord_mesh::intention::{DefaultPolicy, DefaultSource, Policy, Table};
use concord_mesh::request::{Received, Request, RequestBecause};
use concord_model::intention::{Action, Decision, ServiceIntentions};

use crate::made_request::permission;
pub(crate) use crate::made_request::{Sent, entries, names, settings};
use crate::random::{Random, action};
use crate::request_oracle;

fn default(action: Action) -> DefaultPolicy {
    DefaultPolicy { action, source: DefaultSource::AclDefault }
}

/// The seed of the test run, or that of `cargo xtask random`, and how many cases it is for.
#[allow(clippy::disallowed_methods, reason = "the seed is said in the environment")]
pub(crate) fn seed_and_cases() -> (u64, u32) {
    let seed = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|text| text.parse().ok());
    // That of `.cargo/config.toml`.
    let usual = 20_261_129;
    let seed = seed.unwrap_or(usual);
    (seed, if seed == usual { 50_000 } else { 200_000 })
}

#[test]
fn random_requests_are_decided_as_the_second_evaluator_decides_them() {
    let names = names();
    let (seed, wanted) = seed_and_cases();
    let mut random = Random::new(seed);
    let (mut cases, mut refused, mut allowed, mut by_permission, mut ambiguous) =
        (0u32, 0u32, 0u32, 0u32, 0u32);
    while cases < wanted {
        let entries = entries(&names, &mut random);
        let table = Table::compile(&entries);
        for _ in 0..200 {
            let (from, to) = (names.service(&mut random), names.service(&mut random));
            let policy = table.policy(&to);
            let (sent, settings) = (Sent::random(&mut random), settings(&mut random));
            let (tokens, action) = (sent.tokens(), action(&mut random));
            let received = sent.received(&tokens);
            let expected = request_oracle::decide(&entries, (&from, &to), received, &settings, action);
            cases += 1;
            match Request::read(received, &settings) {
                Err(refusal) => {
                    assert!(expected.refused, "{refusal} {sent:?} {settings:?}");
                    refused += 1;
                }
                Ok(request) => {
                    let verdict = policy.decide_request(&from, &request, default(action));
                    let context = format!("{verdict:?} {expected:?} {sent:?} {settings:?}");
                    assert!(!expected.refused, "{context}");
                    assert_eq!(verdict.allowed, expected.allowed, "{context}");
                    let permission = match &verdict.because {
                        RequestBecause::Permission { tried, .. } => Some(tried.permission),
                        _ => None,
                    };
                    assert_eq!(permission, expected.permission, "{context}");
                    let tried = policy.tried(&from, &request);
                    let deciding = tried.iter().find(|tried| tried.applies()).map(|tried| tried.permission);
                    assert_eq!(deciding, permission, "{context}");
                    allowed += u32::from(verdict.allowed);
                    by_permission += u32::from(permission.is_some());
                    ambiguous += u32::from(request.is_ambiguous());
                }
            }
        }
    }
    // All outcomes must be frequent, or the comparison would prove little.
    for (what, count) in [
        ("refused", refused),
        ("allowed", allowed),
        ("by permission", by_permission),
        ("ambiguous", ambiguous),
    ] {
        assert!(count > cases / 10 && count < cases * 9 / 10, "{count} of {cases} {what}");
    }
}

#[test]
fn more_permissions_move_the_verdict_only_towards_their_action() {
    let names = names();
    let mut random = Random::new(seed_and_cases().0 + 1);
    let mut flipped = [0, 0];
    for _ in 0..6_000 {
        let mut entries = entries(&names, &mut random);
        let (from, to) = (names.service(&mut random), names.service(&mut random));
        let (sent, settings) = (Sent::random(&mut random), settings(&mut random));
        let tokens = sent.tokens();
        let Ok(request) = Request::read(sent.received(&tokens), &settings) else { continue };
        let decide = |entries: &[ServiceIntentions], action| {
            Policy::compile(&to, entries).decide_request(&from, &request, default(action))
        };
        let before = [Action::Allow, Action::Deny].map(|action| decide(&entries, action).allowed);
        assert!(before[0] >= before[1], "a default that denies allows more");
        let added = permission(&mut random);
        let Some(rule) = decide(&entries, Action::Deny).rule().cloned() else { continue };
        for entry in entries.iter_mut().filter(|entry| entry.destination == rule.destination) {
            for source in entry.sources.iter_mut().filter(|own| own.source == rule.source) {
                if let Decision::Requests(list) = &mut source.decision {
                    let at = if random.one_in(2) { 0 } else { random.below(list.len() + 1) };
                    list.insert(at, added.clone());
                }
            }
        }
        let after = [Action::Allow, Action::Deny].map(|action| decide(&entries, action).allowed);
        for (before, after) in before.into_iter().zip(after) {
            match added.action {
                Action::Allow => assert!(after >= before, "an allow permission denied {sent:?}"),
                Action::Deny => assert!(after <= before, "a deny permission allowed {sent:?}"),
            }
            flipped[usize::from(added.action == Action::Allow)] += u32::from(before != after);
        }
    }
    assert!(flipped.iter().all(|count| *count > 20), "{flipped:?}");
}

#[test]
fn what_is_allowed_is_allowed_under_the_path_that_the_backend_is_sent() {
    let names = names();
    let mut random = Random::new(seed_and_cases().0 + 2);
    let mut compared = 0;
    for _ in 0..3_000 {
        let entries = entries(&names, &mut random);
        let (from, to) = (names.service(&mut random), names.service(&mut random));
        let (sent, settings) = (Sent::random(&mut random), settings(&mut random));
        let tokens = sent.tokens();
        let Ok(request) = Request::read(sent.received(&tokens), &settings) else { continue };
        if !request.path().starts_with('/') {
            continue;
        }
        let policy = Policy::compile(&to, &entries);
        let verdict = policy.decide_request(&from, &request, default(Action::Deny));
        let query = request.query().map(|query| format!("?{query}")).unwrap_or_default();
        let target = format!("{}{query}", request.path());
        let authority = request.authority();
        let again = Received { target: target.as_bytes(), authority, ..sent.received(&tokens) };
        let again = Request::read(again, &settings).unwrap();
        assert_eq!(again.path(), request.path(), "the canonical path is not canonical");
        assert_eq!(policy.decide_request(&from, &again, default(Action::Deny)), verdict);
        compared += 1;
    }
    assert!(compared > 1_000, "{compared}");
}
