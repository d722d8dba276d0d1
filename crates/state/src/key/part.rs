//! The parts of keys: how each kind of name is encoded in a key.

use std::fmt::Write;

use concord_model::catalog::{CheckStatus, NodeScope};
use concord_model::entry::{EntryKind, EntryName};
use concord_model::intention::{Destination, Source};
use concord_model::token::SecretHash;
use concord_model::{
    CheckId, InstanceId, Namespace, NodeName, Partition, PeerName, ServiceRef, Timestamp, Uuid,
};

use crate::key::KeyBuilder;
use crate::row::ServiceScope;

/// A part of a key: one component or several.
pub(crate) trait Part {
    /// The least number of components.
    const LEAST: usize;
    /// The greatest number. A part without a fixed number ends the key: a path has one component per step.
    const MOST: usize = Self::LEAST;

    /// Appends its components.
    fn append(&self, key: KeyBuilder) -> KeyBuilder;
}

macro_rules! one_component {
    ($($type:ty: $self:ident => $text:expr;)*) => {
        $(impl Part for $type {
            const LEAST: usize = 1;
            fn append(&self, key: KeyBuilder) -> KeyBuilder {
                let $self = self;
                key.with($text)
            }
        })*
    };
}

one_component! {
    &str: text => text;
    &NodeName: name => name.as_str();
    &Namespace: name => name.as_str();
    &InstanceId: id => id.as_str();
    &CheckId: id => id.as_str();
    CheckStatus: status => status.as_str();
    EntryKind: kind => kind.as_str();
    Uuid: id => &id.to_string();
    u8: number => &number.to_string();
    u32: number => &format!("{number:08x}");
    &SecretHash: hash => &hex(hash);
    Timestamp: at => &in_order(*at);
}

fn hex(hash: &SecretHash) -> String {
    let mut hex = String::with_capacity(64);
    for byte in hash.0 {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// A text of the moment whose order is the order of time.
fn in_order(at: Timestamp) -> String {
    format!("{:016x}", at.nanos().cast_unsigned() ^ (1 << 63))
}

/// Partition and peer.
impl Part for &NodeScope {
    const LEAST: usize = 2;
    fn append(&self, key: KeyBuilder) -> KeyBuilder {
        key.with(self.partition.as_str()).peer(self.peer.as_ref())
    }
}

/// Partition, namespace and peer.
impl Part for &ServiceScope {
    const LEAST: usize = 3;
    fn append(&self, key: KeyBuilder) -> KeyBuilder {
        service_scope(key, &self.partition, &self.namespace, self.peer.as_ref())
    }
}

/// Partition, namespace, peer and name.
impl Part for &ServiceRef {
    const LEAST: usize = 4;
    fn append(&self, key: KeyBuilder) -> KeyBuilder {
        service_scope(key, &self.partition, &self.namespace, self.peer.as_ref()).with(self.name.as_str())
    }
}

fn service_scope(
    key: KeyBuilder,
    partition: &Partition,
    namespace: &Namespace,
    peer: Option<&PeerName>,
) -> KeyBuilder {
    key.with(partition.as_str()).with(namespace.as_str()).peer(peer)
}

/// A service of our own cluster: partition, namespace and name.
pub(crate) struct Local<'a>(pub(crate) &'a ServiceRef);

impl Part for Local<'_> {
    const LEAST: usize = 3;
    fn append(&self, key: KeyBuilder) -> KeyBuilder {
        let ServiceRef { partition, namespace, peer: _, name } = self.0;
        key.with(partition.as_str()).with(namespace.as_str()).with(name.as_str())
    }
}

/// Namespace and id of the instance that a check belongs to. `None`: the check belongs to the node.
pub(crate) type SpeaksFor<'a> = Option<(&'a Namespace, &'a InstanceId)>;

impl Part for SpeaksFor<'_> {
    const LEAST: usize = 2;
    fn append(&self, key: KeyBuilder) -> KeyBuilder {
        let (namespace, id) = self.map_or(("", ""), |(namespace, id)| (namespace.as_str(), id.as_str()));
        key.with(namespace).with(id)
    }
}

/// Partition, namespace and name.
impl Part for &Destination {
    const LEAST: usize = 3;
    fn append(&self, key: KeyBuilder) -> KeyBuilder {
        let Destination { partition, namespace, name } = self;
        key.with(partition.as_str()).with(namespace.as_str()).with(name.as_str())
    }
}

/// Kind, partition, namespace and name.
impl Part for &EntryName {
    const LEAST: usize = 4;
    fn append(&self, key: KeyBuilder) -> KeyBuilder {
        (&self.scope).append(self.kind.append(key))
    }
}

/// Partition, namespace, peer and name as written; a wildcard is encoded as itself.
impl Part for &Source {
    const LEAST: usize = 4;
    fn append(&self, key: KeyBuilder) -> KeyBuilder {
        let Source { partition, namespace, peer, name } = self;
        key.with(partition.as_str()).with(namespace.as_str()).peer(peer.as_ref()).with(name.as_str())
    }
}

/// A source in the order in which the sources of a destination are shown: each wildcard lowers the precedence; then
/// by name. Wildcards, peer, partition, namespace and name.
pub(crate) struct Shown<'a>(pub(crate) &'a Source);

impl Part for Shown<'_> {
    const LEAST: usize = 5;
    fn append(&self, key: KeyBuilder) -> KeyBuilder {
        let Source { partition, namespace, peer, name } = self.0;
        let wildcards = u8::from(namespace.is_any()) + u8::from(name.is_any());
        let key = wildcards.append(key).peer(peer.as_ref());
        key.with(partition.as_str()).with(namespace.as_str()).with(name.as_str())
    }
}
