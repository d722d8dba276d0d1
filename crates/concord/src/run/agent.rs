//! `agent`: runs a server agent. It is wired in one place, from the configuration to the last signal.
//!
//! Order of the start: configuration, disk, keys, sockets, server, agent, listeners. Order of the end: listeners,
//! agent, server. Sockets are bound before anything is written, so that an address in use is found first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use concord_agent::{Agent, AgentConfig, AgentRequest};
use concord_api::agent::Reloaded;
use concord_ca::provider::Kinds;
use concord_ca::seal::Kek;
use concord_ca::{KeyMaker, OsKeys};
use concord_config::Loaded;
use concord_config::address::Port;
use concord_config::section::{Config, ConnectSection, ServerSection};
use concord_dns::Answerer;
use concord_front::http::listener::Http;
use concord_front::{grpc, http};
use concord_mesh::intention::DefaultPolicy as IntentionDefault;
use concord_model::{Timestamp, Uuid};
use concord_raft::{RaftConfig, Storage, Timings};
use concord_rpc::{RpcError, ServerApi};
use concord_runtime::limits::BUDGET_BYTES;
use concord_runtime::{Budget, Clock, Executor, HostDisk, Modes, Scope, TokioClock, World};
use concord_server::{AclSettings, Aside, CaStart, Server, ServerConfig};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::listen::{Bound, bind_dns, told};
use super::notify::Manager;
use super::pid::PidFile;
use super::reload::{AgentCommand, Running};
use super::settings::{
    Listening, agent_config, ca_settings_of, dns_settings, effective_default, http_settings, live_settings,
};
use super::signals::{Asked, Signals};
use super::telemetry::{self, Metrics};
use super::tls::{Presenting, own};
use super::{descriptors, logs, node, ready, sealing};
use crate::cli::agent::configuration::Configuration;
use crate::cli::{CONSUL_LEVEL, Exit, Failure, Invocation, Io, OWN_VERSION, Outcome};

/// Grace period after the first signal; a second signal ends the process at once (D25).
const GRACE: Duration = Duration::from_secs(15);

/// Runs an agent until a signal ends it.
pub(crate) fn run(call: &Invocation<'_>, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let command = AgentCommand { call, host: node::host() };
    let Configuration { loaded, ready_file } = command.load()?;
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    logs::start(&loaded.config.log, call.program, &clock)?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let executor =
        Executor::new("concord", threads).map_err(|error| Failure::system("start threads", error))?;
    let outcome = executor.block_on(serve(&command, loaded, ready_file, io));
    executor.shutdown_background();
    outcome
}

