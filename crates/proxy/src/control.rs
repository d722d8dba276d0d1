//! The control task: follows the snapshots, starts and stops listeners, keeps the leaf fresh.
//!
//! While the agent is away the last good snapshot stands; so it does when the token is revoked,
//! until the leaf expires, for which no other will be had: then handshakes are refused. A listener
//! that could not be bound is tried again, agent or no agent.

mod leaf;
mod options;
mod status;

pub use self::options::Options;
pub use self::status::ProxyStatus;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use concord_ca::{KeyMaker, TrustBundle};
use concord_proxycfg::{BindAddress, Feature, ListenerId, ProxySnapshot, Understood, UpstreamId};
use concord_rpc::{Attach, Received, RpcError, SnapshotSource, SnapshotStream};
use concord_runtime::{Backoff, Scope, ShutdownReport, World};
use futures::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tracing::{error, info};

use crate::events::{Direction, degraded};
use crate::identity::Identity;
use crate::limits::{CONNECTIONS, DRAIN};
use crate::listen::Listener;
use crate::outbound::{self, Upstream, Way};
use crate::state::{Current, Shared};
use crate::{inbound, limits};

/// What this proxy does of a snapshot. A feature joins with the code that acts by it, not with the type that carries it.
const UNDERSTANDS: [Feature; 6] = [
    Feature::Proxy,
    Feature::Roots,
    Feature::Intentions,
    Feature::Targets,
    Feature::Chains,
    Feature::Listeners,
];

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    control: Scope,
    traffic: Scope,
    status: watch::Receiver<ProxyStatus>,
    listeners: Arc<Mutex<Listeners>>,
}

#[derive(Debug, Default)]
struct Listeners {
    /// Where the public listener should be; `None`: there is to be none.
    wanted: Option<BindAddress>,
    public: Option<Listener>,
    upstreams: BTreeMap<UpstreamId, (Option<Listener>, Arc<Upstream>)>,
}

impl Listeners {
    /// Whether a listener that should be there could not be bound.
    fn is_missing(&self) -> bool {
        let upstream = |(listener, upstream): &(Option<Listener>, Arc<Upstream>)| {
            listener.is_none() && upstream.way().bind.is_some()
        };
        let public = self.wanted.is_some() && self.public.is_none();
        public || self.upstreams.values().any(upstream)
    }
}

impl Proxy {
    /// Starts a proxy. Control runs in one scope, traffic in another, which should be on a runtime
    /// of its own: configuration must never starve connections.
    pub fn start(
        options: Options,
        source: Arc<dyn SnapshotSource>,
        keys: Arc<dyn KeyMaker>,
        world: World,
        control: Scope,
        traffic: Scope,
    ) -> Result<Self, rustls::Error> {
        let (control, traffic) = (control.child("proxy"), traffic.child("proxy"));
        let identity = Identity::new(Arc::clone(&world.clock))?;
        let shared = Shared::new(world, identity, &options.budget, CONNECTIONS, options.cut_denied);
        let (publish, status) = watch::channel(ProxyStatus::default());
        let publish = Arc::new(publish);
        let listeners = Arc::new(Mutex::new(Listeners::default()));
        let (installed, changes) = watch::channel(0u64);
        let leafs = leaf::Keeper {
            shared: Arc::clone(&shared),
            source: Arc::clone(&source),
            keys,
            options: options.clone(),
            status: Arc::clone(&publish),
        };
        control.spawn("leaf", until_cancelled(control.clone(), leafs.run(changes)));
        let refusals = Arc::clone(&shared);
        control.spawn(
            "refusals",
            until_cancelled(control.clone(), async move { refusals.refusals.run().await }),
        );
        let follower = Follower {
            shared: Arc::clone(&shared),
            source,
            options,
            traffic: traffic.clone(),
            listeners: Arc::clone(&listeners),
            status: publish,
            installed,
            unbound: Notify::new(),
        };
        control.spawn("snapshots", until_cancelled(control.clone(), follower.run()));
        Ok(Self { shared, control, traffic, status, listeners })
    }

    /// What it tells of itself, now and at each change.
    pub fn status(&self) -> watch::Receiver<ProxyStatus> {
        self.status.clone()
    }

    /// Number of connections from the mesh that are open.
    pub fn inbound_connections(&self) -> usize {
        self.shared.inbound.len()
    }

