//! The handle for everything the agent does, and the start of an agent.

use std::collections::BTreeSet;
use std::sync::Arc;

use concord_acl::{Labelled, Level, Right};
use concord_api::Faults;
use concord_api::agent::Reloaded;
use concord_api::definition::{CheckDefinition, CheckOwner, ServiceDefinition, expand_sidecar};
use concord_ca::KeyMaker;
use concord_model::registration::{CheckSpec, Probe};
use concord_model::{NodeName, Secret, Timestamp};
use concord_rpc::{Caller, RpcError, ServerApi};
use concord_runtime::{Scope, World};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

use crate::cache::Cache;
use crate::checks::{Maker, Runners};
use crate::config::AgentConfig;
use crate::leaves::Leaves;
use crate::limits::{AGENT_REQUESTS, PROXY_STREAMS_MAX};
use crate::local::{Change, Local, Source};
use crate::own_tokens::{OwnTokens, TokensError};
use crate::persist::{PersistError, Registrations, verdicts};
use crate::tokens::{PassedOn, Tokens};
use crate::vault::Vault;

/// The agent of a node. Clones are cheap and refer to the same agent.
#[derive(Clone, Debug)]
pub struct Agent {
    pub(crate) inner: Arc<Inner>,
}

/// The data that all handles share.
pub(crate) struct Inner {
    pub(crate) config: AgentConfig,
    pub(crate) servers: Arc<dyn ServerApi>,
    pub(crate) world: World,
    pub(crate) scope: Scope,
    /// The agent's own tokens. Those in `config` may be outdated.
    pub(crate) own: OwnTokens,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) leaves: Arc<Leaves>,
    pub(crate) local: Mutex<Local>,
    /// The revision of `local`; tasks that wait for a change subscribe to it.
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) registrations: Registrations,
    /// Signalled when a verdict has to be saved, or when one was removed with its check.
    pub(crate) told: Notify,
    /// Lock for changes of registrations: one at a time.
    pub(crate) writing: tokio::sync::Mutex<()>,
    pub(crate) runners: Runners,
    pub(crate) maker: Maker,
    pub(crate) streams: Arc<Semaphore>,
    requests: mpsc::Sender<AgentRequest>,
    taken: Mutex<Option<mpsc::Receiver<AgentRequest>>>,
}

/// Requests that only the program around the agent can carry out.
#[derive(Debug)]
pub enum AgentRequest {
    /// Leave the cluster and stop.
    Leave {
        /// Receives the result once leaving has begun, or the reason why it cannot.
        done: oneshot::Sender<Result<(), RpcError>>,
    },
    /// Read the configuration again.
    Reload {
        /// Receives the new settings, or the reason why nothing has changed.
        done: oneshot::Sender<Result<Reloaded, RpcError>>,
    },
    /// The data on disk can no longer be trusted, so the process must stop.
    End {
        /// What happened.
        reason: String,
    },
}

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The stored registrations cannot be read.
    #[error(transparent)]
    Registrations(#[from] PersistError),
    /// The agent's stored tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// A service in the configuration is wrong.
    #[error("service {name:?} in the configuration: {faults}")]
    Service {
        /// Its name.
        name: String,
        /// What is wrong.
        faults: Faults,
    },
    /// A check in the configuration is wrong.
    #[error("check {name:?} in the configuration: {faults}")]
    Check {
        /// Its name.
        name: String,
        /// What is wrong.
        faults: Faults,
    },
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("node", &self.config.node).finish_non_exhaustive()
    }
}

