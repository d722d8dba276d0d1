//! The protocol of a service according to the entries.

use concord_model::ServiceRef;
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol};
use serde::Deserialize;

use super::graph::{Lookup, Proposed};

/// The protocol of a service: from its `service-defaults`, else from `proxy-defaults`.
pub(super) fn of(proposed: Proposed<'_>, service: &ServiceRef) -> Protocol {
    let own =
        proposed.see(&EntryName::of_service(EntryKind::ServiceDefaults, service), |entry| match entry {
            Entry::ServiceDefaults(entry) => entry.said.protocol,
            _ => Protocol::Unset,
        });
    own.filter(|own| *own != Protocol::Unset).unwrap_or_else(|| of_all(proposed))
}

/// The protocol of a service as the stored entries have it.
pub fn protocol(kept: &dyn Lookup, service: &ServiceRef) -> Protocol {
    of(Proposed::standing(kept), service)
}

/// The protocol of services without one of their own; TCP if `proxy-defaults` has none either.
pub(super) fn of_all(proposed: Proposed<'_>) -> Protocol {
    let said = proposed.see(&EntryName::only(EntryKind::ProxyDefaults), |entry| match entry {
        Entry::ProxyDefaults(entry) => {
            entry.said.config.get("protocol").and_then(|value| Protocol::deserialize(value).ok())
        }
        _ => None,
    });
    match said.flatten().unwrap_or_default() {
        Protocol::Unset => Protocol::Tcp,
        said => said,
    }
}
