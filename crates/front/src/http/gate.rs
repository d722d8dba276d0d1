//! Checks the bytes of a connection before the HTTP library reads them: time limits and request framing.
//!
//! ```text
//! Line ──head ends──► Line (no body) · Body (length) · Opaque (chunked: the last request)
//!   └──not ours──► Refused: the library is given a byte it must refuse, and answers 400
//! ```
//!
//! The library is lenient in cases where two programs in a row can disagree about where a request ends: it accepts a
//! bare line feed as a line end, a repeated equal length, and a length beside chunks. The gate refuses them. It
//! parses only what it needs for that; the library checks everything else in the head. After a chunked body the
//! connection is closed, so the gate need not parse chunks.
//!
//! A head larger than usual counts against the client's budget. A client that does not take its answer is
//! disconnected.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use concord_runtime::{BoxFuture, Clock, Held, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take};

use super::limits::{ANSWER_PROGRESS_BYTES, READ_BYTES, REQUEST_BYTES, USUAL_HEAD_BYTES};

/// The time limits of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From the connection, or the first byte of a head, to the end of the head.
    pub(super) head: Duration,
    /// Between two requests.
    pub(super) idle: Duration,
    /// Time in which the client must take part of an answer.
    pub(super) answer: Duration,
}

/// A stream behind its gate.
pub(super) struct Gate<S> {
    /// Limits how much one read may return.
    stream: Take<S>,
    framing: Framing,
    clock: Arc<dyn Clock>,
    patience: Patience,
    /// Requests being answered. While there are any, the client may be silent.
    busy: Arc<AtomicUsize>,
    /// What the client must do, and until when.
    waits: Option<(Waiting, Instant)>,
    /// Wakes the connection at this time. It often outlives the wait it was set for: a new wait that ends later needs
    /// no new timer, so that a request usually costs none.
    alarm: Option<(Instant, BoxFuture<'static, ()>)>,
    fresh: bool,
    /// Budget held for requests on this connection.
    held: Held,
    /// Bytes of the current head.
    head_bytes: usize,
    /// Set while the socket takes no bytes: ends when the client has had enough time.
    stuck: Option<BoxFuture<'static, ()>>,
    /// Bytes that the socket took since then.
    taken: usize,
    /// Whether part of an answer is not yet sent. Meanwhile the client may be silent.
    writing: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Waiting {
    Head,
    Idle,
}

impl<S: AsyncRead + Unpin> Gate<S> {
    /// A gate whose `held` covers the first request.
    pub(super) fn new(stream: S, clock: Arc<dyn Clock>, patience: Patience, held: Held) -> Self {
        let busy = Arc::new(AtomicUsize::new(0));
        let framing = Framing::default();
        Self {
            stream: stream.take(0),
            framing,
            clock,
            patience,
            busy,
            waits: None,
            alarm: None,
            fresh: true,
            held,
            head_bytes: 0,
            stuck: None,
            taken: 0,
            writing: false,
        }
    }

    /// The counter of requests being answered on this connection.
    pub(super) fn busy(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.busy)
    }

    fn waiting(&self) -> Option<Waiting> {
        if self.writing || self.busy.load(Ordering::Relaxed) > 0 || !self.framing.in_head() {
            return None;
        }
        Some(if self.fresh || self.framing.head_begun() { Waiting::Head } else { Waiting::Idle })
    }

    /// Takes the budget for this many more bytes of a head.
    fn hold(&mut self, bytes: usize) -> io::Result<()> {
        if self.head_bytes == 0 {
            self.held.shrink_to(REQUEST_BYTES);
        }
        self.head_bytes += bytes;
        let cost = REQUEST_BYTES + self.head_bytes.saturating_sub(USUAL_HEAD_BYTES);
        let more = cost.saturating_sub(self.held.bytes());
        self.held.grow(more).map_err(io::Error::other)
    }

    /// Handles the result of a write. Returns an error if the client has taken too little for too long.
    fn watched(&mut self, cx: &mut Context<'_>, tried: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.writing = true;
        if let Poll::Ready(Ok(bytes)) = tried {
            self.taken += bytes;
            if self.taken >= ANSWER_PROGRESS_BYTES {
                self.stuck = None;
            }
        }
        if tried.is_pending() {
            let (clock, patience, taken) = (&self.clock, self.patience.answer, &mut self.taken);
            let stuck = self.stuck.get_or_insert_with(|| {
                *taken = 0;
                clock.sleep(patience)
            });
            if stuck.as_mut().poll(cx).is_ready() {
                let why = "the client did not take its answer";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
            }
        }
        tried
    }

    /// Whether the client was silent for too long.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(waiting) = self.waiting() else {
            self.waits = None;
            return false;
        };
        let until = match self.waits {
            Some((running, until)) if running == waiting => until,
            Some(_) | None => {
                let patience = match waiting {
                    Waiting::Head => self.patience.head,
                    Waiting::Idle => self.patience.idle,
                };
                let until = self.clock.now() + patience;
                self.waits = Some((waiting, until));
                until
            }
        };
        loop {
            let set = self.alarm.take().filter(|(at, _)| *at <= until);
            let (at, alarm) =
                self.alarm.insert(set.unwrap_or_else(|| (until, self.clock.sleep_until(until))));
            if alarm.as_mut().poll(cx).is_pending() {
                return false;
            }
            let over = *at >= until;
            self.alarm = None;
            if over {
                return true;
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        // The library's buffer grows with the size of reads, and keeps its size for the connection's lifetime.
        this.stream.set_limit(READ_BYTES as u64);
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        match read {
            Poll::Ready(read) => {
                let new = buffer.filled().len() - before;
                if new > 0 {
                    if this.framing.in_head()
                        && let Err(full) = this.hold(new)
                    {
                        return Poll::Ready(Err(full));
                    }
                    let heads = this.framing.heads;
                    this.framing.pass(&mut buffer.filled_mut()[before..]);
                    // Only a complete head restarts the time limit; empty lines and single bytes do not.
                    if this.framing.heads != heads {
                        this.fresh = false;
                        this.waits = None;
                        this.head_bytes = 0;
                    }
                }
                Poll::Ready(read)
            }
            Poll::Pending if this.is_late(cx) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client was silent for too long",
            ))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let tried = Pin::new(self.stream.get_mut()).poll_write(cx, bytes);
        self.watched(cx, tried)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(self.stream.get_mut()).poll_flush(cx))?;
        // The library flushes when it has written everything.
        (self.stuck, self.writing) = (None, false);
        // The library looked for the next request while it answered this one, and does not look again by itself. So
        // the time limit begins when the answer has been sent.
        let _ = self.is_late(cx);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tried = Pin::new(self.stream.get_mut()).poll_write_vectored(cx, parts);
        self.watched(cx, tried)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }
}

