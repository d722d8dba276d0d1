//! A registered proxy: named on the command line, found by its service, or registered by the command.

use std::time::Duration;

use concord_client::{Client, QueryOptions, TtlVerdict};
use concord_model::InstanceId;
use concord_runtime::{Scope, World};
use serde_json::{Value, json};
use tracing::{info, warn};

use super::flags::{ProxyRegistration, Upstream};
use crate::cli::Failure;

/// TTL of the check of a proxy that the command registers, and how often it is renewed.
const TTL: (&str, Duration) = ("30s", Duration::from_secs(10));

/// A registered proxy.
#[derive(Debug)]
pub(in crate::run) struct Registered {
    /// Its id.
    pub(in crate::run) id: InstanceId,
    /// The registration, if it lasts only while the command runs; `None`: others manage it.
    temporary: Option<Value>,
}

impl Registered {
    /// The proxy with this id; others manage its registration.
    pub(super) fn named(id: InstanceId) -> Self {
        Self { id, temporary: None }
    }

    /// Maintains a temporary registration until the scope ends. It renews the check. It registers the proxy again if
    /// the agent has lost it, as an agent without a data directory does when it restarts.
    pub(super) fn keep_alive(&self, client: &Client, world: &World, scope: &Scope) {
        let Some(definition) = self.temporary.clone() else { return };
        let (client, clock) = (client.clone(), std::sync::Arc::clone(&world.clock));
        let (id, check) = (self.id.clone(), format!("service:{}", self.id));
        scope.spawn("registration", async move {
            loop {
                let renewed = client.check_ttl(&check, TtlVerdict::Pass, "", &QueryOptions::default()).await;
                match renewed {
                    Ok(_) => {}
                    Err(error) if error.is_not_found() => {
                        match client.service_register(&definition, false, &QueryOptions::default()).await {
                            Ok(_) => info!(%id, "registered again: the agent had forgotten the proxy"),
                            Err(error) => warn!(%error, "cannot register the proxy again"),
                        }
                    }
                    Err(error) => warn!(%error, "cannot renew the registration"),
                }
                clock.sleep(TTL.1).await;
            }
        });
    }

    /// Removes a temporary registration.
    pub(super) async fn deregister(&self, client: &Client) {
        if self.temporary.is_some()
            && let Err(error) = client.service_deregister(self.id.as_str(), &QueryOptions::default()).await
        {
            warn!(%error, "cannot deregister the proxy; its check expires by itself");
        }
    }
}

fn parse(id: &str) -> Result<InstanceId, Failure> {
    InstanceId::parse(id).map_err(|error| Failure::input(error.to_string()))
}

/// The result of the search for a sidecar.
#[derive(Debug)]
pub(in crate::run) enum Sidecar {
    Found(Registered),
    /// The token sees none.
    Missing {
        hidden: bool,
    },
}

/// The only proxy that is registered for an instance.
pub(in crate::run) async fn sidecar(service: &str, client: &Client) -> Result<Sidecar, Failure> {
    let answer = client
        .agent_services(&QueryOptions::default())
        .await
        .map_err(Failure::api(format!("look up the sidecar of {service}")))?;
    // Case is ignored, as in Consul.
    let fronts = |proxy: &&concord_api::service::AgentService| {
        let destination = proxy.proxy.as_ref().map(|proxy| proxy.destination_service_id.as_str());
        destination.is_some_and(|id| id.eq_ignore_ascii_case(service))
    };
    let found: Vec<String> = answer.value.values().filter(fronts).map(|proxy| proxy.id.clone()).collect();
    match found.as_slice() {
        // The agent does not tell a caller without a token that records were left out.
        [] => {
            let nobody = answer.meta.denies_by_default && !client.has_token();
            Ok(Sidecar::Missing { hidden: answer.meta.filtered_by_acls || nobody })
        }
        [id] => Ok(Sidecar::Found(Registered { id: parse(id)?, temporary: None })),
        several => Err(Failure::input(format!(
            "More than one sidecar proxy registered for {service}: {}; name one with -proxy-id",
            several.join(", ")
        ))),
    }
}

/// Registers a proxy as the command line describes it.
pub(super) async fn register(
    registration: ProxyRegistration,
    client: &Client,
) -> Result<Registered, Failure> {
    let ProxyRegistration { service, suffix, listen, local, upstreams } = registration;
    let id = if suffix.is_empty() { format!("{service}-proxy") } else { format!("{service}-proxy-{suffix}") };
    let definition = json!({
        "ID": id,
        "Name": format!("{service}-proxy"),
        "Kind": "connect-proxy",
        "Address": listen.host,
        "Port": listen.port,
        "Proxy": {
            "DestinationServiceName": service,
            "LocalServiceAddress": local.host,
            "LocalServicePort": local.port,
            "Upstreams": upstreams.iter().map(upstream).collect::<Vec<_>>(),
        },
        "Check": { "TTL": TTL.0, "Status": "passing" },
    });
    client
        .service_register(&definition, false, &QueryOptions::default())
        .await
        .map_err(Failure::api("register the proxy"))?;
    info!(id, "registered");
    Ok(Registered { id: parse(&id)?, temporary: Some(definition) })
}

fn upstream(upstream: &Upstream) -> Value {
    json!({
        "DestinationType": if upstream.query { "prepared_query" } else { "service" },
        "DestinationName": upstream.name,
        "LocalBindAddress": upstream.bind.host,
        "LocalBindPort": upstream.bind.port,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use concord_client::testing::{Scripted, ScriptedServer};
    use concord_client::{Address, Config};

    use super::super::flags::HostPort;
    use super::*;

    #[tokio::test]
    async fn a_proxy_the_agent_has_forgotten_is_registered_again() {
        let world = World::tokio();
        let scope = Scope::new("test", Arc::clone(&world.clock));
        let known = Arc::new(AtomicBool::new(false));
        let agent = Arc::clone(&known);
        let server = ScriptedServer::new(move |seen| match seen.line().contains("/check/pass/") {
            true if !agent.load(Ordering::Relaxed) => Scripted::status(404, "Unknown check ID"),
            true => Scripted::ok(""),
            false => {
                agent.store(true, Ordering::Relaxed);
                Scripted::ok("")
            }
        });
        let address = server.listen(&scope, None).await.expect("a port of loopback");
        let address = Address::parse(&address.to_string()).expect("an address");
        let client = Client::new(Config::new(address), &scope).expect("a client");
        let place = |port| HostPort { host: String::new(), port };
        let registration = ProxyRegistration {
            service: "web".to_owned(),
            suffix: String::new(),
            listen: place(8443),
            local: place(8080),
            upstreams: Vec::new(),
        };
        let own = register(registration, &client).await.expect("it takes it");
        // The agent restarts and has lost the registration.
        known.store(false, Ordering::Relaxed);
        own.keep_alive(&client, &world, &scope);
        while !known.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        let asked: Vec<String> = server.seen().iter().map(|seen| seen.line()).collect();
        let register = "PUT /v1/agent/service/register";
        assert_eq!(asked, [register, "PUT /v1/agent/check/pass/service%3Aweb-proxy", register]);
        assert_eq!(server.seen()[0].body, server.seen()[2].body);
        scope.cancel();
    }
}
