//! Every request, as a type that declares its reply, its right and whether it writes.
//!
//! The right is part of the type's declaration (D20): a request that does not declare one does not compile. The
//! server that answers checks it against the caller's token, at each evaluation. This file has the table of all
//! requests; each noun has a file with its requests.

mod acl;
mod acl_changes;
mod catalog;
mod certificate;
mod chain;
mod config;
mod dataplane;
mod gateway;
mod health;
mod intention;
mod plan;
mod status;
mod terms;
mod topology;

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_acl::{Labelled, Level, Right, Scalar};
use concord_mesh::chain::CompiledChain;
use concord_mesh::defaults::Central;
use concord_mesh::explain::Explanation;
use concord_mesh::explain::request::RequestExplanation;
use concord_mesh::gateway::GatewayService;
use concord_mesh::plan::Plan;
use concord_mesh::status::EntryStatus;
use concord_model::ca::{CaConfig, CaRoots, LeafCertificate};
use concord_model::catalog::{Check, Node};
use concord_model::entry::{Entry, EntryName};
use concord_model::intention::ServiceIntentions;
use concord_model::token::AclPolicy;
use concord_model::{Datacenter, ServiceName, Uuid};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::acl::{
    BootstrapAcl, CloneToken, DeletePolicy, DeleteToken, ExpandToken, ExpandedToken, ListPolicies,
    ListTokens, PolicyChoice, ReadOwnToken, ReadPolicy, ReadToken, ResolveToken, ResolvedToken, SetPolicy,
    SetToken, TokenRecord,
};
pub use self::acl_changes::AwaitAclChange;
pub use self::catalog::{
    Deregister, InstanceOnNode, InstanceSelection, ListDatacenters, ListInstances, ListNodes, ListServices,
    NodeDump, NodeRecords, Register, ServiceAddresses, ServiceInstances, SetServiceAddresses,
};
pub use self::certificate::{ReadCaConfig, ReadCaRoots, SetCaConfig, SignLeaf};
pub use self::chain::ReadChain;
pub use self::config::{
    Acceptance, ApplyEntry, DeleteEntry, ListEntries, ReadAcceptance, ReadDefaults, ReadEntry,
    ReadEntryStatus,
};
pub use self::dataplane::{FollowProxy, FollowedProxy, ListServers, NodeChoice, ReadProxy, ReadyServer};
pub use self::gateway::{
    Export, GatewayIntentions, GatewayServiceHealth, ListExports, ListGatewayServices, ServedInstances,
};
pub use self::health::{
    CheckState, ChecksInState, InstanceHealth, NodeCheck, NodeChecks, ServiceChecks, ServiceHealth,
};
pub use self::intention::{
    CheckIntention, CreateIntention, DeleteIntention, DeleteIntentionById, ExplainIntention, ExplainRequest,
    IntentionAnswer, ListIntentions, MATCHES_MAX, MatchBy, MatchIntentions, Matched, PlainIntention,
    ReadIntention, ReadPair, UpdateIntention, UpsertIntention,
};
pub use self::plan::{PlanEntries, PlannedChange};
pub use self::status::{ReadStatus, ServerStatus};
pub use self::terms::{Identity, Need, Part, Runs, Terms};
use self::terms::{READ, WRITE};
pub use self::topology::{Neighbour, ReadTopology, Topology, TopologyKind};
use crate::error::RpcError;
use crate::sight;

/// A request with its reply.
pub trait Request: Clone + DeserializeOwned + Serialize + Send + 'static {
    /// The type of its reply.
    type Reply: DeserializeOwned + Serialize + Send + 'static;
    /// Its name on the wire and in metrics.
    const NAME: &'static str;
    /// The terms on which it is carried out.
    const TERMS: Terms;
    /// The right it needs.
    fn need(&self) -> Need;
    /// Converts it into the enum of all requests.
    fn into_any(self) -> AnyRequest;
    /// Extracts its reply from the enum of all replies. A mismatch is an error of the server.
    fn reply_from_any(reply: AnyReply) -> Result<Self::Reply, RpcError>;
}

