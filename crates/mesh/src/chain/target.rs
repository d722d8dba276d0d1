//! The targets of a chain while it is assembled.

use std::collections::{BTreeMap, BTreeSet};

use concord_model::chain::ChainTarget;
use concord_model::entry::{GatewayMode, ResolverSubset};
use concord_model::{Datacenter, Namespace, PeerName, ServiceName, ServiceRef, Timeout, sni};

use super::request::Request;

/// The targets that were named, by id, and those that are used.
#[derive(Debug, Default)]
pub(super) struct Targets {
    all: BTreeMap<String, ChainTarget>,
    used: BTreeSet<String>,
}

/// How a target becomes another one. What is not set stays; the peer never stays.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rewrite<'a> {
    pub(super) service: Option<&'a ServiceName>,
    pub(super) subset: &'a str,
    pub(super) datacenter: Option<&'a Datacenter>,
    pub(super) peer: Option<&'a PeerName>,
}

// === impl Targets ===

impl Targets {
    /// The id of the target for a service, which is noted.
    pub(super) fn name(
        &mut self,
        request: &Request,
        service: ServiceRef,
        subset: &str,
        datacenter: Option<&Datacenter>,
    ) -> String {
        let target = new_target(request, service, subset, datacenter);
        let id = target.id.clone();
        self.all.entry(id.clone()).or_insert(target);
        id
    }

    /// The id of what a target becomes. Another service has other subsets.
    pub(super) fn rewrite(&mut self, request: &Request, id: &str, to: Rewrite<'_>) -> String {
        let from = &self.all[id];
        let mut service = from.service.clone();
        let mut subset = from.subset_name.clone();
        if let Some(name) = to.service.filter(|name| **name != service.name) {
            service.name = name.clone();
            subset.clear();
        }
        if !to.subset.is_empty() {
            to.subset.clone_into(&mut subset);
        }
        if to.peer.is_some() {
            service.namespace = Namespace::default();
        }
        service.peer = to.peer.cloned();
        let datacenter = to.datacenter.or(from.datacenter.as_ref()).cloned();
        self.name(request, service, &subset, datacenter.as_ref())
    }

    pub(super) fn get(&self, id: &str) -> &ChainTarget {
        &self.all[id]
    }

    /// The target, to be completed, which is used from now on.
    pub(super) fn use_it(&mut self, id: &str) -> &mut ChainTarget {
        self.used.insert(id.to_owned());
        self.all.get_mut(id).expect("an id comes from here")
    }

    /// The targets that are used.
    pub(super) fn finish(mut self) -> BTreeMap<String, ChainTarget> {
        self.all.retain(|id, _| self.used.contains(id));
        self.all
    }
}

fn new_target(
    request: &Request,
    mut service: ServiceRef,
    subset: &str,
    datacenter: Option<&Datacenter>,
) -> ChainTarget {
    let datacenter = match service.peer {
        // What a peered cluster has is kept in the partition of whoever asks.
        Some(_) => {
            service.partition = request.service.partition.clone();
            None
        }
        None => Some(datacenter.unwrap_or(&request.datacenter).clone()),
    };
    let named = (!subset.is_empty()).then_some(subset);
    let sni =
        datacenter.as_ref().and_then(|own| sni::service(&service, named, own, &request.trust_domain).ok());
    let sni = sni.unwrap_or_default();
    ChainTarget {
        id: id(&service, subset, datacenter.as_ref()),
        service,
        subset_name: subset.to_owned(),
        subset: ResolverSubset::default(),
        datacenter,
        mesh_gateway: GatewayMode::Unset,
        mesh_gateway_origin: None,
        dialed_directly: false,
        connect_timeout: Timeout::default(),
        external: None,
        name: sni.clone(),
        sni,
    }
}

/// The id of a target. No two targets have the same one, except that subsets of a peered cluster's services are none.
fn id(service: &ServiceRef, subset: &str, datacenter: Option<&Datacenter>) -> String {
    let own = node_name(service);
    match (&service.peer, datacenter) {
        (Some(peer), _) => format!("{own}.external.{}", label(peer.as_str())),
        (None, datacenter) => {
            let datacenter = label(datacenter.map_or("", Datacenter::as_str));
            if subset.is_empty() {
                format!("{own}.{datacenter}")
            } else {
                format!("{subset}.{own}.{datacenter}")
            }
        }
    }
}

/// The name of a service's router and splitter.
pub(super) fn node_name(service: &ServiceRef) -> String {
    let ServiceRef { partition, namespace, peer: _, name } = service;
    format!("{}.{}.{}", label(name.as_str()), label(namespace.as_str()), label(partition.as_str()))
}

/// One part of a name. Its dots are written otherwise, so that `v1.web` is never taken for the subset `v1` of `web`.
fn label(text: &str) -> String {
    if text.contains(['.', '%']) { text.replace('%', "%25").replace('.', "%2E") } else { text.to_owned() }
}