impl Agent {
    /// Starts an agent. It reads the stored registrations; then it runs checks, synchronises with the catalog and
    /// serves requests until the scope ends.
    ///
    /// # Errors
    /// When registrations or definitions cannot be read; nothing runs then.
    pub fn start(
        config: AgentConfig,
        servers: Arc<dyn ServerApi>,
        keys: Arc<dyn KeyMaker>,
        world: World,
        scope: Scope,
    ) -> Result<Self, StartError> {
        let vault = Vault::new(&config.keks, &world);
        let own = OwnTokens::load(&config, &vault)?;
        let registrations = Registrations::new(vault);
        let local = load(&config, &registrations, &world)?;
        let tokens =
            Tokens::new(config.acl.clone(), Arc::clone(&servers), world.clone(), scope.child("tokens"));
        let tokens = Arc::new(tokens);
        let servers: Arc<dyn ServerApi> = Arc::new(PassedOn::new(servers, Arc::clone(&tokens)));
        let cache = Cache::new(Arc::clone(&servers), world.clone(), scope.child("cache"), config.cache_bytes);
        let leaves = Leaves::new(
            &config,
            Arc::clone(&servers),
            keys,
            Arc::clone(&cache),
            world.clone(),
            scope.child("leaves"),
        );
        let (requests, taken) = mpsc::channel(AGENT_REQUESTS);
        let inner = Inner {
            changed: watch::channel(local.revision()).0,
            local: Mutex::new(local),
            own,
            tokens,
            runners: Runners::default(),
            maker: Maker::new(&config, Arc::clone(&world.clock)),
            told: Notify::new(),
            streams: Arc::new(Semaphore::new(PROXY_STREAMS_MAX)),
            writing: tokio::sync::Mutex::default(),
            taken: Mutex::new(Some(taken)),
            config,
            servers,
            world,
            scope,
            cache,
            leaves,
            registrations,
            requests,
        };
        let agent = Self { inner: Arc::new(inner) };
        agent.inner.tokens.begin();
        agent.inner.scope.spawn("checks", agent.clone().keep_checks());
        agent.inner.scope.spawn("save verdicts", agent.clone().keep_verdicts());
        agent.inner.scope.spawn("synchronise", agent.clone().keep_synchronised());
        Ok(agent)
    }

    /// The agent's settings.
    pub fn config(&self) -> &AgentConfig {
        &self.inner.config
    }

    /// The time of the machine's wall clock, for records that show a time.
    pub fn wall_time(&self) -> Timestamp {
        Timestamp::from_nanos(self.inner.world.clock.wall_nanos())
    }

    /// The servers, for requests that are forwarded; forward them with [`Caller::token`]. Requests that change rights
    /// must use this handle: it makes the agent forget cached rights before the answer is returned.
    pub fn servers(&self) -> &Arc<dyn ServerApi> {
        &self.inner.servers
    }

    /// The scope the agent's work runs in.
    pub fn scope(&self) -> &Scope {
        &self.inner.scope
    }

    /// The token of a request; without one, the agent's default token.
    pub fn token_or_default(&self, token: Option<&Secret>) -> Option<Secret> {
        let own = token.filter(|token| !token.is_empty()).cloned();
        own.or_else(|| self.inner.own.now().tokens.default.clone())
    }

    /// The caller with this token; without one, the agent's default token is used.
    ///
    /// # Errors
    /// [`RpcError::TokenNotFound`] if no server knows the token.
    pub async fn caller(&self, token: Option<&Secret>) -> Result<Caller, RpcError> {
        let token = self.token_or_default(token);
        if let Some(caller) = self.inner.tokens.known(token.as_ref()) {
            return Ok(caller);
        }
        self.inner.tokens.resolve(token.as_ref()).await
    }

    /// The requests to the program around the agent. `None` if they were taken already.
    pub fn requests(&self) -> Option<mpsc::Receiver<AgentRequest>> {
        self.inner.taken.lock().take()
    }

    /// Leaves the cluster; then the process stops. Needs `agent:write` on the node.
    pub async fn leave(&self, caller: &Caller) -> Result<(), RpcError> {
        self.wish(caller, |done| AgentRequest::Leave { done }).await
    }

    /// Reads the configuration again. Needs `agent:write` on the node.
    pub async fn reload(&self, caller: &Caller) -> Result<Reloaded, RpcError> {
        self.wish(caller, |done| AgentRequest::Reload { done }).await
    }

    /// Asks the program to stop the process.
    pub(crate) fn must_end(&self, reason: String) {
        tracing::error!(%reason, "the agent cannot continue");
        let _ = self.inner.requests.try_send(AgentRequest::End { reason });
    }

    /// Notifies tasks that wait for a change of `local`.
    pub(crate) fn noticed(&self) {
        let revision = self.inner.local.lock().revision();
        self.inner.changed.send_if_modified(|last| std::mem::replace(last, revision) != revision);
    }

