//! What proxies without an agent of their own ask.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_acl::{Labelled, Level, Right};
use concord_model::catalog::{Node, NodeScope, SERVER_SERVICE};
use concord_model::proxy::ServiceKind;
use concord_model::{Namespace, ServiceRef};
use concord_rpc::RpcError;
use concord_rpc::request::{
    FollowProxy, FollowedProxy, InstanceOnNode, ListServers, NodeChoice, ReadProxy, ReadyServer,
};

use super::merging::{shown, told};
use crate::reading::Reading;

/// Any token opens it, and nobody without one. A server is ready if it votes and the catalog knows it.
pub(crate) fn list_servers(reading: &mut Reading<'_>, _: &ListServers) -> Result<Vec<ReadyServer>, RpcError> {
    if reading.caller.is_anonymous() {
        return Err(RpcError::TokenNotFound);
    }
    let voters = reading.stats().voters;
    let votes =
        |node: &Node| voters.iter().any(|voter| node.id.is_some_and(|id| voter.node.id == id.to_string()));
    let name =
        SERVER_SERVICE.parse().map_err(|error| RpcError::Internal(format!("{SERVER_SERVICE}: {error}")))?;
    let known = reading.reader.service_instances(&ServiceRef::local(name));
    let ready = known.iter().filter(|placed| votes(&placed.node));
    Ok(ready.filter_map(|placed| server(&placed.node, &placed.service.meta)).collect())
}

fn server(node: &Node, meta: &BTreeMap<String, String>) -> Option<ReadyServer> {
    Some(ReadyServer {
        id: node.id?,
        address: node.address.clone(),
        wan_address: node.tagged_addresses.get("wan").unwrap_or(&node.address).clone(),
        version: meta.get("version").cloned().unwrap_or_default(),
    })
}

/// The right is to read the proxy's own service, as in Consul.
pub(crate) fn read_proxy(reading: &mut Reading<'_>, request: &ReadProxy) -> Result<InstanceOnNode, RpcError> {
    let scope = NodeScope::default();
    let node = match &request.node {
        NodeChoice::Name(name) => reading.reader.node(&scope, name),
        NodeChoice::Id(id) => reading.reader.nodes(&scope).into_iter().find(|node| node.id == Some(*id)),
    };
    let node = node.ok_or_else(|| RpcError::NotFound("node not found".to_owned()))?;
    let found = reading.reader.node_service(&scope, &node.name, &Namespace::default(), &request.proxy);
    let service = found.ok_or_else(|| RpcError::NotFound("Service not found".to_owned()))?;
    reading.caller.require(&Right::named(Labelled::Service, service.service.as_str(), Level::Read))?;
    if service.kind == ServiceKind::Typical {
        return Err(RpcError::Invalid(format!("{} is neither a proxy nor a gateway", request.proxy)));
    }
    let service = shown(reading, &scope, &service, true);
    Ok(InstanceOnNode { node: (*node).clone(), service })
}

/// The right is to be the proxy. Nothing is told about a place where nothing is registered.
pub(crate) fn follow_proxy(
    reading: &mut Reading<'_>,
    request: &FollowProxy,
) -> Result<Option<FollowedProxy>, RpcError> {
    let scope = NodeScope::default();
    let found = reading.reader.node_service(&scope, &request.node, &Namespace::default(), &request.proxy);
    let Some(instance) = found else { return Ok(None) };
    reading.caller.require_service_write(FollowProxy::right(&instance).as_str())?;
    let (instance, merged) = told(reading, &scope, &instance);
    Ok(Some(FollowedProxy { instance: Arc::new(instance), merged: merged.map(Into::into) }))
}
