//! The agent's cache: asked once, refreshed in the background, authorised on every read (D8, D22).
//!
//! ```text
//! read ──► need met? ──► slot of the key ──► value there ──► shown to the caller's rights
//!            │ no            │ none: begin one task that asks and keeps asking (blocking)
//!            ▼               ▼
//!          refused         wait for it
//! ```
//!
//! What can be cached is a type that says so ([`Cached`]); from the question to the answer that type is
//! known, and only what bounds the cache does not know it (D34).
//!
//! A key is (kind, datacenter, what the caller may see, request); never the secret. Two ways keep
//! callers apart: where one right opens the whole answer ([`Shared::WhoMayAsk`]), the entry is shared
//! and that right is asked of every reader. Where servers filter by rights, the key holds the
//! reader's rights, and what is read is filtered once more by the rights the reader has *now*; an
//! entry that was filled by somebody whose rights have changed since shows nothing it should not.
//! Entries are filled with the token of the reader that caused them; when that one is refused, the
//! entry goes, and whoever still waits begins anew with their own.

mod cached;
mod health;
mod instances;
mod intentions;
mod matching;
mod roots;
mod slot;
mod table;
mod weight;

use std::sync::Arc;
use std::time::Duration;

use concord_model::{Datacenter, Secret};
use concord_rpc::{Caller, Head, Need, RpcError, ServerApi};
use concord_runtime::{Instant, Scope, World};
use parking_lot::Mutex;

pub use self::cached::{Cached, Shared};
pub(crate) use self::cached::{is_shared, need, shown};
pub use self::intentions::{IntentionSet, IntentionsTo};
use self::slot::{Pinned, Read, Slot};
use self::table::{CacheTable, Found, Key, View};
use crate::answer::CacheAnswer;
use crate::limits::{
    CACHE_IDLE, CACHE_READ_ATTEMPTS, CACHE_SWEEP, FIRST_ANSWER_WAIT, REFRESH_BYTES_PER_SECOND,
    REFRESH_DIGEST_MAX, REFRESH_DIGEST_MIN, REFRESH_PAUSE_MAX, REFRESH_RETRIES_AT_ONCE,
};
use crate::watch::{Told, Watch};

/// The cache. Owned by the agent, shared by its handles.
#[derive(Debug)]
pub(crate) struct Cache {
    servers: Servers,
    world: World,
    scope: Scope,
    table: Mutex<CacheTable>,
}

/// The servers, with something to print.
struct Servers(Arc<dyn ServerApi>);

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Servers")
    }
}

/// Until when a read waits, and for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// Answer when the index is another than this; 0: as soon as there is an answer.
    pub(crate) index: u64,
    /// Answer by then with what is there.
    pub(crate) until: Instant,
}

impl Cache {
    pub(crate) fn new(servers: Arc<dyn ServerApi>, world: World, scope: Scope, budget: usize) -> Arc<Self> {
        let table = Mutex::new(CacheTable::new(budget));
        let cache = Arc::new(Self { servers: Servers(servers), world, scope, table });
        cache.scope.spawn("sweep the cache", Arc::clone(&cache).sweep());
        cache
    }

    /// The answer if it is there now, for callers that cannot wait.
    pub(crate) fn peek<C: Cached>(
        &self,
        caller: &Caller,
        question: &C,
    ) -> Result<Option<CacheAnswer<Arc<C::Kept>>>, RpcError> {
        let need = need(question);
        caller.meet(&need)?;
        let key = key(caller, None, question, &need);
        let now = self.world.clock.now();
        let Some(pin) = self.table.lock().find(&key, now) else { return Ok(None) };
        Ok(pin.slot().read(0, now).map(|read| answer(read, question, caller, true)))
    }

