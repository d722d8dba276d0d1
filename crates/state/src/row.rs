//! Rows of derived tables, and of primary tables whose rows are not records of `model`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use concord_mesh::entry as mesh;
use concord_mesh::gateway::Traits;
use concord_model::catalog::{Check, Node, ServiceInstance};
use concord_model::entry::{Entry, EntryName};
use concord_model::intention::{Destination, JwtRequirement, ServiceIntentions, Source, SourceIntention};
use concord_model::proxy::ServiceKind;
use concord_model::{Namespace, Partition, PeerName, ServiceRef, Stamp, Timestamp};
use serde::{Deserialize, Serialize};

/// The scope in which service names are unique: partition, namespace and peer.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServiceScope {
    /// The admin partition.
    pub partition: Partition,
    /// The namespace.
    pub namespace: Namespace,
    /// The peered cluster; `None` for our own.
    pub peer: Option<PeerName>,
}

/// An instance of a service with the node it runs on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Placed {
    /// The node.
    pub node: Arc<Node>,
    /// The instance.
    pub service: Arc<ServiceInstance>,
}

/// An instance of a service with its node and all checks that count for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceHealth {
    /// The node.
    pub node: Arc<Node>,
    /// The instance.
    pub service: Arc<ServiceInstance>,
    /// Checks of the node, then those of the instance, each by id.
    pub checks: Vec<Arc<Check>>,
}

/// A check with the node it is registered on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeCheck {
    /// The node.
    pub node: Arc<Node>,
    /// The check.
    pub check: Arc<Check>,
}

/// The virtual addresses of a service. Calls to them reach the service in transparent mode.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct VirtualAddress {
    /// The service.
    pub service: ServiceRef,
    /// Its own address, as the distance from 240.0.0.0.
    pub offset: u32,
    /// Further addresses, which an operator has given it; sorted.
    #[serde(default)]
    pub manual: Vec<Ipv4Addr>,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

impl VirtualAddress {
    /// Its own address.
    pub fn address(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(FIRST_ADDRESS + self.offset)
    }
}

/// 240.0.0.0, from which the offsets of virtual addresses count.
const FIRST_ADDRESS: u32 = 240 << 24;

/// A service that has instances, with their tags.
///
/// The numbers of instances are kept only to know when the last one is removed, of all or of a kind. They do not count
/// for equality: two summaries are equal if service and tags are.
#[derive(Clone)]
pub struct ServiceSummary {
    /// The service.
    pub service: ServiceRef,
    tags: BTreeMap<String, u64>,
    instances: u64,
    /// How many instances there are of each kind, with and without the mesh's TLS of their own.
    kinds: BTreeMap<(ServiceKind, bool), u64>,
}

impl PartialEq for ServiceSummary {
    fn eq(&self, other: &Self) -> bool {
        self.service == other.service && self.tags.keys().eq(other.tags.keys())
    }
}

impl Eq for ServiceSummary {}

impl fmt::Debug for ServiceSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags: Vec<_> = self.tags().collect();
        f.debug_struct("ServiceSummary").field("service", &self.service).field("tags", &tags).finish()
    }
}

impl ServiceSummary {
    pub(crate) fn new(service: ServiceRef) -> Self {
        Self { service, tags: BTreeMap::new(), instances: 0, kinds: BTreeMap::new() }
    }

    /// The tags of all instances, each once, sorted.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.keys().map(String::as_str)
    }

    /// Whether no instance is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.instances == 0
    }

    pub(crate) fn add(&mut self, instance: &ServiceInstance) {
        self.instances += 1;
        *self.kinds.entry((instance.kind, instance.native)).or_default() += 1;
        for tag in &instance.tags {
            *self.tags.entry(tag.clone()).or_default() += 1;
        }
    }

    pub(crate) fn subtract(&mut self, instance: &ServiceInstance) {
        self.instances = self.instances.saturating_sub(1);
        one_less(&mut self.kinds, &(instance.kind, instance.native));
        for tag in &instance.tags {
            one_less(&mut self.tags, tag);
        }
    }
}

/// Counts one less; what is not there any more is forgotten.
fn one_less<K: Ord>(counts: &mut BTreeMap<K, u64>, of: &K) {
    if let Some(count) = counts.get_mut(of) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(of);
        }
    }
}

/// What the instances of a service have in common, without the instances: it changes seldom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceTraits {
    /// The service.
    pub service: ServiceRef,
    /// What is known of it.
    pub traits: Traits,
}

impl ServiceTraits {
    /// The traits of a service by its summary; `connected` if something takes mesh traffic for it.
    pub(crate) fn of(service: &ServiceRef, summary: Option<&ServiceSummary>, connected: bool) -> Self {
        let kinds = || summary.iter().flat_map(|summary| summary.kinds.keys());
        let traits = Traits {
            kinds: kinds().map(|(kind, _)| *kind).collect::<BTreeSet<_>>(),
            plain: kinds().any(|(_, native)| !native),
            connected,
        };
        Self { service: service.clone(), traits }
    }
}

