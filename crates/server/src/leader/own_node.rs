//! Registers the leader's own node in the catalog, with the service `consul` and the check `serfHealth`, which many
//! tools rely on.

use concord_model::catalog::{
    Check, CheckStatus, Node, NodeScope, Registration, SERF_HEALTH, SERVER_SERVICE, ServiceInstance,
};
use concord_model::proxy::Settings;
use concord_model::{CheckId, InstanceId, Namespace, ServiceName, Stamp};
use concord_rpc::RpcError;

use crate::parts::Core;

/// Registers the node if its record in the catalog is missing or different.
pub(crate) async fn ensure(core: &Core) -> Result<(), RpcError> {
    let wanted = wanted(core)?;
    if !stands(core, &wanted) {
        core.log.write(wanted).await?;
    }
    Ok(())
}

fn wanted(core: &Core) -> Result<Registration, RpcError> {
    let config = &core.config;
    let invalid = |error: concord_model::NameError| RpcError::Internal(error.to_string());
    let tags = ["lan", "lan_ipv4", "wan", "wan_ipv4"];
    let node = Node {
        scope: NodeScope::default(),
        name: config.node.clone(),
        id: Some(config.node_id),
        address: config.address.clone(),
        datacenter: config.datacenter.clone(),
        tagged_addresses: tags.map(|tag| (tag.to_owned(), config.address.clone())).into(),
        meta: core.live.node_meta(),
        locality: None,
        stamp: Stamp::default(),
    };
    let (id, name) = (InstanceId::parse(SERVER_SERVICE), ServiceName::parse(SERVER_SERVICE));
    let service = ServiceInstance {
        port: config.server_port,
        meta: config.server_meta.clone(),
        ..ServiceInstance::of(id.map_err(invalid)?, name.map_err(invalid)?)
    };
    let check = Check {
        id: CheckId::parse(SERF_HEALTH).map_err(invalid)?,
        name: "Serf Health Status".to_owned(),
        status: CheckStatus::Passing,
        notes: String::new(),
        output: "Agent alive and reachable".to_owned(),
        service_id: None,
        service_name: None,
        namespace: Namespace::default(),
        service_tags: Vec::new(),
        kind: String::new(),
        interval: String::new(),
        timeout: String::new(),
        definition: Settings::new(),
        stamp: Stamp::default(),
    };
    Ok(Registration { node, skip_node_update: false, service: Some(service), checks: vec![check] })
}

fn stands(core: &Core, wanted: &Registration) -> bool {
    let mut reader = core.log.view().read();
    let (scope, name) = (&wanted.node.scope, &wanted.node.name);
    let same_node = reader
        .node(scope, name)
        .is_some_and(|node| Node { stamp: Stamp::default(), ..(*node).clone() } == wanted.node);
    let services = reader.node_services(scope, name);
    let same_service = services.iter().any(|service| {
        Some(&ServiceInstance { stamp: Stamp::default(), ..(**service).clone() }) == wanted.service.as_ref()
    });
    let checks = reader.checks_of_node(scope, name);
    let same_check = wanted
        .checks
        .iter()
        .all(|check| checks.iter().any(|own| Check { stamp: Stamp::default(), ..(**own).clone() } == *check));
    same_node && same_service && same_check
}
