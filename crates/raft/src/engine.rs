//! The types with which openraft is instantiated.
//!
//! Standard leader ids: each term has one leader, so that a term means what operators expect.

mod runtime;

use std::any::Any;
use std::fmt;

use bytes::Bytes;
use openraft::RaftTypeConfig;
use openraft::alias::{LogIdOf, SnapshotMetaOf, StoredMembershipOf, VoteOf};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) use runtime::{EngineInstant, EngineRuntime, seeded};

/// A server's number in the log. Servers are known by text ids; [`Node::number`] derives the number from the id.
pub type NodeId = u64;

/// What the cluster knows about a server, replicated with the membership.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The server's text id, a UUID.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// The address for its messages, in the form that the transport uses.
    pub address: String,
}

openraft::declare_raft_types!(
    pub(crate) TypeConfig:
        D = Payload,
        R = ErasedReply,
        NodeId = NodeId,
        Node = Node,
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, NodeId>,
        AsyncRuntime = EngineRuntime,
);

pub(crate) type Entry = <TypeConfig as RaftTypeConfig>::Entry;
pub(crate) type LogId = LogIdOf<TypeConfig>;
pub(crate) type Vote = VoteOf<TypeConfig>;
pub(crate) type SnapshotMeta = SnapshotMetaOf<TypeConfig>;
pub(crate) type StoredMembership = StoredMembershipOf<TypeConfig>;

/// A command as the log stores it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Payload(pub(crate) Bytes);

/// What applying an entry returned; nothing for entries that are not commands.
#[derive(Default)]
pub(crate) struct ErasedReply(pub(crate) Option<Box<dyn Any + Send + Sync>>);

impl Node {
    /// The number of the server with this text id: the first eight bytes of its SHA-256.
    #[must_use]
    pub fn number(id: &str) -> NodeId {
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(id.as_bytes());
        let first: [u8; 8] = digest[..8].try_into().expect("a digest has 32 bytes");
        u64::from_be_bytes(first)
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Commands may contain secrets, so only their size is logged.
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;

        impl Visitor<'_> for BytesVisitor {
            type Value = Payload;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Payload, E> {
                Ok(Payload(Bytes::copy_from_slice(bytes)))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Payload, E> {
                Ok(Payload(bytes.into()))
            }
        }

        deserializer.deserialize_byte_buf(BytesVisitor)
    }
}

impl fmt::Debug for ErasedReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErasedReply")
    }
}

// The engine requires serde for replies, although they never leave the process.

impl Serialize for ErasedReply {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("replies do not leave the process"))
    }
}

impl<'de> Deserialize<'de> for ErasedReply {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("replies do not leave the process"))
    }
}
