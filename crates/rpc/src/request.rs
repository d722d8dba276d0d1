//! Every request, as a type that declares its reply, its right and whether it writes.
//!
//! The right is part of the type's declaration (D20): a request that does not state one
//! does not compile. What the right is checked against is the caller's token, in the server that
//! answers, at each evaluation.

use std::collections::BTreeMap;

use concord_acl::{Labelled, Level, Right, Scalar};
use concord_mesh::explain::Explanation;
use concord_model::ca::{CaConfig, CaRoots, LeafCertificate};
use concord_model::catalog::{Check, CheckStatus, Node, ServiceInstance};
use concord_model::entry::{Entry, EntryKind};
use concord_model::intention::{Destination, ServiceIntentions, Source, SourceIntention};
use concord_model::proxy::Settings;
use concord_model::token::{AclPolicy, PolicyLink};
use concord_model::{
    CheckId, Datacenter, InstanceId, NodeName, ServiceName, ServiceRef, Stamp, Timestamp, Uuid,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::RpcError;

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
    Read ServiceInstances -> Vec<InstanceOnNode>, |_| Need::Filtered;
    Read NodeDump -> Option<NodeRecords>, |_| Need::Filtered;
    Read NodeChecks -> Vec<Check>, |_| Need::Filtered;
    Read ServiceChecks -> Vec<NodeCheck>, |_| Need::Filtered;
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
    Read ReadEntry -> Option<Entry>, |r| Need::Right(read_intention(&r.name));
    Read ListEntries -> Vec<Entry>, |_| Need::Filtered;
    Write ApplyEntry -> bool, |r| match &r.entry {
        Entry::ServiceIntentions(e) => Need::Right(write_intention(e.destination.name.as_str())),
    };
    Write DeleteEntry -> bool, |r| Need::Right(write_intention(&r.name));

    // Certificate authority.
    Read ReadCaRoots -> CaRoots, |_| Need::Open; // the public trust bundle
    Read ReadCaConfig -> CaConfig, |_| Need::Right(Right::whole(Scalar::Operator, Level::Write));
    Write SetCaConfig -> (), |_| Need::Right(Right::whole(Scalar::Operator, Level::Write));
    Write SignLeaf -> LeafCertificate, |_| Need::Filtered; // the right depends on the identity in the CSR: checked there

    // Tokens and policies.
    Read ResolveToken -> ResolvedToken, |_| Need::OwnToken;
    Write BootstrapAcl -> TokenRecord, |_| Need::Open; // succeeds once, before there is anybody to have a right
    Read ReadOwnToken -> TokenRecord, |_| Need::OwnToken;
    Read ReadToken -> Option<TokenRecord>, |_| Need::Right(Right::whole(Scalar::Acl, Level::Read));
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

fn read_intention(name: &str) -> Right<'static> {
    Right::named(Labelled::Intention, name.to_owned(), Level::Read)
}

fn write_intention(name: &str) -> Right<'static> {
    Right::named(Labelled::Intention, name.to_owned(), Level::Write)
}

fn read_service(name: &str) -> Right<'static> {
    Right::named(Labelled::Service, name.to_owned(), Level::Read)
}

// === catalog and health ===

/// Names of all known datacenters, our own first.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ListDatacenters {}

/// All nodes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ListNodes {
    /// Only nodes whose metadata has all of these.
    #[serde(default)]
    pub node_meta: BTreeMap<String, String>,
}

/// Names of all services with the tags of their instances.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ListServices {
    /// Only on nodes whose metadata has all of these.
    #[serde(default)]
    pub node_meta: BTreeMap<String, String>,
}

/// Which instances of a service.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct InstanceSelection {
    /// The service.
    pub service: ServiceRef,
    /// Instead of its own instances, those that take mesh traffic for it.
    #[serde(default)]
    pub connect: bool,
    /// Only instances with all of these tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Only on nodes whose metadata has all of these.
    #[serde(default)]
    pub node_meta: BTreeMap<String, String>,
}

impl InstanceSelection {
    /// All instances of a service.
    pub fn of(service: ServiceRef) -> Self {
        Self { service, connect: false, tags: Vec::new(), node_meta: BTreeMap::new() }
    }

    /// All instances that take mesh traffic for a service.
    pub fn connect(service: ServiceRef) -> Self {
        Self { connect: true, ..Self::of(service) }
    }
}

/// Instances of a service.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ServiceInstances {
    /// Which.
    pub select: InstanceSelection,
}

/// An instance with the node it runs on.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct InstanceOnNode {
    /// The node.
    pub node: Node,
    /// The instance.
    pub service: ServiceInstance,
}

