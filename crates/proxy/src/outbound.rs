//! Connections from the local service to an upstream.
//!
//! The balancer chooses an instance, the proxy connects to it, and the instance must prove the identity of the called
//! service. If it cannot be reached or proves another identity, the next instance is tried.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use concord_ca::verify::read_verified_leaf;
use concord_model::entry::ResolverSubset;
use concord_model::sni;
use concord_proxycfg::{
    BindAddress, CONNECT_TIMEOUT_BUILT_IN, Endpoints, Leads, OutboundListener, ProxySnapshot, Target,
    UpstreamId,
};
use concord_runtime::timeout;
use parking_lot::Mutex;
use rustls_pki_types::ServerName;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::balance::{Address, Balancer};
use crate::events::{Carrying, Direction, Reached};
use crate::identity::failed_handshake;
use crate::limits::{CONNECT_ATTEMPTS, CONNECTIONS, INSTANCE_WAIT};
use crate::live::{Live, Place};
use crate::refusals::Refused;
use crate::relay::relay;
use crate::state::{Current, Shared};
use crate::wire::{Remote, Wire};

/// One upstream of a listener.
#[derive(Debug)]
pub(crate) struct Upstream {
    way: ArcSwap<Way>,
    balancer: Mutex<Balancer>,
    live: Arc<Live>,
    /// Signalled at each change of the way.
    news: watch::Sender<()>,
}

/// Where the connections of an upstream go, according to one snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) upstream: UpstreamId,
    /// The address at which they arrive; `None`: none.
    pub(crate) bind: Option<BindAddress>,
    /// Their goal, or why there is none.
    pub(crate) to: Result<Goal, String>,
    max_connections: usize,
}

/// The goal of a way.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    target: Arc<Target>,
    connect_timeout: Duration,
}

impl Way {
    /// The way for the connections of a listener, from a snapshot.
    pub(crate) fn of(listener: &OutboundListener, snapshot: &ProxySnapshot) -> Self {
        let to = match &listener.leads {
            Leads::Refused(refusal) => Err(refusal.to_string()),
            Leads::Chain(chain) => snapshot
                .resolve(chain)
                .map(|(resolve, target)| Goal {
                    target: Arc::clone(target),
                    connect_timeout: resolve.connect_timeout.unwrap_or(CONNECT_TIMEOUT_BUILT_IN),
                })
                .ok_or_else(|| format!("nothing is known of chain {chain}")),
        };
        let most = listener.limits.max_connections;
        Self {
            upstream: listener.upstream.clone(),
            bind: listener.bind.clone(),
            to,
            max_connections: most.map_or(CONNECTIONS, |most| usize::try_from(most).unwrap_or(CONNECTIONS)),
        }
    }

    fn target(&self) -> Option<&Arc<Target>> {
        self.to.as_ref().ok().map(|goal| &goal.target)
    }
}

/// An instance with one counted connection. Dropping it counts the connection as closed.
struct Taken<'a> {
    upstream: &'a Upstream,
    address: Address,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.upstream.balancer.lock().release(&self.address);
    }
}

impl Upstream {
    pub(crate) fn new(way: Way) -> Arc<Self> {
        let own = Self {
            way: ArcSwap::from_pointee(Way { to: Err("not configured yet".to_owned()), ..way.clone() }),
            balancer: Mutex::default(),
            live: Live::new(CONNECTIONS),
            news: watch::Sender::new(()),
        };
        own.update(way);
        Arc::new(own)
    }

    /// Uses another way from now on. Open connections stay. If the target stays the same and its endpoints are not
    /// known yet, the known instances are kept.
    pub(crate) fn update(&self, way: Way) {
        let before = self.way.load_full();
        if let Some(target) =
            way.target().filter(|new| before.target().is_none_or(|old| !Arc::ptr_eq(old, new)))
        {
            let is_another = before.target().is_none_or(|old| old.id != target.id);
            match &target.endpoints {
                Some(endpoints) => self.balancer.lock().replace(usable(&target.id.subset, endpoints)),
                None if is_another => self.balancer.lock().replace([]),
                None => {}
            }
        }
        self.live.limit(way.max_connections);
        self.way.store(Arc::new(way));
        self.news.send_replace(());
    }

    /// Whether there is room for one more connection; else the reason.
    pub(crate) fn admit(&self) -> Result<Place, &'static str> {
        self.live.enter(None).ok_or("connection_limit")
    }

    /// The current way of its connections.
    pub(crate) fn way(&self) -> Arc<Way> {
        self.way.load_full()
    }

    /// The first instance for a connection. If none is known, waits for as long as a new instance may need to become
    /// known.
    async fn first(&self, shared: &Shared) -> Option<Taken<'_>> {
        let waited = async {
            let mut news = self.news.subscribe();
            loop {
                if let Some(taken) = self.take(shared, &[]) {
                    return Some(taken);
                }
                news.changed().await.ok()?;
            }
        };
        timeout(&*shared.world.clock, INSTANCE_WAIT, waited).await.unwrap_or(None)
    }

    fn take(&self, shared: &Shared, tried: &[Address]) -> Option<Taken<'_>> {
        let draw = |below: u64| shared.world.entropy.below(below);
        let address = self.balancer.lock().take(shared.world.clock.now(), tried, draw)?;
        Some(Taken { upstream: self, address })
    }
}

