//! Tests of tokens and policies: bootstrap, the rules for their fields, what their holders see, and for how long.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use concord_model::entry::EntryKind;
use concord_model::intention::Action;
use concord_model::token::{ANONYMOUS_ACCESSOR, GLOBAL_MANAGEMENT, HIDDEN, reserved};
use concord_model::{Datacenter, Timestamp, Uuid};
use concord_raft::Storage;
use concord_rpc::request::{
    BootstrapAcl, CheckState, ChecksInState, DeletePolicy, DeleteToken, ExpandToken, InstanceSelection,
    ListEntries, ListInstances, ListIntentions, ListNodes, ListPolicies, ListServices, ListTokens, MatchBy,
    MatchIntentions, NodeChecks, NodeDump, PolicyChoice, ReadOwnToken, ReadPolicy, ReadToken, ResolveToken,
    ServiceChecks, ServiceHealth, ServiceInstances, SetPolicy, SetToken, TokenRecord,
};
use concord_rpc::{Head, Request, RpcError, ServerApiExt};
use concord_runtime::{Disk, MemoryDisk};
use concord_server::LocalApi;

use crate::world::{
    HOUR, NEW_YEAR, ROOT, SECOND, Setup, name, new_token, node, policy, register, target, with,
};

#[track_caller]
pub(crate) fn invalid<T: std::fmt::Debug>(answer: Result<T, RpcError>, part: &str) {
    match answer {
        Err(RpcError::Invalid(text) | RpcError::Conflict(text)) => assert!(text.contains(part), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn rejected<T: std::fmt::Debug>(answer: Result<T, RpcError>, expected: &str) {
    match answer {
        Err(RpcError::Rejected(text)) => assert_eq!(text, expected),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(crate) fn denied<T: std::fmt::Debug>(answer: Result<T, RpcError>) {
    assert!(matches!(answer, Err(RpcError::Denied(_))), "{answer:?}");
}

fn choice(name: &str) -> Vec<PolicyChoice> {
    vec![PolicyChoice::Name(name.to_owned())]
}

#[tokio::test(start_paused = true)]
async fn while_acls_are_off_there_is_nothing_to_manage() {
    let host = Setup::open().start().await;
    assert_eq!(host.ask(ListTokens::default()).await.map(|_| ()), Err(RpcError::AclDisabled));
    assert_eq!(host.ask(BootstrapAcl { secret: None }).await.map(|_| ()), Err(RpcError::AclDisabled));
    assert!(host.api.call(with("whoever"), ListNodes::default()).await.is_ok());
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_77_of_a_hundred_bootstraps_one_succeeds() {
    let setup = Setup { initial_management: false, ..Setup::guarded() };
    let host = setup.start().await;
    let race = || async {
        let callers: Vec<_> = (0..100)
            .map(|_| {
                let api = host.api.clone();
                tokio::spawn(async move { api.call(Head::default(), BootstrapAcl { secret: None }).await })
            })
            .collect();
        let mut won = Vec::new();
        for caller in callers {
            match caller.await.unwrap() {
                Ok(answer) => won.push(answer.value),
                Err(RpcError::Denied(text)) => {
                    assert!(
                        text.starts_with("Permission denied: ACL bootstrap no longer allowed (reset index: "),
                        "{text}"
                    );
                }
                Err(RpcError::Rejected(text)) => {
                    assert!(text.starts_with("Invalid bootstrap reset index (specified "), "{text}");
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        won
    };
    let won = race().await;
    assert_eq!(won.len(), 1);
    assert_eq!(won[0].policies[0].id, GLOBAL_MANAGEMENT);
    assert!(host.ask_as(&won[0].secret, ListTokens::default()).await.is_ok());
    assert!(race().await.is_empty());

    // Whoever can write to the data directory may bootstrap once more.
    let Err(RpcError::Denied(text)) = host.ask(BootstrapAcl { secret: None }).await.map(|_| ()) else {
        panic!("a third succeeded");
    };
    let index = text.trim_end_matches(')').rsplit(' ').next().unwrap().to_owned();
    let file = "acl-bootstrap-reset";
    setup.disk.write_atomic(file, b"1").unwrap();
    let wrong = format!("Invalid bootstrap reset index (specified 1, reset index: {index})");
    rejected(host.ask(BootstrapAcl { secret: None }).await.map(|_| ()), &wrong);
    setup.disk.write_atomic(file, format!("{index}\n").as_bytes()).unwrap();
    assert_eq!(race().await.len(), 1);
    assert!(!setup.disk.exists(file).unwrap(), "used up");
    setup.disk.write_atomic(file, index.as_bytes()).unwrap();
    assert!(race().await.is_empty(), "the same index does not work twice");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_77_a_cluster_with_a_management_token_is_bootstrapped_already() {
    let host = Setup::guarded().start().await;
    let refused = host.ask(BootstrapAcl { secret: None }).await.map(|_| ());
    let text = "Permission denied: ACL bootstrap no longer allowed (reset index: ";
    assert!(matches!(&refused, Err(RpcError::Denied(said)) if said.starts_with(text)), "{refused:?}");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_bootstrap_secret_may_be_chosen_and_must_be_a_uuid() {
    let host = Setup { initial_management: false, ..Setup::guarded() }.start().await;
    let ask = |secret: &str| host.ask(BootstrapAcl { secret: Some(secret.to_owned().into()) });
    invalid(ask("hunter2").await, "SecretID");
    invalid(ask("00000000-0000-0000-0000-000000000003").await, "reserved");
    assert_eq!(ask(ROOT).await.unwrap().value.secret, ROOT);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_management_token_is_made_once_and_survives_restarts() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let setup = Setup { storage: Storage::Disk, disk, ..Setup::guarded() };
    for _ in 0..3 {
        let host = setup.start().await;
        assert_eq!(host.ask_as(ROOT, ListTokens::default()).await.unwrap().len(), 2, "anonymous and it");
        assert_eq!(host.ask_as(ROOT, ReadOwnToken {}).await.unwrap().secret, ROOT);
        host.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_keep_the_rules_of_their_fields() {
    let host = Setup::guarded().start().await;
    let set = |token: SetToken| host.ask_as(ROOT, token);
    invalid(set(SetToken { new_accessor: Some(reserved(9)), ..new_token() }).await, "reserved");
    invalid(set(SetToken { secret: Some(reserved(9).to_string().into()), ..new_token() }).await, "reserved");
    invalid(set(SetToken { secret: Some("short".to_owned().into()), ..new_token() }).await, "UUID");
    invalid(set(SetToken { expires_after: Some(SECOND * 59), ..new_token() }).await, "1m0s");
    let at = Timestamp::from_secs(NEW_YEAR + 1_000_000);
    let both = SetToken { expires_after: Some(HOUR), expires_at: Some(at), ..new_token() };
    invalid(set(both).await, "cannot both be set");
    let unknown = SetToken { policies: choice("nobody"), ..new_token() };
    rejected(set(unknown).await, "No such ACL policy with name \"nobody\"");
    let unknown = SetToken { policies: vec![PolicyChoice::Id(Uuid([9; 16]))], ..new_token() };
    rejected(set(unknown).await, "No such ACL policy with ID \"09090909-0909-0909-0909-090909090909\"");

    let made = set(SetToken { description: "first".to_owned(), ..new_token() }).await.unwrap();
    let change = || SetToken { accessor: Some(made.accessor), ..new_token() };
    let other = Some("7b1ffb2e-5d2d-4a50-b1f8-95ad2e6c3a01".to_owned());
    let of = made.accessor;
    rejected(
        set(SetToken { secret: other.map(Into::into), ..change() }).await,
        "Changing a token's SecretID is not permitted",
    );
    rejected(set(SetToken { local: true, ..change() }).await, &format!("Cannot toggle local mode of {of}"));
    rejected(
        set(SetToken { expires_after: Some(HOUR), ..change() }).await,
        &format!("Cannot change expiration time of {of}"),
    );
    let changed = set(SetToken { description: "second".to_owned(), ..change() }).await.unwrap();
    assert_eq!((changed.secret.as_str(), changed.description.as_str()), (made.secret.as_str(), "second"));
    assert_ne!(changed.hash, made.hash);
    let same =
        SetToken { secret: Some(made.secret.clone().into()), description: "second".to_owned(), ..change() };
    assert_eq!(set(same).await.unwrap().stamp, changed.stamp);
    let missing = SetToken { accessor: Some(Uuid([9; 16])), ..new_token() };
    rejected(set(missing).await, "Cannot find token \"09090909-0909-0909-0909-090909090909\"");

    let delete = |accessor| host.ask_as(ROOT, DeleteToken { accessor });
    rejected(delete(ANONYMOUS_ACCESSOR).await, "Delete operation not permitted on the anonymous token");
    let own = host.ask_as(ROOT, ReadOwnToken {}).await.unwrap().accessor;
    rejected(delete(own).await, "Deletion of the request's authorization token is not permitted");
    delete(made.accessor).await.unwrap();
    let gone = RpcError::NotFound("Cannot find token to delete".to_owned());
    assert_eq!(delete(made.accessor).await, Err(gone));
    assert_eq!(host.ask_as(ROOT, ReadToken { accessor: made.accessor }).await.unwrap(), None);
    assert_eq!(host.ask_as(&made.secret, ListNodes::default()).await, Err(RpcError::TokenNotFound));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_accessor_or_secret_in_use_is_neither_for_another_token() {
    let host = Setup::guarded().start().await;
    let made = host.ask_as(ROOT, new_token()).await.unwrap();
    let secret = Uuid::parse(&made.secret).unwrap();
    for taken in [made.accessor, secret] {
        let accessor = SetToken { new_accessor: Some(taken), ..new_token() };
        rejected(host.ask_as(ROOT, accessor).await, "Invalid Token: AccessorID is already in use");
        let secret = SetToken { secret: Some(taken.to_string().into()), ..new_token() };
        rejected(host.ask_as(ROOT, secret).await, "Invalid Token: SecretID is already in use");
    }
    let free = SetToken {
        new_accessor: Some(Uuid([9; 16])),
        secret: Some(Uuid([8; 16]).to_string().into()),
        ..new_token()
    };
    assert_eq!(host.ask_as(ROOT, free).await.unwrap().accessor, Uuid([9; 16]));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_first_token_that_is_no_uuid_is_taken() {
    let host = Setup { management_secret: "root", ..Setup::guarded() }.start().await;
    assert_eq!(host.ask_as("root", ReadOwnToken {}).await.unwrap().secret, "root");
    assert!(host.ask_as("root", ListTokens::default()).await.is_ok());
    assert_eq!(host.ask_as("Root", ListTokens::default()).await, Err(RpcError::TokenNotFound));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_expanded_token_shows_what_decides() {
    let host = Setup::guarded().start().await;
    let made = host.token("one", r#"node "a" { policy = "read" }"#).await;
    let query = || ExpandToken { accessor: made.accessor };
    let all = host.ask_as(ROOT, query()).await.unwrap().unwrap();
    assert_eq!((&all.token, all.default_policy), (&made, Action::Deny));
    assert_eq!(all.resolved_by.as_str(), "n1");
    assert_eq!(all.policies.iter().map(|policy| policy.name.as_str()).collect::<Vec<_>>(), ["one"]);
    let reader = host.token("reader", r#"acl = "read""#).await;
    assert_eq!(host.ask_as(&reader.secret, query()).await.unwrap().unwrap().token.secret, HIDDEN);
    denied(host.ask_as(&made.secret, query()).await);
    // A deleted policy has no effect.
    host.ask_as(ROOT, DeletePolicy { id: made.policies[0].id }).await.unwrap();
    assert_eq!(host.ask_as(ROOT, query()).await.unwrap().unwrap().policies, []);
    assert_eq!(host.ask_as(ROOT, ExpandToken { accessor: Uuid([9; 16]) }).await.unwrap(), None);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn policies_keep_the_rules_of_their_fields() {
    let host = Setup::guarded().start().await;
    invalid(host.ask_as(ROOT, policy("bad name", "")).await, "Name");
    invalid(
        host.ask_as(ROOT, policy("bad-rules", r#"service "a" { policy = "own" }"#)).await,
        "Failed to parse ACL rules",
    );
    let made = host.ask_as(ROOT, policy("one", r#"node "a" { policy = "read" }"#)).await.unwrap();
    let taken = host.ask_as(ROOT, policy("one", "")).await;
    rejected(taken, "Invalid Policy: A Policy with Name \"one\" already exists");
    let other = host.ask_as(ROOT, policy("other", "")).await.unwrap();
    let taken = host.ask_as(ROOT, SetPolicy { id: Some(other.id), ..policy("one", "") }).await;
    rejected(taken, "Invalid Policy: A policy with name \"one\" already exists");
    host.ask_as(ROOT, DeletePolicy { id: other.id }).await.unwrap();
    let renamed = SetPolicy { id: Some(made.id), ..policy("two", "") };
    assert_eq!(host.ask_as(ROOT, renamed).await.unwrap().name, "two");
    let by = |which| ReadPolicy { which };
    assert_eq!(host.ask_as(ROOT, by(PolicyChoice::Name("one".to_owned()))).await.unwrap(), None);
    assert!(host.ask_as(ROOT, by(PolicyChoice::Id(made.id))).await.unwrap().is_some());
    let unknown = host.ask_as(ROOT, SetPolicy { id: Some(Uuid([9; 16])), ..policy("x", "") }).await;
    rejected(unknown, "cannot find policy 09090909-0909-0909-0909-090909090909");
    let builtin = SetPolicy { id: Some(GLOBAL_MANAGEMENT), ..policy("global-management", "") };
    let kept = "Changing the Rules for the builtin global-management policy is not permitted";
    rejected(host.ask_as(ROOT, builtin).await, kept);
    let kept = "Delete operation not permitted on the builtin global-management policy";
    rejected(host.ask_as(ROOT, DeletePolicy { id: GLOBAL_MANAGEMENT }).await, kept);
    host.ask_as(ROOT, DeletePolicy { id: made.id }).await.unwrap();
    let gone = RpcError::NotFound("Cannot find policy to delete".to_owned());
    assert_eq!(host.ask_as(ROOT, DeletePolicy { id: made.id }).await, Err(gone));
    assert_eq!(host.ask_as(ROOT, ListPolicies {}).await.unwrap().len(), 2);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_tokens_links_are_told_as_they_lead_now() {
    let host = Setup::guarded().start().await;
    let made = host.token("one", r#"node "a" { policy = "read" }"#).await;
    host.ask_as(ROOT, policy("two", "")).await.unwrap();
    let accessor = made.accessor;
    let both = [choice("one"), choice("two")].concat();
    let update = |policies| SetToken { accessor: Some(accessor), policies, ..new_token() };
    let both = host.ask_as(ROOT, update(both)).await.unwrap();
    let (one, two) = (both.policies[0].id, both.policies[1].id);
    let told = async || {
        let names = |token: &TokenRecord| -> Vec<String> {
            token.policies.iter().map(|link| link.name.clone()).collect()
        };
        let read = host.ask_as(ROOT, ReadToken { accessor }).await.unwrap().unwrap();
        let expanded = host.ask_as(ROOT, ExpandToken { accessor }).await.unwrap().unwrap().token;
        let listed = host.ask_as(ROOT, ListTokens::default()).await.unwrap();
        let listed = listed.iter().find(|token| token.accessor == accessor).unwrap();
        let own = host.ask_as(&made.secret, ReadOwnToken {}).await.unwrap();
        for other in [&expanded, listed, &own] {
            assert_eq!(names(other), names(&read));
        }
        names(&read)
    };
    assert_eq!(told().await, ["one", "two"]);
    let renamed = SetPolicy { id: Some(two), ..policy("deux", "") };
    host.ask_as(ROOT, renamed).await.unwrap();
    assert_eq!(told().await, ["one", "deux"]);
    host.ask_as(ROOT, DeletePolicy { id: one }).await.unwrap();
    assert_eq!(told().await, ["deux"]);
    // What was read can be written back; a deleted policy cannot be linked.
    let read = host.ask_as(ROOT, ReadToken { accessor }).await.unwrap().unwrap();
    let back = read.policies.iter().map(|link| PolicyChoice::Id(link.id)).collect();
    host.ask_as(ROOT, update(back)).await.unwrap();
    assert!(host.ask_as(ROOT, update(vec![PolicyChoice::Id(one)])).await.is_err());
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn secrets_are_shown_to_who_may_write_acls_only() {
    let host = Setup::guarded().start().await;
    let reader = host.token("reader", r#"acl = "read""#).await;
    let plain = host.token("plain", r#"node_prefix "" { policy = "read" }"#).await;
    let all = host.ask_as(&reader.secret, ListTokens::default()).await.unwrap();
    assert!(all.len() == 4 && all.iter().all(|token| token.secret == HIDDEN));
    let one = host.ask_as(&reader.secret, ReadToken { accessor: plain.accessor }).await.unwrap().unwrap();
    assert_eq!(one.secret, HIDDEN);
    let shown: BTreeSet<String> = host
        .ask_as(ROOT, ListTokens::default())
        .await
        .unwrap()
        .into_iter()
        .map(|token| token.secret)
        .collect();
    assert_eq!(shown, [ROOT, "anonymous", &reader.secret, &plain.secret].map(str::to_owned).into());
    denied(host.ask_as(&plain.secret, ListTokens::default()).await);
    denied(host.ask_as(&reader.secret, new_token()).await);
    denied(host.ask_as(&reader.secret, policy("x", "")).await);
    assert_eq!(host.ask_as(&plain.secret, ReadOwnToken {}).await.unwrap().secret, plain.secret);
    assert_eq!(host.ask_as(HIDDEN, ReadOwnToken {}).await, Err(RpcError::TokenNotFound));
    // The anonymous token counts as the caller's own only if it is named; a missing token is no token.
    let anonymous = host.ask_as("anonymous", ReadOwnToken {}).await.unwrap();
    assert_eq!(anonymous.accessor, ANONYMOUS_ACCESSOR);
    assert_eq!(host.ask(ReadOwnToken {}).await.map(|answer| answer.value), Err(RpcError::TokenNotFound));
    assert_eq!(host.ask_as("", ReadOwnToken {}).await, Err(RpcError::TokenNotFound));
    let resolved = host.ask_as(&plain.secret, ResolveToken {}).await.unwrap();
    assert_eq!((resolved.accessor, resolved.policies.len()), (plain.accessor, 1));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_may_not_see_is_left_out_and_said_so() {
    let host = Setup::guarded().start().await;
    host.ask_as(ROOT, register("a", "web")).await.unwrap();
    let token = host.token("a", r#"node "a" { policy = "read" }"#).await.secret;
    let answer = host.api.call(with(&token), ListNodes::default()).await.unwrap();
    assert_eq!((answer.value.len(), answer.filtered), (1, true));
    let answer = host.api.call(with(ROOT), ListNodes::default()).await.unwrap();
    assert_eq!((answer.value.len(), answer.filtered), (2, false));
    let answer = host.ask(ListNodes::default()).await.unwrap();
    assert_eq!((answer.value.len(), answer.filtered), (0, false), "who has no token is not told");
    assert_eq!(host.ask_as("unknown", ListNodes::default()).await, Err(RpcError::TokenNotFound));
    // The anonymous token has the rights it is given.
    host.ask_as(ROOT, policy("everybody", r#"node "a" { policy = "read" }"#)).await.unwrap();
    let anonymous =
        SetToken { accessor: Some(ANONYMOUS_ACCESSOR), policies: choice("everybody"), ..new_token() };
    let changed = host.ask_as(ROOT, anonymous).await.unwrap();
    assert_eq!(changed.secret, "anonymous", "what is no secret is not hidden");
    assert_eq!(host.ask(ListNodes::default()).await.unwrap().value.len(), 1);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_69_expired_and_foreign_tokens_are_refused() {
    let host = Setup::guarded().start().await;
    host.ask_as(ROOT, policy("nodes", r#"node_prefix "" { policy = "read" }"#)).await.unwrap();
    let short = SetToken { expires_after: Some(SECOND * 90), policies: choice("nodes"), ..new_token() };
    let short = host.ask_as(ROOT, short).await.unwrap();
    let local = SetToken { local: true, policies: choice("nodes"), ..new_token() };
    let local = host.ask_as(ROOT, local).await.unwrap();
    assert_eq!(host.ask_as(&short.secret, ListNodes::default()).await.unwrap().len(), 1);
    assert_eq!(host.ask_as(&local.secret, ListNodes::default()).await.unwrap().len(), 1);
    let elsewhere = Head { datacenter: Some(Datacenter::parse("dc2").unwrap()), ..with(&local.secret) };
    let answer = host.api.call(elsewhere, ListNodes::default()).await;
    assert_eq!(answer.map(|answer| answer.value), Err(RpcError::UnknownDatacenter));

    // A waiting read ends when its token expires, not at the end of its wait.
    let head = Head { min_index: u64::MAX - 1, ..with(&short.secret) };
    let seen = host.api.call(head, ListNodes::default()).await.unwrap().index;
    let head = Head { min_index: seen, wait: Some(SECOND * 600), ..with(&short.secret) };
    let begun = host.world.clock.now();
    let answer = host.api.call(head, ListNodes::default()).await;
    assert_eq!(answer.map(|answer| answer.value), Err(RpcError::TokenNotFound));
    assert!(host.world.clock.now() - begun <= SECOND * 90);
    assert_eq!(host.ask_as(&short.secret, ListNodes::default()).await, Err(RpcError::TokenNotFound));
    assert_eq!(host.ask_as(ROOT, ReadToken { accessor: short.accessor }).await.unwrap(), None);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn expired_tokens_are_removed_while_writes_go_on() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let setup = Setup { storage: Storage::Disk, disk, ..Setup::guarded() };
    let host = setup.start().await;
    let secret = "8b1ffb2e-5d2d-4a50-b1f8-95ad2e6c3a01";
    let short = || SetToken { expires_after: Some(SECOND * 60), ..new_token() };
    let made = SetToken { secret: Some(secret.to_owned().into()), ..short() };
    host.ask_as(ROOT, made).await.unwrap();
    // One write per second: the duties must not wait for a pause.
    for round in 0..120 {
        host.ask_as(ROOT, register(&format!("n{}", round % 5), "web")).await.unwrap();
        tokio::time::sleep(SECOND).await;
    }
    // A secret is free again only after its token was removed.
    host.ask_as(ROOT, SetToken { secret: Some(secret.to_owned().into()), ..short() }).await.unwrap();
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_146_no_token_is_removed_on_the_word_of_a_clock_that_was_set() {
    let right = || NEW_YEAR * 1_000_000_000;
    let clock = concord_runtime::SetClock::new(right());
    let host = Setup { clock: Arc::new(clock.clone()), ..Setup::guarded() }.start().await;
    let short = SetToken { expires_after: Some(HOUR * 72), policies: choice("nodes"), ..new_token() };
    host.ask_as(ROOT, policy("nodes", r#"node_prefix "" { policy = "read" }"#)).await.unwrap();
    let short = host.ask_as(ROOT, short).await.unwrap();
    let lists = || host.ask_as(&short.secret, ListNodes::default());
    tokio::time::sleep(SECOND * 60).await;
    assert!(lists().await.is_ok());
    // Ten years ahead for a while: the token is refused meanwhile, and works again when the clock is right.
    clock.set_wall_nanos(right() + 3650 * 86_400 * 1_000_000_000);
    tokio::time::sleep(SECOND * 300).await;
    assert!(lists().await.is_err());
    clock.set_wall_nanos(right() + 7_200 * 1_000_000_000);
    assert!(lists().await.is_ok(), "it was removed");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_28_a_revoked_token_ends_its_open_read() {
    let host = Setup::guarded().start().await;
    let rules = r#"service "api" { policy = "read" } node_prefix "" { policy = "read" }"#;
    let query = || MatchIntentions::of(MatchBy::Destination(target("api")));
    let open = |token: &str| {
        let (api, head) = (host.api.clone(), with(token));
        tokio::spawn(async move {
            let seen = api.call(head.clone(), query()).await?.index;
            let head = Head { min_index: seen, wait: Some(SECOND * 600), ..head };
            api.call(head, query()).await
        })
    };
    let deleted = host.token("deleted", rules).await;
    let waits = open(&deleted.secret);
    host.settle().await;
    host.ask_as(ROOT, DeleteToken { accessor: deleted.accessor }).await.unwrap();
    assert_eq!(waits.await.unwrap().map(|_| ()), Err(RpcError::TokenNotFound));

    let narrowed = host.token("narrowed", rules).await;
    let waits = open(&narrowed.secret);
    host.settle().await;
    let id = narrowed.policies[0].id;
    host.ask_as(ROOT, SetPolicy { id: Some(id), ..policy("narrowed", "") }).await.unwrap();
    assert!(matches!(waits.await.unwrap(), Err(RpcError::Denied(_))));

    let unlinked = host.token("unlinked", rules).await;
    let waits = open(&unlinked.secret);
    host.settle().await;
    host.ask_as(ROOT, SetToken { accessor: Some(unlinked.accessor), ..new_token() }).await.unwrap();
    assert!(matches!(waits.await.unwrap(), Err(RpcError::Denied(_))));

    let dangling = host.token("dangling", rules).await;
    let waits = open(&dangling.secret);
    host.settle().await;
    host.ask_as(ROOT, DeletePolicy { id: dangling.policies[0].id }).await.unwrap();
    assert!(matches!(waits.await.unwrap(), Err(RpcError::Denied(_))));

    // A change that does not concern the token does not end its wait.
    let kept = host.token("kept", rules).await;
    let waits = open(&kept.secret);
    host.settle().await;
    host.token("another", rules).await;
    host.settle().await;
    assert!(!waits.is_finished());
    assert_eq!(host.server.waiting(), 1);
    waits.abort();
    host.stop().await;
}

/// Waits for a list to change, for as long as a wait may be.
async fn wait_for<R: Request>(api: LocalApi, head: Head, list: R) -> Result<u64, RpcError> {
    let seen = api.call(head.clone(), list.clone()).await?.index;
    let head = Head { min_index: seen, wait: Some(SECOND * 600), ..head };
    let answer = api.call(head, list).await?;
    assert!(answer.index > seen, "{}: {} again", R::NAME, answer.index);
    Ok(answer.index)
}

#[tokio::test(start_paused = true)]
async fn n_70_an_open_list_ends_within_a_second_when_rights_change() {
    let host = Setup::guarded().start().await;
    host.ask_as(ROOT, register("a", "web")).await.unwrap();
    let wide = r#"service_prefix "" { policy = "read" } node_prefix "" { policy = "read" } acl = "read""#;
    let token = host.token("changing", wide).await;
    let select = || InstanceSelection::of(target("web"));
    let open = || {
        let (api, head) = (&host.api, with(&token.secret));
        let mut waits = tokio::task::JoinSet::new();
        waits.spawn(wait_for(api.clone(), head.clone(), ListNodes::default()));
        waits.spawn(wait_for(api.clone(), head.clone(), ListServices::default()));
        waits.spawn(wait_for(api.clone(), head.clone(), ListInstances::default()));
        waits.spawn(wait_for(api.clone(), head.clone(), ServiceInstances { select: select() }));
        waits.spawn(wait_for(api.clone(), head.clone(), ServiceHealth { select: select(), worst: None }));
        waits.spawn(wait_for(api.clone(), head.clone(), NodeDump::of(name("a"))));
        waits.spawn(wait_for(api.clone(), head.clone(), NodeChecks { node: name("a") }));
        let of_web = ServiceChecks { service: target("web"), node_meta: Default::default() };
        waits.spawn(wait_for(api.clone(), head.clone(), of_web));
        let any = ChecksInState { state: CheckState::Any, node_meta: Default::default() };
        waits.spawn(wait_for(api.clone(), head.clone(), any));
        waits.spawn(wait_for(api.clone(), head.clone(), ListIntentions {}));
        let entries = ListEntries { kind: EntryKind::ServiceIntentions };
        waits.spawn(wait_for(api.clone(), head.clone(), entries));
        // Which secrets are shown also depends on rights.
        waits.spawn(wait_for(api.clone(), head, ListTokens::default()));
        waits
    };
    let id = Some(token.policies[0].id);
    for rules in [r#"node "a" { policy = "read" } acl = "read""#, wide, r#"acl = "write""#, ""] {
        let waits = open();
        let all = waits.len();
        host.settle().await;
        assert_eq!(host.server.waiting(), all as u64);
        let changed = host.world.clock.now();
        host.ask_as(ROOT, SetPolicy { id, ..policy("changing", rules) }).await.unwrap();
        let ended = waits.join_all().await;
        assert!(host.world.clock.now() - changed < SECOND, "{rules:?}");
        let refused = ended.iter().filter(|end| matches!(end, Err(RpcError::Denied(_)))).count();
        // Only the list that needs one right is refused when this right is removed.
        assert_eq!(refused, usize::from(rules.is_empty()), "{rules:?}");
        assert_eq!(ended.iter().flatten().count(), all - refused, "{rules:?}");
    }
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_30_two_callers_of_one_query_see_each_their_own() {
    let host = Setup::guarded().start().await;
    host.ask_as(ROOT, register("a", "web")).await.unwrap();
    let rules =
        |node: &str| format!(r#"service "web" {{ policy = "read" }} node "{node}" {{ policy = "read" }}"#);
    let tokens = [host.token("a", &rules("a")).await.secret, host.token("b", &rules("b")).await.secret];
    let query = || ServiceInstances { select: InstanceSelection::of(target("web")) };
    let mut waits = Vec::new();
    for token in &tokens {
        let api = host.api.clone();
        let min_index = api.call(with(token), query()).await.unwrap().index;
        let head = Head { min_index, wait: Some(Duration::from_secs(300)), ..with(token) };
        waits.push(tokio::spawn(async move { api.call(head, query()).await }));
    }
    host.settle().await;
    assert_eq!(host.server.waiting(), 2);
    host.ask_as(ROOT, register("b", "web")).await.unwrap();
    for (wait, own) in waits.into_iter().zip(["a", "b"]) {
        let answer = wait.await.unwrap().unwrap();
        let nodes: Vec<_> = answer.value.iter().map(|on| on.node.name.as_str()).collect();
        assert_eq!((nodes, answer.filtered), (vec![own], true));
    }
    assert_eq!(node("a").name.as_str(), "a");
    host.stop().await;
}
