//! Configuration entries: the mesh's configuration, kept by the servers.
//!
//! The table below lists the kinds: the allowed names of entries, and the rights to read and write them. `mesh::entry`
//! decides what is valid in an entry, and `api::entry` reads and writes its public form; both have one file for each
//! kind.

mod api_gateway;
mod bound_api_gateway;
mod exported_services;
mod file_system_certificate;
mod headers;
mod http_route;
mod ingress_gateway;
mod inline_certificate;
mod jwt_provider;
mod kept;
mod load_balancer;
mod mesh;
mod proxy_defaults;
mod proxying;
mod service_defaults;
mod service_resolver;
mod service_router;
mod service_splitter;
mod status;
mod tcp_route;
mod terminating_gateway;

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use self::api_gateway::{ApiGateway, ApiGatewayListener, ApiGatewayTls, GatewayProtocol};
pub use self::bound_api_gateway::{BoundApiGateway, BoundListener};
pub use self::exported_services::{ExportedService, ExportedServices, ServiceConsumer};
pub use self::file_system_certificate::FileSystemCertificate;
pub use self::headers::HeaderModifiers;
pub use self::http_route::{
    HeaderComparison, HttpFilters, HttpHeaderMatch, HttpMatch, HttpPathMatch, HttpQueryMatch,
    HttpResponseFilters, HttpRoute, HttpRouteRule, HttpRouteService, PathComparison, QueryComparison,
    RetryFilter, TimeoutFilter, UrlRewrite,
};
pub use self::ingress_gateway::{
    GatewayTls, IngressGateway, IngressLimits, IngressListener, IngressService, IngressServiceTls,
    ListenerProtocol, SecretSource,
};
pub use self::inline_certificate::{InlineCertificate, KeyText};
pub use self::jwt_provider::{
    CacheConfig, DiscoveryType, JsonWebKeySet, JwksCluster, JwksRetryPolicy, JwtProvider, LocalJwks,
    ProviderInstance, RemoteJwks, RetryPolicyBackOff, TlsCertificates, TokenCookie, TokenForwarding,
    TokenHeader, TokenLocation, TokenParameter, TrustedCa,
};
pub(crate) use self::kept::KeptEntry;
pub use self::load_balancer::{
    BalancingPolicy, CookieConfig, HashField, HashPolicy, LeastRequestConfig, LoadBalancer, RingHashConfig,
};
pub use self::mesh::{
    EscapedSlashes, Mesh, MeshHttp, MeshHttpIncoming, MeshPeering, MeshTls, MeshTransparentProxy,
    RequestNormalization, TlsLimits, TlsVersion, Underscores,
};
pub use self::proxy_defaults::ProxyDefaults;
pub use self::proxying::{GatewayMode, MeshGateway, Protocol, ProxyMode};
pub use self::service_defaults::{
    Balance, OutsideDestination, PassiveHealthCheck, ServiceDefaults, UpstreamDefaults, UpstreamLimits,
    UpstreamOverride,
};
pub use self::service_resolver::{
    FailoverPolicy, LocalityPriority, ResolverFailover, ResolverSubset, ResolverTarget, ServiceResolver,
};
pub use self::service_router::{
    HttpRouteMatch, Method, RetryCondition, Route, RouteDestination, RouteHeader, RouteMatch,
    RouteQueryParam, ServiceRouter,
};
pub use self::service_splitter::{ServiceSplitter, Split, Weight};
pub use self::status::{Condition, Reference, Status, Transition};
pub use self::tcp_route::{TcpRoute, TcpRouteService};
pub use self::terminating_gateway::{LinkedService, TerminatingGateway};
use crate::intention::{Destination, ServiceIntentions};
use crate::name::{Namespace, Partition, Pattern, ServiceName, ServiceRef};
pub use crate::proxy::{AccessLogSink, AccessLogs, EnvoyExtension, MutualTlsMode};
use crate::{NameError, Stamp};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident($record:ty), $text:literal, named: $naming:expr, read: $read:ident, write: $write:ident;)*) => {
        /// The kinds of entries.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        pub enum EntryKind {
            $($(#[$doc])* #[serde(rename = $text)] $kind,)*
        }

        /// One configuration entry.
        #[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
        pub enum Entry {
            $($(#[$doc])* #[serde(rename = $text)] $kind($record),)*
        }

        impl EntryKind {
            /// All kinds, sorted by name.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The text in the API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $text,)* }
            }

            /// The names that entries of this kind may have.
            pub fn naming(self) -> Naming {
                match self { $(Self::$kind => $naming,)* }
            }

            /// The right that is needed to read entries of this kind.
            pub fn read_right(self) -> EntryRight {
                match self { $(Self::$kind => EntryRight::$read,)* }
            }

            /// The right that is needed to write entries of this kind.
            pub fn write_right(self) -> EntryRight {
                match self { $(Self::$kind => EntryRight::$write,)* }
            }
        }

        impl Entry {
            /// The entry's kind.
            pub fn kind(&self) -> EntryKind {
                match self { $(Self::$kind(_) => EntryKind::$kind,)* }
            }

            /// The entry's name and kind.
            pub fn name(&self) -> EntryName {
                match self { $(Self::$kind(entry) => EntryName { kind: EntryKind::$kind, scope: entry.scope() },)* }
            }

            /// When the entry changed.
            pub fn stamp(&self) -> Stamp {
                match self { $(Self::$kind(entry) => entry.stamp(),)* }
            }

            /// The entry with this stamp.
            #[must_use]
            pub fn stamped(mut self, stamp: Stamp) -> Self {
                match &mut self { $(Self::$kind(entry) => entry.set_stamp(stamp),)* }
                self
            }

            /// Whether two entries are equal except for their stamps.
            pub fn says_the_same(&self, other: &Self) -> bool {
                match (self, other) {
                    $((Self::$kind(own), Self::$kind(other)) => own.says_the_same(other),)*
                    #[allow(unreachable_patterns, reason = "with a single kind there is no other")]
                    _ => false,
                }
            }
        }
    };
}

kinds! {
    /// The intentions of one destination.
    ServiceIntentions(ServiceIntentions), "service-intentions", named: Naming::ServiceOrAny, read: Intention, write: Intention;
    /// Settings of one service.
    ServiceDefaults(Record<ServiceDefaults>), "service-defaults", named: Naming::Service, read: Service, write: Service;
    /// Settings of all proxies.
    ProxyDefaults(Record<ProxyDefaults>), "proxy-defaults", named: Naming::Only("global"), read: Open, write: Mesh;
    /// Settings of the whole mesh.
    Mesh(Record<Mesh>), "mesh", named: Naming::Only("mesh"), read: Open, write: Mesh;
    /// Which instances requests for a service reach.
    ServiceResolver(Record<ServiceResolver>), "service-resolver", named: Naming::Service, read: Service, write: ServiceAndLinks;
    /// Where requests for a service go, by path, header and method.
    ServiceRouter(Record<ServiceRouter>), "service-router", named: Naming::Service, read: Service, write: ServiceAndLinks;
    /// How requests for a service are split by weight.
    ServiceSplitter(Record<ServiceSplitter>), "service-splitter", named: Naming::Service, read: Service, write: ServiceAndLinks;
    /// An issuer of JSON web tokens, and how its tokens are verified.
    JwtProvider(Record<JwtProvider>), "jwt-provider", named: Naming::Free, read: MeshOrOwner, write: Mesh;
    /// A gateway through which traffic from outside reaches services.
    IngressGateway(Record<IngressGateway>), "ingress-gateway", named: Naming::Service, read: Service, write: Mesh;
    /// A gateway through which services reach services outside of the mesh.
    TerminatingGateway(Record<TerminatingGateway>), "terminating-gateway", named: Naming::Service, read: Service, write: Mesh;
    /// The services that peered clusters may use.
    ExportedServices(Record<ExportedServices>), "exported-services", named: Naming::Only("default"), read: Mesh, write: Mesh;
    /// A certificate, with its key, that API gateways show to their clients.
    InlineCertificate(Record<InlineCertificate>), "inline-certificate", named: Naming::Free, read: Mesh, write: Mesh;
    /// A certificate in files of the gateway's machine.
    FileSystemCertificate(Record<FileSystemCertificate>), "file-system-certificate", named: Naming::Free, read: Mesh, write: Mesh;
    /// A gateway whose traffic is distributed by routes.
    ApiGateway(Record<ApiGateway>), "api-gateway", named: Naming::Service, read: Service, write: Mesh;
    /// What an API gateway uses.
    BoundApiGateway(Record<BoundApiGateway>), "bound-api-gateway", named: Naming::Service, read: Service, write: Nobody;
    /// Which requests at an API gateway reach which services.
    HttpRoute(Record<HttpRoute>), "http-route", named: Naming::Free, read: Mesh, write: Mesh;
    /// Which service connections at an API gateway reach.
    TcpRoute(Record<TcpRoute>), "tcp-route", named: Naming::Free, read: Mesh, write: Mesh;
}

/// The names that entries of a kind may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Naming {
    /// The name of a service.
    Service,
    /// The name of a service, or `*` for all services.
    ServiceOrAny,
    /// Any name except `*`. It is not the name of a service.
    Free,
    /// Only this name, so there is at most one entry.
    Only(&'static str),
}

/// The right that is needed to read or write an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EntryRight {
    /// None: everybody may.
    Open,
    /// The right to the intentions of the destination in the entry's name.
    Intention,
    /// The right to the service in the entry's name.
    Service,
    /// The right to the service in the entry's name, and the right to read each service that the entry names.
    ServiceAndLinks,
    /// The right to the mesh's configuration.
    Mesh,
    /// The right to the mesh's configuration, or to write any service: proxies have the rights of their services.
    MeshOrOwner,
    /// Nobody has it: the servers themselves write the entry.
    Nobody,
}

