//! The control task: follows the snapshots, starts and stops listeners, and renews the leaf.
//!
//! While the agent is away, the last valid snapshot is used. The same holds when the token is revoked, until the leaf
//! expires: no new leaf will be issued, so handshakes are then refused. A listener that could not be bound is tried
//! again, with or without an agent.

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

/// The features of a snapshot that this proxy implements. A feature is added together with the code that implements
/// it, not with the type that carries it.
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
    /// The address that the public listener should have; `None`: no public listener.
    wanted: Option<BindAddress>,
    public: Option<Listener>,
    upstreams: BTreeMap<UpstreamId, (Option<Listener>, Arc<Upstream>)>,
}

impl Listeners {
    /// Whether a wanted listener could not be bound.
    fn is_missing(&self) -> bool {
        let upstream = |(listener, upstream): &(Option<Listener>, Arc<Upstream>)| {
            listener.is_none() && upstream.way().bind.is_some()
        };
        let public = self.wanted.is_some() && self.public.is_none();
        public || self.upstreams.values().any(upstream)
    }
}

impl Proxy {
    /// Starts a proxy. Control and traffic run in separate scopes. The traffic scope should have its own runtime, so
    /// that configuration can never starve connections.
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

    /// The status of the proxy, now and at each change.
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

/// The message for the operator if the agent refuses the token.
const REFUSED: &str =
    "the agent refuses this proxy's token; the last configuration stands until the certificate expires";
/// The same before the first configuration.
const REFUSED_AT_FIRST: &str = "the agent refuses this proxy's token; nothing is served until it is accepted";

/// The name of the state in which the agent sends nothing: an agent that refuses is not an agent that is lost.
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
    /// Signalled when a listener could not be bound.
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

    /// Tries again to bind missing listeners, using the last snapshot.
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

    /// Applies the messages of the stream until it ends. Returns the reason of the end.
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
            // Reset only now: a source that accepts the attachment but sends nothing has not succeeded.
            backoff.reset();
            self.status.send_modify(|status| (status.attached, status.turned_away) = (true, None));
            if let Err(reason) = self.install(snapshot) {
                degraded("snapshot_refused", &reason);
            }
        }
    }

    /// Applies a snapshot: first trust and identity, then rules, then listeners.
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

    /// Adjusts the listeners to a snapshot.
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
        // Close the listeners that move first, because others may move to their addresses.
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
