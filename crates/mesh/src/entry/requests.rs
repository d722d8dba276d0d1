//! Permissions of intentions apply to requests, so the destination needs an HTTP-like protocol.

use concord_model::ServiceRef;
use concord_model::entry::EntryKind;
use concord_model::intention::{Destination, SourceIntention};

use super::graph::{GraphFault, Lookup, Proposed};
use super::trial::{Turn, protocol_of};
use super::{jwt_provider, protocol};

/// Whether permissions are allowed for a destination. Wildcard destinations are not checked.
pub(super) fn permitted(proposed: Proposed<'_>, destination: &Destination) -> Result<(), GraphFault> {
    let Some(service) = destination.service() else { return Ok(()) };
    let protocol = protocol_of(proposed, &service)?;
    if protocol.is_http() { Ok(()) } else { Err(GraphFault::PermissionsOnBytes { service, protocol }) }
}

/// The same check for one source that is to be added to a destination.
pub fn check_source(
    kept: &dyn Lookup,
    destination: &Destination,
    own: &SourceIntention,
) -> Result<(), GraphFault> {
    let standing = Proposed::standing(kept);
    if own.decision.is_by_request() {
        permitted(standing, destination)?;
    }
    jwt_provider::of_one(standing, own)
}

/// Whether a destination of intentions with permissions keeps an HTTP-like protocol when its chain changes.
pub(super) fn stay(turn: &Turn<'_>) -> Result<(), GraphFault> {
    let protocol = turn.after.chain.protocol;
    let broken = !protocol.is_http()
        && turn.is_linked_by(EntryKind::ServiceIntentions)
        && turn.before().is_some_and(|before| before.chain.protocol.is_http());
    if broken {
        Err(GraphFault::PermissionsOnBytes { service: turn.service.clone(), protocol })
    } else {
        Ok(())
    }
}

/// The same after a change of the defaults, under rule sets that looked at no chains.
pub(super) fn stay_alone(proposed: Proposed<'_>) -> Result<(), GraphFault> {
    for service in affected(proposed) {
        let (before, after) = (protocol::of(proposed.before(), &service), protocol::of(proposed, &service));
        if before.is_http() && !after.is_http() {
            return Err(GraphFault::PermissionsOnBytes { service, protocol: after });
        }
    }
    Ok(())
}

/// The destinations with permissions whose protocol depends on the changed entry.
fn affected(proposed: Proposed<'_>) -> Vec<ServiceRef> {
    let Some(name) = proposed.name() else { return Vec::new() };
    let kept = proposed.kept();
    match (name.kind, name.scope.service()) {
        (EntryKind::ServiceDefaults, Some(service)) => {
            let links = kept.links_to(&service);
            let permissions = links.iter().any(|from| from.kind == EntryKind::ServiceIntentions);
            permissions.then_some(service).into_iter().collect()
        }
        (EntryKind::ProxyDefaults, _) => kept.linked_by(EntryKind::ServiceIntentions),
        _ => Vec::new(),
    }
}
