//! Leaf certificates of local services: one manager per identity, keys made on this node (D16).
//!
//! The manager ([`concord_ca::leaf::Manager`]) decides when; this makes keys, asks the servers to
//! sign and holds what was signed. Renewal goes by the clock, whether or not somebody reads, until
//! nobody has read for [`CACHE_IDLE`]. Entries are keyed by identity alone, so **every** read is
//! authorised by the caller of this module first (`service:write` on the service), and the token of
//! the latest authorised reader is the one signatures are asked for with.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use concord_ca::leaf::{Alarm, Attempt, Config, Effect, Event, Issued, Manager, SignFailure};
use concord_ca::{Csr, KeyMaker, Signer};
use concord_model::ca::{CaRoots, KeyKind, LeafCertificate};
use concord_model::{
    Datacenter, Namespace, Now, Partition, Secret, ServiceIdentity, ServiceName, SpiffeId, Timestamp,
};
use concord_proxycfg::Leaf;
use concord_rpc::request::{ReadCaRoots, SignLeaf};
use concord_rpc::{Caller, Head, RpcError, ServerApi, ServerApiExt};
use concord_runtime::{Instant, Scope, World};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::answer::CacheAnswer;
use crate::cache::{Cache, Wait};
use crate::config::AgentConfig;
use crate::limits::{
    CACHE_IDLE, CACHE_READ_ATTEMPTS, FIRST_ANSWER_WAIT, LEAF_TICK_MAX, LEAVES_MAX, REFRESH_WAIT, ROOTS_RETRY,
};

/// A signature asked for.
type Signature = BoxFuture<'static, (Attempt, Result<LeafCertificate, RpcError>)>;

/// The leaves held by this agent.
pub(crate) struct Leaves {
    datacenter: Datacenter,
    behaviour: Config,
    servers: Arc<dyn ServerApi>,
    keys: Arc<dyn KeyMaker>,
    cache: Arc<Cache>,
    world: World,
    scope: Scope,
    entries: Mutex<HashMap<ServiceName, Arc<LeafEntry>>>,
}

/// One identity's leaf, where readers and the driver meet.
#[derive(Debug)]
struct LeafEntry {
    state: watch::Sender<LeafState>,
    /// The token of the latest authorised reader.
    token: Mutex<Option<Secret>>,
    used: Mutex<Instant>,
    readers: AtomicUsize,
    /// Told by a reader who found the leaf not valid: somebody has set the clock.
    look: Notify,
}

#[derive(Debug, Default)]
struct LeafState {
    held: Option<HeldLeaf>,
    error: Option<RpcError>,
    errors: u64,
    gone: bool,
    index: u64,
}

#[derive(Clone, Debug)]
struct HeldLeaf {
    leaf: Arc<Leaf>,
    at: Instant,
}

/// A reader of an entry; while there is one the entry stays.
struct LeafReader(Arc<LeafEntry>);

/// Runs one identity's manager.
struct LeafDriver {
    leaves: Arc<Leaves>,
    service: ServiceName,
    entry: Arc<LeafEntry>,
    manager: Manager,
    roots: Option<(Arc<CaRoots>, u64)>,
    /// Keys of attempts whose answer is awaited.
    making: HashMap<Attempt, Arc<dyn Signer>>,
    /// What came for an attempt, until it is presented or dropped.
    signed: Option<(Attempt, LeafCertificate)>,
    signatures: FuturesUnordered<Signature>,
    timer: Option<Instant>,
    /// Why the last attempt failed, in full.
    error: RpcError,
}

/// What a driver woke up for.
enum Woken {
    Roots(Result<(Arc<CaRoots>, u64), RpcError>),
    Signature(Attempt, Result<LeafCertificate, RpcError>),
    Time,
    End,
}

impl fmt::Debug for Leaves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaves").field("entries", &self.entries.lock().len()).finish_non_exhaustive()
    }
}

// === impl Leaves ===

impl Leaves {
    pub(crate) fn new(
        config: &AgentConfig,
        servers: Arc<dyn ServerApi>,
        keys: Arc<dyn KeyMaker>,
        cache: Arc<Cache>,
        world: World,
        scope: Scope,
    ) -> Arc<Self> {
        Arc::new(Self {
            datacenter: config.datacenter.clone(),
            behaviour: if config.dev { Config::dev() } else { Config::default() },
            servers,
            keys,
            cache,
            world,
            scope,
            entries: Mutex::default(),
        })
    }

