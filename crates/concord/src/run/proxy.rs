//! `connect proxy`: attaches to the agent and carries connections until it is told to end.

mod channel;
mod flags;
pub(super) mod registered;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use concord_api::agent::AgentSelf;
use concord_ca::OsKeys;
use concord_client::{Address, Client, QueryOptions};
use concord_config::section::{Level, LogSection};
use concord_proxy::{Options, Proxy, ProxyStatus};
use concord_proxycfg::DescribedProxy;
use concord_rpc::grpc::SnapshotClient;
use concord_rpc::{ProxyTarget, RpcError};
use concord_runtime::limits::BUDGET_BYTES;
use concord_runtime::{Backoff, Clock, Executor, Scope, TokioClock, World};
use tracing::{info, warn};

use self::flags::Said;
use self::registered::{Registered, Sidecar};
use super::mesh_trust::MeshTrust;
use super::signals::Signals;
use super::{descriptors, logs, telemetry};
use crate::cli::http;
use crate::cli::{Exit, Failure, Invocation, Io, Outcome};

/// Spread of new certificates after a change of the root. In development mode it is short (D26).
const ROTATION_JITTER: (Duration, Duration) = (Duration::from_secs(30), Duration::from_millis(500));

/// Time between two attempts to find something that does not exist yet.
const LOOK: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// The usual gRPC port of agents, for tokens that may not read the agent's own information.
const GRPC_PORT: u16 = 8502;

/// Runs until a signal ends it.
pub(crate) fn run(call: &Invocation<'_>, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let said = flags::read(call)?;
    let values = &call.values;
    let level = Level::parse(values.text("log-level"));
    let level = level.ok_or_else(|| call.usage("-log-level: use trace, debug, info, warn or error"))?;
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let log = LogSection { level, json: values.switch("log-json"), file: None, syslog: None };
    logs::start(&log, call.program, &clock)?;
    if values.origin("pprof-addr").is_some() {
        warn!(
            "-pprof-addr has no effect: there are no endpoints for profiling; -metrics-addr serves metrics"
        );
    }
    let control = executor("concord-control", 1)?;
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let traffic = executor("concord-traffic", threads)?;
    let handle = traffic.handle();
    let outcome = control.block_on(serve(call, said, io, handle));
    traffic.shutdown_background();
    control.shutdown_background();
    outcome
}

fn executor(name: &str, threads: usize) -> Result<Executor, Failure> {
    Executor::new(name, threads).map_err(|error| Failure::system("start threads", error))
}

/// How the command's proxy is described.
#[derive(Debug)]
enum Own {
    Registered(Registered),
    Described(Arc<DescribedProxy>),
}

impl Own {
    /// Finds or creates the registration that the command line names, if it names one.
    async fn find(said: Said, client: &Client) -> Result<Self, Failure> {
        Ok(match said {
            Said::SidecarFor(service) => match registered::sidecar(&service, client).await? {
                Sidecar::Found(own) => Self::Registered(own),
                Sidecar::Missing { hidden } => return Err(no_sidecar(&service, hidden)),
            },
            Said::Registered(id) => Self::Registered(Registered::named(id)),
            Said::Register(one) => Self::Registered(registered::register(one, client).await?),
            Said::Described(proxy) => Self::Described(Arc::new(proxy)),
        })
    }

    fn target(&self) -> ProxyTarget {
        match self {
            Self::Registered(own) => ProxyTarget::registered(own.id.clone()),
            Self::Described(proxy) => ProxyTarget::Described(Arc::clone(proxy)),
        }
    }
}

/// Where the proxy attaches, and the authority there if it is the mesh's.
#[derive(Debug)]
struct Grpc {
    address: String,
    mesh: Option<MeshTrust>,
}

