//! Gateways and what they serve, and the services that peered clusters may use.

use std::sync::Arc;

use concord_api::gateway as shapes;
use concord_api::topology::{GatewayConfig, Running, ServiceSummary};
use concord_mesh::gateway::{GatewayService, ServedBy, ServedKind};
use concord_model::proxy::ServiceKind;
use concord_model::{ServiceName, ServiceRef};
use concord_rpc::request::{
    Export, GatewayIntentions, GatewayServiceHealth, ListExports, ListGatewayServices, ServedInstances,
};

use super::endpoints;
use super::intention::shapes as intentions;
use super::topology::running;
use crate::http::context::Ctx;
use crate::http::{Call, HttpError, Reply, Right};

endpoints! {
    /// The services that an ingress or terminating gateway serves.
    Services: GET "/v1/catalog/gateway-services/:gateway", Right::asked::<(ListGatewayServices,)>() => services;
    /// What the services that a gateway serves run.
    Nodes: GET "/v1/internal/ui/gateway-services-nodes/:gateway", Right::asked::<(GatewayServiceHealth,)>() => nodes;
    /// The intentions for the services that a gateway serves.
    Intentions: GET "/v1/internal/ui/gateway-intentions/:gateway", Right::asked::<(GatewayIntentions,)>() => gateway_intentions;
    /// The services that peered clusters may use.
    Exports: GET "/v1/exported-services", Right::asked::<(ListExports,)>() => exports;
}

fn gateway(call: &Call) -> Result<ServiceRef, HttpError> {
    Ok(ServiceRef::local(call.named(0, ServiceName::parse)?))
}

async fn services(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (all, meta) = ctx.ask(&call, ListGatewayServices { gateway: gateway(&call)? }).await?;
    Ok(Reply::json(all.iter().map(shape).collect::<Vec<_>>()).with_meta(&meta))
}

fn shape(own: &GatewayService) -> shapes::GatewayService {
    let GatewayService { gateway, service, by, from_wildcard, kind, stamp } = own;
    let named = |service: &ServiceRef| shapes::Named { name: service.name.to_string() };
    let whole = shapes::GatewayService {
        gateway: named(gateway),
        service: named(service),
        from_wildcard: *from_wildcard,
        service_kind: match kind {
            ServedKind::Unknown => "",
            ServedKind::Service => "service",
            ServedKind::Destination => "destination",
        }
        .to_owned(),
        create_index: stamp.create,
        modify_index: stamp.modify,
        ..shapes::GatewayService::default()
    };
    with_way(whole, by)
}

/// The fields that say how the gateway serves the service.
fn with_way(whole: shapes::GatewayService, by: &ServedBy) -> shapes::GatewayService {
    match by {
        ServedBy::Listener { port, protocol, hosts } => shapes::GatewayService {
            gateway_kind: ServiceKind::IngressGateway.as_str().to_owned(),
            port: *port,
            protocol: protocol.as_str().to_owned(),
            hosts: hosts.clone(),
            ..whole
        },
        ServedBy::Link(link) => shapes::GatewayService {
            gateway_kind: ServiceKind::TerminatingGateway.as_str().to_owned(),
            ca_file: link.ca_file.clone(),
            cert_file: link.cert_file.clone(),
            key_file: link.key_file.clone(),
            sni: link.sni.clone(),
            auto_host_rewrite: !link.disable_auto_host_rewrite,
            ..whole
        },
    }
}

async fn nodes(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (all, meta) = ctx.ask(&call, GatewayServiceHealth { gateway: gateway(&call)? }).await?;
    let mut shown: Vec<ServiceSummary> = Vec::new();
    for one in &all {
        let hosts = hosts(one);
        // A service behind several listeners is one row.
        match shown.last_mut().filter(|last| last.name == one.served.service.name.as_str()) {
            Some(last) => last.gateway_config.addresses.extend(hosts),
            None => shown.push(ServiceSummary {
                gateway_config: GatewayConfig { addresses: hosts },
                ..ServiceSummary::of(&one.served.service.name, own_instances(one))
            }),
        }
    }
    Ok(Reply::json(shown).with_meta(&meta))
}

fn own_instances(one: &ServedInstances) -> impl Iterator<Item = Running<'_>> {
    one.instances.iter().map(running)
}

/// The addresses by which a service is reached through a listener: its hosts with the port. Without hosts it would be
/// reached by names that no DNS of ours answers yet, so they are left out.
fn hosts(one: &ServedInstances) -> Vec<String> {
    match &one.served.by {
        ServedBy::Listener { port, hosts, .. } => {
            hosts.iter().map(|host| format!("{}:{port}", host.trim_end_matches('.'))).collect()
        }
        ServedBy::Link(_) => Vec::new(),
    }
}

async fn gateway_intentions(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (entries, meta) = ctx.ask(&call, GatewayIntentions { gateway: gateway(&call)? }).await?;
    Ok(Reply::json(intentions(&entries)).with_meta(&meta))
}

async fn exports(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (all, meta) = ctx.ask(&call, ListExports {}).await?;
    let shape = |own: &Export| shapes::ResolvedExportedService {
        service: own.service.name.to_string(),
        consumers: shapes::ResolvedConsumers { peers: own.peers.iter().map(ToString::to_string).collect() },
    };
    Ok(Reply::json(all.iter().map(shape).collect::<Vec<_>>()).with_meta(&meta))
}