    /// The leaf of a service, waiting for it or for a newer one. The caller has been authorised.
    pub(crate) async fn read(
        self: &Arc<Self>,
        caller: &Caller,
        service: &ServiceName,
        mut wait: Wait,
    ) -> Result<CacheAnswer<Arc<Leaf>>, RpcError> {
        caller.require_service_write(service.as_str())?;
        // A short wait is for news; the first leaf of all has its own patience.
        let patience = self.world.clock.now() + FIRST_ANSWER_WAIT;
        let mut hit = true;
        for _ in 0..CACHE_READ_ATTEMPTS {
            let (reader, made) = self.entry(caller, service)?;
            hit = hit && !made;
            let mut changes = reader.0.state.subscribe();
            let errors = if made { 0 } else { changes.borrow().errors };
            loop {
                {
                    let state = changes.borrow_and_update();
                    if let Some(answer) = self.answer(&state, wait.index, hit) {
                        return Ok(answer);
                    }
                    if state.held.as_ref().is_some_and(|held| !self.is_valid(held)) {
                        reader.0.look.notify_one();
                    }
                    match &state.error {
                        // Refused on account of somebody else's token: try with ours.
                        Some(error) if state.errors != errors && error.is_denial() && !made => break,
                        Some(error) if state.errors != errors => return Err(error.clone()),
                        Some(_) | None if state.gone => break,
                        Some(_) | None => {}
                    }
                }
                tokio::select! {
                    // News first: a leaf that is there is not thrown away because the wait is over.
                    biased;
                    _ = changes.changed() => {}
                    () = self.world.clock.sleep_until(wait.until) => {
                        if let Some(answer) = self.answer(&changes.borrow(), 0, hit) {
                            return Ok(answer);
                        }
                        if self.world.clock.now() >= patience {
                            let late = "timed out waiting for a signed certificate";
                            return Err(RpcError::Busy(late.to_owned()));
                        }
                        wait = Wait { index: 0, until: patience };
                    }
                }
            }
        }
        Err(RpcError::Busy("the certificate was given up repeatedly, try again later".to_owned()))
    }

    /// What is held, if it is another one than that of `index`, and valid.
    fn answer(&self, state: &LeafState, index: u64, hit: bool) -> Option<CacheAnswer<Arc<Leaf>>> {
        let held = state.held.as_ref().filter(|_| state.index != index)?;
        if !self.is_valid(held) {
            return None;
        }
        let age = if hit { self.world.clock.now() - held.at } else { Duration::ZERO };
        Some(CacheAnswer { value: Arc::clone(&held.leaf), index: state.index, hit, age, filtered: false })
    }

    /// Whether a leaf is valid by the clock of this machine.
    fn is_valid(&self, held: &HeldLeaf) -> bool {
        let (wall, certificate) = (self.wall(), &held.leaf.certificate);
        certificate.valid_after <= wall && wall < certificate.valid_before
    }

    /// The entry of a service, begun if need be; whether it was.
    fn entry(
        self: &Arc<Self>,
        caller: &Caller,
        service: &ServiceName,
    ) -> Result<(LeafReader, bool), RpcError> {
        let now = self.world.clock.now();
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get(service) {
            entry.token.lock().clone_from(&caller.token);
            *entry.used.lock() = now;
            return Ok((LeafReader::new(entry), false));
        }
        if entries.len() >= LEAVES_MAX {
            return Err(RpcError::Busy(format!("at most {LEAVES_MAX} certificates are held by one agent")));
        }
        let entry = Arc::new(LeafEntry {
            state: watch::Sender::default(),
            token: Mutex::new(caller.token.clone()),
            used: Mutex::new(now),
            readers: AtomicUsize::new(0),
            look: Notify::new(),
        });
        entries.insert(service.clone(), Arc::clone(&entry));
        let reader = LeafReader::new(&entry);
        drop(entries);
        self.scope.spawn("keep a leaf", LeafDriver::new(Arc::clone(self), service.clone(), entry).run());
        Ok((reader, true))
    }

    fn forget(&self, service: &ServiceName, entry: &Arc<LeafEntry>) {
        let mut entries = self.entries.lock();
        if entries.get(service).is_some_and(|own| Arc::ptr_eq(own, entry)) {
            entries.remove(service);
        }
    }

    fn now(&self) -> Now {
        let (wall, uptime) = self.world.clock.both();
        Now { wall: Timestamp::from_nanos(wall), uptime }
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_nanos(self.world.clock.wall_nanos())
    }

