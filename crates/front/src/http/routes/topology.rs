//! `internal/ui/service-topology`: the neighbours of a service.

use std::sync::Arc;

use concord_api::topology::{PairDecision, Running, ServiceSummary, ServiceTopology, TopologySummary};
use concord_mesh::topology as mesh;
use concord_model::{ServiceName, ServiceRef};
use concord_rpc::request::{InstanceHealth, Neighbour, ReadTopology, TopologyKind};

use super::endpoints;
use crate::http::context::Ctx;
use crate::http::{Call, HttpError, Reply, Right};

endpoints! {
    /// What a service calls, and what calls it.
    Topology: GET "/v1/internal/ui/service-topology/:service", Right::asked::<(ReadTopology,)>() => topology;
}

async fn topology(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let service = ServiceRef::local(call.named(0, ServiceName::parse)?);
    let question = ReadTopology { service, kind: kind(&call)? };
    let (found, meta) = ctx.ask(&call, question).await?;
    let own = ctx.agent.config.datacenter.to_string();
    let shapes = |all: &[Neighbour]| all.iter().map(|one| shape(one, &own)).collect();
    let shown = ServiceTopology {
        protocol: found.protocol.as_str().to_owned(),
        transparent_proxy: found.transparent,
        upstreams: shapes(&found.upstreams),
        downstreams: shapes(&found.downstreams),
        filtered_by_acls: meta.filtered,
    };
    Ok(Reply::json(shown).with_meta(&meta))
}

/// The kind has to be given, though it may be empty, as in Consul.
fn kind(call: &Call) -> Result<TopologyKind, HttpError> {
    match call.parameter("kind") {
        Some("") => Ok(TopologyKind::Typical),
        Some("ingress-gateway") => Ok(TopologyKind::IngressGateway),
        Some("api-gateway") => Ok(TopologyKind::ApiGateway),
        Some(other) => Err(HttpError::bad_request(format!(
            "Unsupported service kind {other:?}: kind must be empty, ingress-gateway or api-gateway"
        ))),
        None => Err(HttpError::bad_request("Missing service kind")),
    }
}

fn shape(one: &Neighbour, datacenter: &str) -> TopologySummary {
    let Neighbour { service, source, decision, instances } = one;
    let mut summary = ServiceSummary::of(&service.name, instances.iter().map(running));
    if *source == mesh::NeighbourSource::RoutingConfig {
        datacenter.clone_into(&mut summary.datacenter);
    }
    let mesh::PairDecision { allowed, by_request, external_source, exact, default_allow } = decision;
    let intention = PairDecision {
        allowed: *allowed,
        has_permissions: *by_request,
        external_source: external_source.clone(),
        has_exact: *exact,
        default_allow: *default_allow,
    };
    TopologySummary { summary, source: source.as_str().to_owned(), intention }
}

pub(super) fn running(own: &InstanceHealth) -> Running<'_> {
    Running { node: &own.node, instance: &own.service, checks: &own.checks }
}
