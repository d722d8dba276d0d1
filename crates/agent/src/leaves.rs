//! Leaf certificates of local services: one host per identity, with keys created on this node (D16).
//!
//! The host ([`concord_ca::leaf::Host`]) decides when to renew, and creates the keys. This module asks the servers
//! for signatures and stores the certificates. Renewal follows the clock, whether or not somebody reads, until nobody
//! has read for [`CACHE_IDLE`]. Entries are keyed by identity alone, so every read is **first** authorised here
//! (`service:write` on the service). The token of the latest authorised reader is used for signature requests.

mod entry;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use concord_ca::KeyMaker;
use concord_ca::leaf::{Alarm, Attempt, Config, Host, Input, SignFailure, Task};
use concord_model::ca::{CaRoots, LeafCertificate};
use concord_model::{Namespace, Now, Partition, ServiceIdentity, ServiceName, Timestamp, TrustDomain};
use concord_proxycfg::Leaf;
use concord_rpc::request::{ReadCaRoots, SignLeaf};
use concord_rpc::{Caller, Head, RpcError, ServerApi, ServerApiExt};
use concord_runtime::Instant;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;

use self::entry::{LeafEntry, LeafReader};
use crate::answer::CacheAnswer;
use crate::cache::{Cache, Wait};
use crate::limits::{
    CACHE_READ_ATTEMPTS, FIRST_ANSWER_WAIT, LEAF_TICK_MAX, LEAVES_MAX, REFRESH_WAIT, ROOTS_RETRY,
};
use crate::site::Site;

/// A pending signature request.
type Signature = BoxFuture<'static, (Attempt, Result<LeafCertificate, RpcError>)>;

/// The leaf certificates of this agent.
pub(crate) struct Leaves {
    site: Site,
    servers: Arc<dyn ServerApi>,
    keys: Arc<dyn KeyMaker>,
    cache: Arc<Cache>,
    entries: Mutex<HashMap<ServiceName, Arc<LeafEntry>>>,
}

/// Runs the host of one identity.
struct LeafDriver {
    leaves: Arc<Leaves>,
    service: ServiceName,
    entry: Arc<LeafEntry>,
    /// Exists once the roots are known, because they name the trust domain.
    host: Option<Host>,
    /// The index of the roots.
    index: u64,
    signatures: FuturesUnordered<Signature>,
    /// The full error of the last attempt.
    error: RpcError,
}