/// Bytes of a header name that are compared. The names that matter here are shorter.
const NAME_BYTES: usize = 20;

/// The position within a request.
#[derive(Debug, Default)]
struct Framing {
    place: HeadPlace,
    head: Head,
    /// Complete heads so far.
    heads: u64,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum HeadPlace {
    /// In a line of a head, or before the first one.
    #[default]
    Line,
    /// In a body, with this many bytes left.
    Body(u64),
    /// In the last request of the connection.
    Opaque,
    /// After a request that was refused.
    Refused,
}

/// What the gate has parsed of a head.
#[derive(Debug, Default)]
struct Head {
    /// Complete lines, including the request line.
    lines: u32,
    /// Bytes of the current line.
    column: usize,
    return_before: bool,
    /// The name in the current line, in lower case, up to the colon.
    name: [u8; NAME_BYTES],
    name_len: usize,
    in_value: bool,
    lengths: u32,
    encodings: u32,
    length: Option<u64>,
    digits: bool,
}

impl Framing {
    fn in_head(&self) -> bool {
        self.place == HeadPlace::Line
    }

    fn head_begun(&self) -> bool {
        self.in_head() && (self.head.lines > 0 || self.head.column > 0)
    }

    /// Consumes bytes. Overwrites one byte of a head that must be refused, so that the library answers 400.
    fn pass(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while let Some(byte) = bytes.get_mut(at) {
            match self.place {
                HeadPlace::Opaque | HeadPlace::Refused => return,
                HeadPlace::Body(left) => {
                    let here = (bytes.len() - at) as u64;
                    if left > here {
                        self.place = HeadPlace::Body(left - here);
                        return;
                    }
                    at += usize::try_from(left).expect("no more than the bytes at hand");
                    self.place = HeadPlace::Line;
                    continue;
                }
                HeadPlace::Line => {
                    if !self.line_byte(*byte) {
                        *byte = 0;
                        self.place = HeadPlace::Refused;
                    }
                }
            }
            at += 1;
        }
    }