/// A proxy that calls an upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UpstreamUse {
    /// The service of the proxy.
    pub caller: ServiceRef,
    /// The upstream.
    pub upstream: ServiceRef,
}

/// A stored configuration entry: complete, except for the sources of intentions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EntryRow {
    /// Intentions; each source is a row of its own.
    Intentions(Arc<IntentionHead>),
    /// An entry of any other kind.
    Whole(Arc<Entry>),
}

impl EntryRow {
    /// The name of the entry.
    pub fn name(&self) -> EntryName {
        match self {
            Self::Intentions(head) => EntryName::intentions(&head.destination),
            Self::Whole(entry) => entry.name(),
        }
    }

    /// The entry, if it is a single row.
    pub fn whole(&self) -> Option<&Entry> {
        match self {
            Self::Whole(entry) => Some(entry),
            Self::Intentions(_) => None,
        }
    }

    /// When the entry changed.
    pub fn stamp(&self) -> Stamp {
        match self {
            Self::Intentions(head) => head.stamp,
            Self::Whole(entry) => entry.stamp(),
        }
    }

    /// The services on which the entry depends.
    pub(crate) fn links(&self) -> Vec<ServiceRef> {
        match self {
            Self::Intentions(head) => mesh::links_of(&head.destination, head.by_request > 0),
            Self::Whole(entry) => mesh::links(entry),
        }
    }

    /// The head of the intentions, if it is such an entry.
    pub fn intentions(&self) -> Option<&Arc<IntentionHead>> {
        match self {
            Self::Intentions(head) => Some(head),
            Self::Whole(_) => None,
        }
    }

    /// The form in a snapshot; the sources of intentions follow as separate records.
    pub(crate) fn to_entry(&self) -> Cow<'_, Entry> {
        match self {
            Self::Intentions(head) => Cow::Owned(Entry::ServiceIntentions(head.with(Vec::new()))),
            Self::Whole(entry) => Cow::Borrowed(entry),
        }
    }
}

/// When an entry was accepted as it is. There is one for each entry at most, and it goes with the entry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct EntryTime {
    /// The entry.
    pub name: EntryName,
    /// The leader's clock when it proposed the last change.
    pub at: Timestamp,
}

/// The intentions of a destination without their sources, which are separate rows. So writing one source costs the
/// same however many there are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IntentionHead {
    /// The called service.
    pub destination: Destination,
    /// The token that every request to the destination must carry.
    pub jwt: Option<JwtRequirement>,
    /// Metadata.
    pub meta: BTreeMap<String, String>,
    /// When anything of it changed, including its sources.
    pub stamp: Stamp,
    /// How many sources there are.
    pub sources: usize,
    /// How many sources have no id of the older API.
    pub without_id: usize,
    /// How many sources need the content of a request to decide.
    pub by_request: usize,
}

impl IntentionHead {
    /// Splits an entry into its head and its sources.
    pub(crate) fn split(entry: ServiceIntentions) -> (Self, Vec<SourceIntention>) {
        let ServiceIntentions { destination, sources, jwt, meta, stamp } = entry;
        (Self { destination, jwt, meta, stamp, sources: 0, without_id: 0, by_request: 0 }, sources)
    }

    /// The head of an entry that does not exist yet.
    pub(crate) fn new(destination: Destination) -> Self {
        let (jwt, meta, stamp) = (None, BTreeMap::new(), Stamp::default());
        Self { destination, jwt, meta, stamp, sources: 0, without_id: 0, by_request: 0 }
    }

    /// The entry with these of its sources.
    pub fn with(&self, sources: Vec<SourceIntention>) -> ServiceIntentions {
        let Self { destination, jwt, meta, stamp, sources: _, without_id: _, by_request: _ } = self.clone();
        ServiceIntentions { destination, sources, jwt, meta, stamp }
    }

    /// Whether the older API could have written everything in it.
    pub fn only_with_ids(&self) -> bool {
        self.without_id == 0 && self.meta.is_empty() && self.jwt.is_none()
    }
}

/// An entry that depends on a property of a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryLink {
    /// The service.
    pub to: ServiceRef,
    /// The entry.
    pub from: EntryName,
}

/// The names that identify an intention.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IntentionRef {
    /// The called service.
    pub destination: Destination,
    /// The calling service.
    pub source: Source,
}

/// Records that the ACL system was bootstrapped.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AclBootstrap {
    /// Index of the command that did it. A command that names this index may bootstrap again.
    pub reset_index: u64,
}
