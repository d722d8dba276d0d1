//! The agent's cache: each question is sent to the servers once, refreshed in the background, and authorised on every
//! read (D8, D22).
//!
//! ```text
//! read ──► need met? ──► slot of the key ──► value there ──► shown to the caller's rights
//!            │ no            │ none: begin one task that asks and keeps asking (blocking)
//!            ▼               ▼
//!          refused         wait for it
//! ```
//!
//! Each question that can be cached is a type that implements [`Cached`]. The type is known from the question to the
//! answer; only the code that limits the cache works without it (D34).
//!
//! A key consists of the kind, the datacenter, what the caller may see, and the request. It never contains the
//! secret. Two rules keep callers apart. If one right opens the whole answer ([`Shared::WhoMayAsk`]), all readers
//! share the entry, and every reader must have that right. If servers filter the answer by rights, the key contains
//! the reader's rights, and the answer is filtered again by the rights that the reader has *now*. So a reader whose
//! rights have changed sees nothing that it may not see. An entry is filled with the token of the reader that caused
//! it. If that token is refused, the entry is removed, and the other waiting readers begin a new one with their own
//! tokens.

mod cached;
mod chain;
mod entry;
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
use concord_runtime::Instant;
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
use crate::site::Site;
use crate::watch::{Told, Watch};

/// The cache. The agent owns it, and its handles share it.
#[derive(Debug)]
pub(crate) struct Cache {
    site: Site,
    servers: Servers,
    table: Mutex<CacheTable>,
}

/// The servers, with a `Debug` implementation.
struct Servers(Arc<dyn ServerApi>);

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Servers")
    }
}

/// How long a read waits, and for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// Answer when the index differs from this one. 0: answer as soon as there is a value.
    pub(crate) index: u64,
    /// At this time, answer with the current value.
    pub(crate) until: Instant,
}

impl Cache {
    pub(crate) fn new(site: Site, servers: Arc<dyn ServerApi>) -> Arc<Self> {
        let table = Mutex::new(CacheTable::new(site.config.cache_bytes));
        let cache = Arc::new(Self { site, servers: Servers(servers), table });
        cache.site.scope.spawn("sweep the cache", Arc::clone(&cache).sweep());
        cache
    }

    /// The answer if the cache has it now, for callers that cannot wait.
    pub(crate) fn peek<C: Cached>(
        &self,
        caller: &Caller,
        question: &C,
    ) -> Result<Option<CacheAnswer<Arc<C::Kept>>>, RpcError> {
        let need = need(question);
        caller.meet(&need)?;
        let key = key(caller, None, question, &need);
        let now = self.site.world.clock.now();
        let Some(pin) = self.table.lock().find(&key, now) else { return Ok(None) };
        Ok(pin.slot().read(0, now).map(|read| answer(read, question, caller, true)))
    }