    /// Stops in two phases: listeners close at once, connections get until the soft deadline.
    pub async fn drain(self) -> ShutdownReport {
        self.traffic.cancel();
        self.control.shutdown(limits::CONTROL_STOP, limits::CONTROL_STOP).await;
        *self.listeners.lock() = Listeners::default();
        info!(connections = self.shared.inbound.len(), "draining");
        let report = self.traffic.shutdown(DRAIN, DRAIN + Duration::from_secs(1)).await;
        self.shared.refusals.end();
        report
    }
}

async fn until_cancelled(scope: Scope, work: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = scope.cancelled() => {}
        () = work => {}
    }
}

/// What the operator is told when the agent refuses the token.
const REFUSED: &str =
    "the agent refuses this proxy's token; the last configuration stands until the certificate expires";
/// The same before there was any configuration.
const REFUSED_AT_FIRST: &str = "the agent refuses this proxy's token; nothing is served until it is accepted";

/// What it is called that the agent does not tell us anything: not every agent that says no is lost.
fn turned_away(error: &RpcError) -> &'static str {
    match error {
        RpcError::NotFound(_) => "not_registered",
        error if error.is_denial() => "token_refused",
        _ => "agent_lost",
    }
}

struct Follower {
    shared: Arc<Shared>,
    source: Arc<dyn SnapshotSource>,
    options: Options,
    traffic: Scope,
    listeners: Arc<Mutex<Listeners>>,
    status: Arc<watch::Sender<ProxyStatus>>,
    installed: watch::Sender<u64>,
    /// Rung when a listener could not be bound.
    unbound: Notify,
}

impl Follower {
    async fn run(self) {
        tokio::select! {
            () = self.keep_attached() => {}
            () = self.keep_listening() => {}
        }
    }

    async fn keep_attached(&self) {
        let (first, longest) = limits::REATTACH;
        let mut backoff = Backoff::new(first, longest);
        loop {
            let attach = Attach::new(self.options.target.clone(), Understood::of(UNDERSTANDS));
            let attached = self.source.attach(attach, self.options.token.clone()).await;
            let ended = match attached {
                Ok(stream) => self.follow(stream, &mut backoff).await,
                Err(error) => error,
            };
            self.status.send_modify(|status| status.attached = false);
            if ended.is_denial() {
                error!(error = %ended, "{}", self.shared.current().map_or(REFUSED_AT_FIRST, |_| REFUSED));
            }
            degraded(turned_away(&ended), &ended);
            self.status.send_modify(|status| status.turned_away = Some(ended));
            self.shared.world.clock.sleep(backoff.next(&*self.shared.world.entropy)).await;
        }
    }

    /// Tries again to bind what could not be bound, by the last snapshot.
    async fn keep_listening(&self) {
        let (first, longest) = limits::REBIND;
        loop {
            self.unbound.notified().await;
            let mut backoff = Backoff::new(first, longest);
            while self.listeners.lock().is_missing() {
                self.shared.world.clock.sleep(backoff.next(&*self.shared.world.entropy)).await;
                if let Some(current) = self.shared.current() {
                    self.listen(&current.snapshot);
                }
            }
        }
    }

    /// Goes by what the stream says until it ends; returns why it did.
    async fn follow(&self, mut stream: SnapshotStream, backoff: &mut Backoff) -> RpcError {
        let mut received = Received::default();
        loop {
            let snapshot = match stream.next().await.unwrap_or(Err(RpcError::ShuttingDown)) {
                Ok(event) => received.take(event),
                Err(error) => return error,
            };
            let snapshot = match snapshot {
                Ok(Some(snapshot)) => snapshot.clone(),
                Ok(None) => continue,
                Err(error) => return error,
            };
            // Only now: a source that lets us attach and then says nothing is no good one.
            backoff.reset();
            self.status.send_modify(|status| (status.attached, status.turned_away) = (true, None));
            if let Err(reason) = self.install(snapshot) {
                degraded("snapshot_refused", &reason);
            }
        }
    }

    /// Goes by a snapshot: trust and identity first, then rules, then listeners.
    fn install(&self, snapshot: ProxySnapshot) -> Result<(), String> {
        let bundle = TrustBundle::from_roots(&snapshot.roots).map_err(|error| error.to_string())?;
        let identity = snapshot.identity().map_err(|error| error.to_string())?;
        let current = Current::compile(snapshot.clone()).map_err(|error| error.to_string())?;
        self.shared.identity.trust(bundle);
        self.shared.identity.speak_for(identity);
        let cut = self.shared.install(current);
        if cut > 0 {
            info!(connections = cut, "cut: an intention denies them now");
        }
        self.listen(&snapshot);
        self.installed.send_replace(snapshot.version);
        Ok(())
    }