async fn serve(
    command: &AgentCommand<'_>,
    loaded: Loaded,
    ready_file: Option<PathBuf>,
    io: &mut Io,
) -> Outcome {
    let env = command.call.env;
    let mut signals = Signals::listen().map_err(|error| Failure::system("listen to signals", error))?;
    let config = &loaded.config;
    let world = world(config)?;
    let scope = Scope::new("concord", Arc::clone(&world.clock));
    let metrics = telemetry::start_metrics(&config.telemetry, &scope);
    let presenting = Presenting::start(config, Timestamp::from_nanos(world.clock.wall_nanos()))?;
    let bound = Bound::bind(config)?;
    let names = bind_dns(&config.dns)?;
    let mut pid_file = PidFile::prepare(config.agent.pid_file.as_deref())?;
    let node_id = node::id(config, &world)?;
    let address = node::address(config);
    let keys: Arc<dyn KeyMaker> = Arc::new(OsKeys);

    let sealed_beside = config.agent.data_dir.as_deref().filter(|_| !config.agent.dev);
    let keks = sealing::keys(&config.sealing, env, &world, sealed_beside)?;
    let (fatal, mut died) = mpsc::channel::<String>(1);
    let listening = Listening::of(&bound, &names, config);
    let server =
        server(config, node_id, &address, &listening, Arc::clone(&keys), keks.clone(), &world, &scope, fatal)
            .await?;
    let api: Arc<dyn ServerApi> = Arc::new(server.api());
    // Write it only now, because the server holds the lock of the directory.
    pid_file.write()?;
    if let Some(data_dir) = sealed_beside {
        tidy_up(Path::new(data_dir))?;
    }
    // Programs in Go and programs that use OpenSSL read this variable.
    let check_authorities = env.exact("SSL_CERT_FILE").map(|found| PathBuf::from(found.value));
    let agent_config =
        AgentConfig { keks, check_authorities, ..agent_config(config, node_id, &address, &listening) };
    let agent = Agent::start(agent_config, api, keys, world.clone(), scope.child("agent"))
        .map_err(|error| Failure::input(error.to_string()))?;
    let mut requests =
        agent.program.requests().ok_or_else(|| Failure::input("the agent's requests are taken"))?;

    let faces = scope.child("faces");
    let report = json!({
        "http": told(&bound.http),
        "https": told(&bound.https),
        "grpc": told(&bound.grpc),
        "grpc_tls": told(&bound.grpc_tls),
        "dns": listening.dns.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "pid": std::process::id(),
    });
    if !bound.grpc_tls.is_empty() {
        let own = server.certificate(own::names(config, &address));
        faces.spawn("present the server's own certificate", Arc::clone(&presenting.grpc).follow(own));
    }
    let entrance = Entrance::new(config, &world, &faces);
    let dns = serve_dns(config, names, &agent, &entrance);
    let http = serve_faces(config, bound, &presenting, &agent, metrics.clone(), &entrance)?;
    banner(config, node_id, &address, &report, io)?;
    let manager = Arc::new(Manager::new(env.exact("NOTIFY_SOCKET").map(|found| found.value)));
    announce(ready_file, &server, report, &manager, &scope);
    let clock = Arc::clone(&world.clock);
    let mut running =
        Running { in_force: loaded.config, agent, server, http, dns, presenting, metrics, listening, clock };

    let end = loop {
        tokio::select! {
            biased;
            reason = died.recv() => break End::Fatal(reason.unwrap_or_default()),
            asked = signals.next() => match asked {
                // The log has the result.
                Asked::Reload => { let _ = reload(&mut running, command, &manager).await; }
                Asked::End => break End::Asked,
            },
            request = requests.recv() => match request {
                Some(AgentRequest::Leave { done }) => {
                    let _ = done.send(Ok(()));
                    break End::Asked;
                }
                Some(AgentRequest::Reload { done }) => {
                    let _ = done.send(reload(&mut running, command, &manager).await);
                }
                Some(AgentRequest::End { reason }) => break End::Fatal(reason),
                None => break End::Fatal("the agent has ended".to_owned()),
            },
        }
    };
    manager.stopping();
    let exit = match &end {
        End::Fatal(reason) => {
            error!(%reason, "cannot go on");
            Exit::FAILURE
        }
        End::Asked => {
            // The last voter never removes itself, because no server would be left to rejoin.
            info!("stopping; a second signal ends at once");
            Exit::SUCCESS
        }
    };
    tokio::select! {
        biased;
        () = signals.end() => warn!("ended at once"),
        () = stop(&running.server, &running.agent, &faces) => info!("stopped"),
    }
    drop(pid_file);
    Ok(exit)
}

/// Why the agent ends.
enum End {
    Asked,
    Fatal(String),
}

/// Reloads, and notifies the service manager before and after.
async fn reload(
    running: &mut Running,
    command: &AgentCommand<'_>,
    manager: &Manager,
) -> Result<Reloaded, RpcError> {
    manager.reloading();
    let outcome = running.reload(command).await;
    manager.reloaded();
    outcome
}

async fn stop(server: &Server, agent: &Agent, faces: &Scope) {
    // End blocking queries and log readers first, because the listeners wait for their answers.
    if let Some(streams) = logs::streams() {
        streams.end();
    }
    faces.cancel();
    agent.scope.cancel();
    server.shutdown(GRACE / 3, GRACE / 3).await;
    faces.shutdown(GRACE / 3, GRACE / 3).await;
    agent.scope.shutdown(GRACE / 3, GRACE / 3).await;
}

fn world(config: &Config) -> Result<World, Failure> {
    match &config.agent.data_dir {
        Some(path) if !config.agent.dev => World::host(Path::new(path))
            .map_err(|error| Failure::input(format!("data_dir: cannot make or open the directory: {error}"))),
        Some(_) | None => Ok(World::tokio()),
    }
}

/// Removes unfinished files of the last run, and removes the access of other users from our files.
fn tidy_up(data_dir: &Path) -> Result<(), Failure> {
    HostDisk::drop_unfinished(data_dir, &["", "services", "checks", "registered"])
        .map_err(|error| Failure::system("remove unfinished files from data_dir", error))?;
    close_to_others(data_dir);
    Ok(())
}

/// The files and directories that the program creates in the data directory.
const OURS: [&str; 8] = [
    "raft",
    "services",
    "checks",
    "registered",
    "registrations.undo",
    "acl-tokens.json",
    "node-id",
    "sealing-key",
];

