//! The protocol of a service according to the entries.

use concord_model::ServiceRef;
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol};
use serde::Deserialize;

use super::graph::Proposed;

/// The protocol of a service: from its `service-defaults`, else from `proxy-defaults`.
pub(super) fn of(proposed: Proposed<'_>, service: &ServiceRef) -> Protocol {
    let own = proposed.see(&EntryName::of_service(EntryKind::ServiceDefaults, service), said_of_one);
    own.flatten().unwrap_or_else(|| of_all(proposed))
}

/// The protocol of services without one of their own; TCP if `proxy-defaults` has none either.
pub(super) fn of_all(proposed: Proposed<'_>) -> Protocol {
    let said = proposed.see(&EntryName::only(EntryKind::ProxyDefaults), said_of_all);
    said.flatten().unwrap_or(Protocol::Tcp)
}

/// The protocol of a service by its `service-defaults` and by `proxy-defaults`; TCP if neither has one.
pub fn protocol(own: Option<&Entry>, all: Option<&Entry>) -> Protocol {
    own.and_then(said_of_one).or_else(|| all.and_then(said_of_all)).unwrap_or(Protocol::Tcp)
}

fn said_of_one(entry: &Entry) -> Option<Protocol> {
    match entry {
        Entry::ServiceDefaults(entry) => Some(entry.said.protocol).filter(|said| *said != Protocol::Unset),
        _ => None,
    }
}

fn said_of_all(entry: &Entry) -> Option<Protocol> {
    let Entry::ProxyDefaults(entry) = entry else { return None };
    let said = Protocol::deserialize(entry.said.config.get("protocol")?).ok()?;
    Some(said).filter(|said| *said != Protocol::Unset)
}
