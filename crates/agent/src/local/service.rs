//! One registered service.

use std::net::IpAddr;
use std::sync::Arc;

use concord_model::catalog::{ServiceAddress, ServiceInstance};
use concord_model::registration::LocalService;
use concord_model::{CheckId, InstanceId};

use super::mark::{Mark, Source};

/// A service with its state in the catalog.
#[derive(Clone, Debug)]
pub(crate) struct ServiceRecord {
    /// The service, with its inline checks.
    pub(crate) registration: Arc<LocalService>,
    /// Where it was registered.
    pub(crate) source: Source,
    /// Whether the catalog has the current state.
    pub(crate) mark: Mark,
    /// The revision of its last change.
    pub(crate) version: u64,
    /// The tags of its definition. The catalog may have replaced them.
    defined_tags: Vec<String>,
}

impl ServiceRecord {
    /// Builds the record that replaces `last`. If a reload finds the same definition in a file, the tags that were
    /// set through the catalog in the meantime stay.
    pub(super) fn new(
        mut registration: LocalService,
        source: Source,
        version: u64,
        last: Option<&Self>,
    ) -> Self {
        tag_addresses(&mut registration.service);
        let defined_tags = registration.service.tags.clone();
        let again = last.filter(|last| {
            let overridden = |one: &ServiceInstance| one.enable_tag_override;
            (last.source, source) == (Source::File, Source::File)
                && overridden(&last.registration.service)
                && overridden(&registration.service)
                && last.defined_tags == defined_tags
        });
        if let Some(last) = again {
            registration.service.tags.clone_from(&last.registration.service.tags);
        }
        Self { registration: Arc::new(registration), source, mark: Mark::Pending, version, defined_tags }
    }

    /// The instance's id.
    pub(crate) fn id(&self) -> &InstanceId {
        &self.registration.service.id
    }

    /// Removes a check from the inline checks. Returns whether it was one.
    pub(super) fn forget_inline(&mut self, check: &CheckId) -> bool {
        let had = self.registration.checks.iter().any(|inline| inline.id == *check);
        if had {
            Arc::make_mut(&mut self.registration).checks.retain(|inline| inline.id != *check);
        }
        had
    }

    /// Takes over the catalog's tags, if the service allows that.
    pub(crate) fn take_tags(&mut self, tags: &[String]) -> bool {
        let own = &self.registration.service;
        if !own.enable_tag_override || own.tags == tags {
            return false;
        }
        tags.clone_into(&mut Arc::make_mut(&mut self.registration).service.tags);
        true
    }
}

/// If the service's address is an IP address, adds the missing tagged addresses of that IP version, as Consul's
/// agents do.
fn tag_addresses(service: &mut ServiceInstance) {
    let Ok(ip) = service.address.parse::<IpAddr>() else { return };
    let tags = match ip.to_canonical() {
        IpAddr::V4(_) => ["lan_ipv4", "wan_ipv4"],
        IpAddr::V6(_) => ["lan_ipv6", "wan_ipv6"],
    };
    for tag in tags {
        let own = ServiceAddress { address: service.address.clone(), port: service.port };
        service.tagged_addresses.entry(tag.to_owned()).or_insert(own);
    }
}
