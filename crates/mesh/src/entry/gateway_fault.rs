//! Errors of entries about gateways, routes and exports.

/// An error of an entry about gateways, routes or exports, with the remedy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GatewayFault {
    /// Two listeners with one port.
    #[error("{port} is declared on two listeners; give each listener a port of its own")]
    PortTwice {
        /// The port.
        port: u16,
    },
    /// Several services behind a listener for bytes.
    #[error(
        "hold more than one service, which is only supported for L7 protocols, 'http', 'grpc' and 'http2'; \
         name one service, or change the listener's Protocol"
    )]
    SeveralOnTcp,
    /// Something about requests on a listener for bytes.
    #[error(
        "is only valid for http, http2 and grpc protocols; leave it out, or change the listener's Protocol"
    )]
    OnlyForRequests,
    /// Hosts for all services.
    #[error("cannot be associated to a wildcard service; leave them out, or name the service")]
    HostsOfAll,
    /// A host that occurs twice.
    #[error("{host:?} stands twice; hosts must be unique within a specific listener")]
    HostTwice {
        /// The host.
        host: String,
    },
    /// Every host, with certificates.
    #[error(
        "\"*\" is not allowed when TLS is enabled; name the hosts, because they are written into a certificate"
    )]
    AnyHostWithTls,
    /// Not the name of a host.
    #[error("{host:?} must be a valid DNS hostname")]
    NoHostName {
        /// The text as given.
        host: String,
    },
    /// A wildcard that is not the leftmost label.
    #[error("{host:?} is not valid, a wildcard specifier is only allowed as the leftmost label")]
    WildcardInside {
        /// The text as given.
        host: String,
    },
    /// A wildcard where hosts have to be named.
    #[error("{host:?} must not be a wildcard; name the hosts, or leave them out for those of the listener")]
    WildcardHost {
        /// The text as given.
        host: String,
    },
    /// A certificate from another source without the place of the source.
    #[error("is required if CertResource is set; set it here, at the listener or at the gateway")]
    NoCluster,
    /// A source of certificates without the certificate.
    #[error("is required if ClusterName is set; set it, or leave ClusterName out")]
    NoResource,
    /// A certificate for a service without hosts.
    #[error(
        "must have at least one host if the service has TLS.SDS.CertResource; name the hosts of the certificate"
    )]
    CertificateWithoutHosts,
    /// Some of three files are missing.
    #[error(
        "must have a CertFile, CAFile, and KeyFile specified for TLS origination; set all, or only CAFile"
    )]
    FilesMissing,
    /// A feature that only Consul Enterprise has.
    #[error("is about {what}, a feature of Consul Enterprise; leave it out")]
    Enterprise {
        /// The feature.
        what: &'static str,
    },
    /// A feature of later versions of Consul.
    #[error("is about {what}, which is not available yet; leave it out")]
    Later {
        /// The feature.
        what: &'static str,
    },
    /// A bad name of a listener.
    #[error(
        "{name:?} is invalid, must be at least 1 character and contain only lower-case letters, numbers, or dashes, \
         in parts that dots divide"
    )]
    ListenerName {
        /// The name as given.
        name: String,
    },
    /// Two listeners with one port that differ.
    #[error(
        "is the port of listener {other:?}, too, and they cannot be merged; give both the same Hostname and Protocol, or another port"
    )]
    Unmergeable {
        /// The other listener.
        other: String,
    },
    /// A reference to an entry of another kind.
    #[error("is {kind:?}, must be {allowed}")]
    OtherKind {
        /// The kind as given.
        kind: String,
        /// The allowed kinds.
        allowed: &'static str,
    },
    /// A reference that occurs twice.
    #[error("names {reference} twice; references must be unique")]
    ReferenceTwice {
        /// The reference.
        reference: String,
    },
    /// A condition without a comparison.
    #[error("should be one of {allowed}")]
    NoComparison {
        /// The comparisons.
        allowed: &'static str,
    },
    /// Several services where one is possible.
    #[error("hold {len} services; tcp-route currently only supports one service")]
    OneServiceOnly {
        /// How many there are.
        len: usize,
    },
    /// A status code that does not exist.
    #[error("is {code}, which is no status of HTTP; use 100 to 599")]
    NoStatus {
        /// The code as given.
        code: u32,
    },
    /// No service to which connections could go.
    #[error("is neither http nor tcp; set one of them")]
    NoGatewayProtocol,
}
