//! The conditions of gateways and routes: types, reasons and texts.

use std::collections::BTreeMap;

use concord_model::entry::{Condition, Reference, Status, Transition};

/// What is said of a gateway, a listener or a route.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said<'a> {
    /// Of a gateway: it can be used.
    GatewayAccepted,
    /// Of a gateway: a certificate is missing.
    InvalidCertificates,
    /// Of a listener: all certificates are there.
    ResolvedRefs,
    /// Of a listener: this certificate is missing.
    InvalidCertificateRef(&'a str),
    /// Of a listener: its routes do not exclude each other.
    NoConflict,
    /// Of a listener: it has several routes for connections.
    RouteConflict,
    /// Of a route: it can be used.
    RouteAccepted,
    /// Of a route: it names no service.
    NoUpstreamServices,
    /// Of a route: a service has no chain of its protocol, for this reason.
    InvalidChain(&'a str),
    /// Of a route and a gateway: it is used.
    Bound,
    /// Of a route and a gateway: there is no such gateway.
    GatewayNotFound,
    /// Of a route and a gateway: it is not used, for this reason.
    FailedToBind(&'a str),
}

impl Said<'_> {
    /// Type, status and reason.
    fn words(self) -> (&'static str, bool, &'static str) {
        match self {
            Self::GatewayAccepted | Self::RouteAccepted => ("Accepted", true, "Accepted"),
            Self::InvalidCertificates => ("Accepted", false, "InvalidCertificates"),
            Self::NoUpstreamServices => ("Accepted", false, "NoUpstreamServicesTargeted"),
            Self::InvalidChain(_) => ("Accepted", false, "InvalidDiscoveryChain"),
            Self::ResolvedRefs => ("ResolvedRefs", true, "ResolvedRefs"),
            Self::InvalidCertificateRef(_) => ("ResolvedRefs", false, "InvalidCertificateRef"),
            Self::NoConflict => ("Conflicted", false, "NoConflict"),
            Self::RouteConflict => ("Conflicted", true, "RouteConflict"),
            Self::Bound => ("Bound", true, "Bound"),
            Self::GatewayNotFound => ("Bound", false, "GatewayNotFound"),
            Self::FailedToBind(_) => ("Bound", false, "FailedToBind"),
        }
    }

    fn message(self) -> String {
        match self {
            Self::GatewayAccepted => "gateway is valid",
            Self::RouteAccepted => "route is valid",
            Self::InvalidCertificates => "a certificate that the gateway names does not exist",
            Self::NoUpstreamServices => "route names no service; it needs at least one",
            Self::ResolvedRefs => "resolved refs",
            Self::InvalidCertificateRef(name) => return format!("certificate {name:?} not found"),
            Self::NoConflict => "listener has no route conflicts",
            Self::RouteConflict => "a TCP listener can use one route only; leave one of its routes",
            Self::Bound => "successfully bound route",
            Self::GatewayNotFound => "gateway was not found",
            Self::FailedToBind(reason) | Self::InvalidChain(reason) => reason,
        }
        .to_owned()
    }
}

/// The conditions of one entry: one of each type about each resource, sorted.
#[derive(Debug, Default)]
pub(super) struct Conditions(BTreeMap<(&'static str, Reference), Condition>);

impl Conditions {
    /// Says something about a resource. It replaces what has been said about that before.
    pub(super) fn say(&mut self, said: Said<'_>, resource: Reference) {
        let (r#type, status, reason) = said.words();
        let condition = Condition {
            r#type: r#type.to_owned(),
            status: if status { "True" } else { "False" }.to_owned(),
            reason: reason.to_owned(),
            message: said.message(),
            resource: resource.clone(),
            last_transition_time: Transition::default(),
        };
        self.0.insert((r#type, resource), condition);
    }

    pub(super) fn into_status(self) -> Status {
        Status { conditions: self.0.into_values().collect() }
    }
}