    /// Brings the listeners to what a snapshot says.
    fn listen(&self, snapshot: &ProxySnapshot) {
        self.public(snapshot);
        self.upstreams(snapshot);
        self.status.send_modify(|status| {
            let listeners = self.listeners.lock();
            status.version = snapshot.version;
            status.takes_connections = listeners.wanted.is_some();
            status.public = listeners.public.as_ref().map(|listener| listener.address.clone());
            let upstreams = listeners.upstreams.iter();
            let bound = upstreams
                .filter_map(|(id, (listener, _))| Some((id.to_string(), listener.as_ref()?.address.clone())));
            status.upstreams = bound.collect();
        });
        if self.listeners.lock().is_missing() {
            self.unbound.notify_one();
        }
    }

    fn public(&self, snapshot: &ProxySnapshot) {
        let inbound = snapshot.inbound();
        let most = inbound.and_then(|inbound| inbound.max_connections);
        self.shared
            .inbound
            .limit(most.map_or(CONNECTIONS, |most| usize::try_from(most).unwrap_or(CONNECTIONS)));
        let wanted = inbound.map(|inbound| inbound.bind.clone());
        {
            let mut listeners = self.listeners.lock();
            listeners.public.take_if(|listener| Some(&listener.bind) != wanted.as_ref());
            listeners.wanted.clone_from(&wanted);
            if listeners.public.is_some() {
                return;
            }
        }
        let Some(bind) = wanted else { return };
        let (shared, own) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let admit = move |remote| inbound::admit(&own, remote);
        let serve = move |wire, remote, stranger| inbound::serve(Arc::clone(&shared), wire, remote, stranger);
        match Listener::start(&self.shared, &self.traffic, Direction::Inbound, bind.clone(), admit, serve) {
            Ok(listener) => {
                info!(address = %listener.address, service = %snapshot.proxy.service, "public listener");
                self.listeners.lock().public = Some(listener);
            }
            Err(error) => degraded("bind", &format!("public listener {bind}: {error}")),
        }
    }

    fn upstreams(&self, snapshot: &ProxySnapshot) {
        // First let go of what moves, for others may move there.
        let mut known = {
            let mut listeners = self.listeners.lock();
            std::mem::take(&mut listeners.upstreams)
        };
        let ways: Vec<Way> = snapshot.outbound().map(|listener| Way::of(listener, snapshot)).collect();
        known.retain(|id, _| snapshot.listeners.contains_key(&ListenerId::Upstream(id.clone())));
        for way in &ways {
            if let Some((listener, _)) = known.get_mut(&way.upstream) {
                listener.take_if(|listener| Some(&listener.bind) != way.bind.as_ref());
            }
        }
        for way in ways {
            let (id, bind) = (way.upstream.clone(), way.bind.clone());
            let (listener, upstream) = match known.remove(&id) {
                Some((listener, upstream)) => {
                    upstream.update(way);
                    (listener, upstream)
                }
                None => (None, Upstream::new(way)),
            };
            let listener = listener.or_else(|| self.upstream_listener(&id, bind, &upstream));
            self.listeners.lock().upstreams.insert(id, (listener, upstream));
        }
    }

    fn upstream_listener(
        &self,
        id: &UpstreamId,
        bind: Option<BindAddress>,
        upstream: &Arc<Upstream>,
    ) -> Option<Listener> {
        let bind = bind?;
        let (shared, own, room) = (Arc::clone(&self.shared), Arc::clone(upstream), Arc::clone(upstream));
        let admit = move |_| room.admit();
        let serve = move |wire, remote, place| {
            outbound::serve(Arc::clone(&shared), Arc::clone(&own), wire, remote, place)
        };
        match Listener::start(&self.shared, &self.traffic, Direction::Upstream, bind.clone(), admit, serve) {
            Ok(listener) => {
                if let Err(why) = &upstream.way().to {
                    degraded("upstream_refused", &format!("{id}: {why}; its connections are refused"));
                }
                info!(upstream = %id, address = %listener.address, "upstream listener");
                Some(listener)
            }
            Err(error) => {
                degraded("bind", &format!("upstream {id} at {bind}: {error}"));
                None
            }
        }
    }
}
