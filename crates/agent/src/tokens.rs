//! Resolves tokens to callers, caches the result for a while, and watches tokens while somebody waits.
//!
//! The servers are asked once per token and [`AgentConfig::token_ttl`](crate::AgentConfig::token_ttl), and again after any change of a token or policy
//! ([`changes`]). A token with open streams or blocking reads is also watched, so that its revocation ends them at
//! once. Unknown tokens are remembered only briefly. While no server answers, [`DownPolicy`] decides whether known
//! tokens remain valid; unknown ones are refused.

mod changes;
mod table;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use concord_config::section::DownPolicy;
use concord_model::{Secret, Timestamp};
use concord_rpc::request::ResolveToken;
use concord_rpc::{Caller, Head, RpcError, ServerApi, ServerApiExt};
use concord_runtime::Counted;
use futures::FutureExt;
use futures::future::{BoxFuture, WeakShared};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

pub(crate) use self::changes::PassedOn;
use self::table::{Epoch, KnownTokens, Look};
use crate::caller::{Resolved, TokenKey};
use crate::limits::{FOLLOWS_MAX, RESOLVES_MAX, RESOLVES_WAITING_MAX};
use crate::site::Site;
use crate::watch::{Told, Watch};

type Outcome = Result<Arc<Resolved>, RpcError>;
type Flight = BoxFuture<'static, Outcome>;

/// Resolves tokens.
pub(crate) struct Tokens {
    site: Site,
    servers: Arc<dyn ServerApi>,
    table: Mutex<KnownTokens>,
    flights: Mutex<HashMap<TokenKey, WeakShared<Flight>>>,
    follows: Mutex<HashMap<TokenKey, Arc<watch::Sender<Outcome>>>>,
    turns: Semaphore,
    waiting: AtomicUsize,
}

/// The rights of a token, with notification of changes.
#[derive(Debug)]
pub(crate) struct Follow {
    tokens: Arc<Tokens>,
    token: Option<Secret>,
    /// `None` while ACLs are off, because then nothing changes.
    rights: Option<watch::Receiver<Outcome>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("settings", &self.site.config.acl).finish_non_exhaustive()
    }
}

// === impl Tokens ===

