//! Keeps the exposed checks up to date with the registrations.

use std::collections::{BTreeMap, BTreeSet};

use concord_model::catalog::ServiceInstance;
use concord_model::proxy::{ExposedPath, ServiceKind};
use concord_model::registration::Probe;
use concord_model::{CheckId, InstanceId};
use http::Uri;

use super::Through;
use crate::local::Local;

/// The path of gRPC's health protocol.
pub(super) const GRPC_HEALTH: &str = "/grpc.health.v1.Health/Check";

impl Local {
    /// Records whose checks a proxy exposes, as it is now.
    pub(in crate::local) fn look_at_proxy(&mut self, proxy: &InstanceId) {
        let of = self.services.get(proxy).and_then(|record| exposes(&record.service()));
        self.exposed.set(proxy, of);
    }

    /// Brings the exposed checks up to date with the records.
    pub(in crate::local) fn follow_exposed(&mut self) {
        while let Some(service) = self.exposed.moved.pop_first() {
            self.expose_checks_of(&service);
        }
    }

    fn expose_checks_of(&mut self, service: &InstanceId) {
        let before = self.exposed.checks.remove(service).unwrap_or_default();
        let after = self.exposed_now(service, &before);
        if before != after {
            self.rerun.extend(before.keys().chain(after.keys()).cloned());
            let version = self.bump();
            let proxies: BTreeSet<InstanceId> =
                before.values().chain(after.values()).map(|through| through.proxy.clone()).collect();
            for proxy in &proxies {
                self.edit_service(proxy, |record| record.version = version);
            }
        }
        if !after.is_empty() {
            self.exposed.checks.insert(service.clone(), after);
        }
    }

    /// The checks of a service to be exposed now. Ports that are not used any more are free again.
    fn exposed_now(
        &mut self,
        service: &InstanceId,
        before: &BTreeMap<CheckId, Through>,
    ) -> BTreeMap<CheckId, Through> {
        let proxy = self.exposed.by.get(service).and_then(BTreeSet::first).cloned();
        let instance = proxy.as_ref().and_then(|id| self.services.get(id)).map(|record| record.service());
        let paths: BTreeMap<CheckId, ExposedPath> = match &instance {
            Some(_) => {
                self.checks_of(Some(service)).filter_map(|id| Some((id.clone(), self.path(id)?))).collect()
            }
            None => BTreeMap::new(),
        };
        let stated = instance.as_ref().map(|instance| stated_ports(instance)).unwrap_or_default();
        let host = instance.as_ref().map(|instance| host(instance)).unwrap_or_default();
        drop(instance);
        let kept = |id: &CheckId| {
            let port = before.get(id)?.path.listener_port;
            (paths.contains_key(id) && !stated.contains(&port)).then_some(port)
        };
        let mut ports: BTreeMap<CheckId, u16> =
            before.keys().filter_map(|id| Some((id.clone(), kept(id)?))).collect();
        let unused = before.iter().filter(|(id, _)| !ports.contains_key(*id));
        self.exposed.free.extend(unused.map(|(_, through)| through.path.listener_port));
        for id in paths.keys() {
            if ports.contains_key(id) {
                continue;
            }
            match self.exposed.free.iter().find(|port| !stated.contains(*port)).copied() {
                Some(port) => {
                    self.exposed.free.remove(&port);
                    ports.insert(id.clone(), port);
                }
                None => tracing::warn!(
                    check = %id,
                    %service,
                    "no port is left to expose this check, so it does not run through the proxy; widen \
                     ports.expose_min_port and ports.expose_max_port"
                ),
            }
        }
        let Some(proxy) = proxy else { return BTreeMap::new() };
        let through = |(id, path): (CheckId, ExposedPath)| {
            let listener_port = *ports.get(&id)?;
            let (proxy, address) = (proxy.clone(), format!("{host}:{listener_port}"));
            Some((id, Through { proxy, address, path: ExposedPath { listener_port, ..path } }))
        };
        paths.into_iter().filter_map(through).collect()
    }

    /// The path that a check asks for, if it can be exposed: over HTTP or gRPC, without TLS.
    fn path(&self, check: &CheckId) -> Option<ExposedPath> {
        let (path, port, protocol) = match &self.checks.get(check)?.spec.probe {
            Probe::Http { request, every: _ } => {
                let uri: Uri = request.url.parse().ok()?;
                uri.host().filter(|host| !host.is_empty() && uri.scheme_str() == Some("http"))?;
                (uri.path().to_owned(), uri.port_u16().unwrap_or(80), "http")
            }
            Probe::Grpc { address, service: _, tls: None, every: _ } => {
                let (_, port) = address.rsplit_once(':')?;
                (GRPC_HEALTH.to_owned(), port.parse().ok()?, "http2")
            }
            _ => return None,
        };
        (port != 0).then(|| ExposedPath {
            listener_port: 0,
            path,
            local_path_port: port,
            protocol: protocol.to_owned(),
            parsed_from_check: true,
        })
    }

    /// `host:port` of the proxy's listener through which a check runs; `None`: it runs directly.
    pub(in crate::local) fn way_of(&self, check: &CheckId) -> Option<String> {
        let service = self.checks.get(check)?.spec.service_id.as_ref()?;
        Some(self.exposed.checks.get(service)?.get(check)?.address.clone())
    }

    /// A registered proxy as it is configured: merged with what entries say, with the paths of the checks that run
    /// through it.
    pub(crate) fn proxy(&self, id: &InstanceId) -> Option<ServiceInstance> {
        let mut instance = self.services.get(id)?.service().into_owned();
        let exposed = self.exposed.of.get(id).and_then(|service| self.exposed.checks.get(service));
        let paths = exposed.into_iter().flatten().filter(|(_, through)| through.proxy == *id);
        if let Some(expose) = instance.proxy.as_mut().and_then(|proxy| proxy.expose.as_mut()) {
            expose.paths.extend(paths.map(|(_, through)| through.path.clone()));
        }
        Some(instance)
    }
}

/// The service whose checks this proxy exposes.
fn exposes(proxy: &ServiceInstance) -> Option<InstanceId> {
    let own = proxy.proxy.as_ref().filter(|_| proxy.kind == ServiceKind::ConnectProxy)?;
    own.expose.as_ref().filter(|expose| expose.checks)?;
    own.destination_service_id.clone()
}

/// The ports that a proxy listens at anyway.
fn stated_ports(instance: &ServiceInstance) -> BTreeSet<u16> {
    let expose = instance.proxy.as_ref().and_then(|proxy| proxy.expose.as_ref());
    let paths = expose.iter().flat_map(|expose| &expose.paths).map(|path| path.listener_port);
    let upstreams = instance.proxy.iter().flat_map(|proxy| &proxy.upstreams).map(|own| own.local_bind_port);
    paths.chain(upstreams).chain([instance.port]).collect()
}

/// Where this machine reaches the listeners of a proxy: where it binds, else where others reach it, else on loopback.
fn host(instance: &ServiceInstance) -> String {
    let bind = instance.proxy.as_ref().and_then(|proxy| proxy.config.get("bind_address")?.as_str());
    let is_specific = |address: &&str| !matches!(*address, "" | "0.0.0.0" | "::");
    let found = bind.filter(is_specific).or_else(|| Some(instance.address.as_str()).filter(is_specific));
    match found {
        Some(address) if address.contains(':') => format!("[{address}]"),
        Some(address) => address.to_owned(),
        None => "127.0.0.1".to_owned(),
    }
}