    async fn wish<T>(
        &self,
        caller: &Caller,
        request: impl FnOnce(oneshot::Sender<Result<T, RpcError>>) -> AgentRequest,
    ) -> Result<T, RpcError> {
        caller.require(&Right::named(Labelled::Agent, self.inner.config.node.as_str(), Level::Write))?;
        let (done, outcome) = oneshot::channel();
        let busy = || RpcError::Busy("the agent is busy leaving or reloading, try again later".to_owned());
        self.inner.requests.try_send(request(done)).map_err(|_| busy())?;
        outcome.await.map_err(|_| RpcError::ShuttingDown)?
    }
}

/// Loads the stored registrations, the definitions of the configuration and the verdicts that are still valid.
fn load(config: &AgentConfig, registrations: &Registrations, world: &World) -> Result<Local, StartError> {
    let now = world.clock.now();
    let mut local = Local::new(config.check_settings, config.sidecar_ports.clone());
    registrations.recover()?;
    let found = registrations.load()?;
    for missing in &found.missing {
        tracing::warn!(
            registration = missing.what,
            file = missing.path,
            "a registration is missing from the data directory; register it again, or stop, restore the file and the \
             directory registered, and start"
        );
    }
    for registration in found.services {
        local.apply(
            Change::SetService {
                registration: Box::new(registration),
                source: Source::Api,
                replace_checks: true,
            },
            now,
        );
    }
    for change in from_files(config, &config.services, &config.checks, &local)? {
        local.apply(change, now);
    }
    // Last, because these checks may belong to services from configuration files. If a file defines the same check,
    // the file wins.
    for spec in found.checks {
        let of_files = local.checks.get(&spec.id).is_some_and(|record| record.source == Source::File);
        if !of_files && spec.service_id.as_ref().is_none_or(|id| local.services.contains_key(id)) {
            local.apply(Change::SetCheck { spec: Box::new(spec), source: Source::Api }, now);
        }
    }
    verdicts::restore(&mut local, world);
    local.await_first_runs();
    Ok(local)
}

/// The services and checks of configuration files, as changes. Those that earlier files defined and that are no
/// longer named are removed.
pub(crate) fn from_files(
    config: &AgentConfig,
    services: &[ServiceDefinition],
    checks: &[CheckDefinition],
    local: &Local,
) -> Result<Vec<Change>, StartError> {
    let mut changes = Vec::new();
    let mut ports = local.ports().clone();
    let (mut named, mut named_checks) = (BTreeSet::new(), BTreeSet::new());
    for definition in services {
        let fault = |faults| StartError::Service { name: definition.name.clone(), faults };
        for mut registration in expand_sidecar(definition, |id| ports.pick(id)).map_err(fault)? {
            registration.checks.iter_mut().for_each(|spec| localise(spec, &config.node));
            ports.set(registration.service.id.clone(), registration.service.port);
            named.insert(registration.service.id.clone());
            changes.push(Change::SetService {
                registration: Box::new(registration),
                source: Source::File,
                replace_checks: true,
            });
        }
    }
    for definition in checks {
        let fault = |faults| StartError::Check { name: definition.name.clone(), faults };
        let mut spec = definition.resolve(CheckOwner::Itself).map_err(fault)?;
        localise(&mut spec, &config.node);
        named_checks.insert(spec.id.clone());
        changes.push(Change::SetCheck { spec: Box::new(spec), source: Source::File });
    }
    let gone = local.services.values().filter(|record| record.source == Source::File);
    let gone = gone.filter(|record| !named.contains(record.id()));
    let mut removals: Vec<Change> = gone.map(|record| Change::RemoveService(record.id().clone())).collect();
    let lone =
        local.checks.values().filter(|record| record.source == Source::File && !local.is_inline(record));
    let gone = lone.filter(|record| !named_checks.contains(&record.spec.id));
    removals.extend(gone.map(|record| Change::RemoveCheck(record.spec.id.clone())));
    removals.extend(changes);
    Ok(removals)
}

/// An alias check that names this node is the same as one without a node.
pub(crate) fn localise(spec: &mut CheckSpec, own: &NodeName) {
    if let Probe::Alias { node, .. } = &mut spec.probe {
        node.take_if(|node| node == own);
    }
}

#[cfg(test)]
mod tests;