async fn serve(call: &Invocation<'_>, said: Said, io: &mut Io, traffic: tokio::runtime::Handle) -> Outcome {
    let mut signals = Signals::listen().map_err(|error| Failure::system("listen to signals", error))?;
    let world = World::tokio();
    let control = Scope::new("proxy control", Arc::clone(&world.clock));
    let traffic = Scope::on("proxy traffic", Arc::clone(&world.clock), traffic);
    let client = http::client(&call.values, call.env, &control)?;
    let metrics = metrics_address(call)?;
    if let Some(address) = metrics
        && let Some(handle) = telemetry::start_recorder(&control)
    {
        telemetry::serve_metrics(address, handle, &control)
            .await
            .map_err(|error| Failure::system(format!("listen at {address}"), error))?;
    }
    let wait = call.values.switch("wait");
    let (own, grpc, dev) = tokio::select! {
        biased;
        () = signals.end() => return Ok(Exit::SUCCESS),
        found = find(said, call, &client, &world) => found?,
    };
    let target = own.target();
    info!(proxy = %target, agent = %grpc.address, "attaching");
    let files = channel::files(call, http::config(&call.values, call.env)?.tls, grpc.mesh);
    let source = Arc::new(SnapshotClient::new(channel::open(&grpc.address, &files)?));
    let options = Options {
        target,
        token: http::config(&call.values, call.env)?.token,
        cut_denied: !call.values.switch("keep-denied"),
        rotation_jitter: call.values.duration("rotation-jitter").unwrap_or(if dev {
            ROTATION_JITTER.1
        } else {
            ROTATION_JITTER.0
        }),
        budget: descriptors::budget(BUDGET_BYTES, &world.clock, &control),
    };
    let proxy = Proxy::start(options, source, Arc::new(OsKeys), world.clone(), control.clone(), traffic)
        .map_err(|error| Failure::input(format!("TLS: {error}")))?;
    if let Own::Registered(own) = &own {
        own.keep_alive(&client, &world, &control);
    }
    announce(&proxy, call.values.text("ready-file").to_owned(), &control);
    let unknown = tokio::select! {
        biased;
        () = signals.end() => None,
        unknown = unknown(&proxy, &own), if !wait => Some(unknown),
    };
    info!("stopping: listeners close, open connections may finish; a second signal ends at once");
    if let Own::Registered(own) = &own {
        own.deregister(&client).await;
    }
    tokio::select! {
        biased;
        report = proxy.drain() => info!(cut = report.cut.len(), "stopped"),
        () = signals.end() => warn!("ended at once"),
    }
    io.flush().map_err(Failure::Output)?;
    unknown.map_or(Ok(Exit::SUCCESS), Err)
}

/// Finds out which proxy this is, where it attaches, and whether the agent runs in development mode. If requested,
/// waits for what does not exist yet.
async fn find(
    said: Said,
    call: &Invocation<'_>,
    client: &Client,
    world: &World,
) -> Result<(Own, Grpc, bool), Failure> {
    let mut backoff = Backoff::new(LOOK.0, LOOK.1);
    loop {
        let attempt = async {
            let own = Own::find(said.clone(), client).await?;
            let (grpc, about, dev) = agent(call, client).await?;
            let mesh = match about {
                Some(about) if grpc.starts_with("https://") => MeshTrust::of(&about, client).await?,
                _ => None,
            };
            Ok((own, Grpc { address: grpc, mesh }, dev))
        };
        let failure = match attempt.await {
            Err(failure) if call.values.switch("wait") && may_pass(&failure) => failure,
            outcome => return outcome,
        };
        warn!(reason = failure.cause(), "waiting, as -wait asks for");
        world.clock.sleep(backoff.next(&*world.entropy)).await;
    }
}

/// Whether a failed attempt may succeed later without a change of the command.
fn may_pass(failure: &Failure) -> bool {
    match failure {
        Failure::Api { error, .. } => error.is_retryable(),
        Failure::Absent { .. } => true,
        Failure::Usage { .. }
        | Failure::Input(_)
        | Failure::NotAvailable(_)
        | Failure::System { .. }
        | Failure::Output(_) => false,
    }
}

/// The error in Consul's words, with the remedy.
pub(super) fn no_sidecar(service: &str, hidden: bool) -> Failure {
    let what = format!("No sidecar proxy registered for {service}");
    let remedy = "register one with the agent (connect { sidecar_service {} } in the service's definition), or wait for it \
                  with -wait";
    Failure::absent(
        what,
        if hidden {
            "the token may not see all that is registered with the agent: give one that has service:read"
        } else {
            remedy
        },
    )
}

/// Completes with an error if the agent answers that it does not know the proxy. Otherwise never completes.
async fn unknown(proxy: &Proxy, own: &Own) -> Failure {
    let mut status = proxy.status();
    let is_unknown = |status: &ProxyStatus| {
        status.version == 0 && matches!(status.turned_away, Some(RpcError::NotFound(_)))
    };
    match (status.wait_for(is_unknown).await, own) {
        (Ok(_), Own::Registered(own)) => Failure::absent(
            format!("No proxy registered with the agent as {}", own.id),
            "name the id of its registration with -proxy-id, or wait for it with -wait",
        ),
        (Ok(_) | Err(_), _) => std::future::pending().await,
    }
}

fn metrics_address(call: &Invocation<'_>) -> Result<Option<SocketAddr>, Failure> {
    match call.values.text("metrics-addr") {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| call.usage("-metrics-addr: expected address:port, such as 127.0.0.1:20200")),
    }
}

