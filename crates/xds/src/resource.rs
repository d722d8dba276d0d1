//! Resources: what Envoy is configured with, each with its name and its version.

mod pool;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concord_envoy_proto::envoy::config::cluster::v3::Cluster;
use concord_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use concord_envoy_proto::envoy::config::listener::v3::Listener;
use concord_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::Secret;
use concord_envoy_proto::{Any, any};
use prost::{Message, Name};
use sha2::{Digest as _, Sha256};

pub use self::pool::Pool;

/// The types of resources, in the order in which Envoy is told of new ones: what is named comes before what names it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ResourceType {
    /// Certificates and keys.
    Secret,
    /// Services that can be called.
    Cluster,
    /// The instances of a cluster.
    Endpoint,
    /// Addresses at which Envoy listens.
    Listener,
    /// How requests find their cluster.
    Route,
}

impl ResourceType {
    /// All types.
    pub const ALL: [Self; 5] = [Self::Secret, Self::Cluster, Self::Endpoint, Self::Listener, Self::Route];

    /// The URL by which Envoy asks for it.
    pub fn url(self) -> String {
        match self {
            Self::Secret => Secret::type_url(),
            Self::Cluster => Cluster::type_url(),
            Self::Endpoint => ClusterLoadAssignment::type_url(),
            Self::Listener => Listener::type_url(),
            Self::Route => RouteConfiguration::type_url(),
        }
    }

    /// The type with this URL.
    pub fn of_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|own| own.url() == url)
    }

    /// What people call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Cluster => "cluster",
            Self::Endpoint => "endpoints",
            Self::Listener => "listener",
            Self::Route => "route",
        }
    }
}

/// The version of a resource: the SHA-256 of its bytes, in hexadecimal. Equal resources have equal versions, whoever
/// made them.
pub type Version = Arc<str>;

/// One resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resource {
    /// Its name, unique within its type.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// The message.
    pub body: Any,
    /// The clusters that it names. It is sent when Envoy has them.
    pub clusters: BTreeSet<String>,
    /// What Envoy asks for because of this resource, and forgets when it gets the resource anew.
    pub children: Vec<(ResourceType, String)>,
}

impl Resource {
    /// A resource that names no other.
    pub fn new<M: Message + Name>(name: String, message: &M) -> Self {
        Self::of(name, any(message))
    }

    /// The same, of a message that is packed already.
    pub fn of(name: String, body: Any) -> Self {
        let version =
            Sha256::digest(&body.value).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Self { name, version: version.into(), body, clusters: BTreeSet::new(), children: Vec::new() }
    }

    /// The same, naming these clusters.
    #[must_use]
    pub fn naming(mut self, clusters: impl IntoIterator<Item = String>) -> Self {
        self.clusters.extend(clusters);
        self
    }

    /// The same, with a resource that Envoy asks for because of it.
    #[must_use]
    pub fn with_child(mut self, kind: ResourceType, name: String) -> Self {
        self.children.push((kind, name));
        self
    }
}

/// All resources that one Envoy should have.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResourceSet {
    resources: BTreeMap<(ResourceType, String), Arc<Resource>>,
    /// Resources of which it is not known yet what they will be. Envoy keeps what it has of them.
    awaited: BTreeSet<(ResourceType, String)>,
}

impl ResourceSet {
    /// Adds a resource. One with the same type and name is replaced.
    pub fn insert(&mut self, kind: ResourceType, resource: Resource) {
        self.resources.insert((kind, resource.name.clone()), Arc::new(resource));
    }

    /// Notes that the content of a resource is not known yet.
    pub fn insert_awaited(&mut self, kind: ResourceType, name: String) {
        self.awaited.insert((kind, name));
    }

    /// The resource with this name.
    pub fn find(&self, kind: ResourceType, name: &str) -> Option<&Arc<Resource>> {
        self.resources.get(&(kind, name.to_owned()))
    }

    /// Whether the content of the resource is not known yet.
    pub fn awaits(&self, kind: ResourceType, name: &str) -> bool {
        self.awaited.contains(&(kind, name.to_owned()))
    }

    /// The resources of a type, by name.
    pub fn of(&self, kind: ResourceType) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources
            .range((kind, String::new())..)
            .take_while(move |((own, _), _)| *own == kind)
            .map(|(_, one)| one)
    }
}
