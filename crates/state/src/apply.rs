//! Applies commands: a deterministic function of the state and the log entry.
//!
//! A refused command may already have written; the store then drops that copy of the tables.

pub(crate) mod acl;
pub(crate) mod address;
pub(crate) mod ca;
pub(crate) mod catalog;
pub(crate) mod cluster;
pub(crate) mod entry;
mod outcome;
mod stamp;

use self::outcome::done;
use crate::command::Command;
use crate::reply::{CommandReply, Refusal};
use crate::table::Commit;
use crate::tables::Tables;

/// Applies one command. `tables.at` already is the time of the command.
pub(crate) fn apply(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &Command,
) -> Result<CommandReply, Refusal> {
    let before = cluster::rule_set(tables);
    let reply = carry_out(tables, commit, command)?;
    if before < cluster::ADDRESS_RULES && cluster::rule_set(tables) >= cluster::ADDRESS_RULES {
        address::assign_all(tables, commit)?;
    }
    address::settle(tables, commit)?;
    Ok(reply)
}

fn carry_out(tables: &mut Tables, commit: &mut Commit, command: &Command) -> Result<CommandReply, Refusal> {
    match command {
        Command::Noop(_) => Ok(done(false)),
        Command::SetClusterId(command) => cluster::set_id(tables, commit, command),
        Command::SetRuleSet(command) => cluster::set_rule_set(tables, commit, command),
        Command::Register(command) => catalog::register(tables, commit, &command.0),
        Command::Deregister(command) => Ok(catalog::deregister(tables, commit, &command.0)),
        Command::SetManualAddresses(command) => Ok(address::set_manual(tables, commit, command)),
        Command::SetEntry(command) => {
            let reply = entry::set(tables, commit, command)?;
            address::retag(tables, commit, &command.entry.name())?;
            Ok(reply)
        }
        Command::SetEntryStatus(command) => Ok(entry::set_status(tables, commit, command)),
        Command::DeleteEntry(command) => {
            let reply = entry::delete(tables, commit, command)?;
            address::retag(tables, commit, &command.entry)?;
            Ok(reply)
        }
        Command::UpsertIntention(command) => entry::upsert_intention(tables, commit, command),
        Command::DeleteIntention(command) => Ok(entry::delete_intention(tables, commit, command)),
        Command::EditIntention(command) => entry::edit_intention(tables, commit, command),
        Command::SetCaConfig(command) => ca::set_config(tables, commit, command),
        Command::SetCaRoots(command) => ca::set_roots(tables, commit, command),
        Command::SetCaProviderState(command) => Ok(ca::set_provider_state(tables, commit, command)),
        Command::DeleteCaProviderState(command) => Ok(ca::delete_provider_state(tables, commit, command)),
        Command::AllocateSerials(command) => ca::allocate_serials(tables, commit, command),
        Command::BootstrapAcl(command) => acl::bootstrap(tables, commit, command),
        Command::EnsureBuiltins(command) => acl::ensure_builtins(tables, commit, command),
        Command::SetTokens(command) => acl::set_tokens(tables, commit, command),
        Command::DeleteTokens(command) => acl::delete_tokens(tables, commit, command),
        Command::ReapExpiredTokens(command) => Ok(acl::reap_expired(tables, commit, command)),
        Command::SetPolicies(command) => acl::set_policies(tables, commit, command),
        Command::DeletePolicy(command) => acl::delete_policy(tables, commit, command),
    }
}