/// The address at which the agent accepts proxies, what it says of itself, and whether it runs in development mode.
async fn agent(call: &Invocation<'_>, client: &Client) -> Result<(String, Option<AgentSelf>, bool), Failure> {
    let given = call.values.optional("grpc-addr").filter(|address| !address.is_empty()).map(str::to_owned);
    let about = match client.agent_self(&QueryOptions::default()).await {
        Ok(answer) => Some(answer.value),
        // A proxy needs a right only to its service, not to the agent.
        Err(error) if error.status() == Some(403) && !error.is_unknown_token() => {
            if given.is_none() {
                warn!(
                    reason = %error,
                    "the token may not ask the agent for its port for proxies (agent:read), so the usual one, {GRPC_PORT}, is tried; \
                     name another with -grpc-addr"
                );
            }
            None
        }
        Err(error) => return Err(Failure::api("ask the agent about itself")(error)),
    };
    let dev = about.as_ref().and_then(|about| about.debug_config.get("DevMode"));
    let dev = dev.and_then(serde_json::Value::as_bool).unwrap_or(false);
    if let Some(address) = given {
        return Ok((address, about, dev));
    }
    Ok((grpc_address(about.as_ref().map(Told::of), client.address())?, about, dev))
}

/// The agent's ports for proxies; zero and below: disabled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) clear: i64,
    pub(super) tls: i64,
}

impl Told {
    const OFF: Self = Self { clear: -1, tls: -1 };

    pub(super) fn of(about: &AgentSelf) -> Self {
        let ports = about.xds.as_ref().map(|xds| xds.ports);
        ports.map_or(Self::OFF, |ports| Self { clear: ports.plaintext.into(), tls: ports.tls.into() })
    }
}

/// The gRPC address of the agent whose HTTP address is `agent`. The port is the one that the agent reports; the one
/// with TLS is preferred, as in Consul's tools. If it reports none, the usual port is used.
pub(super) fn grpc_address(told: Option<Told>, agent: &Address) -> Result<String, Failure> {
    let valid = |port: i64| u16::try_from(port).ok().filter(|port| *port > 0);
    let found = match told {
        None => Some(("http", GRPC_PORT)),
        Some(Told { clear, tls }) => {
            valid(tls).map(|port| ("https", port)).or_else(|| valid(clear).map(|port| ("http", port)))
        }
    };
    let (scheme, port) = found.ok_or_else(|| {
        Failure::input("the agent does not take proxies: its gRPC port is off; set ports.grpc (8502 is usual) and restart it")
    })?;
    let host = match agent {
        Address::Http { host, .. } | Address::Https { host, .. } => host.as_str(),
        Address::Unix(_) => "127.0.0.1",
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    Ok(if scheme == "https" { format!("https://{host}:{port}") } else { format!("{host}:{port}") })
}

/// Prints once that the proxy serves, and writes its addresses to the ready file.
fn announce(proxy: &Proxy, ready_file: String, control: &Scope) {
    let mut status = proxy.status();
    control.spawn("ready", async move {
        if status.wait_for(ProxyStatus::is_ready).await.is_err() {
            return;
        }
        let status = status.borrow().clone();
        info!(public = status.public, "serving");
        if !ready_file.is_empty() {
            let bound = serde_json::json!({ "public": status.public, "upstreams": status.upstreams });
            super::ready::write(std::path::Path::new(&ready_file), &bound);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_grpc_is_where_it_says_or_at_the_usual_port_of_its_host() {
        let address = |told: Option<(i64, i64)>, agent: &str| {
            let told = told.map(|(clear, tls)| Told { clear, tls });
            grpc_address(told, &Address::parse(agent).expect("an address")).ok()
        };
        assert_eq!(address(Some((9000, -1)), "http://10.0.0.1:8500").as_deref(), Some("10.0.0.1:9000"));
        assert_eq!(address(Some((9000, 9001)), "http://[::1]:8500").as_deref(), Some("https://[::1]:9001"));
        assert_eq!(address(Some((-1, 8503)), "https://a.example").as_deref(), Some("https://a.example:8503"));
        // The token may not read the agent's information.
        assert_eq!(address(None, "https://agent.example").as_deref(), Some("agent.example:8502"));
        assert_eq!(address(None, "http://[::1]:8500").as_deref(), Some("[::1]:8502"));
        assert_eq!(address(None, "unix:///agent.sock").as_deref(), Some("127.0.0.1:8502"));
        assert_eq!(address(Some((-1, -1)), "http://10.0.0.1:8500"), None, "it is off");
    }
}
