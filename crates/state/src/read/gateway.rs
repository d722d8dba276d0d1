//! Queries about gateways: what `mesh` computes, of what this view has.

use std::sync::Arc;

use concord_mesh::gateway::{
    self, GatewayService, Known, Traits, declares_destination, ingress_serves, terminating_serves,
};
use concord_model::ServiceRef;
use concord_model::entry::{Entry, EntryKind, EntryName};

use crate::read::Reader;
use crate::row::{EntryRow, ServiceScope};

impl Reader {
    /// The services that an ingress or terminating gateway serves.
    pub fn gateway_services(&mut self, gateway: &ServiceRef) -> Vec<GatewayService> {
        let mut entry = |kind| self.entry(&EntryName::of_service(kind, gateway));
        let entry = entry(EntryKind::IngressGateway).or_else(|| entry(EntryKind::TerminatingGateway));
        entry.map(|entry| gateway::services(&entry, self)).unwrap_or_default()
    }

    /// The ingress gateways that serve a service.
    pub fn ingress_gateways(&mut self, service: &ServiceRef) -> Vec<ServiceRef> {
        let rows = self.entry_rows(EntryKind::IngressGateway);
        let serving = rows.iter().filter(|row| match row.whole() {
            Some(Entry::IngressGateway(entry)) => ingress_serves(entry, service, self),
            _ => false,
        });
        serving.filter_map(|row| row.name().scope.service()).collect()
    }

    /// The terminating gateways that serve a service.
    pub fn terminating_gateways(&mut self, service: &ServiceRef) -> Vec<ServiceRef> {
        let rows = self.entry_rows(EntryKind::TerminatingGateway);
        let serving = rows.iter().filter(|row| match row.whole() {
            Some(Entry::TerminatingGateway(entry)) => terminating_serves(entry, service, self),
            _ => false,
        });
        serving.filter_map(|row| row.name().scope.service()).collect()
    }
}

impl Known for Reader {
    fn traits(&mut self, service: &ServiceRef) -> Option<Traits> {
        self.service_traits(service).map(|row| row.traits.clone())
    }

    fn services(&mut self) -> Vec<(ServiceRef, Traits)> {
        let all = self.all_traits(&ServiceScope::default());
        all.iter().map(|row| (row.service.clone(), row.traits.clone())).collect()
    }

    fn destinations(&mut self) -> Vec<ServiceRef> {
        let rows = self.entry_rows(EntryKind::ServiceDefaults);
        let outside = rows.iter().filter(|row| row.whole().is_some_and(declares_destination));
        outside.filter_map(|row: &Arc<EntryRow>| row.name().scope.service()).collect()
    }

    fn entry(&mut self, name: &EntryName) -> Option<Arc<Entry>> {
        Self::entry(self, name)
    }
}