    /// The roots, when they are newer than `index`.
    async fn roots(&self, cache: &Arc<Cache>, index: u64) -> Result<(Arc<CaRoots>, u64), RpcError> {
        let wait = if index == 0 { FIRST_ANSWER_WAIT } else { REFRESH_WAIT };
        let wait = Wait { index, until: self.world.clock.now() + wait };
        let answer = cache.read(&Caller::unrestricted(None), None, &ReadCaRoots {}, wait).await?;
        Ok((answer.value, answer.index))
    }
}

// === impl LeafReader ===

impl LeafReader {
    fn new(entry: &Arc<LeafEntry>) -> Self {
        entry.readers.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(entry))
    }
}

impl Drop for LeafReader {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::AcqRel);
    }
}

// === impl LeafDriver ===

impl LeafDriver {
    fn new(leaves: Arc<Leaves>, service: ServiceName, entry: Arc<LeafEntry>) -> Self {
        Self {
            manager: Manager::new(leaves.behaviour),
            leaves,
            service,
            entry,
            roots: None,
            making: HashMap::new(),
            signed: None,
            signatures: FuturesUnordered::new(),
            timer: None,
            error: RpcError::NoLeader,
        }
    }

    async fn run(mut self) {
        loop {
            match self.woken().await {
                Woken::End => {
                    self.error = RpcError::ShuttingDown;
                    return self.give_up();
                }
                Woken::Roots(Ok((roots, index))) => {
                    let first = self.roots.is_none();
                    let signing_key_id = roots.active().map(|root| root.signing_key_id.clone());
                    self.roots = Some((roots, index));
                    if let Some(signing_key_id) = signing_key_id {
                        self.take(Event::RootsChanged { signing_key_id });
                    }
                    if first {
                        self.take(Event::Wanted);
                    }
                }
                Woken::Roots(Err(error)) if self.roots.is_none() => {
                    self.error = error;
                    return self.give_up();
                }
                Woken::Roots(Err(_)) => self.leaves.world.clock.sleep(ROOTS_RETRY).await,
                Woken::Signature(attempt, answer) => self.answered(attempt, answer),
                Woken::Time => self.take(Event::Tick),
            }
            if self.entry.state.borrow().gone || self.is_idle() {
                return self.give_up();
            }
        }
    }

    async fn woken(&mut self) -> Woken {
        let (leaves, entry) = (Arc::clone(&self.leaves), Arc::clone(&self.entry));
        let index = self.roots.as_ref().map_or(0, |(_, index)| *index);
        // The wall clock may be set: it is looked at often enough to notice.
        let now = leaves.world.clock.now();
        let pause = self.timer.map_or(LEAF_TICK_MAX, |at| (at - now).min(LEAF_TICK_MAX));
        tokio::select! {
            // The end first, then answers, then the rest.
            biased;
            () = leaves.scope.cancelled() => Woken::End,
            Some((attempt, answer)) = self.signatures.next(), if !self.signatures.is_empty() => Woken::Signature(attempt, answer),
            roots = leaves.roots(&leaves.cache, index) => {
                // A wait that ended without news.
                match roots {
                    Ok((_, same)) if same == index => Woken::Time,
                    other => Woken::Roots(other),
                }
            }
            () = entry.look.notified() => Woken::Time,
            () = leaves.world.clock.sleep(pause) => Woken::Time,
        }
    }

    fn answered(&mut self, attempt: Attempt, answer: Result<LeafCertificate, RpcError>) {
        match answer {
            Ok(certificate) => {
                let issued = Issued::from(&certificate);
                self.signed = Some((attempt, certificate));
                self.take(Event::Signed(attempt, issued));
            }
            Err(error) => {
                let why = match &error {
                    RpcError::RateLimited => SignFailure::RateLimited,
                    error if error.is_denial() => SignFailure::Denied,
                    _ => SignFailure::Unreachable,
                };
                self.error = error;
                self.take(Event::Failed(attempt, why));
            }
        }
    }

