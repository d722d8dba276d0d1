//! One attached proxy: its machine, its watches, its stream.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use concord_model::catalog::{NodeScope, ServiceInstance};
use concord_model::{InstanceId, NodeName, ServiceRef};
use concord_proxycfg::{Effect, Event, Proxy, ProxyFault, ProxyId, ProxySnapshot, Understood, WatchKey};
use concord_rpc::{Attach, Basis, Caller, MergedEntries, RpcError, SnapshotEvent};
use concord_runtime::Instant;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};

use super::basis::{Followed, News};
use super::feed::Feed;
use super::topic::Mailbox;
use super::watched::Shared;
use crate::local::ServiceRecord;
use crate::proxies::Proxies;
use crate::tokens::Follow;

/// Which proxy it is, and the service that it stands before.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) node: NodeName,
    pub(super) id: InstanceId,
    pub(super) service: ServiceRef,
}

/// Checks the right to be a proxy of this service.
pub(crate) fn require_proxy(caller: &Caller, service: &ServiceRef) -> Result<(), RpcError> {
    caller.require_service_write(service.name.as_str())
}

/// The service that a registered proxy stands before.
pub(super) fn service_of(instance: &ServiceInstance) -> Result<ServiceRef, RpcError> {
    instance.connect_target(&NodeScope::default()).ok_or_else(|| {
        RpcError::Invalid(format!("service ID {} is not a sidecar and takes no mesh traffic", instance.id))
    })
}

/// An event in a box: the queue has room for many, and is mostly empty.
type Message = Result<Box<SnapshotEvent>, RpcError>;

/// An attached proxy.
pub(super) struct Attached {
    proxies: Proxies,
    standing: Standing,
    feed: Feed,
    follow: Follow,
    machine: Proxy,
    understands: Understood,
    messages: mpsc::Sender<Message>,
    /// Which watches have something new.
    mailbox: Arc<Mailbox<WatchKey>>,
    watches: BTreeMap<Arc<WatchKey>, Shared>,
    /// The snapshot to send, unless the proxy has it already.
    latest: Option<Arc<ProxySnapshot>>,
    /// When it may go.
    due: Option<Instant>,
    /// The snapshot that the proxy has once it receives what is queued.
    sent: Option<Arc<ProxySnapshot>>,
    /// The rest of the change that is being sent.
    queued: VecDeque<SnapshotEvent>,
    /// Whether the caller is told whole snapshots.
    is_told_whole: bool,
    /// What the snapshots are made from, if the caller wants to know.
    basis: Option<Followed>,
    /// Local registrations, to know from which entries one is merged.
    merges: Option<watch::Receiver<u64>>,
}

impl Attached {
    pub(super) fn new(
        proxies: Proxies,
        (standing, feed): (Standing, Feed),
        attach: Attach,
        follow: Follow,
        messages: mpsc::Sender<Message>,
    ) -> Self {
        let proxy = ProxyId {
            scope: NodeScope::default(),
            node: standing.node.clone(),
            namespace: concord_model::Namespace::default(),
            instance: standing.id.clone(),
        };
        let datacenter = proxies.site.config.datacenter.clone();
        let machine = Proxy::new(proxy, datacenter, attach.leaf, &attach.understands);
        // Only the agent with which a proxy is registered checks through it.
        let checker = matches!(feed, Feed::Local(_)).then(|| proxies.site.config.address.parse().ok());
        let machine = machine.checked_from(checker.flatten()).sharing(proxies.parts.clone());
        let basis = attach
            .tells_basis
            .then(|| Followed::new(Basis::new(standing.service.clone(), standing.node.clone())));
        let is_local = basis.is_some() && matches!(feed, Feed::Local(_));
        let merges = is_local.then(|| proxies.local.changes());
        Self {
            proxies,
            standing,
            feed,
            follow,
            machine,
            understands: attach.understands,
            messages,
            mailbox: Mailbox::new(),
            watches: BTreeMap::new(),
            latest: None,
            due: None,
            sent: None,
            queued: VecDeque::new(),
            is_told_whole: attach.tells_whole,
            basis,
            merges,
        }
    }

    /// Runs until the proxy disconnects, its registration is removed, or it loses its rights.
    pub(super) async fn run(mut self: Box<Self>) {
        if let Err(error) = self.serve().await {
            tracing::info!(proxy = %self.standing.id, feed = ?self.feed, %error, "closing the stream of a proxy");
            // The proxy may be gone, or its queue may be full; then the end of the stream tells it.
            let _ = self.messages.try_send(Err(error));
        }
    }

