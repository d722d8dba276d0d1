//! What a service speaks, as the entries say.

use concord_model::ServiceRef;
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol};
use serde::Deserialize;

use super::graph::Proposed;

/// What a service speaks: as its defaults say, else as those of all proxies do.
pub(super) fn of(proposed: Proposed<'_>, service: &ServiceRef) -> Protocol {
    let own = match proposed.entry(&EntryName::of_service(EntryKind::ServiceDefaults, service)).as_deref() {
        Some(Entry::ServiceDefaults(entry)) => entry.said.protocol,
        _ => Protocol::Unset,
    };
    own.or(of_all(proposed))
}

/// What services speak that say nothing themselves: bytes, if nothing is said here either.
fn of_all(proposed: Proposed<'_>) -> Protocol {
    let said = match proposed.entry(&EntryName::only(EntryKind::ProxyDefaults)).as_deref() {
        Some(Entry::ProxyDefaults(entry)) => {
            entry.said.config.get("protocol").and_then(|value| Protocol::deserialize(value).ok())
        }
        _ => None,
    };
    said.unwrap_or_default().or(Protocol::Tcp)
}
