//! Tokens and policies.

use concord_model::Timestamp;
use concord_model::token::{
    ANONYMOUS_ACCESSOR, GLOBAL_MANAGEMENT, GLOBAL_READ_ONLY, PolicyLink, Token, reserved,
};
use concord_state::builtin::{GLOBAL_MANAGEMENT_NAME, hash_secret};
use concord_state::command::{
    BootstrapAcl, DeletePolicy, DeleteTokens, EnsureBuiltins, ReapExpiredTokens, SetMode, SetPolicies,
    SetTokens,
};
use concord_state::reply::AclRefusal;
use concord_state::{CommandReply, Refusal};

use crate::samples::*;

const NOW: Timestamp = Timestamp::from_secs(100);

fn log() -> Log {
    let mut log = Log::new();
    log.changed(EnsureBuiltins::standard(Timestamp::EPOCH));
    log
}

fn create(token: Token) -> SetTokens {
    SetTokens { tokens: vec![token], mode: SetMode::Create }
}

fn update(token: Token) -> SetTokens {
    SetTokens { tokens: vec![token], mode: SetMode::Update }
}

#[track_caller]
fn acl_refusal(refusal: Refusal) -> AclRefusal {
    match refusal {
        Refusal::Acl(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_built_in_is_created_once_and_kept() {
    let mut log = log();
    log.unchanged(EnsureBuiltins::standard(NOW));
    let mut reader = log.store.view().read();
    assert_eq!(reader.policy_by_name(GLOBAL_MANAGEMENT_NAME).unwrap().id, GLOBAL_MANAGEMENT);
    assert!(reader.policy_by_id(GLOBAL_READ_ONLY).is_some());
    let anonymous = reader.token_by_secret_hash(&hash_secret("anonymous"), NOW).unwrap();
    assert_eq!(anonymous.accessor, ANONYMOUS_ACCESSOR);

    // The anonymous token can get policies, and keeps them when a new leader runs its duties.
    let link = PolicyLink { id: GLOBAL_READ_ONLY, name: String::new() };
    log.write(update(Token { policies: vec![link], ..Token::clone(&anonymous) }));
    log.unchanged(EnsureBuiltins::standard(NOW));
    let mut reader = log.store.view().read();
    assert_eq!(reader.token_by_accessor(ANONYMOUS_ACCESSOR, NOW).unwrap().policies.len(), 1);
}

#[test]
fn what_is_built_in_cannot_be_changed_or_removed() {
    let mut log = log();
    for id in [GLOBAL_MANAGEMENT, GLOBAL_READ_ONLY, reserved(99)] {
        assert_eq!(acl_refusal(log.refused(DeletePolicy { id })), AclRefusal::Reserved(id));
        for mode in [SetMode::Create, SetMode::Update, SetMode::Upsert] {
            let policies = vec![policy(id, "mine")];
            assert_eq!(acl_refusal(log.refused(SetPolicies { policies, mode })), AclRefusal::Reserved(id));
        }
    }
    let accessors = vec![ANONYMOUS_ACCESSOR];
    assert!(matches!(acl_refusal(log.refused(DeleteTokens { accessors })), AclRefusal::Reserved(_)));
    assert!(matches!(acl_refusal(log.refused(create(token(reserved(77), "s")))), AclRefusal::Reserved(_)));
    let policies = vec![policy(uuid(1), "x")];
    let refusal = log.refused(EnsureBuiltins { policies, tokens: vec![] });
    assert!(matches!(acl_refusal(refusal), AclRefusal::Reserved(_)));
}

#[test]
fn n_77_of_a_hundred_bootstraps_exactly_one_succeeds() {
    let mut log = log();
    let mut won = Vec::new();
    for caller in 0..100u8 {
        let token = token(uuid(caller + 1), &format!("secret {caller}"));
        match log.write(BootstrapAcl { token, allowed_reset_index: None }).reply {
            CommandReply::Bootstrapped { token, reset_index } => won.push((token.accessor, reset_index)),
            CommandReply::Refused(refusal) => {
                let reset_index = won[0].1;
                assert_eq!(acl_refusal(refusal), AclRefusal::BootstrapDone { reset_index });
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(won, [(uuid(1), 2)]);
    assert_eq!(log.store.view().read().acl_bootstrap().unwrap().reset_index, 2);
    // All but one caller changed nothing: only its token and the anonymous one exist.
    assert_eq!(log.store.view().read().tokens(NOW).len(), 2);
}

#[test]
fn n_77_a_reset_index_bootstraps_once_and_not_again() {
    let mut log = log();
    let mut attempt = |caller: u8, allowed_reset_index| {
        let token = token(uuid(caller), &format!("secret {caller}"));
        log.write(BootstrapAcl { token, allowed_reset_index }).reply.accepted()
    };
    assert!(attempt(1, None).is_ok());
    assert!(attempt(2, Some(1)).is_err());
    assert!(attempt(3, Some(2)).is_ok());
    let replayed = attempt(4, Some(2)).expect_err("a used reset index");
    assert_eq!(replayed.to_string(), "ACL bootstrap no longer allowed (reset index: 4)");
}

#[test]
fn accessors_and_secrets_are_unique() {
    let mut log = log();
    assert!(matches!(log.write(create(token(uuid(1), "one"))).reply, CommandReply::Tokens { .. }));
    assert_eq!(acl_refusal(log.refused(create(token(uuid(1), "two")))), AclRefusal::AccessorTaken(uuid(1)));
    assert_eq!(acl_refusal(log.refused(create(token(uuid(2), "one")))), AclRefusal::SecretTaken);
    assert_eq!(acl_refusal(log.refused(create(token(uuid(2), "anonymous")))), AclRefusal::SecretTaken);
    assert_eq!(acl_refusal(log.refused(update(token(uuid(1), "two")))), AclRefusal::SecretChanged(uuid(1)));
    assert_eq!(acl_refusal(log.refused(update(token(uuid(3), "three")))), AclRefusal::UnknownToken(uuid(3)));
    let both = SetTokens { tokens: vec![token(uuid(4), "x"), token(uuid(5), "x")], mode: SetMode::Upsert };
    assert_eq!(acl_refusal(log.refused(both)), AclRefusal::SecretTaken);
    assert!(log.store.view().read().token_by_accessor(uuid(4), NOW).is_none());
    // After a token was removed, its secret gives no rights and may be used again.
    log.changed(DeleteTokens { accessors: vec![uuid(1), uuid(9)] });
    assert!(log.store.view().read().token_by_secret_hash(&hash_secret("one"), NOW).is_none());
    assert!(matches!(log.write(create(token(uuid(2), "one"))).reply, CommandReply::Tokens { .. }));
}

#[test]
fn a_token_links_policies_that_exist() {
    let mut log = log();
    let known = policy(uuid(1), "known");
    let linked = Token { policies: vec![link(&known)], ..token(uuid(2), "s") };
    assert_eq!(acl_refusal(log.refused(create(linked.clone()))), AclRefusal::UnknownPolicy(uuid(1)));
    log.changed(SetPolicies { policies: vec![known], mode: SetMode::Create });
    assert!(matches!(log.write(create(linked)).reply, CommandReply::Tokens { .. }));
    log.changed(DeletePolicy { id: uuid(1) });
    log.unchanged(DeletePolicy { id: uuid(1) });
}

#[test]
fn policy_names_are_unique_and_can_be_changed() {
    let mut log = log();
    let set = |policy, mode| SetPolicies { policies: vec![policy], mode };
    log.changed(set(policy(uuid(1), "one"), SetMode::Create));
    let refusal = log.refused(set(policy(uuid(1), "two"), SetMode::Create));
    assert_eq!(acl_refusal(refusal), AclRefusal::PolicyIdTaken(uuid(1)));
    for name in ["one", GLOBAL_MANAGEMENT_NAME] {
        let refusal = log.refused(set(policy(uuid(2), name), SetMode::Upsert));
        assert_eq!(acl_refusal(refusal), AclRefusal::PolicyNameTaken(name.to_owned()));
    }
    let refusal = log.refused(set(policy(uuid(2), "two"), SetMode::Update));
    assert_eq!(acl_refusal(refusal), AclRefusal::UnknownPolicy(uuid(2)));
    log.changed(set(policy(uuid(1), "renamed"), SetMode::Update));
    let mut reader = log.store.view().read();
    assert!(reader.policy_by_name("one").is_none());
    assert_eq!(reader.policy_by_name("renamed").unwrap().id, uuid(1));
    assert_eq!(reader.policies().len(), 3);
}

#[test]
fn an_expired_token_is_not_there_and_its_answer_ends_with_it() {
    let mut log = log();
    let end = Timestamp::from_secs(50);
    log.write(create(Token { expires_at: Some(end), ..token(uuid(1), "s") }));
    let view = log.store.view();
    let mut reader = view.read();
    assert!(reader.token_by_secret_hash(&hash_secret("s"), Timestamp::from_secs(49)).is_some());
    assert_eq!(reader.finish().valid_until(), Some(end));
    let mut reader = view.read();
    assert!(reader.token_by_secret_hash(&hash_secret("s"), end).is_none());
    assert!(reader.token_by_accessor(uuid(1), end).is_none());
    assert_eq!(reader.tokens(end).len(), 1);
    assert_eq!(reader.finish().valid_until(), None);
}

#[test]
fn only_expired_tokens_are_reaped_by_the_logs_clock() {
    let mut log = log();
    for (accessor, end) in [(1, 10), (2, 20), (3, 30)] {
        let expires_at = Some(Timestamp::from_secs(end));
        log.write(create(Token { expires_at, ..token(uuid(accessor), &format!("s{accessor}")) }));
    }
    let mut reader = log.store.view().read();
    assert_eq!(reader.expired_tokens(Timestamp::from_secs(20), 10), [uuid(1), uuid(2)]);
    assert_eq!(reader.finish().valid_until(), Some(Timestamp::from_secs(30)));
    let accessors = vec![uuid(1), uuid(2), uuid(3), uuid(4)];
    log.now = Timestamp::from_secs(20);
    assert_eq!(
        log.write(ReapExpiredTokens { accessors: accessors.clone() }).reply,
        CommandReply::Reaped { count: 2 }
    );
    // A leader whose clock is behind does not turn time back.
    log.now = Timestamp::from_secs(5);
    assert_eq!(log.write(ReapExpiredTokens { accessors }).reply, CommandReply::Reaped { count: 0 });
    assert_eq!(log.store.view().at(), Timestamp::from_secs(20));
}