/// All that is registered for a node: what an agent compares its own registrations with.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct NodeDump {
    /// The node, in the default partition of this cluster.
    pub node: NodeName,
}

/// A node with all that is registered for it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NodeRecords {
    /// The node.
    pub node: Node,
    /// Its services, by id.
    pub services: Vec<ServiceInstance>,
    /// Its checks, by id.
    pub checks: Vec<Check>,
}

/// Checks of a node and of its services.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct NodeChecks {
    /// The node.
    pub node: NodeName,
}

/// Checks of a service's instances.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ServiceChecks {
    /// The service.
    pub service: ServiceRef,
    /// Only on nodes whose metadata has all of these.
    #[serde(default)]
    pub node_meta: BTreeMap<String, String>,
}

/// A check with the name of the node it is made on.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NodeCheck {
    /// The node.
    pub node: NodeName,
    /// The check.
    pub check: Check,
}

/// Instances of a service with their health.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ServiceHealth {
    /// Which.
    pub select: InstanceSelection,
    /// Leave out instances that are critical or worse than this; `None`: all.
    #[serde(default)]
    pub worst: Option<CheckStatus>,
}

/// An instance with its node and all checks that concern it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct InstanceHealth {
    /// The node.
    pub node: Node,
    /// The instance.
    pub service: ServiceInstance,
    /// Checks of the node and of the instance.
    pub checks: Vec<Check>,
}

impl InstanceHealth {
    /// The worst verdict of its checks.
    pub fn status(&self) -> CheckStatus {
        self.checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Passing)
    }
}

/// Registers a node, and with it a service and checks, as one change.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Register {
    /// The node, as it should be.
    pub node: Node,
    /// Leave an existing node as it is.
    #[serde(default)]
    pub skip_node_update: bool,
    /// The service instance, if one is registered.
    #[serde(default)]
    pub service: Option<ServiceInstance>,
    /// The checks, if any are.
    #[serde(default)]
    pub checks: Vec<Check>,
}

/// Removes a node, a service or a check, with all that hangs on it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Deregister {
    /// The node, in the default partition of this cluster.
    pub node: NodeName,
    /// What of it.
    pub what: Registered,
}

/// Something registered on a node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Registered {
    /// The node with everything on it.
    Node,
    /// A service with its checks.
    Service(InstanceId),
    /// A check.
    Check(CheckId),
}

// === intentions and entries ===

/// All intentions the caller may see.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ListIntentions {}

/// Which side of an intention is asked for.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchBy {
    /// Intentions that can decide on calls by this service.
    Source(ServiceRef),
    /// Intentions that can decide on calls to this service.
    Destination(ServiceRef),
}

impl MatchBy {
    /// The service's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Source(service) | Self::Destination(service) => service.name.as_str(),
        }
    }
}

/// The entries that can decide on calls by or to a service.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct MatchIntentions {
    /// The service and its side.
    pub by: MatchBy,
}

/// Whether a connection would be let through.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CheckIntention {
    /// Who would call.
    pub source: ServiceRef,
    /// Who would be called.
    pub destination: ServiceRef,
}

/// The answer to [`CheckIntention`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct IntentionAnswer {
    /// Whether it would be let through.
    pub allowed: bool,
    /// Why, in Consul's words.
    pub reason: String,
}

/// Why a connection would be let through or not, and the smallest change that flips it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ExplainIntention {
    /// Who would call.
    pub source: ServiceRef,
    /// Who would be called.
    pub destination: ServiceRef,
}

/// Sets one source in a destination's entry, leaving the others as they are.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UpsertIntention {
    /// Who is called.
    pub destination: Destination,
    /// Who calls, and what then.
    pub intention: SourceIntention,
}

/// Removes one source from a destination's entry; it need not be there.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeleteIntention {
    /// Who is called.
    pub destination: Destination,
    /// Who calls.
    pub source: Source,
}

/// One configuration entry.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadEntry {
    /// Its kind.
    pub kind: EntryKind,
    /// Its name.
    pub name: String,
}

/// All configuration entries of a kind that the caller may see.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ListEntries {
    /// The kind.
    pub kind: EntryKind,
}

/// Writes a configuration entry.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ApplyEntry {
    /// The entry.
    pub entry: Entry,
    /// Only if it last changed at this index (0: does not exist).
    #[serde(default)]
    pub cas: Option<u64>,
}

/// Removes a configuration entry.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeleteEntry {
    /// Its kind.
    pub kind: EntryKind,
    /// Its name.
    pub name: String,
    /// Only if it last changed at this index.
    #[serde(default)]
    pub cas: Option<u64>,
}

// === certificate authority ===

/// The published roots.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadCaRoots {}