impl Tokens {
    pub(crate) fn new(site: Site, servers: Arc<dyn ServerApi>) -> Self {
        Self {
            table: Mutex::new(KnownTokens::new(site.config.token_ttl())),
            site,
            servers,
            flights: Mutex::default(),
            follows: Mutex::default(),
            turns: Semaphore::new(RESOLVES_MAX),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Starts to watch for changes, if ACLs are enabled.
    pub(crate) fn begin(self: &Arc<Self>) {
        if self.site.config.acl.enabled {
            self.site.scope.spawn("hear of changed tokens", Arc::clone(self).watch_changes());
        }
    }

    /// The caller with this token, if the agent knows it already.
    pub(crate) fn known(&self, token: Option<&Secret>) -> Option<Caller> {
        if !self.site.config.acl.enabled {
            return Some(Caller::unrestricted(token.cloned()));
        }
        match self.table.lock().look(&TokenKey::of(token), self.site.world.clock.now()) {
            Look::Fresh(resolved) if resolved.is_valid_at(self.wall()) => Some(resolved.caller(token)),
            Look::Fresh(_) | Look::Stale(_) | Look::Outdated(_) | Look::Unknown(_) | Look::Missing => None,
        }
    }

    /// The caller with this token; asks the servers if needed.
    pub(crate) async fn resolve(self: &Arc<Self>, token: Option<&Secret>) -> Result<Caller, RpcError> {
        if !self.site.config.acl.enabled {
            return Ok(Caller::unrestricted(token.cloned()));
        }
        let key = TokenKey::of(token);
        let look = self.table.lock().look(&key, self.site.world.clock.now());
        let (stale, late) = match look {
            Look::Fresh(resolved) => return self.caller(&resolved, token),
            Look::Unknown(refusal) => return Err(refusal),
            Look::Stale(resolved) => (Some(resolved), true),
            Look::Outdated(resolved) => (Some(resolved), false),
            Look::Missing => (None, false),
        };
        let policy = self.site.config.acl.down_policy;
        // Not for outdated rights: after a change only a new answer counts.
        if let Some(resolved) = stale.as_ref().filter(|_| late && policy == DownPolicy::AsyncCache) {
            self.ask_aside(key, token);
            return self.caller(resolved, token);
        }
        let stale = stale.filter(|_| policy != DownPolicy::Deny);
        match (self.ask(key, token).await, stale) {
            (Ok(resolved), _) => self.caller(&resolved, token),
            (Err(error), Some(resolved)) if error.is_retryable() => {
                tracing::debug!(%error, "no server resolves tokens; using the last known rights");
                self.caller(&resolved, token)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Follows a caller's rights.
    pub(crate) fn follow(self: &Arc<Self>, caller: &Caller) -> Result<Follow, RpcError> {
        let token = caller.token.clone();
        let Some(accessor) = caller.accessor.filter(|_| self.site.config.acl.enabled) else {
            return Ok(Follow { tokens: Arc::clone(self), token, rights: None });
        };
        let key = TokenKey::of(token.as_ref());
        let mut follows = self.follows.lock();
        // Do not share a watch that ended with a refusal: the token is known again. Do not share one that has not yet
        // seen the rights that this caller was resolved with, either.
        let same = |told: &Outcome| {
            told.as_ref().is_ok_and(|known| known.rights.version() == caller.rights.version())
        };
        if let Some(sender) = follows.get(&key).filter(|sender| same(&sender.borrow())) {
            return Ok(Follow { tokens: Arc::clone(self), token, rights: Some(sender.subscribe()) });
        }
        if follows.len() >= FOLLOWS_MAX {
            return Err(RpcError::Busy(
                "too many tokens with blocking reads at this agent, try again later".to_owned(),
            ));
        }
        let expires_at = match self.table.lock().look(&key, self.site.world.clock.now()) {
            Look::Fresh(known) | Look::Stale(known) | Look::Outdated(known) => known.expires_at,
            Look::Unknown(_) | Look::Missing => None,
        };
        let resolved = Resolved { accessor, rights: caller.rights.clone(), expires_at };
        let (sender, rights) = watch::channel(Ok(Arc::new(resolved)));
        let sender = Arc::new(sender);
        follows.insert(key, Arc::clone(&sender));
        drop(follows);
        self.site.scope.spawn("follow a token", Arc::clone(self).keep_following(key, token.clone(), sender));
        Ok(Follow { tokens: Arc::clone(self), token, rights: Some(rights) })
    }

    fn caller(&self, resolved: &Resolved, token: Option<&Secret>) -> Result<Caller, RpcError> {
        if !resolved.is_valid_at(self.wall()) {
            return Err(RpcError::TokenNotFound);
        }
        Ok(resolved.caller(token))
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_nanos(self.site.world.clock.wall_nanos())
    }

    /// Asks the servers. Concurrent questions about the same token share one request.
    async fn ask(self: &Arc<Self>, key: TokenKey, token: Option<&Secret>) -> Outcome {
        let flight = {
            let mut flights = self.flights.lock();
            match flights.get(&key).and_then(WeakShared::upgrade) {
                Some(flight) => flight,
                None => {
                    let flight = Arc::clone(self).ask_servers(key, token.cloned()).boxed().shared();
                    flights.retain(|_, flight| flight.upgrade().is_some());
                    if let Some(weak) = flight.downgrade() {
                        flights.insert(key, weak);
                    }
                    flight
                }
            }
        };
        flight.await
    }

    /// Asks in the background, unless a request is already running.
    fn ask_aside(self: &Arc<Self>, key: TokenKey, token: Option<&Secret>) {
        if self.flights.lock().get(&key).is_some_and(|flight| flight.upgrade().is_some()) {
            return;
        }
        let (tokens, token) = (Arc::clone(self), token.cloned());
        self.site.scope.spawn("ask for a token", async move {
            let _ = tokens.ask(key, token.as_ref()).await;
        });
    }

    async fn ask_servers(self: Arc<Self>, key: TokenKey, token: Option<Secret>) -> Outcome {
        let waiting = Counted::below(RESOLVES_WAITING_MAX, &self.waiting).ok_or_else(|| {
            RpcError::Busy("too many tokens to resolve at this agent, try again later".to_owned())
        })?;
        let _turn = self.turns.acquire().await.map_err(|_| RpcError::ShuttingDown)?;
        drop(waiting);
        let epoch = self.table.lock().epoch();
        let answer = self.servers.call(Head::with_token(token), ResolveToken {}).await;
        let outcome = answer.map(|answer| {
            (Arc::new(Resolved::build(&answer.value, self.site.config.acl.default_policy)), answer.index)
        });
        self.learn(key, epoch, outcome)
    }

    fn learn(&self, key: TokenKey, epoch: Epoch, outcome: Result<(Arc<Resolved>, u64), RpcError>) -> Outcome {
        let now = self.site.world.clock.now();
        match outcome {
            Ok((resolved, index)) => {
                self.table.lock().learn(key, &resolved, index, epoch, now);
                Ok(resolved)
            }
            Err(error) if error.is_denial() => {
                let refusal =
                    if error == RpcError::NotBootstrapped { error } else { RpcError::TokenNotFound };
                self.table.lock().refuse(key, refusal.clone(), epoch, now);
                Err(refusal)
            }
            Err(error) => Err(error),
        }
    }

    /// Watches one token until nobody follows it.
    async fn keep_following(
        self: Arc<Self>,
        key: TokenKey,
        token: Option<Secret>,
        sender: Arc<watch::Sender<Outcome>>,
    ) {
        let mut watch = Watch::new(&self.servers, &self.site.world, Head::with_token(token), ResolveToken {});
        loop {
            let ask = async {
                watch.ready().await;
                // The answer counts for the epoch in which the question was asked.
                let epoch = self.table.lock().epoch();
                (epoch, watch.ask().await)
            };
            let (epoch, told) = tokio::select! {
                // The order of the branches: end of the scope, no followers left, new answer.
                biased;
                () = self.site.scope.cancelled() => return,
                () = sender.closed() => {
                    if self.stop_following(&key, &sender) { return }
                    continue;
                }
                told = ask => told,
            };
            match told {
                Ok(Told { answer, is_news: _ }) => {
                    let resolved =
                        Arc::new(Resolved::build(&answer.value, self.site.config.acl.default_policy));
                    let told = self.learn(key, epoch, Ok((resolved, answer.index)));
                    sender.send_if_modified(|last| replace_if_new(last, told));
                }
                Err(error) if error.is_denial() || self.site.config.acl.down_policy == DownPolicy::Deny => {
                    let told = self.learn(key, epoch, Err(error));
                    let _ = sender.send_replace(told);
                    tokio::select! {
                        biased;
                        () = self.site.scope.cancelled() => return,
                        () = sender.closed() => {}
                    }
                    if self.stop_following(&key, &sender) {
                        return;
                    }
                    watch.restart();
                }
                Err(_) => {}
            }
        }
    }

    /// Removes the token's watch, unless a new follower has come in the meantime.
    fn stop_following(&self, key: &TokenKey, sender: &Arc<watch::Sender<Outcome>>) -> bool {
        let mut follows = self.follows.lock();
        let nobody = sender.receiver_count() == 0;
        if nobody && follows.get(key).is_some_and(|own| Arc::ptr_eq(own, sender)) {
            follows.remove(key);
        }
        nobody
    }

    #[cfg(test)]
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let (known, unknown) = self.table.lock().counts();
        (known, unknown, self.follows.lock().len())
    }
}

fn replace_if_new(last: &mut Outcome, told: Outcome) -> bool {
    let same = match (&*last, &told) {
        (Ok(a), Ok(b)) => a.rights.version() == b.rights.version() && a.expires_at == b.expires_at,
        (Err(a), Err(b)) => a == b,
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    };
    *last = told;
    !same
}

// === impl Follow ===

impl Follow {
    /// The token.
    pub(crate) fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// The caller with its current rights.
    pub(crate) fn caller(&self) -> Result<Caller, RpcError> {
        match &self.rights {
            None => Ok(Caller::unrestricted(self.token.clone())),
            Some(rights) => {
                let resolved = rights.borrow().clone()?;
                self.tokens.caller(&resolved, self.token.as_ref())
            }
        }
    }

    /// Completes when the rights have changed since it last completed.
    pub(crate) async fn changed(&mut self) {
        match &mut self.rights {
            None => std::future::pending().await,
            Some(rights) => {
                if rights.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}