/// Why a driver woke up.
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
        site: Site,
        servers: Arc<dyn ServerApi>,
        keys: Arc<dyn KeyMaker>,
        cache: Arc<Cache>,
    ) -> Arc<Self> {
        Arc::new(Self { site, servers, keys, cache, entries: Mutex::default() })
    }

    /// The leaf of a service. Waits for the first one, or for a newer one. Checks the caller's right.
    pub(crate) async fn read(
        self: &Arc<Self>,
        caller: &Caller,
        service: &ServiceName,
        mut wait: Wait,
    ) -> Result<CacheAnswer<Arc<Leaf>>, RpcError> {
        caller.require_service_write(service.as_str())?;
        // `wait.until` limits the wait for a change. The first leaf has its own time limit.
        let patience = self.site.world.clock.now() + FIRST_ANSWER_WAIT;
        let mut hit = true;
        for _ in 0..CACHE_READ_ATTEMPTS {
            let (reader, made) = self.entry(caller, service)?;
            hit = hit && !made;
            let mut changes = reader.subscribe();
            let errors = if made { 0 } else { changes.borrow().errors };
            loop {
                {
                    let state = changes.borrow_and_update();
                    if let Some(answer) = state.answer(wait.index, hit, self.now()) {
                        return Ok(answer);
                    }
                    if state.is_held_in_vain(self.now()) {
                        reader.look();
                    }
                    match &state.error {
                        // The request was refused because of another reader's token: try again with our own.
                        Some(error) if state.errors != errors && error.is_denial() && !made => break,
                        Some(error) if state.errors != errors => return Err(error.clone()),
                        Some(_) | None if state.gone => break,
                        Some(_) | None => {}
                    }
                }
                tokio::select! {
                    // Check for a new leaf before the timers, so that a leaf that has just come is not lost to the
                    // end of the wait.
                    biased;
                    _ = changes.changed() => {}
                    () = self.site.world.clock.sleep_until(wait.until) => {
                        if let Some(answer) = changes.borrow().answer(0, hit, self.now()) {
                            return Ok(answer);
                        }
                        if self.site.world.clock.now() >= patience {
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

    /// The entry of a service; begins a new one if needed. The flag says whether it is new.
    fn entry(
        self: &Arc<Self>,
        caller: &Caller,
        service: &ServiceName,
    ) -> Result<(LeafReader, bool), RpcError> {
        let now = self.site.world.clock.now();
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get(service) {
            entry.used_by(caller.token.clone(), now);
            return Ok((LeafReader::new(entry), false));
        }
        if entries.len() >= LEAVES_MAX {
            return Err(RpcError::Busy(format!("at most {LEAVES_MAX} certificates are held by one agent")));
        }
        let entry = LeafEntry::new(caller.token.clone(), now);
        entries.insert(service.clone(), Arc::clone(&entry));
        let reader = LeafReader::new(&entry);
        drop(entries);
        self.site.scope.spawn("keep a leaf", LeafDriver::new(Arc::clone(self), service.clone(), entry).run());
        Ok((reader, true))
    }

    fn forget(&self, service: &ServiceName, entry: &Arc<LeafEntry>) {
        let mut entries = self.entries.lock();
        if entries.get(service).is_some_and(|own| Arc::ptr_eq(own, entry)) {
            entries.remove(service);
        }
    }

    fn now(&self) -> Now {
        let (wall, uptime) = self.site.world.clock.both();
        Now { wall: Timestamp::from_nanos(wall), uptime }
    }

    /// The roots, once they are newer than `index`.
    async fn roots(&self, cache: &Arc<Cache>, index: u64) -> Result<(Arc<CaRoots>, u64), RpcError> {
        let wait = if index == 0 { FIRST_ANSWER_WAIT } else { REFRESH_WAIT };
        let wait = Wait { index, until: self.site.world.clock.now() + wait };
        let answer = cache.read(&Caller::unrestricted(None), None, &ReadCaRoots {}, wait).await?;
        Ok((answer.value, answer.index))
    }
}

// === impl LeafDriver ===

impl LeafDriver {
    fn new(leaves: Arc<Leaves>, service: ServiceName, entry: Arc<LeafEntry>) -> Self {
        Self {
            leaves,
            service,
            entry,
            host: None,
            index: 0,
            signatures: FuturesUnordered::new(),
            error: RpcError::NoLeader,
        }
    }

    async fn run(mut self) {
        if let Err(error) = self.drive().await {
            self.error = error;
        }
        if !self.entry.is_gone() {
            self.fail();
        }
    }

    /// Maintains the leaf until nobody needs it. An error is a reason to stop that is not a failure of the leaf.
    async fn drive(&mut self) -> Result<(), RpcError> {
        while !self.entry.is_gone() && !self.is_idle() {
            match self.woken().await {
                Woken::End => return Err(RpcError::ShuttingDown),
                Woken::Roots(Ok((roots, index))) => {
                    self.index = index;
                    self.roots_changed(roots)?;
                }
                Woken::Roots(Err(error)) if self.host.is_none() => return Err(error),
                Woken::Roots(Err(_)) => self.leaves.site.world.clock.sleep(ROOTS_RETRY).await,
                Woken::Signature(attempt, answer) => self.answered(attempt, answer),
                Woken::Time => self.feed(Input::Tick),
            }
        }
        Ok(())
    }

    async fn woken(&mut self) -> Woken {
        let (leaves, entry) = (Arc::clone(&self.leaves), Arc::clone(&self.entry));
        // Somebody may set the wall clock, so check it often.
        let (now, timer) = (leaves.site.world.clock.now(), self.host.as_ref().and_then(Host::timer));
        let pause = timer.map_or(LEAF_TICK_MAX, |at| (Instant::from_epoch(at) - now).min(LEAF_TICK_MAX));
        tokio::select! {
            // The order of the branches: end of the scope, signatures, everything else.
            biased;
            () = leaves.site.scope.cancelled() => Woken::End,
            Some((attempt, answer)) = self.signatures.next(), if !self.signatures.is_empty() => Woken::Signature(attempt, answer),
            roots = leaves.roots(&leaves.cache, self.index) => {
                // The wait ended without new roots.
                match roots {
                    Ok((_, same)) if same == self.index => Woken::Time,
                    other => Woken::Roots(other),
                }
            }
            () = entry.looked_at() => Woken::Time,
            () = leaves.site.world.clock.sleep(pause) => Woken::Time,
        }
    }

    fn roots_changed(&mut self, roots: Arc<CaRoots>) -> Result<(), RpcError> {
        let identity = self.identity(&roots.trust_domain)?;
        if self.host.as_ref().is_none_or(|host| host.identity().service() != Some(&identity)) {
            let keys = Arc::clone(&self.leaves.keys);
            let behaviour = if self.leaves.site.config.dev { Config::dev() } else { Config::default() };
            self.host = Some(Host::new(identity, behaviour, keys));
            self.signatures.clear();
        }
        self.feed(Input::Roots(roots));
        self.feed(Input::Wanted);
        Ok(())
    }

    fn identity(&self, trust_domain: &TrustDomain) -> Result<ServiceIdentity, RpcError> {
        ServiceIdentity::try_new(
            trust_domain.clone(),
            Partition::default(),
            Namespace::default(),
            self.leaves.site.config.datacenter.clone(),
            self.service.clone(),
        )
        .map_err(|error| RpcError::Invalid(error.to_string()))
    }

    fn answered(&mut self, attempt: Attempt, answer: Result<LeafCertificate, RpcError>) {
        let outcome = answer.map_err(|error| {
            let why = match &error {
                RpcError::RateLimited => SignFailure::RateLimited,
                error if error.is_denial() => SignFailure::Denied,
                _ => SignFailure::Unreachable,
            };
            self.error = error;
            why
        });
        self.feed(Input::Answered(attempt, outcome));
    }

    fn feed(&mut self, input: Input) {
        let Some(host) = &mut self.host else { return };
        let (mut tasks, world) = (Vec::new(), &self.leaves.site.world);
        host.on(self.leaves.now(), input, &mut || world.entropy.u64(), &mut tasks);
        for task in tasks {
            self.perform(task);
        }
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::Sign { attempt, csr } => self.sign(attempt, csr),
            Task::Present { certificate, key } => self.present(Leaf { certificate: *certificate, key }),
            Task::Withdraw => self.entry.withdraw(),
            Task::Trouble(error) => self.error = RpcError::Internal(error.to_string()),
            Task::Fail(why) => {
                if why == SignFailure::NotValidNow {
                    self.error = RpcError::Internal(why.to_string());
                }
                self.fail();
            }
            Task::Alarm(alarm) => self.tell(alarm),
            Task::AlarmOver => {
                tracing::info!(service = %self.service, "renewal of the leaf certificate works again");
            }
        }
    }

    /// Sends a signature request with the latest reader's token.
    fn sign(&mut self, attempt: Attempt, csr: String) {
        let head = Head::with_token(self.entry.token());
        let servers = Arc::clone(&self.leaves.servers);
        self.signatures.clear();
        self.signatures.push(Box::pin(async move {
            (attempt, servers.call(head, SignLeaf { csr }).await.map(|answer| answer.value))
        }));
    }

    fn present(&mut self, leaf: Leaf) {
        metrics::counter!("concord_agent_leaves_issued_total").increment(1);
        self.entry.present(leaf, self.leaves.site.world.clock.now());
    }

    /// Reports the error to readers that wait for a first leaf. The next reader begins anew.
    fn fail(&mut self) {
        self.leaves.forget(&self.service, &self.entry);
        self.entry.give_up(self.error.clone());
    }

    fn is_idle(&self) -> bool {
        self.entry.is_idle(self.leaves.site.world.clock.now())
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
