//! One attached proxy: its machine, its watches, its stream.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use concord_acl::{Labelled, Level, Right};
use concord_model::catalog::NodeScope;
use concord_model::{Datacenter, InstanceId, ServiceRef};
use concord_proxycfg::{
    DescribedProxy, Effect, Endpoint, Event, LeafFrom, Proxy, ProxyFault, ProxyId, ProxySnapshot, Understood,
    WatchKey,
};
use concord_rpc::request::{InstanceHealth, InstanceSelection, ReadCaRoots, ServiceHealth};
use concord_rpc::{Caller, Head, RpcError, SnapshotEvent};
use concord_runtime::Backoff;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::DropGuard;

use crate::agent::Agent;
use crate::cache::{Cached, IntentionSet, IntentionsTo};
use crate::limits::PROXY_INPUTS;
use crate::tokens::Follow;

/// What the agent goes by for a proxy.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// Its registration here, as it is at each moment.
    Registered(InstanceId),
    /// What its process said of it when it attached.
    Described(Arc<DescribedProxy>),
}

/// The right to be a service's proxy.
pub(crate) fn require_proxy(caller: &Caller, service: &ServiceRef) -> Result<(), RpcError> {
    caller.require(&Right::named(Labelled::Service, service.name.as_str(), Level::Write))
}

type Message = Result<SnapshotEvent, RpcError>;

/// An attached proxy.
pub(super) struct Attached {
    agent: Agent,
    standing: Standing,
    follow: Follow,
    machine: Proxy,
    understands: Understood,
    messages: mpsc::Sender<Message>,
    news: mpsc::Receiver<Result<Event, RpcError>>,
    tell: mpsc::Sender<Result<Event, RpcError>>,
    watches: BTreeMap<WatchKey, DropGuard>,
    /// What the proxy should have, unless it has it already.
    latest: Option<Arc<ProxySnapshot>>,
    /// What the proxy has once it has got what is queued.
    sent: Option<Arc<ProxySnapshot>>,
    /// The rest of the change that is being sent.
    queued: VecDeque<SnapshotEvent>,
    changes: watch::Receiver<u64>,
    /// The version of the registration the machine goes by.
    version: Option<u64>,
}

impl Attached {
    pub(super) fn new(
        agent: Agent,
        standing: Standing,
        understands: Understood,
        follow: Follow,
        messages: mpsc::Sender<Message>,
    ) -> Self {
        let config = agent.config();
        let proxy = ProxyId {
            scope: NodeScope::default(),
            node: config.node.clone(),
            namespace: concord_model::Namespace::default(),
            instance: standing.id(),
        };
        let machine = Proxy::new(proxy, config.datacenter.clone(), LeafFrom::Proxy);
        let (tell, news) = mpsc::channel(PROXY_INPUTS);
        let changes = agent.inner.changed.subscribe();
        Self {
            agent,
            standing,
            follow,
            machine,
            understands,
            messages,
            news,
            tell,
            watches: BTreeMap::new(),
            latest: None,
            sent: None,
            queued: VecDeque::new(),
            changes,
            version: None,
        }
    }

    /// Runs until the proxy goes, its registration goes, or it may no longer be here.
    pub(super) async fn run(mut self) {
        if let Err(error) = self.serve().await {
            tracing::info!(proxy = %self.standing.id(), %error, "the stream of a proxy ends");
            // It may be gone, or full of what it does not read: then the end of the stream tells it.
            let _ = self.messages.try_send(Err(error));
        }
    }

    async fn serve(&mut self) -> Result<(), RpcError> {
        self.registration_changed()?;
        loop {
            let room = self.messages.clone();
            let waiting = self.latest.is_some() || !self.queued.is_empty();
            tokio::select! {
                // Rights first, then news, then what there is to send.
                biased;
                () = self.agent.inner.scope.cancelled() => return Err(RpcError::ShuttingDown),
                () = self.follow.changed() => self.check_rights()?,
                () = room.closed() => return Ok(()),
                Some(news) = self.news.recv() => self.take(news?)?,
                _ = self.changes.changed() => self.registrations_changed()?,
                permit = room.reserve(), if waiting => {
                    let Ok(permit) = permit else { return Ok(()) };
                    if let Some(event) = self.next_event() {
                        permit.send(Ok(event));
                    }
                }
            }
        }
    }

    /// The token, its policies or what the proxy stands before have changed.
    fn check_rights(&self) -> Result<(), RpcError> {
        let caller = self.follow.caller()?;
        let service = self.service().ok_or_else(|| self.unknown())?;
        require_proxy(&caller, &service)
    }

    /// Something registered here has changed: mostly another service, or a check.
    fn registrations_changed(&mut self) -> Result<(), RpcError> {
        let Standing::Registered(id) = &self.standing else { return Ok(()) };
        let version = self.agent.inner.local.lock().services.get(id).map(|record| record.version);
        if version.is_some() && version == self.version {
            return Ok(());
        }
        self.version = version;
        self.registration_changed()
    }

    fn registration_changed(&mut self) -> Result<(), RpcError> {
        self.check_rights()?;
        let event = match &self.standing {
            Standing::Described(proxy) => Event::ProxyDescribed(Arc::clone(proxy)),
            Standing::Registered(id) => match self.agent.local_instance(id) {
                Some(instance) => Event::ProxyChanged(Arc::new(instance)),
                None => Event::Gone,
            },
        };
        self.take(event)
    }

