//! The keys of all tables, in one place: what a row is kept under, and which classes are scanned.

use std::fmt::Write;

use concord_model::catalog::{Check, CheckStatus, NodeScope, ServiceInstance};
use concord_model::entry::{EntryKind, EntryName};
use concord_model::intention::{Destination, Source};
use concord_model::token::SecretHash;
use concord_model::{
    CheckId, InstanceId, Namespace, NodeName, Pattern, ServiceName, ServiceRef, Timestamp, Uuid,
};

use crate::key::{Key, KeyBuilder};
use crate::row::ServiceScope;

fn key() -> KeyBuilder {
    KeyBuilder::new()
}

/// Everything in a table.
pub(crate) fn all() -> Key {
    key().build()
}

/// The one row of a table that has one.
pub(crate) fn only() -> Key {
    key().with("").build()
}

pub(crate) fn id(id: Uuid) -> Key {
    key().with(&id.to_string()).build()
}

pub(crate) fn text(text: &str) -> Key {
    key().with(text).build()
}

// === Catalog ===

pub(crate) fn nodes_of(scope: &NodeScope) -> Key {
    key().node_scope(scope).build()
}

pub(crate) fn node(scope: &NodeScope, node: &NodeName) -> Key {
    key().node(scope, node).build()
}

pub(crate) fn node_id(scope: &NodeScope, id: Uuid) -> Key {
    key().node_scope(scope).with(&id.to_string()).build()
}

pub(crate) fn instance(scope: &NodeScope, node: &NodeName, namespace: &Namespace, id: &InstanceId) -> Key {
    key().node(scope, node).with(namespace.as_str()).with(id.as_str()).build()
}

pub(crate) fn check(scope: &NodeScope, node: &NodeName, id: &CheckId) -> Key {
    key().node(scope, node).with(id.as_str()).build()
}

pub(crate) fn services_of(scope: &ServiceScope) -> Key {
    key().scope(&scope.partition, &scope.namespace, scope.peer.as_ref()).build()
}

pub(crate) fn service(service: &ServiceRef) -> Key {
    key().service(service).build()
}

/// Key of an instance among those of `service`. Namespace, partition and peer are the service's.
pub(crate) fn instance_of(service: &ServiceRef, node: &NodeName, instance: &ServiceInstance) -> Key {
    key().service(service).with(node.as_str()).with(instance.id.as_str()).build()
}

/// The checks of a node itself.
pub(crate) fn checks_of_node_itself(scope: &NodeScope, node: &NodeName) -> Key {
    key().node(scope, node).with("").with("").build()
}

/// The checks of an instance.
pub(crate) fn checks_of_instance(
    scope: &NodeScope,
    node: &NodeName,
    namespace: &Namespace,
    id: &InstanceId,
) -> Key {
    key().node(scope, node).with(namespace.as_str()).with(id.as_str()).build()
}

/// Key of a check among those of what it speaks for.
pub(crate) fn check_by_instance(scope: &NodeScope, node: &NodeName, check: &Check) -> Key {
    let key = key().node(scope, node);
    let key = match &check.service_id {
        Some(id) => key.with(check.namespace.as_str()).with(id.as_str()),
        None => key.with("").with(""),
    };
    key.with(check.id.as_str()).build()
}

/// Key of a check among those of its service, if it has one.
pub(crate) fn check_by_service(scope: &NodeScope, node: &NodeName, check: &Check) -> Option<Key> {
    let name = check.service_name.as_ref()?;
    let key = key().scope(&scope.partition, &check.namespace, scope.peer.as_ref()).with(name.as_str());
    Some(key.with(node.as_str()).with(check.id.as_str()).build())
}

pub(crate) fn checks_in_state(scope: &NodeScope, status: CheckStatus) -> Key {
    key().node_scope(scope).with(status.as_str()).build()
}

