//! Which proxy it is, by what is registered; and gateways that the command registers itself.

use concord_api::service::{AgentService, NodeServiceList};
use concord_client::{Client, QueryOptions};
use concord_model::proxy::Settings;
use http::Method;
use serde_json::{Map, Value, json};

use super::flags::{Asked, Gateway, Place, Which};
use crate::cli::{Failure, Io};
use crate::run::proxy::no_sidecar;
use crate::run::proxy::registered::{self, Sidecar};

/// Time between two checks of a registered gateway.
const CHECK_INTERVAL: &str = "10s";

/// What is registered under the proxy's id.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) kind: String,
    /// The service that it serves, or its own of a gateway.
    pub(super) service: String,
    pub(super) datacenter: String,
    pub(super) config: Settings,
}

/// The id of the proxy.
pub(super) async fn id(asked: &Asked, client: &Client) -> Result<String, Failure> {
    match &asked.which {
        Which::Id(id) => Ok(id.clone()),
        Which::SidecarFor(service) => match registered::sidecar(service, client).await? {
            Sidecar::Found(own) => Ok(own.id.to_string()),
            Sidecar::Missing { hidden } => Err(no_sidecar(service, hidden)),
        },
        Which::Gateway(kind) => gateway(kind, client).await,
    }
}

async fn gateway(kind: &str, client: &Client) -> Result<String, Failure> {
    let answer = client.agent_services(&QueryOptions::default()).await;
    let answer = answer.map_err(Failure::api(format!("look up the {kind}")))?;
    let found: Vec<&AgentService> = answer.value.values().filter(|own| own.kind == kind).collect();
    match found.as_slice() {
        [] => Err(Failure::absent(
            format!("No {kind} services registered with this agent"),
            "register one with -register, or give a token that has service:read for it",
        )),
        [own] => Ok(own.id.clone()),
        several => Err(Failure::input(format!(
            "More than one {kind} is registered with this agent: {}; name one with -proxy-id",
            several.iter().map(|own| own.id.as_str()).collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// What is registered under this id, with the agent or on the node that is named.
pub(super) async fn find(asked: &Asked, id: &str, client: &Client, io: &mut Io) -> Result<Own, Failure> {
    let (own, denies) = match &asked.node_name {
        None => of_agent(id, client).await?,
        Some(node) => of_node(id, node, client).await?,
    };
    if denies && !client.has_token() {
        io.remark(
            "Warning: there is no ACL token, and what is not allowed is denied: Envoy may get no configuration; give a \
             token that has service:write for the service with -token",
        )?;
    }
    Ok(own)
}

async fn of_agent(id: &str, client: &Client) -> Result<(Own, bool), Failure> {
    let answer = client.agent_service(id, &QueryOptions::default()).await.map_err(|error| {
        if error.is_not_found() {
            return Failure::absent(
                format!("No proxy registered with the agent as {id}"),
                "name the id of its registration with -proxy-id; on another node, that node with -node-name",
            );
        }
        Failure::api(format!("read the registration of {id}"))(error)
    })?;
    let denies = answer.meta.denies_by_default;
    let AgentService { kind, service, datacenter, proxy, .. } = answer.value;
    let proxy = proxy.filter(|_| !kind.is_empty()).ok_or_else(|| no_proxy(id))?;
    let service =
        if proxy.destination_service_name.is_empty() { service } else { proxy.destination_service_name };
    Ok((Own { kind, service, datacenter, config: proxy.config }, denies))
}

async fn of_node(id: &str, node: &str, client: &Client) -> Result<(Own, bool), Failure> {
    let filter = format!("ID == {}", Value::from(id));
    let options = QueryOptions { filter, ..QueryOptions::default() };
    let call = client.call(Method::GET, &["catalog", "node-services", node]);
    let call = call.options(&options).parameter("merge-central-config", "");
    let answer = call.fetch::<Option<NodeServiceList>>().await;
    let answer = answer.map_err(Failure::api(format!("read the registrations of node {node}")))?;
    let denies = answer.meta.denies_by_default;
    let list = answer.value.unwrap_or_default();
    let datacenter = list.node.map(|node| node.datacenter).unwrap_or_default();
    let found = list.services.unwrap_or_default().into_iter().find(|own| own.id == id).ok_or_else(|| {
        Failure::absent(
            format!("No proxy is registered as {id} on node {node}"),
            "register it in the catalog, or give a token that has service:read and node:read for it",
        )
    })?;
    if found.kind.is_empty() {
        return Err(no_proxy(id));
    }
    let served = found.proxy.destination_service_name;
    let service = if served.is_empty() { found.service } else { served };
    Ok((Own { kind: found.kind, service, datacenter, config: found.proxy.config }, denies))
}

fn no_proxy(id: &str) -> Failure {
    Failure::input(format!("{id} is neither a proxy nor a gateway; name its sidecar with -sidecar-for={id}"))
}

/// Registers a gateway with the agent.
pub(super) async fn register(gateway: &Gateway, id: &str, client: &Client) -> Result<(), Failure> {
    let registered = client.service_register(&definition(gateway, id), false, &QueryOptions::default()).await;
    registered.map_err(Failure::api(format!("register the gateway {}", gateway.service)))
}

fn definition(gateway: &Gateway, id: &str) -> Value {
    let Gateway { kind, service, lan, wan, binds, deregister_after, bindable } = gateway;
    let tagged = [("lan", lan), ("wan", wan)].into_iter().filter(|(_, place)| !place.address.is_empty());
    let tagged: Map<_, _> = tagged.map(|(name, place)| (name.to_owned(), shown(place))).collect();
    let binds: Map<_, _> = binds.iter().map(|(name, place)| (name.clone(), shown(place))).collect();
    let mut body = json!({
        "Kind": kind,
        "Name": service,
        "ID": id,
        "Address": lan.address,
        "Port": lan.port,
        "TaggedAddresses": tagged,
    });
    if !binds.is_empty() {
        body["Proxy"] = json!({ "Config": {
            "envoy_gateway_no_default_bind": true,
            "envoy_gateway_bind_addresses": binds,
        } });
    } else if *bindable {
        body["Proxy"] = json!({ "Config": {
            "envoy_gateway_no_default_bind": true,
            "envoy_gateway_bind_tagged_addresses": true,
        } });
    }
    // An API gateway listens where its routes say, so nothing can be checked before there are some.
    if *kind != "api-gateway" {
        let host = if lan.address.is_empty() { "127.0.0.1" } else { &lan.address };
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        body["Check"] = json!({
            "Name": format!("{kind} listening"),
            "TCP": format!("{host}:{}", lan.port),
            "Interval": CHECK_INTERVAL,
            "DeregisterCriticalServiceAfter": deregister_after,
        });
    }
    body
}

fn shown(place: &Place) -> Value {
    json!({ "Address": place.address, "Port": place.port })
}