    /// The answer. Waits for the first one, or for a newer one.
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
                // The entry was removed because its token was refused. If this read began the entry, the refused
                // token is its own.
                Err(Waited::Gone(error)) if made => return Err(error),
                Err(Waited::Gone(_)) => {}
                Err(Waited::Failed(error)) => return Err(error),
            }
        }
        Err(RpcError::Busy("the cached answer was given up repeatedly, try again later".to_owned()))
    }

    async fn wait_for<K>(&self, pin: &Pinned<K>, mut wait: Wait) -> Result<Read<K>, Waited> {
        // `wait.until` limits the wait for a change. The first answer has its own time limit.
        let patience = self.site.world.clock.now() + FIRST_ANSWER_WAIT;
        let mut changes = pin.slot().subscribe();
        let errors = changes.borrow().errors;
        loop {
            {
                let state = changes.borrow_and_update();
                let now = self.site.world.clock.now();
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
                // Check for a new answer before the timers, so that an answer that has just come is not lost to the
                // end of the wait.
                biased;
                _ = changes.changed() => {}
                () = self.site.world.clock.sleep_until(wait.until) => {
                    let now = self.site.world.clock.now();
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

    /// The slot for a question; begins a new one if needed. The flag says whether it is new.
    fn pin<C: Cached>(
        self: &Arc<Self>,
        caller: &Caller,
        datacenter: Option<&Datacenter>,
        question: &C,
        need: &Need,
    ) -> Result<(Pinned<C::Kept>, bool), RpcError> {
        let key = key(caller, datacenter, question, need);
        match self.table.lock().find_or_begin(&key, self.site.world.clock.now()) {
            Found::There(pin) => Ok((pin, false)),
            Found::Begun(pin) => {
                let token = if cached::is_public::<C>(need) { None } else { caller.token.clone() };
                let slot = Arc::clone(pin.slot());
                self.site.scope.spawn("keep a cached answer", Arc::clone(self).keep(key, slot, token));
                Ok((pin, true))
            }
            Found::Full => {
                metrics::counter!("concord_agent_cache_refusals_total").increment(1);
                Err(RpcError::Busy("the agent's cache is full of answers in use, try again later".to_owned()))
            }
        }
    }

    /// Asks the servers again and again until the entry is removed.
    async fn keep<C: Cached>(self: Arc<Self>, key: Key<C>, slot: Arc<Slot<C::Kept>>, token: Option<Secret>) {
        let head = Head {
            datacenter: key.datacenter.clone(),
            token,
            consistency: C::CONSISTENCY,
            ..Head::default()
        };
        let request = key.question.request().into_owned();
        let mut watch = Watch::new(&self.servers.0, &self.site.world, head, request);
        loop {
            let told = tokio::select! {
                biased;
                () = self.site.scope.cancelled() => return slot.give_up(RpcError::ShuttingDown),
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
                    slot.fail(error.clone(), self.site.world.clock.now());
                    if !slot.is_filled() {
                        // An error is not cached: the next reader asks again.
                        return self.give_up(&key, &slot, error);
                    }
                    watch.pause(refresh_pause(watch.failures(), |max| self.site.world.entropy.jitter(max)));
                }
            }
        }
    }

    fn give_up<C: Cached>(&self, key: &Key<C>, slot: &Arc<Slot<C::Kept>>, error: RpcError) {
        // Set the real reason first, because removing the entry from the table sets a less exact one.
        slot.give_up(error);
        self.table.lock().forget(key, slot);
    }

    async fn sweep(self: Arc<Self>) {
        loop {
            tokio::select! {
                biased;
                () = self.site.scope.cancelled() => return,
                () = self.site.world.clock.sleep(CACHE_SWEEP) => {}
            }
            let mut table = self.table.lock();
            table.expire(self.site.world.clock.now(), CACHE_IDLE);
            let (entries, bytes) = table.load();
            metrics::gauge!("concord_agent_cache_entries").set(entries as f64);
            metrics::gauge!("concord_agent_cache_bytes").set(bytes as f64);
        }
    }

    /// Number of entries, and the bytes that they count for.
    pub(crate) fn load(&self) -> (usize, usize) {
        self.table.lock().load()
    }
}

/// Why a wait ended without an answer.
enum Waited {
    /// The entry was removed.
    Gone(RpcError),
    /// The request failed during the wait.
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
    // The servers leave out what these rights do not open. If there is something left to hide, they answered by
    // rights that have been widened since. A wait for the next answer must not pass over that.
    let outdated = hidden && !is_shared::<C>(&need(question));
    let index = if outdated { (index - 1).max(1) } else { index };
    CacheAnswer { value, index, hit, age, filtered: filtered || hidden, outdated }
}

/// Pause after an answer, in proportion to its size. Changes during the pause are fetched together. So a series of
/// small changes to a large answer costs servers, agent and proxies only part of their time. A change after a quiet
/// time is still fetched at once, because the next request is already waiting by then.
fn digest_pause(bytes: usize) -> Duration {
    let nanos = (bytes as u64).saturating_mul(1_000_000_000) / REFRESH_BYTES_PER_SECOND;
    let pause = Duration::from_nanos(nanos);
    if pause < REFRESH_DIGEST_MIN { Duration::ZERO } else { pause.min(REFRESH_DIGEST_MAX) }
}

/// Pause after several failures in a row, as in Consul's cache: none at first, then doubling.
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