    /// The answer, waiting for it or for a newer one.
    pub(crate) async fn read<C: Cached>(
        self: &Arc<Self>,
        caller: &Caller,
        datacenter: Option<&Datacenter>,
        question: &C,
        wait: Wait,
    ) -> Result<CacheAnswer<Arc<C::Kept>>, RpcError> {
        let need = need(question);
        caller.meet(&need)?;
        let mut hit = true;
        for _ in 0..CACHE_READ_ATTEMPTS {
            let (pin, made) = self.pin(caller, datacenter, question, &need)?;
            hit = hit && !made;
            match self.wait_for(&pin, wait).await {
                Ok(read) => return Ok(answer(read, question, caller, hit)),
                // Given up on account of a token: if it was ours the refusal is ours.
                Err(Waited::Gone(error)) if made => return Err(error),
                Err(Waited::Gone(_)) => {}
                Err(Waited::Failed(error)) => return Err(error),
            }
        }
        Err(RpcError::Busy("the cached answer was given up repeatedly, try again later".to_owned()))
    }

    async fn wait_for<K>(&self, pin: &Pinned<K>, mut wait: Wait) -> Result<Read<K>, Waited> {
        // A short wait is for news; the first answer of all has its own patience.
        let patience = self.world.clock.now() + FIRST_ANSWER_WAIT;
        let mut changes = pin.slot().subscribe();
        let errors = changes.borrow().errors;
        loop {
            {
                let state = changes.borrow_and_update();
                let now = self.world.clock.now();
                if let Some(read) = state.read(wait.index, now) {
                    return Ok(read);
                }
                if state.errors != errors
                    && let Some(error) = &state.error
                {
                    return Err(Waited::Failed(error.clone()));
                }
                if let Some(error) = &state.gone {
                    return Err(Waited::Gone(error.clone()));
                }
            }
            tokio::select! {
                // News first: an answer that is there is not thrown away because the wait is over.
                biased;
                _ = changes.changed() => {}
                () = self.world.clock.sleep_until(wait.until) => {
                    let now = self.world.clock.now();
                    if let Some(read) = pin.slot().read(0, now) {
                        return Ok(read);
                    }
                    if now >= patience {
                        let late = "timed out waiting for the servers' first answer";
                        return Err(Waited::Failed(RpcError::Busy(late.to_owned())));
                    }
                    wait = Wait { index: 0, until: patience };
                }
            }
        }
    }

    /// The slot for a question, begun if need be; whether it was.
    fn pin<C: Cached>(
        self: &Arc<Self>,
        caller: &Caller,
        datacenter: Option<&Datacenter>,
        question: &C,
        need: &Need,
    ) -> Result<(Pinned<C::Kept>, bool), RpcError> {
        let key = key(caller, datacenter, question, need);
        match self.table.lock().find_or_begin(&key, self.world.clock.now()) {
            Found::There(pin) => Ok((pin, false)),
            Found::Begun(pin) => {
                let token = if cached::is_public::<C>(need) { None } else { caller.token.clone() };
                let slot = Arc::clone(pin.slot());
                self.scope.spawn("keep a cached answer", Arc::clone(self).keep(key, slot, token));
                Ok((pin, true))
            }
            Found::Full => {
                metrics::counter!("concord_agent_cache_refusals_total").increment(1);
                Err(RpcError::Busy("the agent's cache is full of answers in use, try again later".to_owned()))
            }
        }
    }

