//! Names of services and intentions in explanations, as in query strings.

use concord_model::intention::{Destination, Source};
use concord_model::name::DEFAULT;
use concord_model::{PeerName, ServiceRef};

pub(super) fn service(service: &ServiceRef) -> String {
    let ServiceRef { partition, namespace, name, peer } = service;
    scoped(peer.as_ref(), partition.as_str(), namespace.as_str(), name.as_str())
}

pub(super) fn caller(source: &Source) -> String {
    let Source { partition, namespace, peer, name } = source;
    scoped(peer.as_ref(), partition.as_str(), namespace.as_str(), name.as_str())
}

pub(super) fn called(destination: &Destination) -> String {
    let Destination { partition, namespace, name } = destination;
    scoped(None, partition.as_str(), namespace.as_str(), name.as_str())
}

/// A name in the form of query strings. Parts that are `default` are left out.
fn scoped(peer: Option<&PeerName>, partition: &str, namespace: &str, name: &str) -> String {
    let name = match (partition, namespace) {
        (DEFAULT, DEFAULT) => name.to_owned(),
        (DEFAULT, namespace) => format!("{namespace}/{name}"),
        (partition, namespace) => format!("{partition}/{namespace}/{name}"),
    };
    match peer {
        Some(peer) => format!("peer:{peer}/{name}"),
        None => name,
    }
}
