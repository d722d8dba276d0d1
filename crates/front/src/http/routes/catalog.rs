//! `catalog`: the servers' view of nodes and services, and direct writes to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concord_api::catalog::{self as shapes, DeregisterBody, RegisterBody};
use concord_api::select::{self, NODE, NODE_SERVICE, SERVICE_NODE};
use concord_api::service::{NodeService, NodeServiceList, NodeServices, ServiceNode};
use concord_filter::Expression;
use concord_model::{Datacenter, NodeName, ServiceName, ServiceRef};
use concord_rpc::Head;
use concord_rpc::request::{
    Deregister, InstanceOnNode, InstanceSelection, ListDatacenters, ListInstances, ListNodes, ListServices,
    NodeDump, Register, ServiceHealth, ServiceInstances,
};

use super::endpoints;
use crate::http::context::Ctx;
use crate::http::{Call, HttpError, Reply, Right};

endpoints! {
    /// Writes a node, optionally with a service and checks.
    RegisterRecords: PUT "/v1/catalog/register", Right::asked::<(Register,)>() => register;
    /// Removes a node, a service or a check.
    DeregisterRecords: PUT "/v1/catalog/deregister", Right::asked::<(Deregister,)>() => deregister;
    /// Names of all datacenters.
    Datacenters: GET "/v1/catalog/datacenters", Right::asked::<(ListDatacenters,)>() => datacenters;
    /// All nodes.
    Nodes: GET "/v1/catalog/nodes", Right::asked::<(ListNodes,)>() => nodes;
    /// Names of all services with their tags.
    Services: GET "/v1/catalog/services", Right::asked::<(ListServices, ListInstances)>() => services;
    /// Instances of a service.
    Service: GET "/v1/catalog/service/:name", Right::asked::<(ServiceInstances,)>() => service;
    /// Instances that accept mesh traffic for a service.
    Connect: GET "/v1/catalog/connect/:name", Right::asked::<(ServiceInstances,)>() => connect;
    /// A node with its services, by id.
    Node: GET "/v1/catalog/node/:node", Right::asked::<(NodeDump,)>() => node;
    /// A node with its services, as a list.
    NodeServiceNames: GET "/v1/catalog/node-services/:node", Right::asked::<(NodeDump,)>() => node_services;
}

/// The head of a write. The datacenter comes from the body; an empty one means ours. The `dc` parameter is ignored,
/// as in Consul.
fn head_for(ctx: &Ctx, call: &Call, datacenter: Datacenter) -> Result<Head, HttpError> {
    let elsewhere = (datacenter != ctx.agent.config.datacenter).then_some(datacenter);
    Ok(Head { datacenter: elsewhere, ..ctx.head(call)? })
}

async fn register(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let registration = RegisterBody::decode(&call.body)?.resolve(&ctx.agent.config.datacenter)?;
    let head = head_for(&ctx, &call, registration.node.datacenter.clone())?;
    ctx.ask_with(&call, head, Register(registration)).await?;
    Ok(Reply::json(true))
}

async fn deregister(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let body = DeregisterBody::decode(&call.body)?;
    let (datacenter, deregistration) = body.resolve(&ctx.agent.config.datacenter)?;
    let head = head_for(&ctx, &call, datacenter)?;
    ctx.ask_with(&call, head, Deregister(deregistration)).await?;
    Ok(Reply::json(true))
}

async fn datacenters(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (names, _) = ctx.ask(&call, ListDatacenters {}).await?;
    Ok(Reply::json(names.iter().map(Datacenter::to_string).collect::<Vec<_>>()))
}

async fn nodes(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let filter = Ctx::filter(&call)?;
    let (nodes, meta) = ctx.ask(&call, ListNodes { node_meta: call.node_meta() }).await?;
    let shown = nodes.iter().map(shapes::Node::from_model).collect();
    Ok(Reply::json(select::keep(filter.as_ref(), &NODE, shown)?).with_meta(&meta))
}

async fn services(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (filter, node_meta) = (Ctx::filter(&call)?, call.node_meta());
    let question = ListInstances { node_meta };
    if let Some((instances, meta, cached)) = ctx.ask_cache(&call, &question).await? {
        let shown = names(&instances, filter.as_ref())?;
        return Ok(Reply::json(shown).with_meta(&meta).with_cache(cached.hit, cached.age));
    }
    if filter.is_some() {
        let (instances, meta) = ctx.ask(&call, question).await?;
        return Ok(Reply::json(names(&instances, filter.as_ref())?).with_meta(&meta));
    }
    let (services, meta) = ctx.ask(&call, ListServices { node_meta: question.node_meta }).await?;
    let shown: BTreeMap<String, Vec<String>> =
        services.into_iter().map(|(name, tags)| (name.to_string(), tags)).collect();
    Ok(Reply::json(shown).with_meta(&meta))
}

