//! Requests as bytes; many of them share one stream between an agent and a server (D40).
//!
//! ```text
//! Remote (ServerApi) ── Ask, Credit, End ──► answer (a server's ServerApi)
//!        ▲                                      │
//!        └────────── Told, by the watch ────────┘
//! ```
//!
//! Every request is a watch: its answers are sent one by one, each for a credit that the asking side has granted. A
//! single question is a watch with one credit. So one stream carries everything that an agent follows, and a slow
//! watch delays only itself. The caller chooses the transport, for example a gRPC stream or a channel.
//!
//! Messages are MessagePack with named fields (D4). Each side begins with [`HELLO`].

mod answering;
mod asking;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub use self::answering::answer;
pub use self::asking::Remote;
use crate::error::RpcError;
use crate::head::{Answer, Head};
use crate::request::{AnyReply, AnyRequest};

/// The first message of each side; it names the format of the others.
pub const HELLO: &[u8] = b"concord rpc 1";
/// Watches that may be open on one line. The next one is refused.
pub const WATCHES_MAX: usize = 100_000;
/// The most credit of a watch; a grant beyond it is ignored.
pub const CREDIT_MAX: u32 = 16;
/// Messages that may wait in each direction.
pub const MESSAGES_WAITING: usize = 16;

/// Both directions of a line. The line ends when either side is closed.
#[derive(Debug)]
pub struct Line {
    /// Outgoing messages.
    pub to: mpsc::Sender<Bytes>,
    /// Incoming messages.
    pub from: mpsc::Receiver<Bytes>,
}

impl Line {
    /// Both ends of a line within one process.
    pub fn pair() -> (Self, Self) {
        let (to_server, from_client) = mpsc::channel(MESSAGES_WAITING);
        let (to_client, from_server) = mpsc::channel(MESSAGES_WAITING);
        (Self { to: to_server, from: from_server }, Self { to: to_client, from: from_client })
    }

    /// Sends the greeting and receives that of the other side.
    pub(crate) async fn greet(&mut self) -> Result<(), RpcError> {
        let gone = || RpcError::Unreachable("the line was closed".to_owned());
        self.to.send(Bytes::from_static(HELLO)).await.map_err(|_| gone())?;
        match self.from.recv().await {
            Some(hello) if hello == HELLO => Ok(()),
            Some(_) => Err(RpcError::Unreachable("the other side does not talk as we do".to_owned())),
            None => Err(gone()),
        }
    }
}

/// Identifies a watch on its line. The asking side chooses the number, each only once.
pub(crate) type WatchId = u64;

/// A message of the asking side.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "one lives at a time, on its way")]
pub enum Asked {
    /// Begins a watch.
    Ask {
        /// Its number.
        watch: WatchId,
        /// The head of the request. After each answer its index is that of the answer.
        head: Head,
        /// The request.
        request: AnyRequest,
        /// How many answers may be sent.
        credit: u32,
    },
    /// Allows more answers.
    Credit {
        /// The watch.
        watch: WatchId,
        /// How many more.
        more: u32,
    },
    /// Ends a watch.
    End {
        /// The watch.
        watch: WatchId,
    },
}

/// A message of the answering side: an answer or an error. Each uses one credit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Told {
    /// The watch.
    pub watch: WatchId,
    /// The answer or the error.
    pub outcome: Outcome,
}

/// The result of a request.
pub type Outcome = Result<Answer<AnyReply>, RpcError>;

/// Encodes a message.
pub fn encode<T: Serialize>(message: &T) -> Result<Bytes, RpcError> {
    rmp_serde::to_vec_named(message)
        .map(Bytes::from)
        .map_err(|error| RpcError::Internal(format!("cannot encode a message: {error}")))
}

/// Decodes a message. A message of a newer version may contain names that this version does not know.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RpcError> {
    rmp_serde::from_slice(bytes).map_err(|error| RpcError::NotAvailable(format!("a message: {error}")))
}
