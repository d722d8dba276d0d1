//! Resources: what Envoy is configured with, each with its name and its version.

mod pool;

use std::collections::BTreeSet;
use std::sync::Arc;

use concord_envoy_proto::envoy::config::cluster::v3::Cluster;
use concord_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use concord_envoy_proto::envoy::config::listener::v3::Listener;
use concord_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::Secret;
use concord_envoy_proto::{Any, any};
use prost::{Message, Name as _};
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

/// The name of a resource. Cloning is cheap.
pub type Name = Arc<str>;

/// The version of a resource: the SHA-256 of its bytes, in hexadecimal. Equal resources have equal versions, whoever
/// made them.
pub type Version = Arc<str>;

/// One resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resource {
    /// Its name, unique within its type.
    pub name: Name,
    /// Its version.
    pub version: Version,
    /// The message.
    pub body: Any,
    /// The clusters that it names. It is sent when Envoy has them.
    pub clusters: BTreeSet<Name>,
    /// What Envoy asks for because of this resource, and forgets when it gets the resource anew.
    pub children: Vec<(ResourceType, Name)>,
}

impl Resource {
    /// A resource that names no other.
    pub fn new<M: Message + prost::Name>(name: impl Into<Name>, message: &M) -> Self {
        Self::of(name, any(message))
    }

    /// The same, of a message that is packed already.
    pub fn of(name: impl Into<Name>, body: Any) -> Self {
        let version =
            Sha256::digest(&body.value).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Self {
            name: name.into(),
            version: version.into(),
            body,
            clusters: BTreeSet::new(),
            children: Vec::new(),
        }
    }

    /// The same, naming these clusters.
    #[must_use]
    pub fn naming(mut self, clusters: impl IntoIterator<Item: Into<Name>>) -> Self {
        self.clusters.extend(clusters.into_iter().map(Into::into));
        self
    }

    /// The same, with a resource that Envoy asks for because of it.
    #[must_use]
    pub fn with_child(mut self, kind: ResourceType, name: impl Into<Name>) -> Self {
        self.children.push((kind, name.into()));
        self
    }
}

/// All resources that one Envoy should have. They take no more room than their number: there are thousands of such sets,
/// and they change seldom.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResourceSet {
    /// Of each type, in the order of their names.
    resources: [Vec<Arc<Resource>>; ResourceType::ALL.len()],
    /// Resources of which it is not known yet what they will be. Envoy keeps what it has of them.
    awaited: BTreeSet<(ResourceType, String)>,
}

impl ResourceSet {
    /// Adds a resource. One with the same type and name is replaced.
    pub fn insert(&mut self, kind: ResourceType, resource: Resource) {
        let place = self.place(kind, &resource.name);
        let own = &mut self.resources[kind as usize];
        match place {
            Ok(at) => own[at] = Arc::new(resource),
            Err(at) => own.insert(at, Arc::new(resource)),
        }
    }

    /// Notes that the content of a resource is not known yet.
    pub fn insert_awaited(&mut self, kind: ResourceType, name: String) {
        self.awaited.insert((kind, name));
    }

    /// The resource with this name.
    pub fn find(&self, kind: ResourceType, name: &str) -> Option<&Arc<Resource>> {
        self.place(kind, name).ok().map(|at| &self.resources[kind as usize][at])
    }

    /// Whether the content of the resource is not known yet.
    pub fn awaits(&self, kind: ResourceType, name: &str) -> bool {
        !self.awaited.is_empty() && self.awaited.contains(&(kind, name.to_owned()))
    }

    /// The resources of a type, by name.
    pub fn of(&self, kind: ResourceType) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources[kind as usize].iter()
    }

    /// Where the resource is, or would be, among those of its type.
    fn place(&self, kind: ResourceType, name: &str) -> Result<usize, usize> {
        self.resources[kind as usize].binary_search_by(|own| (*own.name).cmp(name))
    }
}