/// The CA's configuration, without secrets.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadCaConfig {}

/// Changes the CA's configuration; rotates the root if that follows from it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SetCaConfig {
    /// Name of the provider.
    pub provider: String,
    /// Its settings, as the user wrote them.
    #[serde(default)]
    pub settings: Settings,
    /// What the caller believes the provider keeps; empty: no belief.
    #[serde(default)]
    pub state: BTreeMap<String, String>,
    /// Rotate even if the old root cannot sign the new one.
    #[serde(default)]
    pub force_without_cross_signing: bool,
}

/// Signs a leaf for the identity the CSR names, if the caller has the right to it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SignLeaf {
    /// The certificate signing request, PEM.
    pub csr: String,
}

// === tokens and policies ===

/// What the request's token may do, for agents that authorise by themselves.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ResolveToken {}

/// What a token may do.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ResolvedToken {
    /// The token's accessor.
    pub accessor: Uuid,
    /// The rules of its policies.
    pub policies: Vec<AclPolicy>,
    /// When it stops being valid.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// Makes the first management token.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct BootstrapAcl {
    /// The secret it should have; `None`: a random one.
    #[serde(default)]
    pub secret: Option<String>,
}

/// A token as its readers see it.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct TokenRecord {
    /// Its accessor.
    pub accessor: Uuid,
    /// Its secret, or [`concord_model::token::HIDDEN`] for who may not see it.
    pub secret: String,
    /// What people noted about it.
    pub description: String,
    /// Its policies.
    pub policies: Vec<PolicyLink>,
    /// Whether it is valid in this datacenter only.
    pub local: bool,
    /// When it stops being valid.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Digest of what it may do.
    pub hash: Vec<u8>,
    /// When it changed.
    pub stamp: Stamp,
}

impl std::fmt::Debug for TokenRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenRecord").field("accessor", &self.accessor).finish_non_exhaustive()
    }
}

/// The token the request was made with.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadOwnToken {}

/// A token by its accessor.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadToken {
    /// The accessor.
    pub accessor: Uuid,
}

/// All tokens.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ListTokens {
    /// Only those with this policy.
    #[serde(default)]
    pub policy: Option<Uuid>,
}

/// Makes or changes a token.
#[derive(Clone, Deserialize, Serialize)]
pub struct SetToken {
    /// The token to change; `None`: make a new one.
    #[serde(default)]
    pub accessor: Option<Uuid>,
    /// Make it with this accessor.
    #[serde(default)]
    pub new_accessor: Option<Uuid>,
    /// Make it with this secret.
    #[serde(default)]
    pub secret: Option<String>,
    /// What people note about it.
    #[serde(default)]
    pub description: String,
    /// Its policies, by id or by name.
    #[serde(default)]
    pub policies: Vec<PolicyChoice>,
    /// Valid in this datacenter only.
    #[serde(default)]
    pub local: bool,
    /// When it stops being valid.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// How long it is valid from now on; instead of a moment.
    #[serde(default)]
    pub expires_after: Option<std::time::Duration>,
}

impl std::fmt::Debug for SetToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetToken").field("accessor", &self.accessor).finish_non_exhaustive()
    }
}

/// A policy meant by its id or by its name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyChoice {
    /// By id.
    Id(Uuid),
    /// By name.
    Name(String),
}

/// Removes a token.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeleteToken {
    /// The accessor.
    pub accessor: Uuid,
}

/// A policy.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadPolicy {
    /// Which.
    pub which: PolicyChoice,
}

/// All policies.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ListPolicies {}

/// Makes or changes a policy.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SetPolicy {
    /// The policy to change; `None`: make a new one.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Its name.
    pub name: String,
    /// What people note about it.
    #[serde(default)]
    pub description: String,
    /// Its rules.
    pub rules: String,
    /// Datacenters it is valid in; empty: all.
    #[serde(default)]
    pub datacenters: Vec<Datacenter>,
}

/// Removes a policy.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeletePolicy {
    /// Its id.
    pub id: Uuid,
}

// === the servers themselves ===

/// Who leads, and who votes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ReadStatus {}

/// The answer to [`ReadStatus`].
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServerStatus {
    /// Address of the leader; empty if there is none.
    pub leader: String,
    /// Addresses of all voters.
    pub peers: Vec<String>,
    /// The current term.
    pub term: u64,
    /// Index of the last committed entry.
    pub commit_index: u64,
    /// Index of the last applied entry.
    pub applied_index: u64,
    /// Index of the last entry in the log.
    pub last_log_index: u64,
    /// Term of that entry's writer, as far as known.
    pub last_log_term: u64,
    /// Whether this server leads.
    pub is_leader: bool,
}