fn usable<'a>(of: &'a ResolverSubset, endpoints: &'a Endpoints) -> impl Iterator<Item = (Address, u32)> + 'a {
    let usable = endpoints.list.iter().filter(|endpoint| endpoint.takes_connections(of));
    usable.map(|endpoint| (Address { host: endpoint.address.clone(), port: endpoint.port }, endpoint.weight))
}

/// Handles one connection from accept to its end.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    upstream: Arc<Upstream>,
    wire: Wire,
    remote: Remote,
    _place: Place,
) {
    if let Err((reason, detail)) = attempt(&shared, &upstream, wire, remote).await {
        let direction = Direction::Upstream;
        shared.refusals.add(&Refused { direction, remote, reason, detail: &detail });
    }
}

type Failure = (&'static str, String);

async fn attempt(
    shared: &Shared,
    upstream: &Upstream,
    mut wire: Wire,
    remote: Remote,
) -> Result<(), Failure> {
    let current = shared.current().ok_or_else(|| ("no_snapshot", "not configured yet".to_owned()))?;
    let way = upstream.way();
    let goal = way.to.as_ref().map_err(|refusal| ("refused_upstream", refusal.clone()))?;
    if !shared.identity.can_present() {
        return Err(("no_leaf", "no valid certificate to present; is the agent reachable?".to_owned()));
    }
    let (mut stream, taken) = connect(shared, &current, upstream, goal).await?;
    proved(&stream, &taken.address, remote)?;
    let (own, called) = (&current.snapshot.proxy.service, &goal.target.id.service);
    let clock = Arc::clone(&shared.world.clock);
    let mut carrying = Carrying::begin(Direction::Upstream, remote, own, called, clock);
    wire.reset_on_drop(true);
    let end = relay(&mut wire, &mut stream, carrying.carried()).await;
    wire.reset_on_drop(end.is_err());
    carrying.ended(end.map_err(|error| error.to_string()));
    Ok(())
}

/// Reports the identity that answered. The handshake has verified that it is the expected one.
fn proved(stream: &TlsStream<Wire>, address: &Address, remote: Remote) -> Result<(), Failure> {
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    let leaf = leaf.ok_or_else(|| ("handshake", "no server certificate".to_owned()))?;
    let proved = read_verified_leaf(leaf).map_err(|error| ("handshake", error.to_string()))?;
    let (instance, identity) = (address.to_string(), proved.id.to_string());
    Reached { remote, instance: &instance, identity: &identity, authority: &proved.authority_key_id }.emit();
    Ok(())
}

/// Connects to one instance after the other until one proves the expected identity.
async fn connect<'u>(
    shared: &Shared,
    current: &Current,
    upstream: &'u Upstream,
    goal: &Goal,
) -> Result<(TlsStream<Wire>, Taken<'u>), Failure> {
    let mut tried: Vec<Address> = Vec::new();
    let mut last = None;
    while tried.len() < CONNECT_ATTEMPTS {
        let next =
            if tried.is_empty() { upstream.first(shared).await } else { upstream.take(shared, &tried) };
        let Some(taken) = next else { break };
        match connect_one(shared, current, goal, &taken.address).await {
            Ok(stream) => {
                upstream.balancer.lock().reached(&taken.address);
                return Ok((stream, taken));
            }
            Err((reason, detail)) => {
                metrics::counter!("concord_proxy_connect_failures_total", "reason" => reason).increment(1);
                tracing::warn!(upstream = %upstream.way().upstream, instance = %taken.address, reason, detail, "instance not reached");
                upstream.balancer.lock().eject(&taken.address, shared.world.clock.now());
                tried.push(taken.address.clone());
                last = Some((reason, detail));
            }
        }
    }
    Err(last.unwrap_or_else(|| {
        ("no_instance", format!("no healthy instance of {} is known", goal.target.id.service))
    }))
}

async fn connect_one(
    shared: &Shared,
    current: &Current,
    goal: &Goal,
    address: &Address,
) -> Result<TlsStream<Wire>, Failure> {
    let limit = goal.connect_timeout;
    let trust_domain = &current.snapshot.roots.trust_domain;
    let target = &goal.target.id;
    let name = sni::service(&target.service, None, &target.datacenter, trust_domain)
        .map_err(|error| ("sni", error.to_string()))?;
    let name = ServerName::try_from(name).map_err(|error| ("sni", error.to_string()))?;
    let config = shared.identity.client_config(trust_domain, target).map_err(|error| ("identity", error))?;
    let connecting = async {
        let wire = Wire::connect(&address.host, address.port)
            .await
            .map_err(|error| ("connect", error.to_string()))?;
        TlsConnector::from(config).connect(name, wire).await.map_err(|error| failed_handshake(&error))
    };
    let connected = timeout(&*shared.world.clock, limit, connecting).await;
    connected.unwrap_or_else(|_| Err(("connect_timeout", format!("no connection within {limit:?}"))))
}
