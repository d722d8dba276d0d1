//! One attached proxy: its machine, its watches, its stream.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use concord_acl::{Labelled, Level, Right};
use concord_model::catalog::NodeScope;
use concord_model::{InstanceId, ServiceRef};
use concord_proxycfg::{
    DescribedProxy, Effect, Event, Proxy, ProxyFault, ProxyId, ProxySnapshot, Understood, WatchKey,
};
use concord_rpc::{Attach, Caller, RpcError, SnapshotEvent};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::DropGuard;

use super::watching::Watching;
use crate::limits::PROXY_INPUTS;
use crate::local::ServiceRecord;
use crate::proxies::Proxies;
use crate::tokens::Follow;

/// The agent's description of a proxy.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// Its current registration on this agent.
    Registered(InstanceId),
    /// The proxy's own description when it attached.
    Described(Arc<DescribedProxy>),
}

/// Checks the right to be a proxy of this service.
pub(crate) fn require_proxy(caller: &Caller, service: &ServiceRef) -> Result<(), RpcError> {
    caller.require(&Right::named(Labelled::Service, service.name.as_str(), Level::Write))
}

type Message = Result<SnapshotEvent, RpcError>;

/// An attached proxy.
pub(super) struct Attached {
    proxies: Proxies,
    standing: Standing,
    follow: Follow,
    machine: Proxy,
    understands: Understood,
    messages: mpsc::Sender<Message>,
    news: mpsc::Receiver<Result<Event, RpcError>>,
    tell: mpsc::Sender<Result<Event, RpcError>>,
    watches: BTreeMap<WatchKey, DropGuard>,
    /// The snapshot to send, unless the proxy has it already.
    latest: Option<Arc<ProxySnapshot>>,
    /// The snapshot that the proxy has once it receives what is queued.
    sent: Option<Arc<ProxySnapshot>>,
    /// The rest of the change that is being sent.
    queued: VecDeque<SnapshotEvent>,
    changes: watch::Receiver<u64>,
    /// The version of the registration that the machine uses.
    version: Option<u64>,
}

impl Attached {
    pub(super) fn new(
        proxies: Proxies,
        standing: Standing,
        attach: Attach,
        follow: Follow,
        messages: mpsc::Sender<Message>,
    ) -> Self {
        let config = &proxies.site.config;
        let proxy = ProxyId {
            scope: NodeScope::default(),
            node: config.node.clone(),
            namespace: concord_model::Namespace::default(),
            instance: standing.id(),
        };
        let machine = Proxy::new(proxy, config.datacenter.clone(), attach.leaf, &attach.understands);
        let (tell, news) = mpsc::channel(PROXY_INPUTS);
        let changes = proxies.local.changes();
        Self {
            proxies,
            standing,
            follow,
            machine,
            understands: attach.understands,
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

    /// Runs until the proxy disconnects, its registration is removed, or it loses its rights.
    pub(super) async fn run(mut self) {
        if let Err(error) = self.serve().await {
            tracing::info!(proxy = %self.standing.id(), %error, "closing the stream of a proxy");
            // The proxy may be gone, or its queue may be full; then the end of the stream tells it.
            let _ = self.messages.try_send(Err(error));
        }
    }

    async fn serve(&mut self) -> Result<(), RpcError> {
        self.registration_changed()?;
        loop {
            let room = self.messages.clone();
            let waiting = self.latest.is_some() || !self.queued.is_empty();
            tokio::select! {
                // The order of the branches: rights, new data, sending.
                biased;
                () = self.proxies.site.scope.cancelled() => return Err(RpcError::ShuttingDown),
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

    /// The token, its policies or the proxy's service have changed: checks the right again.
    fn check_rights(&self) -> Result<(), RpcError> {
        let caller = self.follow.caller()?;
        let service = self.service().ok_or_else(|| self.unknown())?;
        require_proxy(&caller, &service)
    }

    /// A local registration has changed; usually it is another service or a check.
    fn registrations_changed(&mut self) -> Result<(), RpcError> {
        let Standing::Registered(id) = &self.standing else { return Ok(()) };
        let record = |record: &ServiceRecord| (record.version, record.is_awaiting_entries());
        let found = self.proxies.local.look(|local| local.services.get(id).map(record));
        let version = found.map(|(version, _)| version);
        if found.is_some_and(|(_, awaiting)| awaiting) || (version.is_some() && version == self.version) {
            return Ok(());
        }
        self.version = version;
        self.registration_changed()
    }

    fn registration_changed(&mut self) -> Result<(), RpcError> {
        self.check_rights()?;
        if let Standing::Registered(id) = &self.standing
            && self.proxies.local.is_awaiting_entries(id)
        {
            return Ok(());
        }
        let event = match &self.standing {
            Standing::Described(proxy) => Event::ProxyDescribed(Arc::clone(proxy)),
            Standing::Registered(id) => match self.proxies.local.instance(id) {
                Some(instance) => Event::ProxyChanged(Arc::new(instance)),
                None => Event::Gone,
            },
        };
        self.take(event)
    }

    /// The service of the proxy; `None` if its registration is gone.
    fn service(&self) -> Option<ServiceRef> {
        match &self.standing {
            Standing::Described(proxy) => Some(proxy.service()),
            Standing::Registered(id) => {
                self.proxies.local.instance(id)?.connect_target(&NodeScope::default())
            }
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
                tracing::warn!(proxy = %self.standing.id(), faults = %told(&faults), "the proxy's registration is invalid; the proxy keeps the last valid one");
            }
            Effect::Withdraw => return Err(self.unknown()),
        }
        Ok(())
    }

    /// Refuses a snapshot that contains parts this proxy does not understand. Sending the rest without them would be
    /// wrong.
    fn require_understood(&self, snapshot: &ProxySnapshot) -> Result<(), RpcError> {
        self.understands.covers(snapshot).map_err(|lacking| RpcError::Invalid(lacking.to_string()))
    }

    /// The next event to send: the rest of a change, or the first difference of the newest snapshot.
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
            proxies: self.proxies.clone(),
            token: self.follow.token().cloned(),
            key: key.clone(),
            tell: self.tell.clone(),
        };
        let task = self.proxies.site.scope.spawn("watch for a proxy", watching.run());
        self.watches.insert(key, task.abort_on_drop());
    }
}

impl Standing {
    /// The proxy's id.
    fn id(&self) -> InstanceId {
        match self {
            Self::Registered(id) => id.clone(),
            Self::Described(proxy) => proxy.id(),
        }
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
