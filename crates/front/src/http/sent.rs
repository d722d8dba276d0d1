//! The body of an answer on its way out, held until the socket has taken it.
//!
//! The answer is there once, in whole, and goes to the socket in the pieces that the socket takes; nothing
//! is copied into buffers on the way.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use concord_runtime::Held;
use hyper::body::{Body, Frame, SizeHint};

/// A body of one piece, or none.
#[derive(Debug, Default)]
pub(super) struct Sent {
    piece: Option<Piece>,
}

/// Bytes that give back what is held for them when they are gone.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Bytes,
    _held: Option<Held>,
}

impl Sent {
    /// Bytes, and what is held for them.
    pub(super) fn new(bytes: Bytes, held: Option<Held>) -> Self {
        Self { piece: (!bytes.is_empty()).then_some(Piece { bytes, _held: held }) }
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
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Infallible>>> {
        Poll::Ready(self.piece.take().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_none()
    }

    fn size_hint(&self) -> SizeHint {
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
