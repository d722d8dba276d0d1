//! The cluster id and the rule set in force.

use std::sync::Arc;

use concord_model::Uuid;

use super::outcome::done;
use crate::command::{SetClusterId, SetRuleSet};
use crate::keys;
use crate::reply::{ClusterRefusal, CommandReply, Refusal};
use crate::table::Commit;
use crate::tables::Tables;

/// The rule set of a state in which it was never raised.
pub(crate) const FIRST_RULE_SET: u32 = 1;
/// Since this rule set, a configuration entry must be consistent with the stored ones.
pub(crate) const GRAPH_RULES: u32 = 2;

/// Since this rule set, services have virtual addresses.
pub(crate) const ADDRESS_RULES: u32 = 5;

/// Since this rule set, it is kept when an entry was accepted.
pub(crate) const TIME_RULES: u32 = 6;

pub(crate) fn id(tables: &Tables) -> Option<Uuid> {
    tables.cluster_id.get(&keys::only()).map(|id| **id)
}

pub(crate) fn rule_set(tables: &Tables) -> u32 {
    tables.rule_set.get(&keys::only()).map_or(FIRST_RULE_SET, |rules| **rules)
}

pub(super) fn set_id(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &SetClusterId,
) -> Result<CommandReply, Refusal> {
    match id(tables) {
        Some(current) if current != command.id => Err(ClusterRefusal::ClusterIdSet { current }.into()),
        _ => Ok(done(tables.cluster_id.put(&keys::only(), Arc::new(command.id), commit))),
    }
}

pub(super) fn set_rule_set(
    tables: &mut Tables,
    commit: &mut Commit,
    command: &SetRuleSet,
) -> Result<CommandReply, Refusal> {
    let (current, asked) = (rule_set(tables), command.rule_set);
    if asked < current {
        return Err(ClusterRefusal::RuleSetLowered { current, asked }.into());
    }
    if asked == current {
        return Ok(done(false));
    }
    Ok(done(tables.rule_set.put(&keys::only(), Arc::new(asked), commit)))
}
