//! One registered service.

use std::net::IpAddr;
use std::sync::Arc;

use concord_model::catalog::{ServiceAddress, ServiceInstance};
use concord_model::registration::LocalService;
use concord_model::{CheckId, InstanceId};

use super::mark::{Mark, Source};

/// A service with what the catalog knows of it.
#[derive(Clone, Debug)]
pub(crate) struct ServiceRecord {
    /// The service, with the checks that came with its definition.
    pub(crate) registration: Arc<LocalService>,
    /// Where it comes from.
    pub(crate) source: Source,
    /// Whether the catalog knows.
    pub(crate) mark: Mark,
    /// Which change of it this is.
    pub(crate) version: u64,
    /// The tags of its definition; the catalog may have put others in their place.
    defined_tags: Vec<String>,
}

impl ServiceRecord {
    /// In the place of `last`. What a file says again, as a reload finds it, does not undo the tags that the catalog was
    /// let set since.
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

    /// A check no longer comes with the definition; whether it did.
    pub(super) fn forget_inline(&mut self, check: &CheckId) -> bool {
        let had = self.registration.checks.iter().any(|inline| inline.id == *check);
        if had {
            Arc::make_mut(&mut self.registration).checks.retain(|inline| inline.id != *check);
        }
        had
    }

    /// Takes over the catalog's tags, which win if the service says so.
    pub(crate) fn take_tags(&mut self, tags: &[String]) -> bool {
        let own = &self.registration.service;
        if !own.enable_tag_override || own.tags == tags {
            return false;
        }
        tags.clone_into(&mut Arc::make_mut(&mut self.registration).service.tags);
        true
    }
}

/// Gives a service whose address is an IP address the tagged addresses of that kind it does not have
/// itself, as Consul's agents do.
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
