//! A client's socket on the way to the HTTP/2 library: its first words in time, and no flood of empty frames.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use concord_runtime::{BoxFuture, Clock};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::frames::{Calm, Frames, PREFACE_BYTES};
use super::limits::PREFACE_TIMEOUT;

/// Tells a client why it is closed: GOAWAY with ENHANCE_YOUR_CALM (RFC 9113 §6.8). It names the highest stream there
/// can be, for what was asked before is not at fault.
const GOAWAY: &[u8] = b"\0\0\x27\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\x0btoo many frames with no content";

/// Bytes read and thrown away when a client is closed: to close over something unread would take the last words back.
const LAST_BYTES: usize = 16 * 1024;

pub(super) struct Wire {
    stream: TcpStream,
    clock: Arc<dyn Clock>,
    /// Bytes read, until the first words are whole.
    heard: usize,
    /// Ends when the client has been silent for too long; none once its first words are whole.
    silence: Option<BoxFuture<'static, ()>>,
    inbound: Frames,
    outbound: Frames,
    calm: Calm,
    flooded: bool,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, clock: Arc<dyn Clock>) -> Self {
        let silence = Some(clock.sleep(PREFACE_TIMEOUT));
        let calm = Calm::new(clock.now());
        let (inbound, outbound) = (Frames::from_client(), Frames::to_client());
        Self { stream, clock, heard: 0, silence, inbound, outbound, calm, flooded: false }
    }

    /// Looks at what was read; false if it is too much of nothing.
    fn read(&mut self, bytes: &[u8]) -> bool {
        if self.silence.is_some() {
            self.heard += bytes.len();
            if self.heard >= PREFACE_BYTES {
                self.silence = None;
            }
        }
        let (now, calm, mut fine) = (self.clock.now(), &mut self.calm, true);
        self.inbound.pass(bytes, |frame| fine &= calm.take(frame, now));
        fine
    }

    fn wrote(&mut self, bytes: &[u8]) {
        self.outbound.pass(bytes, |_| ());
        self.calm.wrote(bytes.len());
    }

    /// Says why the connection ends, without waiting for anything.
    fn end(&mut self, cx: &mut Context<'_>) -> io::Error {
        self.flooded = true;
        tracing::debug!("gRPC connection ended: too many frames with no content");
        if self.outbound.at_boundary() {
            let _ = Pin::new(&mut self.stream).poll_write(cx, GOAWAY);
        }
        let _ = self.stream.try_read(&mut [0; LAST_BYTES]);
        flooded()
    }
}

fn flooded() -> io::Error {
    io::Error::other("too many frames with no content")
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.flooded {
            return Poll::Ready(Err(flooded()));
        }
        if this.silence.as_mut().is_some_and(|silence| silence.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if !this.read(&buffer.filled()[before..]) {
            return Poll::Ready(Err(this.end(cx)));
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.flooded {
            return Poll::Ready(Err(flooded()));
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
        if self.flooded {
            return Poll::Ready(Err(flooded()));
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