/// Names a configuration entry.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EntryName {
    /// The entry's kind.
    pub kind: EntryKind,
    /// Partition, namespace and name. Wildcards if the kind allows them.
    pub scope: Destination,
}

/// An entry of an ordinary kind: the fields that all entries have, and the settings of its kind.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Record<T> {
    /// Its name.
    pub scope: Destination,
    /// The settings of its kind.
    pub said: T,
    /// Metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, String>,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

impl<T: Clone + PartialEq> KeptEntry for Record<T> {
    fn scope(&self) -> Destination {
        self.scope.clone()
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn set_stamp(&mut self, stamp: Stamp) {
        self.stamp = stamp;
    }
}

// === impl EntryKind ===

impl EntryKind {
    /// The name of the only entry of this kind; `None` if there can be more.
    pub fn only_name(self) -> Option<&'static str> {
        match self.naming() {
            Naming::Only(name) => Some(name),
            Naming::Service | Naming::ServiceOrAny | Naming::Free => None,
        }
    }

    /// Reads the text of the API.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }

    /// The kind as the log stores it, with underscores.
    fn in_log(self) -> String {
        self.as_str().replace('-', "_")
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Entry ===

impl Entry {
    /// What the servers say of the entry; `None` for kinds of which they say nothing.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::ApiGateway(entry) => Some(&entry.said.status),
            Self::HttpRoute(entry) => Some(&entry.said.status),
            Self::TcpRoute(entry) => Some(&entry.said.status),
            _ => None,
        }
    }

