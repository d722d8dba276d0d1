//! The body of an answer while it is sent. It holds its budget until the socket has taken it.
//!
//! The answer is in memory once, as a whole, and goes to the socket in the sizes that the socket takes. Nothing is
//! copied into buffers in between. A body of pieces is read only as fast as the socket takes it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use concord_runtime::{Counted, Held};
use futures::StreamExt as _;
use hyper::body::{Body, Frame, SizeHint};

use super::reply::Pieces;

/// A body: one piece, none, or a stream of pieces.
#[derive(Default)]
pub(super) struct Sent {
    piece: Option<Piece>,
    more: Option<Pieces>,
    /// The budget of a stream of pieces, and the counter of requests being answered.
    _held: Option<Held>,
    busy: Option<Counted<Arc<AtomicUsize>>>,
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sent").field("piece", &self.piece).finish_non_exhaustive()
    }
}

/// Bytes that release their budget when they are dropped.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    _held: Option<Held>,
}

impl Sent {
    /// A body of bytes with their budget.
    pub(super) fn new(bytes: Bytes, held: Option<Held>) -> Self {
        Self { piece: (!bytes.is_empty()).then_some(Piece { bytes, _held: held }), ..Self::default() }
    }

    /// A body of pieces, with the budget for those that wait.
    pub(super) fn stream(pieces: Pieces, held: Held) -> Self {
        Self { more: Some(pieces), _held: Some(held), ..Self::default() }
    }

    /// Counts the request as being answered until the last piece has been sent.
    pub(super) fn keep(&mut self, busy: Counted<Arc<AtomicUsize>>) {
        self.busy = self.more.is_some().then_some(busy);
    }
}

impl<T: Into<Bytes>> From<T> for Sent {
    fn from(text: T) -> Self {
        Self::new(text.into(), None)
    }
}

impl Body for Sent {
    type Data = Piece;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Infallible>>> {
        if let Some(piece) = self.piece.take() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let Some(more) = &mut self.more else { return Poll::Ready(None) };
        let next = ready!(more.poll_next_unpin(context));
        if next.is_none() {
            (self.more, self.busy) = (None, None);
        }
        Poll::Ready(next.map(|bytes| Ok(Frame::data(Piece { bytes, _held: None }))))
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_none() && self.more.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.more.is_some() {
            return SizeHint::default();
        }
        SizeHint::with_exact(self.piece.as_ref().map_or(0, |piece| piece.bytes.len() as u64))
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}
