//! Turns a service with `Connect.SidecarService` into two services. The sidecar inherits what it does not define.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use concord_model::catalog::CheckStatus;
use concord_model::registration::{CheckSpec, Every, LocalService, Probe};
use concord_model::{CheckId, InstanceId};

use super::field;
use super::service::{LocalityDefinition, ServiceDefinition};
use crate::fault::{Fault, Faults};
use crate::limits::SIDECAR_CHECK_INTERVAL;

/// The suffix that turns the parent's id and name into those of its sidecar.
pub const SIDECAR_SUFFIX: &str = "-sidecar-proxy";

/// A sidecar whose port may still be open.
#[derive(Clone, Debug)]
pub struct Sidecar {
    service: LocalService,
    default_checks: bool,
}

impl Sidecar {
    /// The sidecar as defined; its port may be 0. Used to check whether it may be registered before it gets a port.
    pub fn service(&self) -> &LocalService {
        &self.service
    }

    /// The sidecar with its port and checks.
    pub fn place(mut self, pick: impl FnOnce(&InstanceId) -> Option<u16>) -> Result<LocalService, Faults> {
        let own = &mut self.service.service;
        if own.port == 0 && own.socket_path.is_empty() {
            own.port = pick(&own.id).filter(|port| *port != 0).ok_or_else(|| {
                let text = "no port provided for sidecar_service and none left in the configured range; set \
                            Connect.SidecarService.Port or widen ports.sidecar_min_port and sidecar_max_port";
                Faults::one(Fault::rule("Connect.SidecarService.Port", text))
            })?;
        }
        if self.default_checks {
            self.service.checks = default_checks(&self.service)?;
        }
        Ok(self.service)
    }
}

/// The port of a sidecar: its current port if that is in the range, else the lowest free one.
pub fn lowest_free_port<'a>(
    range: RangeInclusive<u16>,
    sidecar: &InstanceId,
    registered: impl IntoIterator<Item = (&'a InstanceId, u16)>,
) -> Option<u16> {
    let mut taken = BTreeSet::new();
    for (id, port) in registered.into_iter().filter(|(_, port)| range.contains(port)) {
        if id == sidecar {
            return Some(port);
        }
        taken.insert(port);
    }
    range.into_iter().find(|port| *port != 0 && !taken.contains(port))
}

/// Completes a nested definition from its parent and validates the result.
pub(super) fn resolve(definition: &ServiceDefinition, parent: &LocalService) -> Result<Sidecar, Faults> {
    check_nesting(definition)?;
    let own = inherit(definition.clone(), parent);
    let service = own.resolve_service(Some(&parent.service.id)).map_err(|mut faults| {
        faults.context = match faults.context {
            "Invalid check" => "Invalid check in sidecar_service",
            _ => "Invalid SidecarService",
        };
        faults
    })?;
    Ok(Sidecar { default_checks: service.checks.is_empty(), service })
}

fn check_nesting(definition: &ServiceDefinition) -> Result<(), Faults> {
    let mut faults = Vec::new();
    if !definition.id.is_empty() {
        let text = "A SidecarService cannot specify an ID as this is managed by the agent";
        faults.push(Fault::rule("Connect.SidecarService.ID", text));
    }
    if definition.sidecar().is_some() {
        let text = "A SidecarService cannot have a nested SidecarService";
        faults.push(Fault::rule("Connect.SidecarService.Connect", text));
    }
    if !matches!(definition.kind.as_str(), "" | "connect-proxy") {
        let text = format!("A SidecarService is a connect-proxy; leave out Kind {:?}", definition.kind);
        faults.push(Fault::rule("Connect.SidecarService.Kind", text));
    }
    if field::is_any_address(&definition.address) {
        let text = "Invalid service address in Connect.SidecarService.Address";
        faults.push(Fault::rule("Connect.SidecarService.Address", text));
    }
    Faults::or("Validation failed", faults, ())
}

fn inherit(mut own: ServiceDefinition, parent: &LocalService) -> ServiceDefinition {
    let from = &parent.service;
    own.id = format!("{}{SIDECAR_SUFFIX}", from.id);
    own.kind = "connect-proxy".to_owned();
    if own.name.is_empty() {
        own.name = format!("{}{SIDECAR_SUFFIX}", from.service);
    }
    if own.meta.is_empty() {
        own.meta.clone_from(&from.meta);
    }
    if own.tags.is_empty() {
        own.tags.clone_from(&from.tags);
    }
    if own.locality.is_none() {
        own.locality = from
            .locality
            .as_ref()
            .map(|at| LocalityDefinition { region: at.region.clone(), zone: at.zone.clone() });
    }
    if own.address.is_empty() && own.socket_path.is_empty() {
        own.address.clone_from(&from.address);
    }
    if own.token.is_none() {
        own.token.clone_from(&parent.token);
    }
    let proxy = own.proxy.get_or_insert_default();
    if proxy.destination_service_name.is_empty() {
        proxy.destination_service_name = from.service.to_string();
    }
    if proxy.destination_service_id.is_empty() {
        proxy.destination_service_id = from.id.to_string();
    }
    if proxy.local_service_socket_path.is_empty() {
        if !from.socket_path.is_empty()
            && (proxy.local_service_address.is_empty() || proxy.local_service_port == 0)
        {
            proxy.local_service_socket_path.clone_from(&from.socket_path);
            return own;
        }
        if proxy.local_service_address.is_empty() {
            "127.0.0.1".clone_into(&mut proxy.local_service_address);
        }
        if proxy.local_service_port == 0 {
            proxy.local_service_port = i64::from(from.port);
        }
    }
    own
}

/// A TCP check of the sidecar's port, if it has one, and an alias check of its service.
fn default_checks(sidecar: &LocalService) -> Result<Vec<CheckSpec>, Faults> {
    let own = &sidecar.service;
    let parent = sidecar.sidecar_of.clone();
    let proxy_address = own.proxy.as_ref().map_or("", |proxy| proxy.local_service_address.as_str());
    let host = [own.address.as_str(), proxy_address].into_iter().find(|host| !host.is_empty());
    let listening = (own.port != 0).then(|| Probe::Tcp {
        address: field::host_port(host.unwrap_or("127.0.0.1"), own.port),
        tls: None,
        every: Every { interval: SIDECAR_CHECK_INTERVAL, timeout: Duration::ZERO },
    });
    let alias_name = format!("Connect Sidecar Aliasing {}", parent.as_ref().map_or("", InstanceId::as_str));
    let probes = [
        listening.map(|probe| ("Connect Sidecar Listening".to_owned(), probe)),
        Some((alias_name, Probe::Alias { node: None, service: parent })),
    ];
    let present: Vec<_> = probes.into_iter().flatten().collect();
    let all = present.len();
    let spec = |(at, (name, probe)): (usize, (String, Probe))| {
        let id =
            if all == 1 { format!("service:{}", own.id) } else { format!("service:{}:{}", own.id, at + 1) };
        let fault = |error| Faults::one(Fault::rule("ID", format!("ID: too long for its checks: {error}")));
        Ok(CheckSpec {
            id: CheckId::parse(&id).map_err(fault)?,
            name,
            notes: String::new(),
            service_id: Some(own.id.clone()),
            service_name: Some(own.service.clone()),
            initial: CheckStatus::Critical,
            probe,
            success_before_passing: 0,
            failures_before_warning: 0,
            failures_before_critical: 0,
            deregister_after: None,
            output_bytes_max: None,
            token: None,
        })
    };
    present.into_iter().enumerate().map(spec).collect()
}