    /// The entry with this status, if its kind has one.
    #[must_use]
    pub fn with_status(mut self, status: Status) -> Self {
        match &mut self {
            Self::ApiGateway(entry) => entry.said.status = status,
            Self::HttpRoute(entry) => entry.said.status = status,
            Self::TcpRoute(entry) => entry.said.status = status,
            _ => {}
        }
        self
    }

    /// The entry with the status that another version of it has: users write none.
    #[must_use]
    pub fn with_status_of(self, other: Option<&Self>) -> Self {
        let status = other.and_then(Self::status).cloned().unwrap_or_default();
        self.with_status(status)
    }
}

// === impl EntryName ===

impl EntryName {
    /// The entry with this kind and name in the default partition and namespace.
    pub fn local(kind: EntryKind, name: Pattern<ServiceName>) -> Self {
        let (partition, namespace) = (Partition::default(), Pattern::Exact(Namespace::default()));
        Self { kind, scope: Destination { partition, namespace, name } }
    }

    /// Reads a name as in the API. A name that the kind does not allow is accepted here; no such entry will be found.
    pub fn parse(kind: EntryKind, name: &str) -> Result<Self, NameError> {
        Ok(Self::local(kind, Pattern::parse(name)?))
    }

    /// The only entry of a kind that allows one name.
    ///
    /// # Panics
    /// If the kind allows more names.
    pub fn only(kind: EntryKind) -> Self {
        let Naming::Only(name) = kind.naming() else { panic!("there are many entries of kind {kind}") };
        Self::local(kind, Pattern::Exact(name.parse().expect("the table has names")))
    }