/// A directory or volume that other users can read does not prevent the start. One warning reports it, whatever it
/// contains.
fn close_to_others(data_dir: &Path) {
    let modes = Modes::restore(data_dir, &OURS);
    if modes.restored > 0 {
        warn!(files = modes.restored, data_dir = %data_dir.display(), "removed the access of other users to files in the data directory");
    }
    if let Some((path, error)) = modes.example {
        warn!(
            files = modes.open,
            example = %path.display(),
            %error,
            "others can read files in the data directory, and their modes cannot be changed; make them 0600, and \
             directories 0700, or see to it that nobody else reaches the volume"
        );
    }
}

#[allow(clippy::too_many_arguments, reason = "the parts of one server, each made a line above the call")]
async fn server(
    config: &Config,
    node_id: Uuid,
    address: &str,
    listening: &Listening,
    keys: Arc<dyn KeyMaker>,
    keks: Vec<Kek>,
    world: &World,
    scope: &Scope,
    fatal: mpsc::Sender<String>,
) -> Result<Server, Failure> {
    let ServerSection { role: _, port, raft, entries: _, queries } = &config.server;
    let ConnectSection { enabled: mesh, ca_provider, ca_settings, cluster_id } = &config.connect;
    let mut server_meta = BTreeMap::from([
        ("version".to_owned(), CONSUL_LEVEL.to_owned()),
        ("concord_version".to_owned(), OWN_VERSION.to_owned()),
        ("raft_version".to_owned(), "3".to_owned()),
        ("non_voter".to_owned(), "false".to_owned()),
    ]);
    if let Some(port) = listening.grpc {
        server_meta.insert("grpc_port".to_owned(), port.to_string());
    }
    if let Some(port) = listening.grpc_tls {
        server_meta.insert("grpc_tls_port".to_owned(), port.to_string());
    }
    let settings = ServerConfig {
        node: config.agent.node_name.clone(),
        node_id,
        address: address.to_owned(),
        server_port: if let Port::At(port) = port { *port } else { 8300 },
        server_meta,
        live: live_settings(config),
        datacenter: config.agent.datacenter.clone(),
        acl: AclSettings { enabled: config.acl.enabled, default_policy: config.acl.default_policy },
        initial_management: config.acl.initial_management.clone(),
        intention_default: IntentionDefault::resolve(
            config.acl.default_intention_policy,
            effective_default(config),
        ),
        ca: CaStart {
            enabled: *mesh,
            kinds: Kinds::default(),
            provider: ca_provider.clone(),
            settings: ca_settings_of(ca_settings),
            cluster_id: *cluster_id,
        },
        keks,
        keys,
        workers: Arc::new(Aside(scope.clone())),
        default_query_time: queries.default_query_time,
        max_query_time: queries.max_query_time,
    };
    let section = raft;
    let raft = RaftConfig {
        timings: Timings {
            heartbeat: section.heartbeat_timeout / 5,
            // A restarted voter may become a candidate after the shortest wait, so the lease must be shorter.
            election_min: section.election_timeout * 3 / 4,
            election_max: section.election_timeout,
            lease: section.leader_lease,
        },
        snapshot_threshold: section.snapshot_threshold,
        snapshot_interval: section.snapshot_interval,
        snapshot_trailing: section.trailing_logs,
        ..RaftConfig::new(Server::raft_id(&settings), config.agent.datacenter.as_str())
    };
    let storage = if config.agent.dev { Storage::Memory } else { Storage::Disk };
    let on_fatal = Arc::new(move |reason: &concord_raft::Fatal| {
        // If the channel is full, the process is already ending.
        let _ = fatal.try_send(reason.to_string());
    });
    Server::start(settings, raft, storage, world.clone(), scope.clone(), on_fatal)
        .await
        .map_err(|error| Failure::input(error.to_string()))
}

/// What all listeners have in common.
struct Entrance<'a> {
    /// What clients may make the process hold, over all of them.
    budget: Arc<Budget>,
    world: &'a World,
    scope: &'a Scope,
}

impl<'a> Entrance<'a> {
    fn new(config: &Config, world: &'a World, scope: &'a Scope) -> Self {
        let bytes = usize::try_from(config.clients.memory_mib << 20).unwrap_or(BUDGET_BYTES);
        Self { budget: descriptors::budget(bytes, &world.clock, scope), world, scope }
    }
}

