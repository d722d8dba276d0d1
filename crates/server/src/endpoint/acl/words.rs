//! Error texts about tokens and policies, with the wording and status that Consul's clients match.
//!
//! A request that is invalid in itself is [`RpcError::Invalid`]. One that only conflicts with existing tokens and
//! policies is [`RpcError::Rejected`]: installers recognise "already exists" by its text and status, and treat it as
//! success.

use concord_model::{IdentityName, Uuid};
use concord_rpc::RpcError;
use concord_rpc::request::PolicyChoice;
use concord_state::Refusal;
use concord_state::command::SetMode;
use concord_state::reply::AclRefusal;

use crate::log::refused;

/// Translates a refused change of tokens.
pub(super) fn token_refused(refusal: &Refusal) -> RpcError {
    let Refusal::Acl(acl) = refusal else { return refused(refusal) };
    match acl {
        AclRefusal::AccessorTaken(_) => in_use("AccessorID"),
        AclRefusal::SecretTaken => in_use("SecretID"),
        AclRefusal::SecretChanged(_) => secret_changed(),
        AclRefusal::UnknownToken(accessor) => unknown_token(*accessor),
        AclRefusal::UnknownPolicy(id) => unknown_link(&PolicyChoice::Id(*id)),
        AclRefusal::BootstrapDone { .. }
        | AclRefusal::Reserved(_)
        | AclRefusal::PolicyIdTaken(_)
        | AclRefusal::PolicyNameTaken(_) => refused(refusal),
    }
}

/// Translates a refused bootstrap. If a reset file named an index, the text says that it is the wrong one.
pub(super) fn bootstrap_refused(refusal: &Refusal, named: Option<u64>) -> RpcError {
    match (refusal, named) {
        (Refusal::Acl(AclRefusal::BootstrapDone { reset_index }), Some(named)) => RpcError::Rejected(
            format!("Invalid bootstrap reset index (specified {named}, reset index: {reset_index})"),
        ),
        (Refusal::Acl(AclRefusal::BootstrapDone { .. }), None) => {
            RpcError::Denied(format!("Permission denied: {refusal}"))
        }
        (Refusal::Acl(AclRefusal::SecretTaken), _) => RpcError::Rejected(
            "Provided token cannot be used because a token with that secret already exists.".to_owned(),
        ),
        _ => refused(refusal),
    }
}

/// Translates a refused change of policies.
pub(super) fn policy_refused(refusal: &Refusal, mode: SetMode) -> RpcError {
    let Refusal::Acl(acl) = refusal else { return refused(refusal) };
    match (acl, mode) {
        (AclRefusal::PolicyNameTaken(name), SetMode::Create) => {
            RpcError::Rejected(format!("Invalid Policy: A Policy with Name {name:?} already exists"))
        }
        (AclRefusal::PolicyNameTaken(name), SetMode::Update | SetMode::Upsert) => {
            RpcError::Rejected(format!("Invalid Policy: A policy with name {name:?} already exists"))
        }
        (AclRefusal::UnknownPolicy(id), _) => RpcError::Rejected(format!("cannot find policy {id}")),
        _ => refused(refusal),
    }
}

/// An accessor or secret that a token already uses, as accessor or as secret.
pub(super) fn in_use(field: &str) -> RpcError {
    RpcError::Rejected(format!("Invalid Token: {field} is already in use"))
}

/// The token to change does not exist.
pub(super) fn unknown_token(accessor: Uuid) -> RpcError {
    RpcError::Rejected(format!("Cannot find token \"{accessor}\""))
}

/// A token of one datacenter names other datacenters.
pub(super) fn datacenters_of_a_local_token(service: &IdentityName) -> RpcError {
    RpcError::Invalid(format!(
        "Service identity \"{service}\" cannot specify a list of datacenters on a local token"
    ))
}

/// The secret of a token cannot be changed.
pub(super) fn secret_changed() -> RpcError {
    RpcError::Rejected("Changing a token's SecretID is not permitted".to_owned())
}

/// The token links to a policy that does not exist.
pub(super) fn unknown_link(choice: &PolicyChoice) -> RpcError {
    RpcError::Rejected(match choice {
        PolicyChoice::Id(id) => format!("No such ACL policy with ID \"{id}\""),
        PolicyChoice::Name(name) => format!("No such ACL policy with name {name:?}"),
    })
}

/// An accessor or secret that is reserved for built-in tokens.
pub(super) fn reserved(field: &str) -> RpcError {
    RpcError::Invalid(format!(
        "Invalid Token: {field} - UUIDs with the prefix \"00000000-0000-0000-0000-0000000000\" are reserved"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: RpcError, expected: RpcError) {
        assert_eq!(found, expected);
    }

    fn rejected(text: &str) -> RpcError {
        RpcError::Rejected(text.to_owned())
    }

    #[test]
    fn refusals_of_the_state_read_as_consuls_clients_know_them() {
        let id = Uuid([7; 16]);
        let acl = |refusal: AclRefusal| Refusal::from(refusal);
        check(
            token_refused(&acl(AclRefusal::AccessorTaken(id))),
            rejected("Invalid Token: AccessorID is already in use"),
        );
        check(
            token_refused(&acl(AclRefusal::SecretTaken)),
            rejected("Invalid Token: SecretID is already in use"),
        );
        check(
            token_refused(&acl(AclRefusal::UnknownToken(id))),
            rejected("Cannot find token \"07070707-0707-0707-0707-070707070707\""),
        );
        check(
            token_refused(&acl(AclRefusal::UnknownPolicy(id))),
            rejected("No such ACL policy with ID \"07070707-0707-0707-0707-070707070707\""),
        );
        let taken = acl(AclRefusal::PolicyNameTaken("one".to_owned()));
        check(
            policy_refused(&taken, SetMode::Create),
            rejected("Invalid Policy: A Policy with Name \"one\" already exists"),
        );
        check(
            policy_refused(&taken, SetMode::Update),
            rejected("Invalid Policy: A policy with name \"one\" already exists"),
        );
        check(
            policy_refused(&acl(AclRefusal::UnknownPolicy(id)), SetMode::Update),
            rejected("cannot find policy 07070707-0707-0707-0707-070707070707"),
        );
        let done = acl(AclRefusal::BootstrapDone { reset_index: 12 });
        check(
            bootstrap_refused(&done, None),
            RpcError::Denied(
                "Permission denied: ACL bootstrap no longer allowed (reset index: 12)".to_owned(),
            ),
        );
        check(
            bootstrap_refused(&done, Some(3)),
            rejected("Invalid bootstrap reset index (specified 3, reset index: 12)"),
        );
    }

    #[test]
    fn what_is_wrong_in_itself_stays_the_callers_fault() {
        let reserved = Refusal::from(AclRefusal::Reserved(Uuid([0; 16])));
        assert!(matches!(token_refused(&reserved), RpcError::Invalid(_)));
        assert!(matches!(policy_refused(&reserved, SetMode::Update), RpcError::Invalid(_)));
    }
}
