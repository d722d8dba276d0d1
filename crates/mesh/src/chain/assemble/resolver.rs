//! Finds the target for a service and subset: by redirects and default subsets, with its failover and its settings.

use std::collections::BTreeSet;

use concord_model::chain::{ChainFailover, ChainNode, NextNode, Origin, ResolverNode};
use concord_model::entry::{
    EntryKind, EntryName, GatewayMode, ResolverFailover, ResolverTarget, ServiceResolver,
};
use concord_model::{ServiceName, ServiceRef, Timeout};

use super::Assembler;
use crate::chain::fault::ChainFault;
use crate::chain::gather::of_proxies;
use crate::chain::limits::CONNECT_TIMEOUT;
use crate::chain::target::Rewrite;

/// A target, and the redirects and default subsets on the way to it.
struct Reached {
    id: String,
    via: Vec<Origin>,
}

impl Assembler<'_> {
    /// The node for a service and subset.
    pub(super) fn resolver(&mut self, service: ServiceRef, subset: &str) -> Result<NextNode, ChainFault> {
        let id = self.made.targets.name(self.request, service, subset, None);
        let Reached { id, via } = self.follow(id)?;
        let key = format!("resolver:{id}");
        if !self.made.nodes.contains_key(&key) {
            let node = self.complete(&id)?;
            self.record(ChainNode::Resolver(node));
            let failover = self.failover(&id)?;
            if let Some(ChainNode::Resolver(node)) = self.made.nodes.get_mut(&key) {
                node.failover = failover;
            }
        }
        Ok(NextNode { key, via })
    }

    /// Follows redirects and default subsets.
    fn follow(&mut self, from: String) -> Result<Reached, ChainFault> {
        let entries = self.entries;
        let (mut at, mut via) = (from, Vec::new());
        let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
        loop {
            self.step()?;
            if self.made.nodes.contains_key(&format!("resolver:{at}")) {
                return Ok(Reached { id: at, via });
            }
            let service = self.made.targets.get(&at).service.clone();
            if service.peer.is_none() {
                self.agree(&service)?;
            }
            order.push(at.clone());
            if !seen.insert(at.clone()) {
                return Err(ChainFault::CircularRedirect(order));
            }
            let own = here(service);
            let Some(resolver) = entries.resolver(&own) else {
                self.has_subset(&at, None)?;
                return Ok(Reached { id: at, via });
            };
            let Some((to, field)) = self.next_target(&at, resolver) else {
                self.has_subset(&at, Some(resolver))?;
                return Ok(Reached { id: at, via });
            };
            let entry = EntryName::of_service(EntryKind::ServiceResolver, &own);
            via.push(Origin { entry, field: field.to_owned() });
            at = to;
        }
    }

    /// The target that takes the place of another one, and the field that says so.
    fn next_target(&mut self, at: &str, resolver: &ServiceResolver) -> Option<(String, &'static str)> {
        if let Some(redirect) = &resolver.redirect {
            let to = self.made.targets.rewrite(self.request, at, rewrite_to(redirect));
            if to != at {
                return Some((to, "Redirect"));
            }
        }
        let default = &resolver.default_subset;
        if default.is_empty() || !self.made.targets.get(at).subset_name.is_empty() {
            return None;
        }
        let to = Rewrite { subset: default, ..Rewrite::default() };
        Some((self.made.targets.rewrite(self.request, at, to), "DefaultSubset"))
    }

    fn has_subset(&self, at: &str, resolver: Option<&ServiceResolver>) -> Result<(), ChainFault> {
        let target = self.made.targets.get(at);
        let subset = &target.subset_name;
        if resolver.map_or(subset.is_empty(), |resolver| resolver.has_subset(subset)) {
            return Ok(());
        }
        Err(ChainFault::NoSubset { service: target.service.name.clone(), subset: subset.clone() })
    }

    /// Completes a target that is used, and tells what its node says except for its failover.
    fn complete(&mut self, id: &str) -> Result<ResolverNode, ChainFault> {
        let own = here(self.made.targets.get(id).service.clone());
        let resolver = self.entries.resolver(&own);
        let connect_timeout = self.connect_timeout(resolver);
        let external = self.external(&own, resolver)?;
        let gateway = if external.is_some() { None } else { self.gateway(&own) };
        let target = self.made.targets.use_it(id);
        target.connect_timeout = connect_timeout;
        target.subset =
            resolver.and_then(|own| own.subsets.get(&target.subset_name)).cloned().unwrap_or_default();
        if let Some((origin, sni)) = external {
            (target.external, target.sni) = (Some(origin), sni);
        }
        if let Some(Gateway { mode, origin, dialed_directly }) = gateway {
            (target.mesh_gateway, target.mesh_gateway_origin) = (mode, origin);
            target.dialed_directly = dialed_directly;
        }
        let entry = resolver.map(|_| EntryName::of_service(EntryKind::ServiceResolver, &own));
        Ok(ResolverNode {
            target: id.to_owned(),
            default: resolver.is_none_or(ServiceResolver::is_default),
            connect_timeout,
            request_timeout: resolver.map(|own| own.request_timeout).unwrap_or_default(),
            failover: Vec::new(),
            load_balancer: resolver.and_then(|own| own.load_balancer.clone()),
            entry,
        })
    }

    fn connect_timeout(&mut self, resolver: Option<&ServiceResolver>) -> Timeout {
        let said = resolver.map(|own| own.connect_timeout).filter(|said| said.nanos() > 0);
        let (said, wanted) = (said.unwrap_or(CONNECT_TIMEOUT), self.request.overrides.connect_timeout);
        if wanted.nanos() <= 0 || wanted == said {
            return said;
        }
        self.made.customized.connect_timeout = true;
        wanted
    }

    /// The server name of a service outside of the mesh. Its resolver must leave it as it is.
    fn external(
        &self,
        own: &ServiceRef,
        resolver: Option<&ServiceResolver>,
    ) -> Result<Option<(Origin, String)>, ChainFault> {
        let sni = self.entries.service(own).map(|defaults| &defaults.said.external_sni);
        let Some(sni) = sni.filter(|sni| !sni.is_empty()) else { return Ok(None) };
        let refused = |what| Err(ChainFault::External { service: own.name.clone(), what });
        match resolver {
            Some(resolver) if resolver.redirect.is_some() => return refused("redirects"),
            Some(resolver) if !resolver.subsets.is_empty() => return refused("subsets"),
            Some(resolver) if !resolver.failover.is_empty() => return refused("failover"),
            _ => {}
        }
        let entry = EntryName::of_service(EntryKind::ServiceDefaults, own);
        Ok(Some((Origin { entry, field: "ExternalSNI".to_owned() }, sni.clone())))
    }

    /// How connections reach a service of the mesh.
    fn gateway(&mut self, own: &ServiceRef) -> Option<Gateway> {
        let (service, all) = (self.entries.service(own), self.entries.proxies());
        let mode = service.map(|own| own.said.mesh_gateway.mode).unwrap_or_default();
        let entry = EntryName::of_service(EntryKind::ServiceDefaults, own);
        let field = "MeshGateway.Mode";
        let of_all = all.map(|all| all.mesh_gateway.mode).unwrap_or_default();
        let (mut mode, mut origin) = match (mode, of_all) {
            (GatewayMode::Unset, GatewayMode::Unset) => (GatewayMode::Unset, None),
            (GatewayMode::Unset, of_all) => (of_all, Some(of_proxies(field))),
            (mode, _) => (mode, Some(Origin { entry, field: field.to_owned() })),
        };
        let wanted = self.request.overrides.mesh_gateway;
        if wanted != GatewayMode::Unset && wanted != mode {
            self.made.customized.mesh_gateway = true;
            (mode, origin) = (wanted, None);
        }
        let dialed = [
            service.map(|own| own.said.transparent_proxy.dialed_directly),
            all.map(|all| all.transparent_proxy.dialed_directly),
        ];
        Some(Gateway { mode, origin, dialed_directly: dialed.contains(&Some(true)) })
    }

    /// The targets to which requests go if no instance of a target is healthy. Their own failovers are not followed.
    fn failover(&mut self, id: &str) -> Result<Vec<ChainFailover>, ChainFault> {
        let target = self.made.targets.get(id);
        let (own, subset) = (here(target.service.clone()), target.subset_name.clone());
        let Some(resolver) = self.entries.resolver(&own) else { return Ok(Vec::new()) };
        let key = if resolver.failover.contains_key(&subset) { subset.as_str() } else { "*" };
        let Some(failover) = resolver.failover.get(key) else { return Ok(Vec::new()) };
        let entry = EntryName::of_service(EntryKind::ServiceResolver, &own);
        let mut all = Vec::new();
        for (field, to) in steps(failover) {
            let to = self.made.targets.rewrite(self.request, id, to);
            if to == id {
                continue;
            }
            let Reached { id: to, via } = self.follow(to)?;
            if !self.made.nodes.contains_key(&format!("resolver:{to}")) {
                self.complete(&to)?;
            }
            let first = Origin { entry: entry.clone(), field: format!("Failover[{key:?}]{field}") };
            all.push(ChainFailover { target: to, origins: [vec![first], via].concat() });
        }
        Ok(all)
    }
}

