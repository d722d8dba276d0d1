//! The resources of a sidecar, from its snapshot: each kind in a file of its own.
//!
//! Connections are carried as they are. (Routes, requests and tokens follow with the parts of the snapshot that say
//! them. Until then an intention that decides by request denies.)

mod address;
mod cluster;
mod endpoint;
mod intentions;
mod listener;
mod outcome;
mod secret;
mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_model::sni;
use concord_proxycfg::{Feature, InboundListener, Leads, OutboundListener, ProxySnapshot, Resolve, Target};

use self::cluster::Destination;
pub use self::outcome::{Configuration, Unserved, Unsupported};
use crate::names;
use crate::resource::ResourceType;

/// What the resources of a sidecar are made of. A snapshot that needs more is refused by name.
pub const UNDERSTANDS: [Feature; 6] = [
    Feature::Proxy,
    Feature::Roots,
    Feature::Intentions,
    Feature::Targets,
    Feature::Chains,
    Feature::Listeners,
];

/// Settings that replace resources of the proxy as a whole. To pass over them would allow what they were to prevent.
const REPLACING: [&str; 3] =
    ["envoy_public_listener_json", "envoy_local_cluster_json", "envoy_listener_tracing_json"];
/// The same, of an upstream.
const UPSTREAM_REPLACING: [&str; 2] = ["envoy_listener_json", "envoy_cluster_json"];

/// The resources of a sidecar.
///
/// # Errors
/// The snapshot cannot be carried out; nothing of it may be.
pub fn sidecar(snapshot: &ProxySnapshot) -> Result<Configuration, Unsupported> {
    if let Some(key) = replaced(&snapshot.proxy.settings, &REPLACING) {
        return Err(Unsupported::Setting(key));
    }
    let leaf = snapshot.leaf.as_deref().ok_or(Unsupported::NoLeaf)?;
    let mut built = Configuration::default();
    built.resources.insert(ResourceType::Secret, secret::leaf(leaf));
    built.resources.insert(ResourceType::Secret, secret::roots(&snapshot.roots));
    if let Some(inbound) = snapshot.inbound() {
        add_inbound(snapshot, inbound, &mut built)?;
    }
    let mut clusters = BTreeMap::new();
    for outbound in snapshot.outbound() {
        match Upstream::read(snapshot, outbound) {
            Ok(upstream) => add_upstream(&upstream, &mut clusters, &mut built),
            Err(unserved) => built.unserved.push(unserved),
        }
    }
    for (name, own) in clusters {
        add_cluster(snapshot, name, &own, &mut built);
    }
    Ok(built)
}

/// An upstream that Envoy can serve.
struct Upstream<'a> {
    listener: &'a OutboundListener,
    resolve: &'a Resolve,
    target: &'a Arc<Target>,
    /// Its server name.
    sni: String,
    /// Its cluster's name.
    cluster: String,
}

impl<'a> Upstream<'a> {
    fn read(snapshot: &'a ProxySnapshot, listener: &'a OutboundListener) -> Result<Self, Unserved> {
        let upstream = || listener.upstream.clone();
        let chain = match &listener.leads {
            Leads::Chain(chain) => chain,
            Leads::Refused(refusal) => {
                return Err(Unserved::Refused { upstream: upstream(), refusal: refusal.clone() });
            }
        };
        if let Some(key) = replaced(&listener.settings, &UPSTREAM_REPLACING) {
            return Err(Unserved::Setting { upstream: upstream(), key });
        }
        let (resolve, target) = snapshot.resolve(chain).expect("a snapshot has what its listeners name");
        let sni = sni::service(&target.id.service, None, &target.id.datacenter, &snapshot.roots.trust_domain)
            .map_err(|error| Unserved::Name { upstream: upstream(), error })?;
        let cluster = match resolve.connect_timeout {
            None => sni.clone(),
            Some(own) => names::customised(&cluster::hash(own), &sni),
        };
        Ok(Self { listener, resolve, target, sni, cluster })
    }
}

fn add_inbound(
    snapshot: &ProxySnapshot,
    inbound: &InboundListener,
    built: &mut Configuration,
) -> Result<(), Unsupported> {
    let rules = intentions::rules(&snapshot.intentions, &snapshot.roots.trust_domain);
    snapshot.policy()?;
    built.resources.insert(ResourceType::Cluster, cluster::local_app(inbound));
    built.resources.insert(ResourceType::Listener, listener::public(snapshot, inbound, rules));
    Ok(())
}

fn add_upstream<'a>(
    upstream: &Upstream<'a>,
    clusters: &mut BTreeMap<String, Destination<'a>>,
    built: &mut Configuration,
) {
    let Upstream { listener, resolve, target, sni, cluster } = upstream;
    built.resources.insert(ResourceType::Listener, listener::upstream(listener, &target.id, cluster));
    let own = clusters.entry(cluster.clone()).or_insert_with(|| Destination {
        resolve,
        target,
        sni: sni.clone(),
        limits: listener.limits,
    });
    own.limits = cluster::stricter(own.limits, listener.limits);
}

fn add_cluster(snapshot: &ProxySnapshot, name: String, own: &Destination<'_>, built: &mut Configuration) {
    let domain = &snapshot.roots.trust_domain;
    match &own.target.endpoints {
        Some(endpoints) => {
            let resource = endpoint::assignment(&name, &own.target.id, endpoints, &mut built.unserved);
            built.resources.insert(ResourceType::Endpoint, resource);
        }
        None => built.resources.insert_awaited(ResourceType::Endpoint, name.clone()),
    }
    built.resources.insert(ResourceType::Cluster, cluster::upstream(name, own, domain));
}

/// The first of these keys that is set.
fn replaced(settings: &concord_model::proxy::Settings, keys: &[&'static str]) -> Option<&'static str> {
    let is_set = |key: &&str| settings.get(*key).is_some_and(|value| !value.is_null() && value != "");
    keys.iter().copied().find(is_set)
}