    /// Asks, and keeps asking, until the entry is given up.
    async fn keep<C: Cached>(self: Arc<Self>, key: Key<C>, slot: Arc<Slot<C::Kept>>, token: Option<Secret>) {
        let head = Head {
            datacenter: key.datacenter.clone(),
            token,
            consistency: C::CONSISTENCY,
            ..Head::default()
        };
        let request = key.question.request().into_owned();
        let mut watch = Watch::new(&self.servers.0, &self.world, head, request);
        loop {
            let told = tokio::select! {
                biased;
                () = self.scope.cancelled() => return slot.give_up(RpcError::ShuttingDown),
                () = slot.given_up() => return,
                told = watch.next() => told,
            };
            match told {
                Ok(Told { answer, is_news: _ }) => {
                    let kept = key.question.keep(answer.value);
                    let bytes = C::bytes(&kept);
                    if !self.table.lock().account(&key, &slot, bytes) {
                        let full = "the agent's cache is full of answers in use, try again later";
                        return self.give_up(&key, &slot, RpcError::Busy(full.to_owned()));
                    }
                    slot.fill(kept, answer.index.max(1), answer.filtered);
                    watch.pause(digest_pause(bytes));
                }
                Err(error) if error.is_denial() => return self.give_up(&key, &slot, error),
                Err(error) => {
                    slot.fail(error.clone(), self.world.clock.now());
                    if !slot.is_filled() {
                        // An error makes no entry: the next reader asks again.
                        return self.give_up(&key, &slot, error);
                    }
                    watch.pause(refresh_pause(watch.failures(), |max| self.world.entropy.jitter(max)));
                }
            }
        }
    }

    fn give_up<C: Cached>(&self, key: &Key<C>, slot: &Arc<Slot<C::Kept>>, error: RpcError) {
        // The reason first: taking it out of the table gives a lesser one.
        slot.give_up(error);
        self.table.lock().forget(key, slot);
    }

    async fn sweep(self: Arc<Self>) {
        loop {
            tokio::select! {
                biased;
                () = self.scope.cancelled() => return,
                () = self.world.clock.sleep(CACHE_SWEEP) => {}
            }
            let mut table = self.table.lock();
            table.expire(self.world.clock.now(), CACHE_IDLE);
            let (entries, bytes) = table.load();
            metrics::gauge!("concord_agent_cache_entries").set(entries as f64);
            metrics::gauge!("concord_agent_cache_bytes").set(bytes as f64);
        }
    }

    /// How many entries there are, and how many bytes they count for.
    pub(crate) fn load(&self) -> (usize, usize) {
        self.table.lock().load()
    }
}

/// Why a wait ended without an answer.
enum Waited {
    /// The entry was given up.
    Gone(RpcError),
    /// Asking failed while we waited.
    Failed(RpcError),
}

fn key<C: Cached>(caller: &Caller, datacenter: Option<&Datacenter>, question: &C, need: &Need) -> Key<C> {
    let view = if is_shared::<C>(need) { View::All } else { View::Rights(caller.rights_key()) };
    Key { datacenter: datacenter.cloned(), view, question: question.clone() }
}

fn answer<C: Cached>(
    read: Read<C::Kept>,
    question: &C,
    caller: &Caller,
    hit: bool,
) -> CacheAnswer<Arc<C::Kept>> {
    let Read { kept, index, filtered, age } = read;
    let (value, hidden) = shown(question, kept, caller);
    CacheAnswer { value, index, hit, age, filtered: filtered || hidden }
}

/// Pause after an answer, by its size: changes that come meanwhile are fetched together. A stream of small
/// changes to something large costs servers, agent and proxies a share of their time, not all of it; what
/// changes after a quiet while is fetched at once all the same, for by then the next question waits.
fn digest_pause(bytes: usize) -> Duration {
    let nanos = (bytes as u64).saturating_mul(1_000_000_000) / REFRESH_BYTES_PER_SECOND;
    let pause = Duration::from_nanos(nanos);
    if pause < REFRESH_DIGEST_MIN { Duration::ZERO } else { pause.min(REFRESH_DIGEST_MAX) }
}

/// Pause after failures in a row, as Consul's cache has it: none at first, then doubling.
fn refresh_pause(failures: u32, jitter: impl FnOnce(Duration) -> Duration) -> Duration {
    if failures <= REFRESH_RETRIES_AT_ONCE {
        return Duration::ZERO;
    }
    let doublings = (failures - REFRESH_RETRIES_AT_ONCE).min(6);
    let pause = Duration::from_secs(1 << doublings).min(REFRESH_PAUSE_MAX);
    pause + jitter(pause)
}

#[cfg(test)]
mod tests;
