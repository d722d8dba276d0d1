//! Requests as bytes, many of them on one line between an agent and a server (D40).
//!
//! ```text
//! Remote (ServerApi) ── Ask, Credit, End ──► answer (a server's ServerApi)
//!        ▲                                      │
//!        └────────── Told, by the watch ────────┘
//! ```
//!
//! Everything that is asked is a watch: its answers come one by one, each for a credit that whoever asks has granted.
//! A single question is a watch with one credit. So one line carries all that an agent follows, and who is slow with
//! one watch holds back that one alone. What a line is made of, a stream of gRPC or a channel, is for the caller.
//!
//! Messages are MessagePack with named fields (D4). A line begins with [`HELLO`] from both sides.

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

/// The first message of each side: what follows is in this form.
pub const HELLO: &[u8] = b"concord rpc 1";
/// Watches that may be open on one line; the next one is refused.
pub const WATCHES_MAX: usize = 100_000;
/// Credit that a watch may have; what is granted beyond does not count.
pub const CREDIT_MAX: u32 = 16;
/// Messages on their way that neither side has taken yet.
pub const MESSAGES_WAITING: usize = 16;

/// Both directions of a line. It is over when either side is closed.
#[derive(Debug)]
pub struct Line {
    /// What is sent.
    pub to: mpsc::Sender<Bytes>,
    /// What comes.
    pub from: mpsc::Receiver<Bytes>,
}

impl Line {
    /// Both ends of a line within one process.
    pub fn pair() -> (Self, Self) {
        let (to_server, from_client) = mpsc::channel(MESSAGES_WAITING);
        let (to_client, from_server) = mpsc::channel(MESSAGES_WAITING);
        (Self { to: to_server, from: from_server }, Self { to: to_client, from: from_client })
    }

    /// Greets the other side and takes its greeting.
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

/// Names a watch on its line. Whoever asks chooses it, each only once.
pub(crate) type WatchId = u64;

/// What whoever asks says.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "one lives at a time, on its way")]
pub enum Asked {
    /// Begins a watch.
    Ask {
        /// Its name.
        watch: WatchId,
        /// What comes with the request. After each answer its index is that of the answer.
        head: Head,
        /// What is asked.
        request: AnyRequest,
        /// How many answers may be sent.
        credit: u32,
    },
    /// More answers may be sent.
    Credit {
        /// Of which watch.
        watch: WatchId,
        /// How many more.
        more: u32,
    },
    /// Nobody wants to know any more.
    End {
        /// Which watch.
        watch: WatchId,
    },
}

/// What whoever answers says: an answer, or why there is none. Either takes one credit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Told {
    /// Of which watch.
    pub watch: WatchId,
    /// The answer.
    pub outcome: Outcome,
}

/// What a request comes to.
pub type Outcome = Result<Answer<AnyReply>, RpcError>;

/// A message as bytes.
pub fn encode<T: Serialize>(message: &T) -> Result<Bytes, RpcError> {
    rmp_serde::to_vec_named(message)
        .map(Bytes::from)
        .map_err(|error| RpcError::Internal(format!("cannot encode a message: {error}")))
}

/// A message out of bytes. One from a newer version may name what this one does not know.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RpcError> {
    rmp_serde::from_slice(bytes).map_err(|error| RpcError::NotAvailable(format!("a message: {error}")))
}