macro_rules! requests {
    ($( $name:ident -> $reply:ty, $terms:expr, $need:expr; )+) => {
        /// Any of the requests.
        #[derive(Clone, Debug, Deserialize, Serialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "each variant is documented at its type")]
        #[allow(clippy::large_enum_variant, reason = "one lives at a time, on its way to its answer")]
        pub enum AnyRequest { $( $name($name), )+ }

        /// Any of the replies.
        #[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "each variant is documented at its request")]
        pub enum AnyReply { $( $name($reply), )+ }

        impl AnyRequest {
            /// The names of all requests.
            pub const NAMES: &'static [&'static str] = &[ $( stringify!($name), )+ ];

            /// The terms of each request, by name.
            pub const DECLARED: &'static [(&'static str, Terms)] =
                &[ $( (stringify!($name), <$name as Request>::TERMS), )+ ];

            /// The request's name on the wire and in metrics.
            pub fn name(&self) -> &'static str {
                match self { $( Self::$name(_) => stringify!($name), )+ }
            }

            /// The terms on which it is carried out.
            pub fn terms(&self) -> Terms {
                match self { $( Self::$name(_) => <$name as Request>::TERMS, )+ }
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
                const TERMS: Terms = $terms;

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
    ListDatacenters -> Vec<Datacenter>, READ.once().for_anybody(), |_| Need::Open; // names are public; no index tells when one comes
    ListNodes -> Vec<Node>, READ, |_| Need::Filtered;
    ListServices -> BTreeMap<ServiceName, Vec<String>>, READ, |_| Need::Filtered;
    ListInstances -> Vec<InstanceOnNode>, READ, |_| Need::Filtered;
    ServiceInstances -> Vec<InstanceOnNode>, READ, |_| Need::Filtered;
    NodeDump -> Option<NodeRecords>, READ, |_| Need::Filtered;
    NodeChecks -> Vec<Check>, READ, |_| Need::Filtered;
    ServiceChecks -> Vec<NodeCheck>, READ, |_| Need::Filtered;
    ChecksInState -> Vec<NodeCheck>, READ, |_| Need::Filtered;
    ServiceHealth -> Vec<InstanceHealth>, READ, |_| Need::Filtered;
    Register -> (), WRITE, |_| Need::CheckedAt("the node, service and checks that are there");
    Deregister -> (), WRITE, |_| Need::CheckedAt("what is removed");
    SetServiceAddresses -> ServiceAddresses, WRITE, |_| Need::Right(Right::whole(Scalar::Mesh, Level::Write));

    // Intentions and entries.
    ListIntentions -> Vec<ServiceIntentions>, READ, |_| Need::Filtered;
    MatchIntentions -> Matched, READ, |r| Need::All(r.all().map(|by| read_intention(by.name())).collect());
    CheckIntention -> IntentionAnswer, READ.once(), |r| Need::Right(read_service(r.destination.name.as_str()));
    ExplainIntention -> Explanation, READ, |r| Need::All(vec![
        read_intention(r.source.name.as_str()),
        read_intention(r.destination.name.as_str()),
    ]);
    // What is decided about a request shows the protocol of the destination.
    ExplainRequest -> RequestExplanation, READ, |r| Need::All(vec![
        read_intention(r.source.name.as_str()),
        read_intention(r.destination.name.as_str()),
        read_service(r.destination.name.as_str()),
    ]);
    UpsertIntention -> (), WRITE.primary(), |r| Need::Right(write_intention(r.destination.name.as_str()));
    DeleteIntention -> (), WRITE.primary(), |r| Need::Right(write_intention(r.destination.name.as_str()));
    ReadPair -> Option<ServiceIntentions>, READ, |_| Need::CheckedAt("the right to either side will do");
    ReadIntention -> Option<ServiceIntentions>, READ, |_| Need::CheckedAt("the intention that has the id");
    CreateIntention -> Uuid, WRITE.primary(), |r| Need::Right(write_intention(r.intention.destination.name.as_str()));
    UpdateIntention -> (), WRITE.primary(), |_| Need::CheckedAt("the intention that has the id");
    DeleteIntentionById -> (), WRITE.primary(), |_| Need::CheckedAt("the intention that has the id");
    ReadEntry -> Option<Arc<Entry>>, READ, |r| entry(&r.name, Level::Read);
    ReadChain -> Arc<CompiledChain>, READ.of_connect(), |r| Need::Right(read_service(r.service.name.as_str()));
    ReadDefaults -> Central, READ, |r| Need::Right(read_service(r.question.service.name.as_str()));
    ListEntries -> Vec<Arc<Entry>>, READ, |_| Need::Filtered;
    ReadAcceptance -> Option<Acceptance>, READ, |r| entry(&r.name, Level::Read);
    ReadEntryStatus -> Option<EntryStatus>, READ.once(), |r| entry(&r.name, Level::Read);
    PlanEntries -> Plan, READ.once().primary(), |_| Need::CheckedAt("the right to write each of the entries");
    ApplyEntry -> bool, WRITE.primary(), |r| write_entry(&r.entry);
    DeleteEntry -> bool, WRITE.primary(), |r| entry(&r.name, Level::Write);

    // Gateways, exports and neighbours.
    ListGatewayServices -> Vec<GatewayService>, READ, |r| Need::Right(read_service(r.gateway.name.as_str()));
    GatewayServiceHealth -> Vec<ServedInstances>, READ, |r| Need::Right(read_service(r.gateway.name.as_str()));
    GatewayIntentions -> Vec<ServiceIntentions>, READ, |r| Need::Right(read_service(r.gateway.name.as_str()));
    ListExports -> Vec<Export>, READ, |_| Need::Right(Right::whole(Scalar::Mesh, Level::Read));
    ReadTopology -> Topology, READ, |r| Need::Right(read_service(r.service.name.as_str()));

    // Proxies without an agent.
    ListServers -> Vec<ReadyServer>, READ, |_| Need::OwnToken;
    ReadProxy -> InstanceOnNode, READ.once(), |_| Need::CheckedAt("the right to read the proxy's own service");
    FollowProxy -> Option<FollowedProxy>, READ, |_| Need::CheckedAt("the right to write the service that the proxy stands before");

    // Certificate authority.
    ReadCaRoots -> CaRoots, READ.of_connect().for_anybody(), |_| Need::Open; // the public trust bundle
    ReadCaConfig -> CaConfig, READ.of_connect().once(), |_| Need::Right(Right::whole(Scalar::Operator, Level::Write));
    SetCaConfig -> (), WRITE.of_connect(), |_| Need::Right(Right::whole(Scalar::Operator, Level::Write));
    SignLeaf -> LeafCertificate, WRITE.of_connect(), |_| Need::CheckedAt("the identity in the request for a certificate");

    // Tokens and policies.
    ResolveToken -> ResolvedToken, READ.of_acl(), |_| Need::OwnToken;
    AwaitAclChange -> (), READ.of_acl().for_anybody(), |_| Need::Open; // an index alone: that something changed, not what, nor for whom
    BootstrapAcl -> TokenRecord, WRITE.of_acl().primary().for_anybody(), |_| Need::Open; // succeeds once, before there is anybody to have a right
    ReadOwnToken -> TokenRecord, READ.of_acl(), |_| Need::OwnToken;
    ReadToken -> Option<TokenRecord>, READ.of_acl(), |_| Need::Right(Right::whole(Scalar::Acl, Level::Read));
    ExpandToken -> Option<ExpandedToken>, READ.of_acl(), |_| Need::Right(Right::whole(Scalar::Acl, Level::Read));
    ListTokens -> Vec<TokenRecord>, READ.of_acl(), |_| Need::Right(Right::whole(Scalar::Acl, Level::Read));
    SetToken -> TokenRecord, WRITE.of_acl().primary(), |_| Need::Right(Right::whole(Scalar::Acl, Level::Write));
    CloneToken -> Option<TokenRecord>, WRITE.of_acl().primary(), |_| Need::Right(Right::whole(Scalar::Acl, Level::Write));
    DeleteToken -> (), WRITE.of_acl().primary(), |_| Need::Right(Right::whole(Scalar::Acl, Level::Write));
    ReadPolicy -> Option<AclPolicy>, READ.of_acl(), |_| Need::Right(Right::whole(Scalar::Acl, Level::Read));
    ListPolicies -> Vec<AclPolicy>, READ.of_acl(), |_| Need::Right(Right::whole(Scalar::Acl, Level::Read));
    SetPolicy -> AclPolicy, WRITE.of_acl().primary(), |_| Need::Right(Right::whole(Scalar::Acl, Level::Write));
    DeletePolicy -> (), WRITE.of_acl().primary(), |_| Need::Right(Right::whole(Scalar::Acl, Level::Write));

    // The servers themselves.
    ReadStatus -> ServerStatus, READ.here().once().for_anybody(), |_| Need::Open; // raft addresses are public, as in Consul
}

/// The rights to read or write an entry.
fn entry(name: &EntryName, level: Level) -> Need {
    let rights = sight::rights_to_entry(name, level);
    rights.map_or(Need::Open, |rights| Need::AnyOf(rights.into_iter().map(Right::into_owned).collect()))
}

/// The rights to write an entry with this content.
fn write_entry(own: &Entry) -> Need {
    let reads = sight::reads_to_write(own);
    match entry(&own.name(), Level::Write) {
        Need::AnyOf(rights) if !reads.is_empty() => Need::All(rights.into_iter().chain(reads).collect()),
        need => need,
    }
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
