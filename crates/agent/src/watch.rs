//! A watch on a request at the servers: asked, and asked again after what it was answered with last.
//!
//! ```text
//! ready ──► ask ──► an answer, or an error ──► whoever watches works on it ──► ready
//!   └ sleeps out the pause that an error or the watcher has set
//! ```
//!
//! One question is under way at most, and none while its watcher works: who is slow is asked for less.
//! Dropping a future loses no answer that was told. What an answer means, and when a watch ends, is for its
//! watcher to say.

use std::sync::Arc;
use std::time::Duration;

use concord_model::Secret;
use concord_rpc::{Answer, Head, Request, RpcError, ServerApi, Watching};
use concord_runtime::{Backoff, Instant, World};

use crate::limits::REFRESH_WAIT;

/// A watch on a request at the servers.
pub(crate) struct Watch<R> {
    servers: Arc<dyn ServerApi>,
    world: World,
    request: R,
    /// With the index of the last answer.
    head: Head,
    /// The servers follow it for us, from the first question on.
    watching: Option<Box<dyn Watching>>,
    backoff: Backoff,
    /// Nothing is asked before.
    ready_at: Option<Instant>,
}

/// An answer, and whether it is another one than the last.
#[derive(Debug)]
pub(crate) struct Told<T> {
    pub(crate) answer: Answer<T>,
    pub(crate) is_news: bool,
}

impl<R: Request> Watch<R> {
    /// A watch with this head, whose index and wait do not count.
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

    /// Asks with another token from now on.
    pub(crate) fn set_token(&mut self, token: Option<Secret>) {
        let text = |token: &Option<Secret>| token.as_ref().map(|token| token.expose().to_owned());
        if text(&token) != text(&self.head.token) {
            self.head.token = token;
            self.watching = None;
        }
    }

    /// The next answer is the one that there is, whether it is known or not.
    pub(crate) fn restart(&mut self) {
        self.head.min_index = 0;
        self.watching = None;
    }

    /// Asks no sooner than after this pause, whatever was set before.
    pub(crate) fn pause(&mut self, pause: Duration) {
        self.ready_at = (!pause.is_zero()).then(|| self.world.clock.now() + pause);
    }

    /// How often asking has failed since the last answer.
    pub(crate) fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// The next answer, or why there is none. After an error it can be asked again, which takes longer each time.
    pub(crate) async fn next(&mut self) -> Result<Told<R::Reply>, RpcError> {
        self.ready().await;
        self.ask().await
    }

    /// Sleeps out the pause.
    pub(crate) async fn ready(&mut self) {
        if let Some(at) = self.ready_at {
            self.world.clock.sleep_until(at).await;
            self.ready_at = None;
        }
    }

    /// The same as [`Watch::next`], without regard to the pause.
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