    async fn serve(&mut self) -> Result<(), RpcError> {
        loop {
            let room = self.messages.clone();
            let turn = self.turn();
            let has_news = self.basis.as_ref().is_some_and(Followed::has_news);
            let waiting = self.latest.is_some() || !self.queued.is_empty() || has_news;
            tokio::select! {
                // The order of the branches: rights, new data, sending.
                biased;
                () = self.proxies.site.scope.cancelled() => return Err(RpcError::ShuttingDown),
                () = self.follow.changed() => self.check_rights()?,
                () = room.closed() => return Ok(()),
                registration = self.feed.next() => self.registration(registration?)?,
                key = self.mailbox.next() => self.read(&key)?,
                () = changed(&mut self.merges) => self.note_merged(),
                permit = permit(turn, &room), if waiting => {
                    let Ok(permit) = permit else { return Ok(()) };
                    if let Some(event) = self.next_event() {
                        permit.send(Ok(Box::new(event)));
                    }
                }
            }
        }
    }

    /// The wait of a change for its turn: what comes meanwhile becomes part of it. The rest of a change does not wait.
    fn turn(&self) -> Option<BoxFuture<'static, ()>> {
        let due = self.due.filter(|_| self.queued.is_empty())?;
        Some(self.proxies.site.world.clock.sleep_until(due))
    }

    /// The right to be a proxy of the service that it stands before now.
    fn check_rights(&self) -> Result<(), RpcError> {
        require_proxy(&self.follow.caller()?, &self.standing.service)
    }

    /// Takes what is told about the proxy itself. It may stand before another service now.
    fn registration(&mut self, News { index, event, merged }: News) -> Result<(), RpcError> {
        match &event {
            Event::Gone => return Err(unknown(&self.standing.id)),
            Event::ProxyChanged(instance) => self.standing.service = service_of(instance)?,
            _ => {}
        }
        self.check_rights()?;
        self.note_merged();
        if let Some(basis) = self.basis.as_mut().filter(|_| index > 0) {
            basis.merged(merged.map(|entries| MergedEntries { index, entries }));
        }
        self.take(event)
    }

    /// Notes from which entries the local registration is merged. That may be newer, and say the same.
    fn note_merged(&mut self) {
        let (Some(basis), Some(_)) = (&mut self.basis, &self.merges) else { return };
        let id = &self.standing.id;
        let merged = |record: &ServiceRecord| record.merged_from();
        basis.merged(self.proxies.local.look(|local| local.services.get(id).and_then(merged)));
    }

    /// Reads the newest that a watch has told. It may have been stopped meanwhile.
    fn read(&mut self, key: &Arc<WatchKey>) -> Result<(), RpcError> {
        match self.watches.get(key).and_then(Shared::latest) {
            Some(news) => self.hear(news?),
            None => Ok(()),
        }
    }

    fn hear(&mut self, News { index, event, .. }: News) -> Result<(), RpcError> {
        if let Some(basis) = &mut self.basis {
            basis.told(index, &event);
        }
        self.take(event)
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
                if let Some(basis) = &mut self.basis {
                    basis.stopped(&key);
                }
            }
            Effect::Publish(snapshot) => {
                self.require_understood(&snapshot)?;
                let now = self.proxies.site.world.clock.now();
                self.due.get_or_insert_with(|| self.proxies.rate.take(now));
                self.latest = Some(snapshot);
                if let Some(basis) = &mut self.basis {
                    basis.published();
                }
            }
            Effect::Refuse(faults) if self.machine.snapshot().is_none() => return Err(refused(&faults)),
            Effect::Refuse(faults) => {
                tracing::warn!(proxy = %self.standing.id, faults = %told(&faults), "the proxy's registration is invalid; the proxy keeps the last valid one");
            }
            Effect::Withdraw => return Err(unknown(&self.standing.id)),
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
            self.queued = match self.is_told_whole {
                true => VecDeque::from([SnapshotEvent::Whole(Arc::clone(&latest))]),
                false => SnapshotEvent::between(self.sent.as_deref(), &latest),
            };
            self.sent = Some(latest);
            self.due = None;
        }
        let next = self.queued.pop_front();
        if self.queued.is_empty() {
            // A first snapshot has many sections, and the changes after it few.
            self.queued.shrink_to_fit();
        }
        let basis = || Some(SnapshotEvent::Basis(self.basis.as_mut()?.news(self.sent.as_deref())?));
        next.or_else(basis)
    }

    fn start_watch(&mut self, key: WatchKey) {
        let shared = self.proxies.watch(self.follow.token(), key, &self.mailbox);
        self.watches.insert(Arc::clone(shared.key()), shared);
    }
}

/// Completes at the next change of what is followed.
async fn changed(followed: &mut Option<watch::Receiver<u64>>) {
    let Some(changes) = followed else { return std::future::pending().await };
    if changes.changed().await.is_err() {
        std::future::pending().await
    }
}

/// The place of a message in the queue, when it is its turn.
async fn permit<'a>(
    turn: Option<BoxFuture<'static, ()>>,
    room: &'a mpsc::Sender<Message>,
) -> Result<mpsc::Permit<'a, Message>, mpsc::error::SendError<()>> {
    if let Some(turn) = turn {
        turn.await;
    }
    room.reserve().await
}

/// Refuses a proxy that is not registered.
pub(super) fn unknown(proxy: &InstanceId) -> RpcError {
    RpcError::NotFound(format!("unknown service ID: {proxy}"))
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
