//! Permissions of intentions look at requests: their destination must have some.

use concord_model::ServiceRef;
use concord_model::entry::EntryKind;
use concord_model::intention::{Destination, SourceIntention};

use super::graph::{GraphFault, Lookup, Proposed};
use super::protocol;

/// Whether permissions may be given for a destination. Those for all services are not asked about.
pub(super) fn permitted(proposed: Proposed<'_>, destination: &Destination) -> Result<(), GraphFault> {
    let Some(service) = destination.service() else { return Ok(()) };
    let protocol = protocol::of(proposed, &service);
    if protocol.is_http() { Ok(()) } else { Err(GraphFault::PermissionsOnBytes { service, protocol }) }
}

/// The same for one source that is to join its destination's.
pub fn check_source(
    kept: &dyn Lookup,
    destination: &Destination,
    own: &SourceIntention,
) -> Result<(), GraphFault> {
    if own.decision.is_by_request() { permitted(Proposed::standing(kept), destination) } else { Ok(()) }
}

/// Whether the destinations of intentions with permissions keep their requests under a change of the defaults.
pub(super) fn stay(proposed: Proposed<'_>) -> Result<(), GraphFault> {
    for service in affected(proposed) {
        let (before, after) = (protocol::of(proposed.before(), &service), protocol::of(proposed, &service));
        if before.is_http() && !after.is_http() {
            return Err(GraphFault::PermissionsOnBytes { service, protocol: after });
        }
    }
    Ok(())
}

/// The destinations with permissions whose protocol follows from the entry that changes.
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
