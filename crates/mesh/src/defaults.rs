//! Central configuration: the settings of a registered proxy, with those of the configuration entries that apply to
//! it.
//!
//! ```text
//!   registration ──► Question ──► gather (reads entries) ──► Central ─┐
//!        └───────────────────────────────────────────────────────────┴─► resolve ──► Merged ──► ProxyConfig
//! ```
//!
//! Servers and agents use the same functions: a server gathers from its view, an agent gets what a server gathered.
//! The more particular setting wins: `proxy-defaults`, then `service-defaults`, then the registration. Each merged
//! value knows where it comes from ([`Told`]).

mod proxy;
mod settings;
mod told;
mod upstream;

use std::collections::BTreeSet;
use std::sync::Arc;

use concord_model::catalog::{NodeScope, ServiceInstance};
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol, ProxyDefaults, ServiceDefaults};
use concord_model::proxy::{ServiceKind, Upstream, UpstreamKind};
use concord_model::{Pattern, ServiceRef};
use serde::{Deserialize, Serialize};

pub use self::proxy::{Merged, resolve};
pub use self::told::{Origin, Told};
pub use self::upstream::MergedUpstream;

/// The word for transparent mode in a registration.
const TRANSPARENT: &str = "transparent";

/// Whose entries apply to a proxy.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Question {
    /// The service that a sidecar serves, or a gateway itself.
    pub service: ServiceRef,
    /// Its registered upstreams in this cluster.
    #[serde(default)]
    pub upstreams: BTreeSet<ServiceRef>,
    /// Whether it is registered for transparent mode.
    #[serde(default)]
    pub transparent: bool,
}

/// What the entries say that apply to a proxy.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Central {
    /// `proxy-defaults`.
    #[serde(default)]
    pub proxies: Option<ProxyDefaults>,
    /// `service-defaults` of its service.
    #[serde(default)]
    pub service: Option<ServiceDefaults>,
    /// The protocols that its upstreams have in their own `service-defaults`.
    #[serde(default)]
    pub protocols: Vec<UpstreamProtocol>,
}

/// The protocol of an upstream in its own `service-defaults`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct UpstreamProtocol {
    /// The upstream.
    pub service: ServiceRef,
    /// Its protocol.
    pub protocol: Protocol,
}

/// The question about an instance; `None` if it is neither a sidecar nor a gateway, which no entry concerns.
pub fn question(instance: &ServiceInstance, scope: &NodeScope) -> Option<Question> {
    let service = match instance.kind {
        ServiceKind::Typical => return None,
        ServiceKind::ConnectProxy => instance.connect_target(scope)?,
        ServiceKind::MeshGateway
        | ServiceKind::TerminatingGateway
        | ServiceKind::IngressGateway
        | ServiceKind::ApiGateway => instance.service_ref(scope),
    };
    let proxy = instance.proxy.as_ref();
    let upstreams = proxy.map(|proxy| proxy.upstreams.as_slice()).unwrap_or_default();
    Some(Question {
        service,
        upstreams: upstreams.iter().filter_map(destination).filter(|to| to.peer.is_none()).collect(),
        transparent: proxy.is_some_and(|proxy| proxy.mode == TRANSPARENT),
    })
}

/// The service at which an upstream aims; `None` for a prepared query and for the settings of all upstreams.
fn destination(upstream: &Upstream) -> Option<ServiceRef> {
    let Pattern::Exact(name) = &upstream.name else { return None };
    (upstream.kind == UpstreamKind::Service).then(|| ServiceRef {
        partition: upstream.partition.clone(),
        namespace: upstream.namespace.clone(),
        peer: upstream.peer.clone(),
        name: name.clone(),
    })
}

/// Reads the entries that apply to a proxy, and no others.
pub fn gather(question: &Question, mut entry: impl FnMut(&EntryName) -> Option<Arc<Entry>>) -> Central {
    let proxies = match entry(&EntryName::only(EntryKind::ProxyDefaults)).as_deref() {
        Some(Entry::ProxyDefaults(found)) => Some(found.said.clone()),
        _ => None,
    };
    let mut of_service = |service: &ServiceRef| match entry(&defaults_of(service)).as_deref() {
        Some(Entry::ServiceDefaults(found)) => Some(found.said.clone()),
        _ => None,
    };
    let service = of_service(&question.service);
    let central = Central { proxies, service, protocols: Vec::new() };
    let asked = upstreams_of(question, &central);
    let protocols = asked.into_iter().filter_map(|service| {
        let protocol = of_service(&service)?.protocol;
        (protocol != Protocol::Unset).then_some(UpstreamProtocol { service, protocol })
    });
    Central { protocols: protocols.collect(), ..central }
}

/// The upstreams whose own entries matter: the registered ones, and those with an override. A proxy without upstreams
/// has none, unless it is in transparent mode, in which it may call every service.
fn upstreams_of(question: &Question, central: &Central) -> BTreeSet<ServiceRef> {
    let Question { service, upstreams, transparent } = question;
    if upstreams.is_empty() && !transparent && !central.is_transparent() {
        return BTreeSet::new();
    }
    let overrides = central.overrides().filter_map(|own| {
        let name = own.name.clone().filter(|_| own.peer.is_none())?;
        Some(ServiceRef { name, peer: None, ..service.clone() })
    });
    upstreams.iter().cloned().chain(overrides).collect()
}

fn defaults_of(service: &ServiceRef) -> EntryName {
    EntryName::of_service(EntryKind::ServiceDefaults, service)
}

/// An instance with the settings of the entries. An instance that is neither a sidecar nor a gateway stays as it is.
pub fn merge(instance: &ServiceInstance, scope: &NodeScope, central: &Central) -> ServiceInstance {
    let Some(Question { service, .. }) = question(instance, scope) else { return instance.clone() };
    let registered = instance.proxy.clone().unwrap_or_default();
    let merged = resolve(&registered, &service, central).into_config(registered);
    // A gateway may be registered without any settings; then it has some only if an entry has.
    let proxy = Some(merged).filter(|merged| instance.proxy.is_some() || *merged != Default::default());
    ServiceInstance { proxy, ..instance.clone() }
}

impl Central {
    /// The entries that are merged with a proxy of this service, of those that exist.
    pub fn merged(&self, service: &ServiceRef) -> Vec<EntryName> {
        let global = self.proxies.as_ref().map(|_| EntryName::only(EntryKind::ProxyDefaults));
        let own = self.service.as_ref().map(|_| defaults_of(service));
        global.into_iter().chain(own).collect()
    }

    /// Whether the entries put the proxy into transparent mode, unless its registration says otherwise.
    fn is_transparent(&self) -> bool {
        let of_service = self.service.as_ref().map(|own| own.mode.as_str()).filter(|mode| !mode.is_empty());
        let mode = of_service.or_else(|| self.proxies.as_ref().map(|own| own.mode.as_str()));
        mode == Some(TRANSPARENT)
    }

    fn overrides(&self) -> impl Iterator<Item = &concord_model::entry::UpstreamOverride> {
        let config = self.service.as_ref().and_then(|own| own.upstream_config.as_ref());
        config.into_iter().flat_map(|config| &config.overrides)
    }
}
