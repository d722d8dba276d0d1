//! Stores tokens and policies.
//!
//! Checks what concurrent commands can break: accessors, secrets, policy names and policy ids are unique, linked
//! policies exist, and bootstrap happens once. Only the command for built-in records can create or remove records
//! with reserved ids.

use std::sync::Arc;

use concord_model::Uuid;
use concord_model::token::{AclPolicy, Token, is_reserved};

use super::outcome::done;
use crate::apply::stamp::renewed;
use crate::command::{
    BootstrapAcl, DeletePolicy, DeleteTokens, EnsureBuiltins, ReapExpiredTokens, SetMode, SetPolicies,
    SetTokens,
};
use crate::derive::acl as rows;
use crate::keys;
use crate::reply::{AclRefusal, CommandReply, Refusal};
use crate::row::AclBootstrap;
use crate::table::Commit;
use crate::tables::Tables;

pub(super) fn bootstrap(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &BootstrapAcl,
) -> Result<CommandReply, Refusal> {
    if let Some(done) = tables.acl_bootstrap.get(&keys::only())
        && command.allowed_reset_index != Some(done.reset_index)
    {
        return Err(AclRefusal::BootstrapDone { reset_index: done.reset_index }.into());
    }
    let token = store_token(tables, commit, &command.token, SetMode::Create)?;
    let reset_index = commit.index;
    tables.acl_bootstrap.put(&keys::only(), Arc::new(AclBootstrap { reset_index }), commit);
    Ok(CommandReply::Bootstrapped { token, reset_index })
}

pub(super) fn ensure_builtins(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &EnsureBuiltins,
) -> Result<CommandReply, Refusal> {
    let mut changed = false;
    for policy in &command.policies {
        reserved(policy.id)?;
        changed |= store_policy(tables, commit, policy)?;
    }
    for token in &command.tokens {
        reserved(token.accessor)?;
        if tables.tokens.get(&keys::tokens::row(token.accessor)).is_some() {
            continue;
        }
        check_secret(tables, token)?;
        check_links(tables, token)?;
        let row = renewed(None, token.clone(), commit.index);
        changed |= row.is_some_and(|row| rows::put_token(tables, commit, &row));
    }
    Ok(done(changed))
}

fn reserved(id: Uuid) -> Result<(), AclRefusal> {
    if is_reserved(id) { Ok(()) } else { Err(AclRefusal::Reserved(id)) }
}

fn unreserved(id: Uuid) -> Result<(), AclRefusal> {
    if is_reserved(id) { Err(AclRefusal::Reserved(id)) } else { Ok(()) }
}

// === Tokens ===

pub(super) fn set_tokens(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &SetTokens,
) -> Result<CommandReply, Refusal> {
    let stored = |token| store_token(tables, commit, token, command.mode);
    let tokens = command.tokens.iter().map(stored).collect::<Result<_, _>>()?;
    Ok(CommandReply::Tokens { tokens })
}

pub(super) fn delete_tokens(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &DeleteTokens,
) -> Result<CommandReply, Refusal> {
    let mut changed = false;
    for accessor in &command.accessors {
        unreserved(*accessor)?;
        changed |= rows::remove_token(tables, commit, *accessor);
    }
    Ok(done(changed))
}

pub(super) fn reap_expired(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &ReapExpiredTokens,
) -> CommandReply {
    let now = tables.at;
    let mut count = 0;
    for accessor in &command.accessors {
        let expired =
            tables.tokens.get(&keys::tokens::row(*accessor)).is_some_and(|token| !token.valid_at(now));
        if expired && rows::remove_token(tables, commit, *accessor) {
            count += 1;
        }
    }
    CommandReply::Reaped { count }
}

fn store_token(
    tables: &mut Tables,
    commit: &mut Commit,
    token: &Token,
    mode: SetMode,
) -> Result<Arc<Token>, AclRefusal> {
    let old = tables.tokens.get(&keys::tokens::row(token.accessor)).cloned();
    match (&old, mode) {
        (Some(_), SetMode::Create) => return Err(AclRefusal::AccessorTaken(token.accessor)),
        (None, SetMode::Update) => return Err(AclRefusal::UnknownToken(token.accessor)),
        // A command may give policies to the anonymous token, which exists. It must not create a token with a
        // reserved accessor.
        (None, SetMode::Create | SetMode::Upsert) => unreserved(token.accessor)?,
        (Some(_), SetMode::Update | SetMode::Upsert) => {}
    }
    if old.as_ref().is_some_and(|old| old.secret_hash != token.secret_hash) {
        return Err(AclRefusal::SecretChanged(token.accessor));
    }
    check_secret(tables, token)?;
    check_links(tables, token)?;
    let Some(row) = renewed(old.as_deref(), token.clone(), commit.index) else {
        return Ok(old.expect("only a record that exists can be the same already"));
    };
    rows::put_token(tables, commit, &row);
    Ok(row)
}

fn check_secret(tables: &Tables, token: &Token) -> Result<(), AclRefusal> {
    match tables.token_secrets.get(&keys::token_secrets::row(&token.secret_hash)) {
        Some(other) if other.accessor != token.accessor => Err(AclRefusal::SecretTaken),
        _ => Ok(()),
    }
}

fn check_links(tables: &Tables, token: &Token) -> Result<(), AclRefusal> {
    let missing =
        token.policies.iter().find(|link| tables.policies.get(&keys::policies::row(link.id)).is_none());
    missing.map_or(Ok(()), |link| Err(AclRefusal::UnknownPolicy(link.id)))
}

// === Policies ===

pub(super) fn set_policies(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &SetPolicies,
) -> Result<CommandReply, Refusal> {
    let mut changed = false;
    for policy in &command.policies {
        unreserved(policy.id)?;
        let exists = tables.policies.get(&keys::policies::row(policy.id)).is_some();
        match (exists, command.mode) {
            (true, SetMode::Create) => return Err(AclRefusal::PolicyIdTaken(policy.id).into()),
            (false, SetMode::Update) => return Err(AclRefusal::UnknownPolicy(policy.id).into()),
            (true, SetMode::Update) | (false, SetMode::Create) | (_, SetMode::Upsert) => {}
        }
        changed |= store_policy(tables, commit, policy)?;
    }
    Ok(done(changed))
}

pub(super) fn delete_policy(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &DeletePolicy,
) -> Result<CommandReply, Refusal> {
    unreserved(command.id)?;
    Ok(done(rows::remove_policy(tables, commit, command.id)))
}

fn store_policy(tables: &mut Tables, commit: &mut Commit, policy: &AclPolicy) -> Result<bool, AclRefusal> {
    match tables.policy_names.get(&keys::policy_names::row(&policy.name)) {
        Some(other) if other.id != policy.id => return Err(AclRefusal::PolicyNameTaken(policy.name.clone())),
        _ => {}
    }
    let old = tables.policies.get(&keys::policies::row(policy.id)).cloned();
    let row = renewed(old.as_deref(), policy.clone(), commit.index);
    Ok(row.is_some_and(|row| rows::put_policy(tables, commit, &row)))
}
