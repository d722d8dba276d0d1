//! Which registered proxy the command is: named, found beside its service, or registered by us.

use std::time::Duration;

use concord_client::{Client, QueryOptions, TtlVerdict};
use concord_model::InstanceId;
use concord_runtime::{Backoff, Scope, World};
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::cli::{Failure, Invocation};

/// Life of the TTL check of a proxy registered by the command, and how often it is renewed.
const TTL: (&str, Duration) = ("30s", Duration::from_secs(10));
/// How long a proxy that is not registered yet is waited for between two looks.
const LOOK: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// A registered proxy.
#[derive(Debug)]
pub(super) struct Registered {
    /// Its id.
    pub(super) id: InstanceId,
    /// Whether it is registered only while the command runs.
    temporary: bool,
}

impl Registered {
    /// Finds or makes the registration that the command line names.
    pub(super) async fn find(call: &Invocation<'_>, client: &Client, world: &World) -> Result<Self, Failure> {
        let values = &call.values;
        let (sidecar_for, proxy_id, service) =
            (values.text("sidecar-for"), values.text("proxy-id"), values.text("service"));
        match (sidecar_for, proxy_id, service) {
            ("", "", "") => Err(call.usage("one of -sidecar-for, -proxy-id and -service is needed")),
            ("", "", service) if values.switch("register") => register(call, client, service).await,
            ("", "", _) => Err(Failure::not_available(
                "a proxy that is not registered; add -register and -listen, or register a sidecar and use -sidecar-for",
            )),
            ("", id, "") => Ok(Self { id: parse(id)?, temporary: false }),
            (service, "", "") => sidecar(service, client, world).await,
            _ => Err(call.usage("only one of -sidecar-for, -proxy-id and -service can be given")),
        }
    }

    /// Renews the check of a temporary registration until the scope ends.
    pub(super) fn keep_alive(&self, client: &Client, world: &World, scope: &Scope) {
        if !self.temporary {
            return;
        }
        let (client, clock, check) =
            (client.clone(), std::sync::Arc::clone(&world.clock), format!("service:{}", self.id));
        scope.spawn("registration", async move {
            loop {
                if let Err(error) =
                    client.check_ttl(&check, TtlVerdict::Pass, "", &QueryOptions::default()).await
                {
                    warn!(%error, "cannot renew the registration");
                }
                clock.sleep(TTL.1).await;
            }
        });
    }

    /// Takes a temporary registration back.
    pub(super) async fn deregister(&self, client: &Client) {
        if self.temporary
            && let Err(error) = client.service_deregister(self.id.as_str(), &QueryOptions::default()).await
        {
            warn!(%error, "cannot deregister the proxy; its check expires by itself");
        }
    }
}

fn parse(id: &str) -> Result<InstanceId, Failure> {
    InstanceId::parse(id).map_err(|error| Failure::input(error.to_string()))
}

/// The one proxy registered for an instance. An instance that has none yet is waited for.
async fn sidecar(service: &str, client: &Client, world: &World) -> Result<Registered, Failure> {
    let mut backoff = Backoff::new(LOOK.0, LOOK.1);
    loop {
        let answer = client.agent_services(&QueryOptions::default()).await;
        match answer {
            Ok(answer) => {
                let fronts = |proxy: &&concord_api::agent::AgentService| {
                    proxy.proxy.as_ref().is_some_and(|proxy| proxy.destination_service_id == service)
                };
                let found: Vec<String> =
                    answer.value.values().filter(fronts).map(|proxy| proxy.id.clone()).collect();
                match found.as_slice() {
                    [] => info!(service, "no sidecar is registered for this service yet; waiting"),
                    [id] => return Ok(Registered { id: parse(id)?, temporary: false }),
                    several => {
                        let text = format!(
                            "{} proxies are registered for {service}: {}; name one with -proxy-id",
                            several.len(),
                            several.join(", ")
                        );
                        return Err(Failure::input(text));
                    }
                }
            }
            Err(error) if error.is_retryable() => warn!(%error, "cannot ask the agent; trying again"),
            Err(error) => return Err(Failure::api("list the agent's services")(error)),
        }
        world.clock.sleep(backoff.next(&*world.entropy)).await;
    }
}

/// Registers a proxy from the command line.
async fn register(call: &Invocation<'_>, client: &Client, service: &str) -> Result<Registered, Failure> {
    let values = &call.values;
    let listen = call.required("listen")?;
    let local = call.required("service-addr")?;
    let (address, port) = host_port(listen, "listen", call)?;
    let (local_address, local_port) = host_port(local, "service-addr", call)?;
    let upstreams: Result<Vec<Value>, Failure> =
        values.list("upstream").iter().map(|text| upstream(text, call)).collect();
    let suffix = values.text("register-id");
    let id = if suffix.is_empty() { format!("{service}-proxy") } else { format!("{service}-proxy-{suffix}") };
    let definition = json!({
        "ID": id,
        "Name": format!("{service}-proxy"),
        "Kind": "connect-proxy",
        "Address": address,
        "Port": port,
        "Proxy": {
            "DestinationServiceName": service,
            "LocalServiceAddress": local_address,
            "LocalServicePort": local_port,
            "Upstreams": upstreams?,
        },
        "Check": { "TTL": TTL.0, "Status": "passing" },
    });
    client
        .service_register(&definition, false, &QueryOptions::default())
        .await
        .map_err(Failure::api("register the proxy"))?;
    info!(id, "registered");
    Ok(Registered { id: parse(&id)?, temporary: true })
}

/// `host:port`, `:port` for all addresses.
fn host_port(text: &str, flag: &str, call: &Invocation<'_>) -> Result<(String, u16), Failure> {
    let wrong = || call.usage(format!("-{flag}: expected address:port, found {text:?}"));
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

/// `name:port` or `name:address:port`; `name.query:…` is a prepared query.
fn upstream(text: &str, call: &Invocation<'_>) -> Result<Value, Failure> {
    let wrong = || call.usage(format!("-upstream: expected name:[address:]port, found {text:?}"));
    let (name, rest) = text.split_once(':').ok_or_else(wrong)?;
    let (address, port) = match rest.rsplit_once(':') {
        Some((address, port)) => (address, port),
        None => ("", rest),
    };
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let (name, kind) = match name.strip_suffix(".query") {
        Some(name) => (name, "prepared_query"),
        None => (name, "service"),
    };
    Ok(json!({
        "DestinationType": kind,
        "DestinationName": name,
        "LocalBindAddress": address,
        "LocalBindPort": port,
    }))
}
