//! What a service speaks, as the entries say.

use concord_model::ServiceRef;
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol};
use serde::Deserialize;

use super::graph::Proposed;

/// What a service speaks: as its defaults say, else as those of all proxies do.
pub(super) fn of(proposed: Proposed<'_>, service: &ServiceRef) -> Protocol {
    let own =
        proposed.see(&EntryName::of_service(EntryKind::ServiceDefaults, service), |entry| match entry {
            Entry::ServiceDefaults(entry) => entry.said.protocol,
            _ => Protocol::Unset,
        });
    own.filter(|own| *own != Protocol::Unset).unwrap_or_else(|| of_all(proposed))
}

/// What services speak that say nothing themselves: bytes, if nothing is said here either.
fn of_all(proposed: Proposed<'_>) -> Protocol {
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