    /// Whether the byte is allowed at this position.
    fn line_byte(&mut self, byte: u8) -> bool {
        let head = &mut self.head;
        // The library drops the part of a target after `#`; a proxy in front of us may have used it for a decision.
        if byte == b'#' && head.lines == 0 {
            return false;
        }
        if byte != b'\n' {
            head.take(byte);
            return true;
        }
        if !head.return_before {
            return false;
        }
        // `column` counts the line's own carriage return.
        let empty = head.column == 1;
        head.end_line();
        if !empty {
            head.lines += 1;
        } else if head.lines > 0 {
            return self.end_head();
        }
        true
    }

    fn end_head(&mut self) -> bool {
        let head = std::mem::take(&mut self.head);
        if head.lengths > 1 || head.encodings > 1 || (head.lengths > 0 && head.encodings > 0) {
            return false;
        }
        self.heads += 1;
        self.place = match head.length {
            _ if head.encodings > 0 => HeadPlace::Opaque,
            Some(length) if length > 0 => HeadPlace::Body(length),
            Some(_) | None => HeadPlace::Line,
        };
        true
    }
}

impl Head {
    fn take(&mut self, byte: u8) {
        self.return_before = byte == b'\r';
        self.column += 1;
        if self.lines == 0 || self.return_before {
            return;
        }
        if self.in_value {
            self.value_byte(byte);
        } else if byte == b':' {
            self.in_value = true;
            match &self.name[..self.name_len] {
                b"content-length" => self.lengths += 1,
                b"transfer-encoding" => self.encodings += 1,
                _ => {}
            }
        } else if self.name_len < NAME_BYTES {
            self.name[self.name_len] = byte.to_ascii_lowercase();
            self.name_len += 1;
        }
    }

    /// The library refuses lengths that are not plain numbers, so plain ones are enough here.
    fn value_byte(&mut self, byte: u8) {
        if &self.name[..self.name_len] != b"content-length" {
            return;
        }
        if byte.is_ascii_digit() {
            let last = if self.digits { self.length.unwrap_or(u64::MAX) } else { 0 };
            self.digits = true;
            self.length = Some(last.saturating_mul(10).saturating_add(u64::from(byte - b'0')));
        }
    }

    fn end_line(&mut self) {
        self.column = 0;
        self.return_before = false;
        self.name_len = 0;
        self.in_value = false;
    }
}

#[cfg(test)]
mod tests {
    use concord_runtime::{Budget, ManualClock, Source};
    use futures::FutureExt as _;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[test]
    fn who_takes_an_answer_slowly_is_not_waited_for() {
        let (clock, patience) = (ManualClock::new(0), Duration::from_secs(1));
        let guest = Budget::new(1 << 20, 1).door(1).enter(Source::UNIX, 0).unwrap();
        let (ours, mut client) = tokio::io::duplex(10);
        let patience = Patience { head: patience, idle: patience, answer: 10 * patience };
        let mut gate = Gate::new(ours, Arc::new(clock.clone()), patience, guest.hold(0).unwrap());
        let late = |gate: &mut Gate<_>| matches!(gate.read(&mut [0; 10]).now_or_never(), Some(Err(_)));
        assert!(!late(&mut gate), "its time has begun");
        assert!(gate.write_all(&[b'x'; 15]).now_or_never().is_none(), "it takes ten bytes, and then none");
        clock.advance(5 * patience.idle);
        assert!(!late(&mut gate));
        assert_eq!(client.read(&mut [0; 10]).now_or_never().unwrap().unwrap(), 10);
        gate.write_all(&[b'x'; 5]).now_or_never().expect("the rest").unwrap();
        gate.flush().now_or_never().expect("all is out").unwrap();
        assert!(!late(&mut gate), "its time begins now");
        clock.advance(2 * patience.idle);
        assert!(late(&mut gate));
    }

