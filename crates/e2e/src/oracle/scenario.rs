//! A scenario: calls to an agent, and the proxy whose Envoy is then looked at. What a call may be has a function here, so
//! that the tables of scenarios read as a list of facts.

use serde_json::{Value, json};

/// Calls, and the proxy to look at.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// Whether connections are denied about which no intention says anything.
    pub(super) denies: bool,
    pub(super) calls: Vec<Call>,
    /// Further arguments of `connect envoy`.
    pub(super) args: Vec<&'static str>,
}

/// A request to the agent, which must be answered with 200.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) path: &'static str,
    pub(super) body: Value,
}

impl Scenario {
    pub(super) fn denying(self) -> Self {
        Self { denies: true, ..self }
    }

    pub(super) fn with(self, args: &[&'static str]) -> Self {
        Self { args: args.to_vec(), ..self }
    }
}

/// The name of a scenario and its calls.
pub(super) fn scenario(name: &'static str, calls: impl IntoIterator<Item = Call>) -> Scenario {
    Scenario { name, denies: false, calls: calls.into_iter().collect(), args: Vec::new() }
}

/// A configuration entry.
pub(super) fn entry(kind: &str, name: &str, mut rest: Value) -> Call {
    rest["Kind"] = json!(kind);
    // There is one mesh, and the reference refuses a name for it.
    if kind != "mesh" {
        rest["Name"] = json!(name);
    }
    Call { path: "/v1/config", body: rest }
}

/// The protocol of a service.
pub(super) fn protocol(service: &str, protocol: &str) -> Call {
    entry("service-defaults", service, json!({ "Protocol": protocol }))
}

/// The protocol of all services.
pub(super) fn all_speak(protocol: &str) -> Call {
    entry("proxy-defaults", "global", json!({ "Config": { "protocol": protocol } }))
}

/// The service whose sidecar is looked at, with what its sidecar says.
pub(super) fn web(sidecar: Value) -> Call {
    let body = json!({ "Name": "web", "Port": 8080, "Connect": { "SidecarService": sidecar } });
    Call { path: "/v1/agent/service/register", body }
}

/// The same with nothing but upstreams.
pub(super) fn calling(upstreams: Value) -> Call {
    web(json!({ "Port": 21000, "Proxy": { "Upstreams": upstreams } }))
}

/// The same with the upstream `api`.
pub(super) fn calling_api() -> Call {
    calling(json!([upstream("api", 9191, json!({}))]))
}

/// The same with a configuration of the proxy, and no upstreams.
pub(super) fn configured(config: Value) -> Call {
    web(json!({ "Port": 21000, "Proxy": { "Config": config } }))
}

pub(super) fn upstream(service: &str, port: u16, config: Value) -> Value {
    json!({ "DestinationName": service, "LocalBindPort": port, "Config": config })
}

/// An instance of a service with its sidecar on a node of its own, by the last byte of its address.
pub(super) fn instance(service: &str, at: u8, meta: Value) -> Call {
    checked(service, at, meta, "passing", json!({}))
}

/// The same with a status of its check, and with weights.
pub(super) fn checked(service: &str, at: u8, meta: Value, status: &str, weights: Value) -> Call {
    let id = format!("{service}-{at}-proxy");
    let mut own = json!({ "Kind": "connect-proxy", "ID": id, "Service": format!("{service}-sidecar-proxy"),
        "Port": 21000, "Meta": meta, "Proxy": { "DestinationServiceName": service } });
    if weights.as_object().is_some_and(|map| !map.is_empty()) {
        own["Weights"] = weights;
    }
    let check = json!({ "CheckID": format!("c-{id}"), "Name": "c", "Status": status, "ServiceID": id });
    let body = json!({ "Node": format!("node-{at}"), "Address": format!("10.0.0.{at}"), "Service": own, "Check": check });
    Call { path: "/v1/catalog/register", body }
}

/// Two instances of `api`.
pub(super) fn two_of_api() -> [Call; 2] {
    [instance("api", 1, json!({ "v": "1" })), instance("api", 2, json!({ "v": "2" }))]
}

/// `web` calls `api`, everybody speaks this, and these entries hold.
pub(super) fn chain(name: &'static str, speaks: &str, entries: impl IntoIterator<Item = Call>) -> Scenario {
    let mut calls = vec![all_speak(speaks)];
    calls.extend(entries);
    calls.extend(two_of_api());
    calls.extend([instance("db", 3, json!({})), instance("cache", 4, json!({})), calling_api()]);
    scenario(name, calls)
}

/// The intentions of `web`.
pub(super) fn intentions(sources: Value) -> Call {
    entry("service-intentions", "web", json!({ "Sources": sources }))
}
