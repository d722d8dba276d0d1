//! `exported-services`: the services that peered clusters may use.

use concord_model::ServiceRef;
use concord_model::entry::{ExportedService, ExportedServices, Record, ServiceConsumer};

use super::fault::{Fault, Faults};
use super::gates::{SERVICES_MAX, services};
use super::gateway_fault::GatewayFault;
use super::graph::{GraphFault, Proposed};

/// Clusters that may use one service.
pub const CONSUMERS_MAX: usize = 1024;

pub(super) fn check(entry: &Record<ExportedServices>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
    let ExportedServices { services } = &entry.said;
    faults.at_most("Services", services.len(), SERVICES_MAX);
    for (i, own) in services.iter().enumerate().take(SERVICES_MAX) {
        check_service(&format!("Services[{i}]"), own, faults);
    }
}

fn check_service(at: &str, own: &ExportedService, faults: &mut Faults) {
    let ExportedService { name, namespace, consumers } = own;
    if name.is_none() {
        faults.push(format!("{at}.Name"), Fault::Required);
    }
    if !namespace.is_default() {
        faults.push(format!("{at}.Namespace"), Fault::OtherTenancy);
    }
    let at = format!("{at}.Consumers");
    if consumers.is_empty() {
        faults.push(&at, Fault::NoneOf { what: "consumer", owner: "service" });
    }
    faults.at_most(&at, consumers.len(), CONSUMERS_MAX);
    for (i, consumer) in consumers.iter().enumerate().take(CONSUMERS_MAX) {
        check_consumer(&format!("{at}[{i}]"), consumer, faults);
    }
}

fn check_consumer(at: &str, own: &ServiceConsumer, faults: &mut Faults) {
    let ServiceConsumer { partition, peer, sameness_group } = own;
    if !partition.is_default() {
        faults.push(format!("{at}.Partition"), GatewayFault::Enterprise { what: "partitions" });
    }
    if !sameness_group.is_empty() {
        faults.push(format!("{at}.SamenessGroup"), GatewayFault::Enterprise { what: "sameness groups" });
    }
    if peer.is_none() {
        faults.push(format!("{at}.Peer"), Fault::Required);
    }
}

pub(super) fn graph(_: Proposed<'_>) -> Result<(), GraphFault> {
    Ok(())
}

pub(super) fn links(entry: &Record<ExportedServices>) -> Vec<ServiceRef> {
    services(entry.said.services.iter().filter_map(|own| own.name.as_ref()?.exact()))
}
