//! The resources of a sidecar, from its snapshot: each kind in a file of its own.
//!
//! Upstreams are served by their discovery chains. Intentions judge the requests of a service with an HTTP protocol, and
//! the connections of every other.

mod address;
mod cluster;
mod endpoint;
mod exposed;
mod given;
mod header;
mod http;
mod inbound;
mod intentions;
mod jwt;
mod listener;
mod manager;
mod observed;
mod outbound;
mod outcome;
mod requests;
mod route;
mod secret;
mod tls;

use concord_model::entry::Protocol;
use concord_proxycfg::{Feature, InboundListener, ListenerId, ProxySnapshot};

pub use self::given::Fault;
use self::given::{Given, Requests};
pub use self::header::HeaderFault;
use self::inbound::{Incoming, Timeouts};
use self::observed::Observed;
pub use self::outcome::{Configuration, Unserved, Unsupported};
use self::requests::{Judge, Told};
use crate::bootstrap::version::Version;
use crate::names;
use crate::resource::ResourceType;

/// What the resources of a sidecar are made of. A snapshot that needs more is refused by name.
pub const UNDERSTANDS: [Feature; 12] = Feature::ALL;

/// The resources of a sidecar, for an Envoy of this version; `None`: it is not known.
///
/// # Errors
/// The snapshot cannot be carried out; nothing of it may be.
pub fn sidecar(snapshot: &ProxySnapshot, envoy: Option<Version>) -> Result<Configuration, Unsupported> {
    let leaf = snapshot.leaf.as_deref().ok_or(Unsupported::NoLeaf)?;
    let mut built = Configuration::default();
    let observed = Observed::read(snapshot, &mut built.unserved);
    built.resources.insert(ResourceType::Secret, secret::leaf(leaf));
    built.resources.insert(ResourceType::Secret, secret::roots(&snapshot.roots));
    if let Some(inbound) = snapshot.inbound() {
        add_inbound(snapshot, inbound, &observed, envoy, &mut built)?;
    }
    outbound::add(snapshot, &observed, &mut built);
    Ok(built)
}

fn add_inbound(
    snapshot: &ProxySnapshot,
    inbound: &InboundListener,
    observed: &Observed,
    envoy: Option<Version>,
    built: &mut Configuration,
) -> Result<(), Unsupported> {
    snapshot.policy()?;
    let incoming = Incoming::new(snapshot);
    let protocol = inbound::http_protocol(snapshot);
    let Some(local) = add_local(snapshot, inbound, protocol, built) else { return Ok(()) };
    exposed::add(snapshot, inbound, &local, observed, built);
    let mut issuers = Vec::new();
    let mut rules = None;
    if let Some(protocol) = protocol {
        issuers = jwt::issuers(&incoming.providers(&snapshot.intentions), envoy, &mut built.unserved);
        let timeouts = Timeouts::read(snapshot)?;
        let judge = Judge {
            section: &snapshot.intentions,
            trust_domain: &snapshot.roots.trust_domain,
            settings: incoming.normalization(),
            told: Told::by(envoy),
        };
        built.resources.insert(ResourceType::Route, requests::routes(&judge, &timeouts));
        rules = Some(Requests {
            manager: http::inbound(snapshot, &incoming, &issuers, protocol, observed),
            filters: http::judging(&issuers, &judge),
        });
        for server in issuers.iter().filter_map(|own| own.server.clone()) {
            built.resources.insert(ResourceType::Cluster, server);
        }
    }
    match Given::listener(&snapshot.proxy.settings, given::PUBLIC_LISTENER) {
        Ok(None) => {
            let public = listener::public(snapshot, inbound, &incoming, &issuers, observed);
            built.resources.insert(ResourceType::Listener, public);
        }
        Ok(Some(given)) => match listener::guarded(given, snapshot, &incoming, rules.as_ref()) {
            Ok(public) => {
                let servers = issuers.iter().filter_map(|own| Some(own.server.as_ref()?.name.clone()));
                built.resources.insert(ResourceType::Listener, public.naming(servers.chain([local.into()])));
            }
            Err(fault) => built.unserved.push(unusable(given::PUBLIC_LISTENER, fault)),
        },
        Err(fault) => built.unserved.push(unusable(given::PUBLIC_LISTENER, fault)),
    }
    Ok(())
}

/// Adds the cluster of the local service. Returns its name.
fn add_local(
    snapshot: &ProxySnapshot,
    inbound: &InboundListener,
    protocol: Option<Protocol>,
    built: &mut Configuration,
) -> Option<String> {
    let settings = &snapshot.proxy.settings;
    let resource = match Given::cluster(settings, given::LOCAL_CLUSTER) {
        Ok(None) => cluster::local_app(inbound, protocol),
        Ok(Some(given)) => {
            let is_led_to = matches!(given::text(settings, given::PUBLIC_LISTENER), Ok(None));
            if is_led_to && given.name != names::LOCAL_APP {
                let fault = Fault::Name { found: given.name, needed: names::LOCAL_APP.to_owned() };
                built.unserved.push(unusable(given::LOCAL_CLUSTER, fault));
                return None;
            }
            given.resource()
        }
        Err(fault) => {
            built.unserved.push(unusable(given::LOCAL_CLUSTER, fault));
            return None;
        }
    };
    let name = resource.name.to_string();
    built.resources.insert(ResourceType::Cluster, resource);
    Some(name)
}

fn unusable(key: &'static str, fault: Fault) -> Unserved {
    Unserved::Given { of: ListenerId::Inbound, key, fault }
}
