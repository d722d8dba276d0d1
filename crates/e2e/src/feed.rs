//! Where Envoys are registered from which a server makes their configuration: at its own agent, or in the catalog, on a
//! node that has no agent.

use std::path::Path;

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::envoy::EnvoyProcess;
use crate::http::Http;
use crate::world::World;

/// The node of those that are registered in the catalog.
const NODE: &str = "edge";

/// Where services and their sidecars are registered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Feed {
    /// At the agent.
    Agent,
    /// In the catalog.
    Catalog,
}

impl Feed {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Agent, Self::Catalog];

    /// Registers a service with its sidecar, as a definition for an agent says it.
    #[track_caller]
    pub fn register(self, http: &Http, definition: &Value) {
        match self {
            Self::Agent => {
                http.put("/v1/agent/service/register", definition).ok();
            }
            Self::Catalog => {
                in_catalog(definition).iter().for_each(|service| write(http, service, &json!([])))
            }
        }
    }

    /// Starts the Envoy of an instance.
    pub fn start(self, world: &World, agent: &Agent, envoy: &Path, id: &str, args: &[&str]) -> EnvoyProcess {
        EnvoyProcess::start_as(world, agent, envoy, &self.sidecar(id), args)
    }

    /// The flags of `connect envoy` that name the sidecar of an instance.
    pub fn sidecar(self, id: &str) -> Vec<String> {
        match self {
            Self::Agent => vec![format!("-sidecar-for={id}")],
            Self::Catalog => vec![format!("-proxy-id={id}-sidecar-proxy"), format!("-node-name={NODE}")],
        }
    }

    /// Takes an instance out of use, or back into it. Its sidecar is out of use with it.
    #[track_caller]
    pub fn set_up(self, http: &Http, definition: &Value, up: bool) {
        match self {
            Self::Agent => {
                let id =
                    definition["ID"].as_str().or_else(|| definition["Name"].as_str()).unwrap_or_default();
                let path = format!("/v1/agent/service/maintenance/{id}?enable={}", !up);
                http.put(&path, &json!(null)).ok();
            }
            Self::Catalog => {
                let status = if up { "passing" } else { "critical" };
                for service in in_catalog(definition) {
                    let id = &service["ID"];
                    let check = json!([{ "Name": "up", "CheckID": format!("up-{id}"), "ServiceID": id,
                        "Status": status }]);
                    write(http, &service, &check);
                }
            }
        }
    }
}

#[track_caller]
fn write(http: &Http, service: &Value, checks: &Value) {
    let body = json!({ "Node": NODE, "Address": "127.0.0.1", "Service": service, "Checks": checks });
    http.put("/v1/catalog/register", &body).ok();
}

/// The service and its sidecar, as the catalog has them when an agent registers this definition.
fn in_catalog(definition: &Value) -> [Value; 2] {
    let name = definition["Name"].as_str().unwrap_or_default();
    let id = definition["ID"].as_str().unwrap_or(name);
    let (port, meta) = (&definition["Port"], &definition["Meta"]);
    let own = &definition["Connect"]["SidecarService"];
    let service = json!({ "ID": id, "Service": name, "Port": port, "Address": "127.0.0.1", "Meta": meta });
    let mut how = own["Proxy"].clone();
    how["DestinationServiceName"] = json!(name);
    how["DestinationServiceID"] = json!(id);
    how["LocalServiceAddress"] = json!("127.0.0.1");
    how["LocalServicePort"] = port.clone();
    let proxy = json!({
        "Kind": "connect-proxy", "ID": format!("{id}-sidecar-proxy"), "Service": format!("{name}-sidecar-proxy"),
        "Port": own["Port"], "Address": "127.0.0.1", "Meta": meta, "Proxy": how,
    });
    [service, proxy]
}
