//! A watch on a request to the servers: it repeats the request, each time with the index of the last answer.
//!
//! ```text
//! ready ──► ask ──► an answer, or an error ──► whoever watches works on it ──► ready
//!   └ sleeps out the pause that an error or the watcher has set
//! ```
//!
//! At most one request is under way, and none while the watcher processes an answer, so a slow watcher causes fewer
//! requests. Dropping a future loses no answer that was returned. The watcher decides what an answer means, and when
//! the watch ends.

use std::sync::Arc;
use std::time::Duration;

use concord_model::Secret;
use concord_rpc::{Answer, Head, Request, RpcError, ServerApi, Watching};
use concord_runtime::{Backoff, Instant, World};

use crate::limits::REFRESH_WAIT;

/// A watch on a request to the servers.
pub(crate) struct Watch<R> {
    servers: Arc<dyn ServerApi>,
    world: World,
    request: R,
    /// Its index is that of the last answer.
    head: Head,
    /// The open watch at the servers; begins with the first request.
    watching: Option<Box<dyn Watching>>,
    backoff: Backoff,
    /// No request is sent before this time.
    ready_at: Option<Instant>,
}

/// An answer, and whether it differs from the last one.
#[derive(Debug)]
pub(crate) struct Told<T> {
    pub(crate) answer: Answer<T>,
    pub(crate) is_news: bool,
}

impl<R: Request> Watch<R> {
    /// A watch with this head. The index and the wait of the head are ignored.
    pub(crate) fn new(servers: &Arc<dyn ServerApi>, world: &World, head: Head, request: R) -> Self {
        const { assert!(R::TERMS.waits, "what is watched can be waited for, or there is no end of asking") };
        Self {
            servers: Arc::clone(servers),
            world: world.clone(),
            request,
            head: head.after(0, Some(REFRESH_WAIT)),
            watching: None,
            backoff: Backoff::default(),
            ready_at: None,
        }
    }

    /// Uses another token from now on.
    pub(crate) fn set_token(&mut self, token: Option<Secret>) {
        if token.as_ref().map(Secret::expose) != self.head.token.as_ref().map(Secret::expose) {
            self.head.token = token;
            self.watching = None;
        }
    }

    /// Makes the next request return the current answer, even if it is known already.
    pub(crate) fn restart(&mut self) {
        self.head.min_index = 0;
        self.watching = None;
    }

    /// Delays the next request by this pause, which replaces any earlier one.
    pub(crate) fn pause(&mut self, pause: Duration) {
        self.ready_at = (!pause.is_zero()).then(|| self.world.clock.now() + pause);
    }

    /// The number of failed requests since the last answer.
    pub(crate) fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// The next answer, or an error. After an error the watch can be used again; the pause grows with each error.
    pub(crate) async fn next(&mut self) -> Result<Told<R::Reply>, RpcError> {
        self.ready().await;
        self.ask().await
    }

    /// Waits until the pause is over.
    pub(crate) async fn ready(&mut self) {
        if let Some(at) = self.ready_at {
            self.world.clock.sleep_until(at).await;
            self.ready_at = None;
        }
    }

    /// Like [`Watch::next`], but ignores the pause.
    pub(crate) async fn ask(&mut self) -> Result<Told<R::Reply>, RpcError> {
        let watching = self.watching.get_or_insert_with(|| {
            Arc::clone(&self.servers).watch_any(self.head.clone(), self.request.clone().into_any())
        });
        let told = watching.next().await;
        match told.and_then(|answer| answer.try_map(R::reply_from_any)) {
            Ok(answer) => {
                self.backoff.reset();
                let index = answer.index.max(1);
                let is_news = std::mem::replace(&mut self.head.min_index, index) != index;
                Ok(Told { answer, is_news })
            }
            Err(error) => {
                let pause = self.backoff.next(&*self.world.entropy);
                self.pause(pause);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
