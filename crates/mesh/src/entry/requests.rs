//! Permissions of intentions apply to requests, so the destination needs an HTTP-like protocol.

use concord_model::ServiceRef;
use concord_model::entry::EntryKind;
use concord_model::intention::{Destination, SourceIntention};

use super::graph::{GraphFault, Lookup, Proposed};
use super::{jwt_provider, protocol};

/// Whether permissions are allowed for a destination. Wildcard destinations are not checked.
pub(super) fn permitted(proposed: Proposed<'_>, destination: &Destination) -> Result<(), GraphFault> {
    let Some(service) = destination.service() else { return Ok(()) };
    let protocol = protocol::of(proposed, &service);
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

/// Whether destinations of intentions with permissions keep an HTTP-like protocol after a change of the defaults.
pub(super) fn stay(proposed: Proposed<'_>) -> Result<(), GraphFault> {
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