pub(crate) fn check_by_state(scope: &NodeScope, node: &NodeName, check: &Check) -> Key {
    key().node_scope(scope).with(check.status.as_str()).with(node.as_str()).with(check.id.as_str()).build()
}

// === Configuration entries ===

pub(crate) fn entries_of(kind: EntryKind) -> Key {
    key().with(kind.as_str()).build()
}

pub(crate) fn entry(name: &EntryName) -> Key {
    destination(key().with(name.kind.as_str()), &name.scope).build()
}

/// The entries that depend on a service.
pub(crate) fn entry_links_to(service: &ServiceRef) -> Key {
    linked(service).build()
}

pub(crate) fn entry_link(service: &ServiceRef, from: &EntryName) -> Key {
    destination(linked(service).with(from.kind.as_str()), &from.scope).build()
}

fn linked(service: &ServiceRef) -> KeyBuilder {
    let ServiceRef { partition, namespace, peer: _, name } = service;
    key().with(partition.as_str()).with(namespace.as_str()).with(name.as_str())
}

fn destination(key: KeyBuilder, destination: &Destination) -> KeyBuilder {
    key.with(destination.partition.as_str())
        .with(destination.namespace.as_str())
        .with(destination.name.as_str())
}

/// All intentions of a destination, in the order they are shown in: by precedence, then by name.
pub(crate) fn intentions_to(to: &Destination) -> Key {
    destination(key(), to).build()
}

/// Those of them whose source has that many wildcards.
pub(crate) fn intentions_to_wild(to: &Destination, wildcards: u8) -> Key {
    destination(key(), to).with(&wildcards.to_string()).build()
}

pub(crate) fn intention(to: &Destination, source: &Source) -> Key {
    shown(key(), to, source).build()
}

pub(crate) fn intentions_of_id(id: Uuid) -> Key {
    key().with(&id.to_string()).build()
}

pub(crate) fn intention_by_id(id: Uuid, to: &Destination, source: &Source) -> Key {
    shown(key().with(&id.to_string()), to, source).build()
}

/// Within one destination precedence falls by one with each wildcard of the source.
fn shown(key: KeyBuilder, to: &Destination, source: &Source) -> KeyBuilder {
    let wildcards = u8::from(source.namespace.is_any()) + u8::from(source.name.is_any());
    destination(key, to)
        .with(&wildcards.to_string())
        .peer(source.peer.as_ref())
        .with(source.partition.as_str())
        .with(source.namespace.as_str())
        .with(source.name.as_str())
}

/// All intentions with that source, written as it is.
pub(crate) fn intentions_from(source: &Source) -> Key {
    source_of(source).build()
}

pub(crate) fn intention_by_source(source: &Source, to: &Destination) -> Key {
    destination(source_of(source), to).build()
}

fn source_of(source: &Source) -> KeyBuilder {
    key()
        .with(source.partition.as_str())
        .with(source.namespace.as_str())
        .peer(source.peer.as_ref())
        .with(source.name.as_str())
}

/// Name and namespace of a service in each form a pattern that covers it can have.
pub(crate) fn patterns(service: &ServiceRef) -> [(Pattern<Namespace>, Pattern<ServiceName>); 4] {
    let namespace = || Pattern::Exact(service.namespace.clone());
    let name = || Pattern::Exact(service.name.clone());
    [(namespace(), name()), (namespace(), Pattern::Any), (Pattern::Any, name()), (Pattern::Any, Pattern::Any)]
}

// === Tokens ===

pub(crate) fn secret(hash: &SecretHash) -> Key {
    let mut hex = String::with_capacity(64);
    for byte in hash.0 {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    key().with(&hex).build()
}

/// Orders by moment, then accessor.
pub(crate) fn expiry(at: Timestamp, accessor: Uuid) -> Key {
    let ordered = at.nanos().cast_unsigned() ^ (1 << 63);
    key().with(&format!("{ordered:016x}")).with(&accessor.to_string()).build()
}
