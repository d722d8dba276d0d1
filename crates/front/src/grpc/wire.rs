//! A client's socket below the HTTP/2 library. It limits the time for the preface, the number of empty frames, and
//! the number of streams to the budget.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use concord_runtime::{BoxFuture, Clock};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{Calm, Frames, Open, PREFACE_BYTES, StreamsHeld};
use super::limits::PREFACE_TIMEOUT;
use super::settling::Settling;

/// Why a client is disconnected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Excess {
    Frames,
    Streams,
}

impl Excess {
    fn text(self) -> &'static str {
        match self {
            Self::Frames => "too many frames with no content",
            Self::Streams => "as much is held for callers as may be, and its part for this one",
        }
    }

    /// GOAWAY with ENHANCE_YOUR_CALM (RFC 9113 §6.8). It names the highest possible stream number, because earlier
    /// requests did nothing wrong.
    fn goaway(self) -> Vec<u8> {
        let body = [b"\x7f\xff\xff\xff\0\0\0\x0b", self.text().as_bytes()].concat();
        let length = u32::try_from(body.len()).unwrap_or_default().to_be_bytes();
        [&length[1..], b"\x07\0\0\0\0\0", &body].concat()
    }

    fn error(self) -> io::Error {
        io::Error::other(self.text())
    }
}

/// Bytes read and dropped when a client is disconnected. If a socket is closed with unread bytes, the client loses
/// the GOAWAY.
const LAST_BYTES: usize = 16 * 1024;

pub(super) struct Wire<S> {
    stream: S,
    clock: Arc<dyn Clock>,
    settling: Arc<Settling>,
    /// Bytes of the preface read so far.
    heard: usize,
    /// Ends when the client has been silent for too long. `None` after the preface is complete.
    silence: Option<BoxFuture<'static, ()>>,
    inbound: Frames,
    outbound: Frames,
    calm: Calm,
    open: Open,
    excess: Option<Excess>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Wraps a client's socket. `held` grows with each stream that the client begins.
    pub(super) fn new(stream: S, clock: Arc<dyn Clock>, settling: Arc<Settling>, held: StreamsHeld) -> Self {
        let silence = Some(clock.sleep(PREFACE_TIMEOUT));
        let (calm, open) = (Calm::new(clock.now()), Open::new(held));
        let (inbound, outbound) = (Frames::from_client(), Frames::to_client());
        Self { stream, clock, settling, heard: 0, silence, inbound, outbound, calm, open, excess: None }
    }

    /// Checks bytes that were read. Returns the limit that they exceed.
    fn read(&mut self, bytes: &[u8]) -> Result<(), Excess> {
        if self.silence.is_some() {
            self.heard += bytes.len();
            if self.heard >= PREFACE_BYTES {
                self.silence = None;
            }
        }
        let (now, calm, open, mut fine) = (self.clock.now(), &mut self.calm, &mut self.open, Ok(()));
        self.inbound.pass(bytes, |frame| {
            if !calm.take(frame, now) {
                fine = Err(Excess::Frames);
            } else if open.received(frame).is_err() {
                fine = Err(Excess::Streams);
            }
        });
        fine
    }

    fn wrote(&mut self, bytes: &[u8]) {
        let open = &mut self.open;
        self.outbound.pass(bytes, |frame| open.sent(frame));
        self.calm.wrote(bytes.len());
    }

    /// Sends the reason why the connection ends, without waiting.
    fn end(&mut self, excess: Excess, cx: &mut Context<'_>) -> io::Error {
        self.excess = Some(excess);
        tracing::debug!(why = excess.text(), "gRPC connection ended");
        if self.outbound.at_boundary() {
            let _ = Pin::new(&mut self.stream).poll_write(cx, &excess.goaway());
            let _ = Pin::new(&mut self.stream).poll_flush(cx);
        }
        let _ = Pin::new(&mut self.stream).poll_read(cx, &mut ReadBuf::new(&mut [0; LAST_BYTES]));
        excess.error()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(excess) = this.excess {
            return Poll::Ready(Err(excess.error()));
        }
        if this.silence.as_mut().is_some_and(|silence| silence.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        // A few bytes can begin streams that need a thousand times as much memory, and each may evict another client.
        ready!(this.settling.poll(cx));
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if let Err(excess) = this.read(&buffer.filled()[before..]) {
            return Poll::Ready(Err(this.end(excess, cx)));
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(excess) = self.excess {
            return Poll::Ready(Err(excess.error()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.wrote(&bytes[..count]);
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(excess) = self.excess {
            return Poll::Ready(Err(excess.error()));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        if let Poll::Ready(Ok(mut count)) = written {
            for part in parts {
                let own = count.min(part.len());
                self.wrote(&part[..own]);
                count -= own;
            }
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