    #[test]
    fn each_wait_has_its_whole_time_though_the_alarm_is_older() {
        let (clock, patience) = (ManualClock::new(0), Duration::from_secs(10));
        let guest = Budget::new(1 << 20, 1).door(1).enter(Source::UNIX, 0).unwrap();
        let (ours, mut client) = tokio::io::duplex(100);
        let patience = Patience { head: patience, idle: 2 * patience, answer: patience };
        let mut gate = Gate::new(ours, Arc::new(clock.clone()), patience, guest.hold(0).unwrap());
        let read = |gate: &mut Gate<_>| gate.read(&mut [0; 100]).now_or_never();
        assert!(read(&mut gate).is_none(), "the alarm is set for the end of a head");
        for _ in 0..3 {
            clock.advance(patience.head / 2);
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").now_or_never().unwrap().unwrap();
            assert!(matches!(read(&mut gate), Some(Ok(18))));
            gate.flush().now_or_never().unwrap().unwrap();
            clock.advance(patience.idle - patience.head / 2);
            assert!(read(&mut gate).is_none(), "it may be idle for longer than the alarm is old");
        }
        client.write_all(b"GET").now_or_never().unwrap().unwrap();
        assert!(matches!(read(&mut gate), Some(Ok(3))));
        assert!(read(&mut gate).is_none());
        clock.advance(patience.head - Duration::from_millis(1));
        assert!(read(&mut gate).is_none(), "a head has its own time");
        clock.advance(Duration::from_millis(1));
        for _ in 0..2 {
            assert!(matches!(read(&mut gate), Some(Err(_))), "and no more than that");
        }
    }

    /// Passes a text at once and byte by byte. Checks whether it stayed unchanged, and which bytes the gate did not
    /// inspect.
    #[track_caller]
    fn check(text: &str, place: HeadPlace) {
        for size in [1, 3, text.len()] {
            let mut framing = Framing::default();
            let mut bytes = text.as_bytes().to_vec();
            bytes.chunks_mut(size).for_each(|part| framing.pass(part));
            assert_eq!(framing.place, place, "{text:?} in parts of {size}");
            assert_eq!(bytes == text.as_bytes(), place != HeadPlace::Refused, "{text:?} in parts of {size}");
        }
    }

    #[test]
    fn requests_are_followed_to_their_end() {
        check("GET / HTTP/1.1\r\nHost: a\r\nX: #\r\n\r\n", HeadPlace::Line);
        check("\r\nGET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", HeadPlace::Line);
        check("PUT / HTTP/1.1\r\nContent-Length: 12\r\n\r\nab\n", HeadPlace::Body(9));
        check("PUT / HTTP/1.1\r\ncontent-length:3\r\n\r\na\nbGET / HTTP/1.1\r\n\r\n", HeadPlace::Line);
        check("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\na", HeadPlace::Opaque);
        check("GET / HTTP/1.1\r\nX-Content-Length: 5\r\nX: Content-Length: 6\r\n\r\n", HeadPlace::Line);
    }

    #[test]
    fn n_44_requests_others_could_read_differently_are_spoiled() {
        check("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", HeadPlace::Refused);
        check("GET / HTTP/1.1\nHost: a\n\n", HeadPlace::Refused);
        check("GET / HTTP/1.1\r\nHost: a\n\r\n", HeadPlace::Refused);
        check("PUT / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", HeadPlace::Refused);
        check(
            "PUT / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            HeadPlace::Refused,
        );
        check(
            "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncontent-LENGTH: 3\r\n\r\n",
            HeadPlace::Refused,
        );
        check(
            "PUT / HTTP/1.1\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n",
            HeadPlace::Refused,
        );
        check(
            "PUT / HTTP/1.1\r\nContent-Length: 1\r\n\r\naGET / HTTP/1.1\r\nHost: a\n\r\n",
            HeadPlace::Refused,
        );
    }
}
