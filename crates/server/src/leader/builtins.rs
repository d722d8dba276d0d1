//! What every cluster has: a cluster id, built-in policies, the anonymous token and the first token.

use concord_model::token::{GLOBAL_MANAGEMENT, Identities, PolicyLink, Token};
use concord_model::{Stamp, Uuid};
use concord_rpc::RpcError;
use concord_state::RULE_SET;
use concord_state::builtin::{GLOBAL_MANAGEMENT_NAME, hash_secret};
use concord_state::command::{BootstrapAcl, EnsureBuiltins, SetClusterId, SetMode, SetRuleSet, SetTokens};
use tracing::warn;

use crate::endpoint::acl::seal_secret;
use crate::parts::Core;

/// Gives the cluster an id if it has none.
pub(super) async fn ensure_cluster_id(core: &Core) -> Result<(), RpcError> {
    if let Some(current) = core.log.cluster_id() {
        if let Some(asked) = core.config.ca.cluster_id
            && asked != current
        {
            warn!(%asked, %current, "connect.ca_config.cluster_id has no effect: the cluster has an id, which stays");
        }
        return Ok(());
    }
    let id = core.config.ca.cluster_id.unwrap_or_else(|| core.log.uuid());
    core.log.write(SetClusterId { id }).await.map(|_| ())
}

/// Puts the rule set of this version into force. There is only one voter, so no other server has to support it.
pub(super) async fn ensure_rules(core: &Core) -> Result<(), RpcError> {
    if core.log.view().read().rule_set() < RULE_SET {
        core.log.write(SetRuleSet { rule_set: RULE_SET }).await?;
    }
    Ok(())
}

/// Creates missing built-in policies and tokens.
pub(super) async fn ensure_acl(core: &Core) -> Result<(), RpcError> {
    core.log.write(EnsureBuiltins::standard(core.log.now())).await?;
    ensure_initial_management(core).await
}

/// Stores the configured first token, unless a token with this secret exists.
async fn ensure_initial_management(core: &Core) -> Result<(), RpcError> {
    let Some(secret) = &core.config.initial_management else {
        return Ok(());
    };
    let secret_hash = hash_secret(secret.expose());
    if core.log.view().read().token_by_secret_hash(&secret_hash, core.log.now()).is_some() {
        return Ok(());
    }
    if Uuid::parse(secret.expose()).is_err() {
        // Accept it anyway: tokens that clients already use must continue to work.
        warn!(
            "acl.tokens.initial_management is not a UUID; such secrets are deprecated: use one as `uuidgen` prints it"
        );
    }
    let accessor = core.log.uuid();
    let token = Token {
        accessor,
        secret_hash,
        secret: Some(seal_secret(&core.config, &core.world, accessor, secret.expose())?),
        description: "Initial Management Token".to_owned(),
        policies: vec![PolicyLink { id: GLOBAL_MANAGEMENT, name: GLOBAL_MANAGEMENT_NAME.to_owned() }],
        identities: Identities::default(),
        local: false,
        expires_at: None,
        created_at: core.log.now(),
        stamp: Stamp::default(),
    };
    // If the configuration names a management token, the operator has bootstrapped the cluster. Then nobody else may
    // bootstrap it through the API.
    if core.log.view().read().acl_bootstrap().is_none() {
        return core.log.write(BootstrapAcl { token, allowed_reset_index: None }).await.map(|_| ());
    }
    core.log.write(SetTokens { tokens: vec![token], mode: SetMode::Create }).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use concord_acl::{Authorizer, Labelled, Level, Policy, Right, Scalar};
    use concord_model::intention::Action;

    use super::*;

    #[test]
    fn the_built_in_rules_grant_what_their_names_say() {
        let builtins = EnsureBuiltins::standard(concord_model::Timestamp::EPOCH);
        let [write, read] = [0, 1].map(|at| Policy::parse(&builtins.policies[at].rules).unwrap());
        let manager = Authorizer::new(&[&write], Action::Deny);
        let reader = Authorizer::new(&[&read], Action::Deny);
        for resource in Labelled::ALL {
            assert!(
                manager.check(&Right::All { resource, level: Level::Write }).is_allowed(),
                "{resource:?}"
            );
            assert!(reader.check(&Right::All { resource, level: Level::Read }).is_allowed(), "{resource:?}");
            assert!(
                !reader.check(&Right::Any { resource, level: Level::Write }).is_allowed(),
                "{resource:?}"
            );
        }
        for resource in [Scalar::Acl, Scalar::Keyring, Scalar::Mesh, Scalar::Operator, Scalar::Peering] {
            assert!(manager.check(&Right::whole(resource, Level::Write)).is_allowed(), "{resource:?}");
            assert!(!reader.check(&Right::whole(resource, Level::Write)).is_allowed(), "{resource:?}");
        }
    }
}