/// How connections reach a service.
struct Gateway {
    mode: GatewayMode,
    origin: Option<Origin>,
    dialed_directly: bool,
}

/// The service of our own cluster with this name: its entries apply to the service in peered clusters, too, as in
/// Consul.
fn here(service: ServiceRef) -> ServiceRef {
    ServiceRef { peer: None, ..service }
}

fn rewrite_to(target: &ResolverTarget) -> Rewrite<'_> {
    Rewrite {
        service: target.service.as_ref(),
        subset: &target.service_subset,
        datacenter: target.datacenter.as_ref(),
        peer: target.peer.as_ref(),
    }
}

/// The steps of a failover, each with its field below the failover.
fn steps(failover: &ResolverFailover) -> Vec<(String, Rewrite<'_>)> {
    let service: Option<&ServiceName> = failover.service.as_ref();
    let plain = Rewrite { service, subset: &failover.service_subset, ..Rewrite::default() };
    let numbered = |what, i| format!(".{what}[{i}]");
    if !failover.datacenters.is_empty() {
        let all = failover.datacenters.iter().enumerate();
        return all
            .map(|(i, own)| (numbered("Datacenters", i), Rewrite { datacenter: Some(own), ..plain }))
            .collect();
    }
    if !failover.targets.is_empty() {
        let all = failover.targets.iter().enumerate();
        return all.map(|(i, own)| (numbered("Targets", i), rewrite_to(own))).collect();
    }
    vec![(String::new(), plain)]
}