fn serve_faces(
    config: &Config,
    bound: Bound,
    presenting: &Presenting,
    agent: &Agent,
    metrics: Option<Arc<Metrics>>,
    Entrance { budget, world, scope }: &Entrance<'_>,
) -> Result<Arc<Http<http::Ctx>>, Failure> {
    let settings = http_settings(config)?;
    let mut context = http::Ctx::new(agent.clone());
    context.use_cache = config.http.use_cache;
    context.log = logs::streams().map(|streams| -> Arc<dyn http::context::LogSource> { streams });
    context.metrics =
        metrics.map(|metrics| -> http::context::MetricsText { Arc::new(move || metrics.render()) });
    let ledger = context.ledger.clone();
    let (clock, context) = (Arc::clone(&world.clock), Arc::new(context));
    let face = Http::new(http::routes::router(), context, settings, clock, budget);
    for socket in bound.http {
        face.serve(socket, None, scope);
    }
    for socket in bound.https {
        face.serve(socket, Some(Arc::clone(&presenting.https)), scope);
    }
    let door = Arc::new(budget.door(grpc::limits::CONNECTIONS_PER_CLIENT));
    let secured = bound.grpc_tls.into_iter().map(|socket| (socket, Some(presenting.grpc.tls())));
    for (socket, tls) in bound.grpc.into_iter().map(|socket| (socket, None)).chain(secured) {
        let snapshots = Arc::new(agent.proxies.clone());
        let services =
            grpc::Services { snapshots, servers: Arc::clone(&agent.servers), ledger: ledger.clone() };
        grpc::serve(socket, tls, services, Arc::clone(&door), Arc::clone(&world.clock), scope);
    }
    Ok(face)
}

/// Starts DNS at these sockets. Without any there is nobody to answer, but the settings are kept for a reload.
fn serve_dns(
    config: &Config,
    bound: Vec<concord_dns::Bound>,
    agent: &Agent,
    Entrance { budget, world, scope }: &Entrance<'_>,
) -> Arc<Answerer> {
    let tokens = Arc::clone(&agent.own_tokens);
    let own: Vec<_> = bound.iter().map(concord_dns::Bound::address).collect();
    let answerer = Answerer::new(
        Arc::clone(&agent.servers),
        dns_settings(config, &own),
        Arc::new(move || tokens.of_dns()),
        config.agent.node_name.as_str(),
        world,
    );
    let answerer = Arc::new(answerer);
    let door = Arc::new(budget.door(concord_dns::limits::CONNECTIONS_PER_CLIENT));
    for socket in bound {
        concord_dns::serve(socket, Arc::clone(&answerer), Arc::clone(&door), scope);
    }
    answerer
}

/// Prints the summary that the user sees first.
fn banner(config: &Config, node_id: Uuid, address: &str, report: &Value, io: &mut Io) -> Result<(), Failure> {
    let list = |key: &str| match report[key].as_array() {
        Some(all) if !all.is_empty() => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        Some(_) | None => "off".to_owned(),
    };
    io.line("==> concord agent starting")?;
    io.line(format_args!("        Version: {OWN_VERSION} (Consul level {CONSUL_LEVEL})"))?;
    io.line(format_args!(
        "           Node: {} ({node_id}), datacenter {}",
        config.agent.node_name, config.agent.datacenter
    ))?;
    io.line(format_args!("        Address: {address}"))?;
    io.line(format_args!("       HTTP API: {}", list("http")))?;
    io.line(format_args!("      HTTPS API: {}", list("https")))?;
    io.line(format_args!("  gRPC (proxies): {}", list("grpc")))?;
    io.line(format_args!("  gRPC under TLS: {}", list("grpc_tls")))?;
    io.line(format_args!("            DNS: {}", list("dns")))?;
    let data = config.agent.data_dir.as_deref().filter(|_| !config.agent.dev);
    io.line(format_args!("           Data: {}", data.unwrap_or("in memory; nothing is kept")))?;
    let acl = if config.acl.enabled {
        format!("on, default {}", config.acl.default_policy)
    } else {
        "off: everybody who reaches the API may do everything".to_owned()
    };
    io.line(format_args!("           ACLs: {acl}"))?;
    io.line("==> log follows on standard error")?;
    io.flush().map_err(Failure::Output)
}

/// Notifies the service manager and writes the ready file once a consistent read would succeed.
fn announce(
    ready_file: Option<PathBuf>,
    server: &Server,
    report: Value,
    manager: &Arc<Manager>,
    scope: &Scope,
) {
    let (server, manager) = (server.clone(), Arc::clone(manager));
    scope.spawn("ready", async move {
        server.ready().await;
        info!("ready");
        manager.ready();
        if let Some(path) = ready_file {
            ready::write(&path, &report);
        }
    });
}
