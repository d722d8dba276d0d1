//! The protocol of a service, as the rules between entries see it.

use concord_model::ServiceRef;
use concord_model::entry::{EntryKind, EntryName, Protocol};

use super::graph::{CHAIN_RULES, Proposed};
use crate::protocol::{Unsaid, of_proxies, protocol_by};

/// The protocol of a service by its own entry, else by `proxy-defaults`. Rule sets before [`CHAIN_RULES`] did not follow
/// chains where the service's entry leaves it out.
pub(super) fn of(proposed: Proposed<'_>, service: &ServiceRef) -> Protocol {
    let own = proposed.find(&EntryName::of_service(EntryKind::ServiceDefaults, service));
    let all = proposed.find(&EntryName::only(EntryKind::ProxyDefaults));
    let unsaid = if proposed.keeps(CHAIN_RULES) { Unsaid::IsTcp } else { Unsaid::IsInherited };
    protocol_by(service, own.as_deref(), all.as_deref(), unsaid).protocol
}

/// The protocol of services without an entry of their own.
pub(super) fn of_all(proposed: Proposed<'_>) -> Protocol {
    let all = proposed.find(&EntryName::only(EntryKind::ProxyDefaults));
    of_proxies(all.as_deref()).protocol
}
