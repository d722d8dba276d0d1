//! Gateways with what they serve, exports and neighbours.

use concord_mesh::gateway::{GatewayService, ServedBy, ServedKind};
use concord_mesh::topology::{NeighbourSource, PairDecision};
use concord_model::Pattern;
use concord_model::entry::{LinkedService, ListenerProtocol, Protocol};
use concord_model::proxy::ServiceKind;
use concord_rpc::request::*;
use concord_rpc::{AnyReply, AnyRequest};

use super::catalog::{checks, instance, node};
use super::{Sample, every, name, sample, service, stamp};

fn kinds() -> Vec<TopologyKind> {
    every!(TopologyKind:
        TopologyKind::Typical => TopologyKind::Typical,
        TopologyKind::IngressGateway => TopologyKind::IngressGateway,
        TopologyKind::ApiGateway => TopologyKind::ApiGateway,
    )
}

pub(crate) fn requests() -> Vec<Sample<AnyRequest>> {
    let gateway = || service("gateway");
    let mut all = vec![
        sample!(AnyRequest, ListGatewayServices, "", ListGatewayServices { gateway: gateway() }),
        sample!(AnyRequest, GatewayServiceHealth, "", GatewayServiceHealth { gateway: gateway() }),
        sample!(AnyRequest, GatewayIntentions, "", GatewayIntentions { gateway: gateway() }),
        sample!(AnyRequest, ListExports, "", ListExports {}),
    ];
    for (what, kind) in ["", "ingress", "api"].into_iter().zip(kinds()) {
        all.push(sample!(AnyRequest, ReadTopology, what, ReadTopology { service: service("web"), kind }));
    }
    all
}

pub(crate) fn replies() -> Vec<Sample<AnyReply>> {
    let mut both = every!(ServedBy:
        ServedBy::Listener { .. } => ServedBy::Listener {
            port: 8080,
            protocol: ListenerProtocol::Http2,
            hosts: vec!["web.example.com".to_owned()],
        },
        ServedBy::Link(_) => ServedBy::Link(link()),
    );
    let kinds = every!(ServedKind:
        ServedKind::Unknown => ServedKind::Unknown,
        ServedKind::Service => ServedKind::Service,
        ServedKind::Destination => ServedKind::Destination,
    );
    both.push(both[0].clone());
    let all: Vec<_> = both.into_iter().zip(kinds).map(|(by, kind)| served(by, kind)).collect();
    let with_instances = ServedInstances { served: all[0].clone(), instances: vec![health()] };
    let export = Export { service: service("web"), peers: [name("east"), name("west")].into() };
    vec![
        sample!(AnyReply, ListGatewayServices, "", all),
        sample!(AnyReply, GatewayServiceHealth, "", vec![with_instances]),
        sample!(AnyReply, GatewayIntentions, "", vec![super::intention::entry()]),
        sample!(AnyReply, ListExports, "", vec![export]),
        sample!(AnyReply, ReadTopology, "", topology()),
    ]
}

fn link() -> LinkedService {
    LinkedService {
        name: Some(Pattern::Exact(name("web"))),
        partition: name("part"),
        namespace: name("space"),
        ca_file: "/ca.pem".to_owned(),
        cert_file: "/cert.pem".to_owned(),
        key_file: "/key.pem".to_owned(),
        sni: "web.example.com".to_owned(),
        disable_auto_host_rewrite: true,
    }
}

fn served(by: ServedBy, kind: ServedKind) -> GatewayService {
    let (gateway, service) = (service("gateway"), service("web"));
    GatewayService { gateway, service, by, from_wildcard: true, kind, stamp: stamp() }
}

fn health() -> InstanceHealth {
    InstanceHealth { node: node(), service: instance(ServiceKind::Typical), checks: checks() }
}

fn topology() -> Topology {
    let sources = every!(NeighbourSource:
        NeighbourSource::ProxyRegistration => NeighbourSource::ProxyRegistration,
        NeighbourSource::SpecificIntention => NeighbourSource::SpecificIntention,
        NeighbourSource::WildcardIntention => NeighbourSource::WildcardIntention,
        NeighbourSource::DefaultAllow => NeighbourSource::DefaultAllow,
        NeighbourSource::RoutingConfig => NeighbourSource::RoutingConfig,
    );
    let decision = PairDecision {
        allowed: true,
        by_request: true,
        external_source: "kubernetes".to_owned(),
        exact: true,
        default_allow: true,
    };
    let beside = |source| Neighbour {
        service: service("db"),
        source,
        decision: decision.clone(),
        instances: vec![health()],
    };
    let all: Vec<_> = sources.into_iter().map(beside).collect();
    Topology { protocol: Protocol::Http, transparent: true, upstreams: all.clone(), downstreams: all }
}