    /// The entry of this kind for a service.
    pub fn of_service(kind: EntryKind, service: &ServiceRef) -> Self {
        let ServiceRef { partition, namespace, peer: _, name } = service.clone();
        let (namespace, name) = (Pattern::Exact(namespace), Pattern::Exact(name));
        Self { kind, scope: Destination { partition, namespace, name } }
    }

    /// The entry with the intentions of a destination.
    pub fn intentions(destination: &Destination) -> Self {
        Self { kind: EntryKind::ServiceIntentions, scope: destination.clone() }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.scope.name.as_str()
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.kind, self.scope.to_string())
    }
}

impl Serialize for EntryName {
    /// `{"service_intentions": {partition, namespace, name}}`, as in the first format of the log.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&self.kind.in_log(), &self.scope)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for EntryName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = BTreeMap::<String, Destination>::deserialize(deserializer)?;
        let mut named = named.into_iter();
        let (Some((text, scope)), None) = (named.next(), named.next()) else {
            return Err(de::Error::custom("an entry is named by one kind"));
        };
        let known = EntryKind::ALL.iter().copied().find(|kind| kind.in_log() == text);
        let kind = known.ok_or_else(|| de::Error::custom(format!("there is no kind {text:?} of entries")))?;
        Ok(Self { kind, scope })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_named_in_the_log_as_ever() {
        let name = EntryName::parse(EntryKind::ServiceIntentions, "web").unwrap();
        let text = serde_json::to_string(&name).unwrap();
        assert_eq!(text, r#"{"service_intentions":{"namespace":"default","name":"web"}}"#);
        assert_eq!(serde_json::from_str::<EntryName>(&text).unwrap(), name);
        let none = |text: &str| serde_json::from_str::<EntryName>(text).is_err();
        assert!(none("{}") && none(r#"{"cakes":{"namespace":"default","name":"web"}}"#));
    }

    #[test]
    fn no_kind_may_be_written_by_everybody() {
        for kind in EntryKind::ALL {
            assert_ne!(kind.write_right(), EntryRight::Open, "{kind}");
        }
    }

    #[test]
    fn every_kind_is_read_as_it_is_written() {
        for kind in EntryKind::ALL {
            assert_eq!(EntryKind::parse(kind.as_str()), Some(*kind));
            let json = serde_json::to_string(kind).unwrap();
            assert_eq!(json, format!("{:?}", kind.as_str()));
        }
        assert_eq!(EntryKind::parse("cake"), None);
    }
}