/// The filter applies to the instances and their nodes. The names and tags of the remaining instances are returned.
fn names(
    instances: &[InstanceOnNode],
    filter: Option<&Expression>,
) -> Result<BTreeMap<String, BTreeSet<String>>, HttpError> {
    let all = instances.iter().map(|one| ServiceNode::from_model(&one.node, &one.service)).collect();
    let mut shown: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in select::keep(filter, &SERVICE_NODE, all)? {
        shown.entry(one.service_name).or_default().extend(one.service_tags);
    }
    Ok(shown)
}

async fn service(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    instances(ctx, call, Which::Own).await
}

async fn connect(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    instances(ctx, call, Which::Connect).await
}

async fn instances(ctx: Arc<Ctx>, call: Call, which: Which) -> Result<Reply, HttpError> {
    let filter = Ctx::filter(&call)?;
    // The health endpoint caches the same instances, so both endpoints share one cache entry.
    let kept = ServiceHealth { select: selection(&call, which)?, worst: None };
    if let Some((instances, meta, cached)) = ctx.ask_cache(&call, &kept).await? {
        let all = instances.iter().map(|one| ServiceNode::from_model(&one.node, &one.service)).collect();
        let shown = select::keep(filter.as_ref(), &SERVICE_NODE, all)?;
        return Ok(Reply::json(shown).with_meta(&meta).with_cache(cached.hit, cached.age));
    }
    let (instances, meta) = ctx.ask(&call, ServiceInstances { select: kept.select }).await?;
    let shown = instances.iter().map(|one| ServiceNode::from_model(&one.node, &one.service)).collect();
    Ok(Reply::json(select::keep(filter.as_ref(), &SERVICE_NODE, shown)?).with_meta(&meta))
}

/// Whose instances a path is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Which {
    /// The service's own.
    Own,
    /// Those that accept mesh traffic for it.
    Connect,
    /// Those of the ingress gateways that serve it.
    Ingress,
}

/// Which instances a request asks for: the service in its path, tags, node metadata. Tags apply to the instances that
/// are shown; for those that accept mesh traffic they are ignored, as in Consul.
pub(super) fn selection(call: &Call, which: Which) -> Result<InstanceSelection, HttpError> {
    refuse_foreign(call)?;
    let tags = call.parameters("tag").filter(|_| which != Which::Connect);
    Ok(InstanceSelection {
        service: ServiceRef::local(call.named(0, ServiceName::parse)?),
        connect: which == Which::Connect,
        gateways: which == Which::Connect,
        ingress: which == Which::Ingress,
        tags: tags.map(ToOwned::to_owned).collect(),
        node_meta: call.node_meta(),
        merged: is_merged(call),
    })
}

/// Whether proxies are shown with the settings of configuration entries. As in Consul, the parameter counts whatever its
/// value is.
fn is_merged(call: &Call) -> bool {
    call.parameter("merge-central-config").is_some()
}

/// Refuses peers and sameness groups, which are not built yet.
fn refuse_foreign(call: &Call) -> Result<(), HttpError> {
    let given = |name: &str| call.parameter(name).is_some_and(|value| !value.is_empty());
    match (given("peer"), given("sg") || given("sameness-group")) {
        (true, true) => Err(HttpError::bad_request("peer and sameness group cannot both be given")),
        (true, false) => Err(HttpError::not_available("cluster peering")),
        (false, true) => Err(HttpError::not_available("sameness groups")),
        (false, false) => Ok(()),
    }
}

async fn node(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let filter = Ctx::filter(&call)?;
    let (records, meta) = ctx.ask(&call, NodeDump::of(call.named(0, NodeName::parse)?)).await?;
    let shown = match records {
        Some(records) => {
            let NodeServices { node, services } = NodeServices::from_model(&records.node, &records.services);
            let services =
                select::keep_values(filter.as_ref(), &NODE_SERVICE, services)?.into_iter().collect();
            Some(NodeServices { node, services })
        }
        None => {
            select::keep::<NodeService>(filter.as_ref(), &NODE_SERVICE, Vec::new())?;
            None
        }
    };
    Ok(Reply::json(shown).with_meta(&meta))
}

async fn node_services(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let filter = Ctx::filter(&call)?;
    let (records, meta) =
        ctx.ask(&call, NodeDump { node: call.named(0, NodeName::parse)?, merged: is_merged(&call) }).await?;
    let (node, services) = match records {
        Some(records) => {
            let shape = |one| NodeService::from_model(&records.node.scope, one);
            (Some(shapes::Node::from_model(&records.node)), records.services.iter().map(shape).collect())
        }
        None => (None, Vec::new()),
    };
    // As in Consul: an empty list if the filter or the rights left nothing, `null` if there was nothing.
    let left_out = filter.is_some() || meta.filtered && node.is_some();
    let services = select::keep(filter.as_ref(), &NODE_SERVICE, services)?;
    let services = (left_out || !services.is_empty()).then_some(services);
    Ok(Reply::json(NodeServiceList { node, services }).with_meta(&meta))
}