    /// Gives the manager an event, and performs what follows until nothing does.
    fn take(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let mut effects = Vec::new();
            let entropy = Arc::clone(&self.leaves.world.entropy);
            self.manager.on(self.leaves.now(), event, &mut || entropy.u64(), &mut effects);
            for effect in effects {
                events.extend(self.perform(effect));
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::MakeKey(attempt) => Some(match self.leaves.keys.make(KeyKind::EcP256) {
                Ok(key) => {
                    self.making.insert(attempt, key);
                    Event::KeyMade(attempt)
                }
                Err(error) => {
                    self.error = RpcError::Internal(error.to_string());
                    Event::Failed(attempt, SignFailure::NoKey)
                }
            }),
            Effect::RequestSignature(attempt) => match self.request(attempt) {
                Ok(answer) => {
                    self.signatures.push(answer);
                    None
                }
                Err(error) => {
                    self.error = error;
                    Some(Event::Failed(attempt, SignFailure::NoKey))
                }
            },
            Effect::Publish(attempt) => {
                self.publish(attempt);
                None
            }
            Effect::Forget(attempt) => {
                self.making.remove(&attempt);
                self.signed.take_if(|(signed, _)| *signed == attempt);
                None
            }
            Effect::Withdraw => {
                self.entry.state.send_modify(|state| state.held = None);
                None
            }
            Effect::Fail(why) => {
                if why == SignFailure::NotValidNow {
                    self.error = RpcError::Internal(why.to_string());
                }
                self.fail();
                None
            }
            Effect::ArmTimer(at) => {
                self.timer = Some(Instant::from_epoch(at));
                None
            }
            Effect::Alarm(alarm) => {
                self.tell(alarm);
                None
            }
            Effect::AlarmOver => {
                tracing::info!(service = %self.service, "the leaf certificate is renewed again");
                None
            }
        }
    }

    /// Asks for a signature with the latest reader's token.
    fn request(&self, attempt: Attempt) -> Result<Signature, RpcError> {
        let internal = |error: &dyn fmt::Display| RpcError::Internal(error.to_string());
        let (Some((roots, _)), Some(key)) = (&self.roots, self.making.get(&attempt)) else {
            return Err(RpcError::CaNotReady("no roots are known yet".to_owned()));
        };
        let identity = ServiceIdentity::try_new(
            roots.trust_domain.clone(),
            Partition::default(),
            Namespace::default(),
            self.leaves.datacenter.clone(),
            self.service.clone(),
        )
        .map_err(|error| RpcError::Invalid(error.to_string()))?;
        let csr = Csr::build(&**key, &SpiffeId::Service(identity)).map_err(|error| internal(&error))?;
        let head = Head::with_token(self.entry.token.lock().clone());
        let servers = Arc::clone(&self.leaves.servers);
        Ok(Box::pin(async move {
            (attempt, servers.call(head, SignLeaf { csr }).await.map(|answer| answer.value))
        }))
    }

    fn publish(&mut self, attempt: Attempt) {
        let Some((_, certificate)) = self.signed.take_if(|(signed, _)| *signed == attempt) else { return };
        let Some(key) = self.making.remove(&attempt) else { return };
        let key = match key.private_key() {
            Ok(key) => key,
            Err(error) => {
                self.error = RpcError::Internal(error.to_string());
                return self.fail();
            }
        };
        metrics::counter!("concord_agent_leaves_issued_total").increment(1);
        let at = self.leaves.world.clock.now();
        let index = certificate.stamp.modify;
        let held = HeldLeaf { leaf: Arc::new(Leaf { certificate, key }), at };
        self.entry.state.send_modify(|state| {
            state.index = index.max(state.index + 1);
            state.held = Some(held);
            state.error = None;
        });
    }

    /// Tells those who wait for a first leaf; the next reader begins anew.
    fn fail(&mut self) {
        self.leaves.forget(&self.service, &self.entry);
        let error = self.error.clone();
        self.entry.state.send_modify(|state| {
            state.error = Some(error);
            state.errors += 1;
            state.gone = true;
        });
    }

    fn give_up(&mut self) {
        if !self.entry.state.borrow().gone {
            self.fail();
        }
    }

    fn is_idle(&self) -> bool {
        let idle = self.leaves.world.clock.now() - *self.entry.used.lock() >= CACHE_IDLE;
        idle && self.entry.readers.load(Ordering::Acquire) == 0
    }

    fn tell(&self, alarm: Alarm) {
        metrics::counter!("concord_agent_leaf_alarms_total", "alarm" => alarm.name()).increment(1);
        let (service, error) = (&self.service, &self.error);
        match alarm {
            Alarm::Expired => tracing::error!(%service, last_error = %error, "{alarm}"),
            Alarm::NotYetValid { .. } => tracing::warn!(%service, "{alarm}"),
            Alarm::Failing { .. } | Alarm::Overdue { .. } => {
                tracing::warn!(%service, last_error = %error, "{alarm}");
            }
        }
    }
}
