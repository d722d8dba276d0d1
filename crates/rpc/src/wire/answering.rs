//! The answering side of a line.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::{AbortHandle, Abortable, Aborted, BoxFuture};
use futures::stream::FuturesUnordered;

use super::{Asked, CREDIT_MAX, Line, Outcome, Told, WATCHES_MAX, WatchId, decode, encode};
use crate::error::RpcError;
use crate::head::Head;
use crate::request::AnyRequest;
use crate::server_api::ServerApi;

/// One watch.
struct Watch {
    head: Head,
    request: AnyRequest,
    /// Answers that may still be sent.
    credit: u32,
    /// Cancels the running question, if there is one.
    asking: Option<AbortHandle>,
}

/// A running question: the watch, and the result unless it is cancelled.
type Asking = BoxFuture<'static, (WatchId, Result<Outcome, Aborted>)>;

/// All watches on one line.
struct Watches {
    servers: Arc<dyn ServerApi>,
    open: HashMap<WatchId, Watch>,
    asking: FuturesUnordered<Asking>,
}

/// Answers requests until the line is closed or a message cannot be decoded. Then all its watches end. Answers wait
/// until the line accepts them, so that a slow line causes no more requests than it can carry.
pub async fn answer(servers: Arc<dyn ServerApi>, mut line: Line) -> Result<(), RpcError> {
    line.greet().await?;
    let mut watches = Watches { servers, open: HashMap::new(), asking: FuturesUnordered::new() };
    loop {
        let told = tokio::select! {
            // Messages of the asking side come first, because they may end watches.
            biased;
            asked = line.from.recv() => match asked {
                None => return Ok(()),
                Some(bytes) => watches.asked(decode(&bytes)?)?,
            },
            Some((watch, outcome)) = watches.asking.next() => watches.answered(watch, outcome),
        };
        let Some(told) = told else { continue };
        let bytes =
            encode(&told).or_else(|error| encode(&Told { watch: told.watch, outcome: Err(error) }))?;
        if line.to.send(bytes).await.is_err() {
            return Ok(());
        }
    }
}

impl Watches {
    /// Handles a message of the asking side. Returns what has to be sent at once.
    fn asked(&mut self, asked: Asked) -> Result<Option<Told>, RpcError> {
        match asked {
            Asked::Ask { watch, head: _, request: _, credit: _ } if self.open.contains_key(&watch) => {
                return Err(RpcError::Invalid(format!("watch {watch} was begun twice")));
            }
            Asked::Ask { watch, head: _, request: _, credit: _ } if self.open.len() >= WATCHES_MAX => {
                let full = format!("more than {WATCHES_MAX} watches on one line, try again later");
                return Ok(Some(Told { watch, outcome: Err(RpcError::Busy(full)) }));
            }
            Asked::Ask { watch, head, request, credit } => {
                let credit = credit.min(CREDIT_MAX);
                self.open.insert(watch, Watch { head, request, credit, asking: None });
                self.ask(watch);
            }
            Asked::Credit { watch, more } => {
                if let Some(open) = self.open.get_mut(&watch) {
                    open.credit = open.credit.saturating_add(more).min(CREDIT_MAX);
                }
                self.ask(watch);
            }
            Asked::End { watch } => {
                if let Some(asking) = self.open.remove(&watch).and_then(|ended| ended.asking) {
                    asking.abort();
                }
            }
        }
        Ok(None)
    }

    /// Sends the next question of a watch, if it has credit and no question is running.
    fn ask(&mut self, id: WatchId) {
        let Some(watch) = self.open.get_mut(&id) else { return };
        if watch.credit == 0 || watch.asking.is_some() {
            return;
        }
        let (servers, head, request) = (Arc::clone(&self.servers), watch.head.clone(), watch.request.clone());
        let (abort, registration) = AbortHandle::new_pair();
        watch.asking = Some(abort);
        let question = async move { servers.call_any(head, request).await };
        let asking = Abortable::new(question, registration);
        self.asking.push(Box::pin(async move { (id, asking.await) }));
    }

    /// Handles the result of a question. Returns a message unless the watch has ended.
    fn answered(&mut self, id: WatchId, outcome: Result<Outcome, Aborted>) -> Option<Told> {
        let (Ok(outcome), Some(watch)) = (outcome, self.open.get_mut(&id)) else { return None };
        watch.asking = None;
        watch.credit -= 1;
        match &outcome {
            Ok(answer) => watch.head.min_index = answer.index.max(1),
            // The asking side decides when to ask again.
            Err(_) => watch.credit = 0,
        }
        self.ask(id);
        Some(Told { watch: id, outcome })
    }
}
