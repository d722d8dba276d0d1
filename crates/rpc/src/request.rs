//! Every request, as a type that declares its reply, its right and whether it writes.
//!
//! The right is part of the type's declaration (D20): a request that does not state one
//! does not compile. What the right is checked against is the caller's token, in the server that
//! answers, at each evaluation. This file holds the table of all requests; each noun has a file with the
//! requests about it.

mod acl;
mod acl_changes;
mod catalog;
mod certificate;
mod config;
mod health;
mod intention;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_acl::{Labelled, Level, Right, Scalar};
use concord_mesh::explain::Explanation;
use concord_model::ca::{CaConfig, CaRoots, LeafCertificate};
use concord_model::catalog::{Check, Node};
use concord_model::entry::{Entry, EntryName};
use concord_model::intention::ServiceIntentions;
use concord_model::token::AclPolicy;
use concord_model::{Datacenter, ServiceName, Uuid};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::acl::{
    BootstrapAcl, DeletePolicy, DeleteToken, ExpandToken, ExpandedToken, ListPolicies, ListTokens,
    PolicyChoice, ReadOwnToken, ReadPolicy, ReadToken, ResolveToken, ResolvedToken, SetPolicy, SetToken,
    TokenRecord,
};
pub use self::acl_changes::AwaitAclChange;
pub use self::catalog::{
    Deregister, InstanceOnNode, InstanceSelection, ListDatacenters, ListInstances, ListNodes, ListServices,
    NodeDump, NodeRecords, Register, Registered, ServiceInstances,
};
pub use self::certificate::{ReadCaConfig, ReadCaRoots, SetCaConfig, SignLeaf};
pub use self::config::{ApplyEntry, DeleteEntry, ListEntries, ReadEntry};
pub use self::health::{
    CheckState, ChecksInState, InstanceHealth, NodeCheck, NodeChecks, ServiceChecks, ServiceHealth,
};
pub use self::intention::{
    CheckIntention, CreateIntention, DeleteIntention, DeleteIntentionById, ExplainIntention, IntentionAnswer,
    ListIntentions, MatchBy, MatchIntentions, PlainIntention, ReadIntention, ReadPair, UpdateIntention,
    UpsertIntention,
};
pub use self::status::{ReadStatus, ServerStatus};
use crate::error::RpcError;
use crate::sight;

/// Whether a request reads the state, writes to the log, or does something at the leader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Answered from a view; can wait for changes.
    Read,
    /// Proposed to the log by the leader.
    Write,
}

/// The right a request needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Need {
    /// None: the answer is public by design; the reason stands with the request.
    Open,
    /// Each thing in the answer is shown to who may read it; the rest is left out.
    Filtered,
    /// This one.
    Right(Right<'static>),
    /// All of these.
    All(Vec<Right<'static>>),
    /// The token itself is the proof: it must be a valid one.
    OwnToken,
}

/// A request with its reply.
pub trait Request: Clone + DeserializeOwned + Serialize + Send + 'static {
    /// What it is answered with.
    type Reply: DeserializeOwned + Serialize + Send + 'static;
    /// Its name on the wire and in metrics.
    const NAME: &'static str;
    /// Whether it reads or writes.
    const KIND: Kind;
    /// The right it needs.
    fn need(&self) -> Need;
    /// As one of all requests.
    fn into_any(self) -> AnyRequest;
    /// Its reply out of all replies; a mismatch is a fault of the server.
    fn reply_from_any(reply: AnyReply) -> Result<Self::Reply, RpcError>;
}

macro_rules! requests {
    ($( $kind:ident $name:ident -> $reply:ty, $need:expr; )+) => {
        /// One of all requests.
        #[derive(Clone, Debug, Deserialize, Serialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "each variant is documented at its type")]
        #[allow(clippy::large_enum_variant, reason = "one lives at a time, on its way to its answer")]
        pub enum AnyRequest { $( $name($name), )+ }

        /// One of all replies.
        #[derive(Clone, Debug, Deserialize, Serialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "each variant is documented at its request")]
        pub enum AnyReply { $( $name($reply), )+ }

        impl AnyRequest {
            /// The names of all requests.
            pub const NAMES: &'static [&'static str] = &[ $( stringify!($name), )+ ];

            /// The request's name on the wire and in metrics.
            pub fn name(&self) -> &'static str {
                match self { $( Self::$name(_) => stringify!($name), )+ }
            }

            /// Whether it reads or writes.
            pub fn kind(&self) -> Kind {
                match self { $( Self::$name(_) => Kind::$kind, )+ }
            }

            /// The right it needs.
            pub fn need(&self) -> Need {
                match self { $( Self::$name(request) => Request::need(request), )+ }
            }
        }

        $(
            impl Request for $name {
                type Reply = $reply;
                const NAME: &'static str = stringify!($name);
                const KIND: Kind = Kind::$kind;

                fn need(&self) -> Need {
                    let need: fn(&$name) -> Need = $need;
                    need(self)
                }

                fn into_any(self) -> AnyRequest {
                    AnyRequest::$name(self)
                }

                fn reply_from_any(reply: AnyReply) -> Result<Self::Reply, RpcError> {
                    match reply {
                        AnyReply::$name(reply) => Ok(reply),
                        #[allow(unreachable_patterns, reason = "with a single request there is no other")]
                        _ => Err(RpcError::Internal(format!("{} was answered with another reply", Self::NAME))),
                    }
                }
            }
        )+
    };
}

