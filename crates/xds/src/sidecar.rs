//! The resources of a sidecar, from its snapshot: each kind in a file of its own.
//!
//! Upstreams are served by their discovery chains. Of connections from the mesh, an intention that decides by request
//! denies.

mod address;
mod cluster;
mod endpoint;
mod intentions;
mod listener;
mod manager;
mod outbound;
mod outcome;
mod replacing;
mod route;
mod secret;
mod tls;

use concord_proxycfg::{Feature, InboundListener, ProxySnapshot};

pub use self::outcome::{Configuration, Unserved, Unsupported};
use crate::resource::ResourceType;

/// What the resources of a sidecar are made of. A snapshot that needs more is refused by name.
pub const UNDERSTANDS: [Feature; 8] = Feature::ALL;

/// The resources of a sidecar.
///
/// # Errors
/// The snapshot cannot be carried out; nothing of it may be.
pub fn sidecar(snapshot: &ProxySnapshot) -> Result<Configuration, Unsupported> {
    if let Some(key) = replacing::of_proxy(&snapshot.proxy.settings) {
        return Err(Unsupported::Setting(key));
    }
    let leaf = snapshot.leaf.as_deref().ok_or(Unsupported::NoLeaf)?;
    let mut built = Configuration::default();
    built.resources.insert(ResourceType::Secret, secret::leaf(leaf));
    built.resources.insert(ResourceType::Secret, secret::roots(&snapshot.roots));
    if let Some(inbound) = snapshot.inbound() {
        add_inbound(snapshot, inbound, &mut built)?;
    }
    outbound::add(snapshot, &mut built);
    Ok(built)
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
