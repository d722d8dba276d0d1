//! The JSON form of where traffic goes.

use concord_api::explain::{ExplainOrigin, ExplainSetting, PartExplain, RouteExplain, TargetExplain};
use concord_mesh::chain::CONNECT_TIMEOUT;
use concord_mesh::explain::route::{Judged, Leg, Part, Routed, Way};
use concord_model::chain::{Origin, ResolverNode};
use concord_model::entry::RouteDestination;

use super::names::service;

/// The route, or why it is not told.
pub(super) fn shape(way: &Way) -> (Option<RouteExplain>, String) {
    match way {
        Way::Told(routed) => (Some(told(routed)), String::new()),
        Way::Untold(why) => (None, why.clone()),
    }
}

fn told(routed: &Routed) -> RouteExplain {
    let Routed { protocol, route, says, arrives_as, parts, parts_count } = routed;
    RouteExplain {
        origin: route.as_ref().map(origin),
        protocol_origin: protocol.as_ref().map(origin),
        settings: says
            .as_ref()
            .zip(route.as_ref())
            .map(|(says, route)| of_route(says, route))
            .unwrap_or_default(),
        path: arrives_as.clone(),
        parts: parts.iter().map(part).collect(),
        parts_count: *parts_count,
    }
}

fn part(part: &Part) -> PartExplain {
    let Part { weight, origins, resolver, legs } = part;
    PartExplain {
        weight: *weight,
        origins: origins.iter().map(origin).collect(),
        settings: of_resolver(resolver),
        targets: legs.iter().map(target).collect(),
    }
}

fn target(leg: &Leg) -> TargetExplain {
    let Leg { origins, target, judged } = leg;
    TargetExplain {
        id: target.id.clone(),
        service: service(&target.service),
        subset: target.subset_name.clone(),
        datacenter: target.datacenter.as_ref().map(ToString::to_string).unwrap_or_default(),
        origins: origins.iter().map(origin).collect(),
        allowed: judged.allowed(),
        reason: match judged {
            Judged::Verdict { reason, .. } => reason.clone(),
            Judged::Hidden => "the token may not read what decides there".to_owned(),
            Judged::Unclear => "the route sets a header to a value that is not known before".to_owned(),
            Judged::ByPeer => "the peered cluster decides by its own intentions".to_owned(),
        },
    }
}

/// What a route says. Where it leads is told by the targets.
fn of_route(says: &RouteDestination, route: &Origin) -> Vec<ExplainSetting> {
    let field = |name: &str| Origin { field: format!("{}.Destination.{name}", route.field), ..route.clone() };
    let leads = ["Service", "ServiceSubset", "Namespace", "Partition"];
    ExplainSetting::list(says, &leads, |name| Some(origin(&field(name))))
}

/// What a resolver says. The time for a connection has a default.
fn of_resolver(resolver: &ResolverNode) -> Vec<ExplainSetting> {
    let written = |name: &str| name != "ConnectTimeout" || resolver.connect_timeout != CONNECT_TIMEOUT;
    let field = |name: &str| Some(Origin { entry: resolver.entry.clone()?, field: name.to_owned() });
    ExplainSetting::list(resolver, &["Target", "Default", "Failover", "Entry"], |name| {
        field(name).filter(|_| written(name)).map(|own| origin(&own))
    })
}

fn origin(origin: &Origin) -> ExplainOrigin {
    let Origin { entry, field } = origin;
    ExplainOrigin {
        kind: entry.kind.as_str().to_owned(),
        name: entry.scope.to_string(),
        field: field.clone(),
    }
}