requests! {
    // Catalog and health.
    Read ListDatacenters -> Vec<Datacenter>, |_| Need::Open; // names of datacenters are public, as in Consul
    Read ListNodes -> Vec<Node>, |_| Need::Filtered;
    Read ListServices -> BTreeMap<ServiceName, Vec<String>>, |_| Need::Filtered;
    Read ListInstances -> Vec<InstanceOnNode>, |_| Need::Filtered;
    Read ServiceInstances -> Vec<InstanceOnNode>, |_| Need::Filtered;
    Read NodeDump -> Option<NodeRecords>, |_| Need::Filtered;
    Read NodeChecks -> Vec<Check>, |_| Need::Filtered;
    Read ServiceChecks -> Vec<NodeCheck>, |_| Need::Filtered;
    Read ChecksInState -> Vec<NodeCheck>, |_| Need::Filtered;
    Read ServiceHealth -> Vec<InstanceHealth>, |_| Need::Filtered;
    Write Register -> (), |_| Need::Filtered; // node and service rights depend on what changes: checked there
    Write Deregister -> (), |_| Need::Filtered; // likewise

    // Intentions and entries.
    Read ListIntentions -> Vec<ServiceIntentions>, |_| Need::Filtered;
    Read MatchIntentions -> Vec<ServiceIntentions>, |r| Need::Right(read_intention(r.by.name()));
    Read CheckIntention -> IntentionAnswer, |r| Need::Right(read_service(r.destination.name.as_str()));
    Read ExplainIntention -> Explanation, |r| Need::All(vec![
        read_intention(r.source.name.as_str()),
        read_intention(r.destination.name.as_str()),
    ]);
    Write UpsertIntention -> (), |r| Need::Right(write_intention(r.destination.name.as_str()));
    Write DeleteIntention -> (), |r| Need::Right(write_intention(r.destination.name.as_str()));
    Read ReadPair -> Option<ServiceIntentions>, |_| Need::Filtered; // the right to either side will do: checked there
    Read ReadIntention -> Option<ServiceIntentions>, |_| Need::Filtered; // the right depends on what has the id: checked there
    Write CreateIntention -> Uuid, |r| Need::Right(write_intention(r.intention.destination.name.as_str()));
    Write UpdateIntention -> (), |_| Need::Filtered; // likewise
    Write DeleteIntentionById -> (), |_| Need::Filtered; // likewise
    Read ReadEntry -> Option<Arc<Entry>>, |r| entry(&r.name, Level::Read);
    Read ListEntries -> Vec<Arc<Entry>>, |_| Need::Filtered;
    Write ApplyEntry -> bool, |r| entry(&r.entry.name(), Level::Write);
    Write DeleteEntry -> bool, |r| entry(&r.name, Level::Write);

    // Certificate authority.
    Read ReadCaRoots -> CaRoots, |_| Need::Open; // the public trust bundle
    Read ReadCaConfig -> CaConfig, |_| Need::Right(Right::whole(Scalar::Operator, Level::Write));
    Write SetCaConfig -> (), |_| Need::Right(Right::whole(Scalar::Operator, Level::Write));
    Write SignLeaf -> LeafCertificate, |_| Need::Filtered; // the right depends on the identity in the CSR: checked there

    // Tokens and policies.
    Read ResolveToken -> ResolvedToken, |_| Need::OwnToken;
    Read AwaitAclChange -> (), |_| Need::Open; // an index alone: that something changed, not what, nor for whom
    Write BootstrapAcl -> TokenRecord, |_| Need::Open; // succeeds once, before there is anybody to have a right
    Read ReadOwnToken -> TokenRecord, |_| Need::OwnToken;
    Read ReadToken -> Option<TokenRecord>, |_| Need::Right(Right::whole(Scalar::Acl, Level::Read));
    Read ExpandToken -> Option<ExpandedToken>, |_| Need::Right(Right::whole(Scalar::Acl, Level::Read));
    Read ListTokens -> Vec<TokenRecord>, |_| Need::Right(Right::whole(Scalar::Acl, Level::Read));
    Write SetToken -> TokenRecord, |_| Need::Right(Right::whole(Scalar::Acl, Level::Write));
    Write DeleteToken -> (), |_| Need::Right(Right::whole(Scalar::Acl, Level::Write));
    Read ReadPolicy -> Option<AclPolicy>, |_| Need::Right(Right::whole(Scalar::Acl, Level::Read));
    Read ListPolicies -> Vec<AclPolicy>, |_| Need::Right(Right::whole(Scalar::Acl, Level::Read));
    Write SetPolicy -> AclPolicy, |_| Need::Right(Right::whole(Scalar::Acl, Level::Write));
    Write DeletePolicy -> (), |_| Need::Right(Right::whole(Scalar::Acl, Level::Write));

    // The servers themselves.
    Read ReadStatus -> ServerStatus, |_| Need::Open; // raft addresses are public, as in Consul
}

/// What it takes to see or write an entry.
fn entry(name: &EntryName, level: Level) -> Need {
    sight::right_to_entry(name, level).map_or(Need::Open, |right| Need::Right(right.into_owned()))
}

fn read_intention(name: &str) -> Right<'static> {
    Right::named(Labelled::Intention, name.to_owned(), Level::Read)
}

fn write_intention(name: &str) -> Right<'static> {
    Right::named(Labelled::Intention, name.to_owned(), Level::Write)
}

fn read_service(name: &str) -> Right<'static> {
    Right::named(Labelled::Service, name.to_owned(), Level::Read)
}
