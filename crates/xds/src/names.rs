//! The names that Envoy is given: of resources, and of what its statistics count. They are Consul's, because
//! dashboards and tools match them; so every one is made here.

use concord_model::chain::CompiledChain;
use concord_model::proxy::ExposedPath;
use concord_model::{Datacenter, ServiceRef, TrustDomain};
use concord_proxycfg::{BindAddress, UpstreamId};

/// The secret with the certificate and key of the proxy's service.
pub const LEAF: &str = "leaf";
/// The secret with the root certificates of the proxy's own trust domain.
pub const ROOTS: &str = "roots";
/// The cluster of the local service.
pub const LOCAL_APP: &str = "local_app";
/// What the statistics of the public listener begin with.
pub const PUBLIC_LISTENER: &str = "public_listener";
/// What the statistics of intentions begin with.
pub const INTENTIONS: &str = "connect_authz";
/// What the statistics of the limit of inbound connections begin with.
pub const INBOUND_LIMIT: &str = "inbound_connection_limit";
/// The policy of the intentions for connections.
pub const LAYER_4: &str = "consul-intentions-layer4";

/// The filter that verifies tokens, and the metadata in which it tells their claims.
pub const JWT_FILTER: &str = "envoy.filters.http.jwt_authn";
/// The filter of intentions for requests.
pub const RBAC_FILTER: &str = "envoy.filters.http.rbac";
/// The same in a listener that an operator has written. No configuration of routes for another filter is taken for it.
pub const GUARD_FILTER: &str = "concord.intentions";
/// What is denied before it.
pub const DENYING_FILTER: &str = "concord.intentions.deny";

/// A policy of the intentions for requests.
pub fn layer_7(at: usize) -> String {
    format!("consul-intentions-layer7-{at}")
}

/// Where the claims of a provider's verified token are.
pub fn token_payload(provider: &str) -> String {
    format!("jwt_payload_{provider}")
}

/// The cluster of the server with a provider's keys.
pub fn key_server(provider: &str) -> String {
    format!("jwks_cluster_{provider}")
}

/// The listener for connections from the mesh.
pub fn public_listener(bind: &BindAddress) -> String {
    format!("{PUBLIC_LISTENER}:{}", place(bind))
}

/// The listener of an exposed path.
pub fn exposed_path(path: &ExposedPath, bind: &BindAddress) -> String {
    format!("exposed_path_{}:{}", plain(&path.path), place(bind))
}

/// The filter of an exposed path, and what its statistics begin with.
pub fn exposed_filter(path: &ExposedPath) -> String {
    format!("exposed_path_filter_{}_{}", plain(&path.path), path.listener_port)
}

/// The cluster of a port of the local service for exposed paths.
pub fn exposed_cluster(port: u16) -> String {
    format!("exposed_cluster_{port}")
}

/// The letters and digits of a path.
fn plain(path: &str) -> String {
    path.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// The listener of an upstream.
pub fn upstream_listener(upstream: &UpstreamId, bind: &BindAddress) -> String {
    format!("{upstream}:{}", place(bind))
}

/// A cluster with settings that differ from those of its service has a name of its own.
pub fn customised(hash: &str, cluster: &str) -> String {
    format!("{hash}~{cluster}")
}

/// The cluster of a target: named like its server name in the mesh, with the fingerprint of what the upstream wants
/// otherwise than the entries.
pub fn cluster(chain: &CompiledChain, target: &str) -> String {
    let name = chain.targets.get(target).map_or("", |target| &target.name);
    let name = if name.is_empty() { target } else { name };
    if chain.customization_hash.is_empty() {
        return name.to_owned();
    }
    customised(&chain.customization_hash, name)
}

/// One of the clusters of a failover, in its order.
pub fn failover(at: usize, cluster: &str) -> String {
    format!("failover-target~{at}~{cluster}")
}

/// The virtual host of an upstream about whose requests no entry says anything.
pub fn default_host(service: &ServiceRef, datacenter: &Datacenter) -> String {
    let ServiceRef { partition, namespace, peer: _, name } = service;
    format!("{name}.{namespace}.{partition}.{datacenter}")
}

/// What the statistics of an upstream's connections begin with.
pub fn upstream_statistics(service: &ServiceRef, datacenter: &Datacenter) -> String {
    statistic(&format!("upstream.{}", default_host(service, datacenter)))
}

/// The pattern of the identities of all services of a trust domain, as a regular expression for the whole text.
pub fn any_service(trust_domain: &TrustDomain) -> String {
    format!("spiffe://{}(/ap/[^/]+)?/ns/[^/]+/dc/[^/]+/svc/[^/]+", quoted(trust_domain.as_str()))
}

/// A text that a regular expression takes literally.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for one in text.chars() {
        if r"\.+*?()|[]{}^$".contains(one) {
            quoted.push('\\');
        }
        quoted.push(one);
    }
    quoted
}

/// Statistics separate their parts with dots and drop what follows a colon.
fn statistic(text: &str) -> String {
    text.replace(':', "_")
}

fn place(bind: &BindAddress) -> String {
    match bind {
        BindAddress::Tcp(address) => format!("{}:{}", address.ip(), address.port()),
        BindAddress::Unix { path, .. } => path.clone(),
    }
}
