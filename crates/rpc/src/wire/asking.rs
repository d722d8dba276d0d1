//! The asking side of a line.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use super::{Asked, Line, MESSAGES_WAITING, Outcome, Told, WATCHES_MAX, WatchId, decode, encode};
use crate::error::RpcError;
use crate::head::{Answer, Head};
use crate::request::{AnyReply, AnyRequest};
use crate::server_api::{ServerApi, Watching};

/// Servers at the other end of a line.
#[derive(Debug)]
pub struct Remote {
    end: Arc<End>,
}

/// The shared state of this end of the line.
struct End {
    /// Messages that wait to be sent.
    out: mpsc::Sender<Bytes>,
    next: AtomicU64,
    /// The receiver of each watch's answers; `None` once the line is closed.
    open: Mutex<Option<HashMap<WatchId, mpsc::Sender<Outcome>>>>,
    /// Watches that ended here and that the other side has not been told of yet.
    ended: Mutex<Vec<WatchId>>,
    has_ended: Notify,
}

/// One watch at this end. Dropping it ends the watch.
struct Open {
    end: Arc<End>,
    id: WatchId,
    told: mpsc::Receiver<Outcome>,
}

/// A watch from its watcher's side. It begins with the first request for an answer, and again after the line was
/// closed.
struct RemoteWatch {
    end: Arc<End>,
    head: Head,
    request: AnyRequest,
    open: Option<Open>,
    /// Whether an answer was requested and has not arrived yet.
    asked: bool,
}

fn closed() -> RpcError {
    RpcError::Unreachable("the line to the server was closed".to_owned())
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End").finish_non_exhaustive()
    }
}

// === impl Remote ===

impl Remote {
    /// The servers at the other end of a line, and the future that carries the messages. The future must be polled,
    /// and ends when the line is closed. After that, every request fails with [`RpcError::Unreachable`].
    pub fn new(line: Line) -> (Self, impl Future<Output = ()> + Send) {
        let (out, waiting) = mpsc::channel(MESSAGES_WAITING);
        let end = Arc::new(End {
            out,
            next: AtomicU64::new(0),
            open: Mutex::new(Some(HashMap::new())),
            ended: Mutex::default(),
            has_ended: Notify::new(),
        });
        (Self { end: Arc::clone(&end) }, carry(end, line, waiting))
    }
}

impl ServerApi for Remote {
    fn call_any(&self, head: Head, request: AnyRequest) -> BoxFuture<'_, Result<Answer<AnyReply>, RpcError>> {
        let end = Arc::clone(&self.end);
        async move {
            let mut open = end.begin(head, request).await?;
            open.told.recv().await.unwrap_or_else(|| Err(closed()))
        }
        .boxed()
    }

    fn watch_any(self: Arc<Self>, head: Head, request: AnyRequest) -> Box<dyn Watching> {
        Box::new(RemoteWatch { end: Arc::clone(&self.end), head, request, open: None, asked: false })
    }
}

// === impl End ===

impl End {
    /// Begins a watch with one credit.
    async fn begin(self: &Arc<Self>, head: Head, request: AnyRequest) -> Result<Open, RpcError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (to, told) = mpsc::channel(1);
        {
            let mut open = self.open.lock();
            let open = open.as_mut().ok_or_else(closed)?;
            if open.len() >= WATCHES_MAX {
                return Err(RpcError::Busy(format!(
                    "more than {WATCHES_MAX} questions are under way at this agent, try again later"
                )));
            }
            open.insert(id, to);
        }
        let open = Open { end: Arc::clone(self), id, told };
        self.send(&Asked::Ask { watch: id, head, request, credit: 1 }).await?;
        Ok(open)
    }

    async fn send(&self, asked: &Asked) -> Result<(), RpcError> {
        self.out.send(encode(asked)?).await.map_err(|_| closed())
    }

    /// Passes an answer to its watch. Returns `false` if there are more answers than were requested.
    fn told(&self, told: Told) -> bool {
        let open = self.open.lock();
        let to = open.as_ref().and_then(|open| open.get(&told.watch));
        to.is_none_or(|to| !matches!(to.try_send(told.outcome), Err(mpsc::error::TrySendError::Full(_))))
    }
}

/// Carries messages in both directions until the line is closed. Reading never waits for writing, so that two busy
/// ends cannot wait for each other.
async fn carry(end: Arc<End>, mut line: Line, waiting: mpsc::Receiver<Bytes>) {
    if let Err(error) = line.greet().await {
        tracing::warn!(%error, "a server cannot be asked");
    } else {
        let Line { to, from } = line;
        tokio::select! {
            () = write(&end, to, waiting) => {}
            () = read(&end, from) => {}
        }
    }
    // Closing the channels tells the waiting watchers.
    *end.open.lock() = None;
}

async fn write(end: &End, to: mpsc::Sender<Bytes>, mut waiting: mpsc::Receiver<Bytes>) {
    loop {
        let next = tokio::select! {
            () = end.has_ended.notified() => None,
            asked = waiting.recv() => match asked {
                Some(asked) => Some(asked),
                None => return,
            },
        };
        // Watches that ended began before, so the messages that wait now are sent first.
        let ended = std::mem::take(&mut *end.ended.lock());
        let queued: Vec<_> = (0..waiting.len()).map_while(|_| waiting.try_recv().ok()).collect();
        let ended = ended.into_iter().filter_map(|watch| encode(&Asked::End { watch }).ok());
        for message in next.into_iter().chain(queued).chain(ended) {
            if to.send(message).await.is_err() {
                return;
            }
        }
    }
}

async fn read(end: &End, mut from: mpsc::Receiver<Bytes>) {
    while let Some(bytes) = from.recv().await {
        let heard = decode(&bytes).map(|told| end.told(told));
        match heard {
            Ok(true) => {}
            Ok(false) => return tracing::warn!("a server told more than it was asked for"),
            Err(error) => return tracing::warn!(%error, "a server's message cannot be read"),
        }
    }
}

// === impl Open ===

impl Drop for Open {
    fn drop(&mut self) {
        let known = self.end.open.lock().as_mut().is_some_and(|open| open.remove(&self.id).is_some());
        if known {
            self.end.ended.lock().push(self.id);
            self.end.has_ended.notify_one();
        }
    }
}

// === impl RemoteWatch ===

impl Watching for RemoteWatch {
    fn next(&mut self) -> BoxFuture<'_, Result<Answer<AnyReply>, RpcError>> {
        async move {
            if self.open.is_none() {
                self.open = Some(self.end.begin(self.head.clone(), self.request.clone()).await?);
                self.asked = true;
            }
            let Some(open) = &mut self.open else { return Err(closed()) };
            if !self.asked {
                self.end.send(&Asked::Credit { watch: open.id, more: 1 }).await?;
                self.asked = true;
            }
            let outcome = open.told.recv().await;
            self.asked = false;
            let outcome = outcome.unwrap_or_else(|| Err(closed()));
            match &outcome {
                Ok(answer) => self.head.min_index = answer.index.max(1),
                // The other side may not have the watch any more, so it is begun again.
                Err(_) => self.open = None,
            }
            outcome
        }
        .boxed()
    }
}