    /// The service the proxy stands before; `None` if its registration is gone.
    fn service(&self) -> Option<ServiceRef> {
        match &self.standing {
            Standing::Described(proxy) => Some(proxy.service()),
            Standing::Registered(id) => self.agent.local_instance(id)?.connect_target(&NodeScope::default()),
        }
    }

    fn unknown(&self) -> RpcError {
        RpcError::NotFound(format!("unknown service ID: {}", self.standing.id()))
    }

    fn take(&mut self, event: Event) -> Result<(), RpcError> {
        let mut effects = Vec::new();
        self.machine.on(event, &mut effects);
        effects.into_iter().try_for_each(|effect| self.perform(effect))
    }

    fn perform(&mut self, effect: Effect) -> Result<(), RpcError> {
        match effect {
            Effect::StartWatch(key) => self.start_watch(key),
            Effect::StopWatch(key) => {
                self.watches.remove(&key);
            }
            Effect::Publish(snapshot) => {
                self.require_understood(&snapshot)?;
                self.latest = Some(snapshot);
            }
            Effect::Refuse(faults) if self.machine.snapshot().is_none() => return Err(refused(&faults)),
            Effect::Refuse(faults) => {
                tracing::warn!(proxy = %self.standing.id(), faults = %told(&faults), "the proxy's registration cannot be followed; it keeps the last good one");
            }
            Effect::Withdraw => return Err(self.unknown()),
        }
        Ok(())
    }

    /// What a proxy does not understand is not sent to it, nor is the rest without it.
    fn require_understood(&self, snapshot: &ProxySnapshot) -> Result<(), RpcError> {
        self.understands.covers(snapshot).map_err(|lacking| RpcError::Invalid(lacking.to_string()))
    }

    /// What to send next: the rest of a change, or the first of what differs by now.
    fn next_event(&mut self) -> Option<SnapshotEvent> {
        if self.queued.is_empty()
            && let Some(latest) = self.latest.take()
        {
            self.queued = SnapshotEvent::between(self.sent.as_deref(), &latest);
            self.sent = Some(latest);
        }
        self.queued.pop_front()
    }

    fn start_watch(&mut self, key: WatchKey) {
        let watching = Watching {
            agent: self.agent.clone(),
            caller: self.follow.caller(),
            key: key.clone(),
            tell: self.tell.clone(),
        };
        let task = self.agent.inner.scope.spawn("watch for a proxy", watching.run());
        self.watches.insert(key, task.abort_on_drop());
    }
}

impl Standing {
    /// The name the proxy goes by.
    fn id(&self) -> InstanceId {
        match self {
            Self::Registered(id) => id.clone(),
            Self::Described(proxy) => proxy.id(),
        }
    }
}

/// One thing a proxy has to be told about.
struct Watching {
    agent: Agent,
    caller: Result<Caller, RpcError>,
    key: WatchKey,
    tell: mpsc::Sender<Result<Event, RpcError>>,
}

impl Watching {
    async fn run(self) {
        match &self.key {
            WatchKey::Roots => self.follow(ReadCaRoots {}, None, Event::RootsChanged).await,
            WatchKey::Intentions(destination) => {
                let event = |set: Arc<IntentionSet>| Event::IntentionsChanged {
                    destination: destination.clone(),
                    entries: set.entries.clone(),
                    default: self.agent.config().intention_default(),
                };
                self.follow(IntentionsTo(destination.clone()), None, event).await;
            }
            WatchKey::Endpoints(target) => {
                let select = InstanceSelection::connect(target.service.clone());
                let here = &self.agent.config().datacenter;
                let endpoint =
                    |one: &InstanceHealth| Endpoint::of_catalog(&one.node, &one.service, &one.checks, here);
                let event = |instances: Arc<Vec<InstanceHealth>>| Event::EndpointsChanged {
                    target: target.clone(),
                    endpoints: instances.iter().filter_map(endpoint).collect(),
                };
                let question = ServiceHealth { select, worst: None };
                self.follow(question, Some(target.datacenter.clone()), event).await;
            }
            // Proxies that attach make their own certificates.
            WatchKey::Leaf(_) => {
                self.give_up(RpcError::NotAvailable(format!("{:?} for proxies", self.key))).await;
            }
        }
    }

    /// Tells the machine of each answer to a question, until it is refused or nobody listens any more.
    async fn follow<C: Cached>(
        &self,
        question: C,
        datacenter: Option<Datacenter>,
        event: impl Fn(Arc<C::Kept>) -> Event,
    ) {
        let mut head = Head { datacenter, ..Head::default() };
        let mut backoff = Backoff::default();
        let caller = match &self.caller {
            Ok(caller) => caller,
            Err(error) => return self.give_up(error.clone()).await,
        };
        loop {
            match self.agent.cached(caller, &question, &head).await {
                Ok(answer) => {
                    backoff.reset();
                    head.min_index = answer.index;
                    if self.tell.send(Ok(event(answer.value))).await.is_err() {
                        return;
                    }
                }
                Err(error) if error.is_denial() => return self.give_up(error).await,
                Err(error) => {
                    tracing::debug!(watch = ?self.key, %error, "a proxy's watch failed, will retry");
                    self.agent.inner.world.clock.sleep(backoff.next(&*self.agent.inner.world.entropy)).await;
                }
            }
        }
    }

    async fn give_up(&self, error: RpcError) {
        let _ = self.tell.send(Err(error)).await;
    }
}

fn told(faults: &[ProxyFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn refused(faults: &[ProxyFault]) -> RpcError {
    let text = told(faults);
    match text.strip_prefix("not available yet: ") {
        Some(what) => RpcError::NotAvailable(what.to_owned()),
        None => RpcError::Invalid(text),
    }
}
