//! Follows the frame headers of an HTTP/2 connection. Counts how many frames without content a client may send, and
//! which streams are open.
//!
//! The HTTP/2 library answers PING and SETTINGS as fast as they come and reads the rest as fast as it can. A flood of
//! such frames would cost a whole core. The library also keeps the streams of a client that does not read. This
//! module reads only the nine bytes of each frame header (RFC 9113 §4.1).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use concord_runtime::{Full, Held, Instant};
use parking_lot::Mutex;

use super::limits::{
    IDLE_FRAME_BYTES, IDLE_FRAMES, IDLE_FRAMES_MAX, IDLE_FRAMES_PER_SECOND, STREAM_BYTES, STREAM_KEPT_BYTES,
    STREAMS_BEYOND,
};

/// Bytes of the HTTP/2 client preface.
pub(super) const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;
/// A DATA frame with fewer bytes of content than this counts as empty.
const SMALL_BYTES: usize = 64;

/// The position in the frames of one direction.
#[derive(Debug)]
pub(super) struct Frames {
    head: [u8; HEAD_BYTES],
    have: usize,
    /// Bytes until the next frame header.
    left: usize,
}

/// A frame, as its header describes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    bytes: usize,
}

impl Frames {
    /// The frames from the client: first the preface, then frames.
    pub(super) fn from_client() -> Self {
        Self { head: [0; HEAD_BYTES], have: 0, left: PREFACE_BYTES }
    }

    /// The frames to the client.
    pub(super) fn to_client() -> Self {
        Self { left: 0, ..Self::from_client() }
    }

    /// Consumes bytes and calls `seen` for each complete frame header.
    pub(super) fn pass(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = &bytes[skipped..];
            let part = bytes.len().min(HEAD_BYTES - self.have);
            if self.left > 0 || part == 0 {
                continue;
            }
            self.head[self.have..self.have + part].copy_from_slice(&bytes[..part]);
            self.have += part;
            bytes = &bytes[part..];
            if self.have == HEAD_BYTES {
                let [a, b, c, kind, flags, stream @ ..] = self.head;
                let length = u32::from_be_bytes([0, a, b, c]) as usize;
                (self.have, self.left) = (0, length);
                // The highest bit is reserved.
                let stream = u32::from_be_bytes(stream) & !(1 << 31);
                seen(Frame { kind, flags, stream, bytes: length });
            }
        }
    }

    /// Whether the position is between two frames, so that a frame of our own can be inserted.
    pub(super) fn at_boundary(&self) -> bool {
        self.have == 0 && self.left == 0
    }
}

impl Frame {
    fn is_head(self) -> bool {
        self.kind == 1
    }

    /// Whether the frame carries content.
    fn fills_request(self) -> bool {
        self.kind == 0 && self.bytes >= SMALL_BYTES
    }

    /// Whether the frame is the last one of its stream in this direction.
    fn ends(self) -> bool {
        const END_STREAM: u8 = 1;
        self.kind <= 1 && self.flags & END_STREAM != 0
    }

    fn is_reset(self) -> bool {
        self.kind == 3
    }
}

/// The open streams of a connection. A stream is open from the frame that begins it until the frame that ends it has
/// been sent. The library keeps what it cannot write yet; only the frames show for how long.
#[derive(Debug)]
pub(super) struct Open {
    /// Open streams that are counted in the budget.
    streams: BTreeSet<u32>,
    /// Streams that did not fit into the budget: a few, which wait to be refused.
    beyond: BTreeSet<u32>,
    /// The most streams that were open at the same time. The library never frees the memory of their slots.
    most: usize,
    /// The highest stream begun so far. A stream number is used only once (RFC 9113 §5.1.1).
    last: u32,
    held: StreamsHeld,
}

/// The budget held for all streams of a connection. The streams share it, because they can outlive the connection:
/// the library keeps all of them until the last one has been told that the connection is gone.
pub(super) type StreamsHeld = Arc<Mutex<Held>>;

impl Open {
    pub(super) fn new(held: StreamsHeld) -> Self {
        Self { streams: BTreeSet::new(), beyond: BTreeSet::new(), most: 0, last: 0, held }
    }

    /// Records a frame from the client.
    pub(super) fn received(&mut self, frame: Frame) -> Result<(), Full> {
        if frame.is_reset() {
            self.end(frame);
        } else if frame.is_head() && frame.stream > self.last {
            self.last = frame.stream;
            match self.hold(self.streams.len() + 1) {
                Ok(()) => self.streams.insert(frame.stream),
                Err(full) if self.beyond.len() >= STREAMS_BEYOND => return Err(full),
                Err(_) => self.beyond.insert(frame.stream),
            };
        }
        Ok(())
    }

    /// Records a frame that we sent.
    pub(super) fn sent(&mut self, frame: Frame) {
        if frame.is_reset() || frame.ends() {
            self.end(frame);
        }
    }

    fn cost(&self, open: usize) -> usize {
        open * STREAM_BYTES + self.most.saturating_sub(open) * STREAM_KEPT_BYTES
    }

    /// Takes the budget for this number of open streams.
    fn hold(&mut self, open: usize) -> Result<(), Full> {
        let mut held = self.held.lock();
        let more = self.cost(open).saturating_sub(held.bytes());
        held.grow(more)?;
        drop(held);
        self.most = self.most.max(open);
        Ok(())
    }

    fn end(&mut self, frame: Frame) {
        if self.streams.remove(&frame.stream) {
            self.held.lock().shrink_to(self.cost(self.streams.len()));
        } else {
            self.beyond.remove(&frame.stream);
        }
    }
}

/// How many frames without content a client may still send.
#[derive(Debug)]
pub(super) struct Calm {
    left: u32,
    /// Requests that have begun and whose end may still come as an empty frame.
    begun: u32,
    /// Time up to which frames have been credited.
    at: Instant,
    /// Bytes written that have not earned a frame yet.
    written: usize,
}

impl Calm {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: IDLE_FRAMES, begun: 0, at: now, written: 0 }
    }

    /// Counts a frame. Returns false if the client has sent too many.
    pub(super) fn take(&mut self, frame: Frame, now: Instant) -> bool {
        if frame.is_head() {
            self.begun = self.begun.saturating_add(u32::from(!frame.ends()));
            return true;
        }
        // Each request ends only once. Any further end frame counts as an empty frame.
        if frame.ends() && self.begun > 0 {
            self.begun -= 1;
            return true;
        }
        if frame.fills_request() {
            return true;
        }
        let seconds = now.saturating_since(self.at).as_secs();
        if seconds > 0 {
            let more = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(IDLE_FRAMES_PER_SECOND);
            self.left = self.left.saturating_add(more).min(IDLE_FRAMES.max(self.left));
            self.at += Duration::from_secs(seconds);
        }
        let left = self.left.checked_sub(1);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    /// Credits frames for written bytes: the client has to open its window for them.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        let more = u32::try_from(self.written / IDLE_FRAME_BYTES).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(more).min(IDLE_FRAMES_MAX);
        self.written %= IDLE_FRAME_BYTES;
    }
}

#[cfg(test)]
mod tests {
    use concord_runtime::{Budget, Source};

    use super::*;

    const PING: Frame = Frame { kind: 6, flags: 0, stream: 0, bytes: 8 };

    fn at(seconds: u64) -> Instant {
        Instant::from_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn heads_are_found_wherever_the_bytes_are_cut() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(b"\0\0\0\x04\0\0\0\0\0");
        bytes.extend(b"\0\0\x08\x06\x01\0\0\0\0abcdefgh");
        bytes.extend(b"\0\0\x02\0\x01\x80\0\x01\x07ab");
        let expected = [(4, 0, 0, 0), (6, 1, 0, 8), (0, 1, 0x107, 2)];
        for size in 1..bytes.len() {
            let (mut frames, mut found) = (Frames::from_client(), Vec::new());
            for part in bytes.chunks(size) {
                frames.pass(part, |Frame { kind, flags, stream, bytes }| {
                    found.push((kind, flags, stream, bytes))
                });
            }
            assert_eq!(found, expected, "in parts of {size}");
            assert!(frames.at_boundary());
            frames.pass(b"\0", |_| ());
            assert!(!frames.at_boundary());
        }
    }

    #[test]
    fn n_17_frames_without_content_run_out() {
        let frame = |kind, flags, bytes| Frame { kind, flags, stream: 1, bytes };
        let data = |bytes, flags| frame(0, flags, bytes);
        let content = [data(SMALL_BYTES, 0), frame(1, 4, 10), data(0, 1)];
        let none = [
            PING,
            frame(6, 1, 8),
            frame(2, 0, 5),
            frame(3, 0, 4),
            frame(4, 0, 600),
            frame(8, 0, 4),
            frame(9, 0, 100),
            frame(77, 0, 16_000),
            data(SMALL_BYTES - 1, 0),
            data(0, 1),
        ];
        for frame in none {
            let mut calm = Calm::new(at(0));
            let taken = (0..2 * IDLE_FRAMES).filter(|_| calm.take(frame, at(0))).count();
            assert_eq!(taken, IDLE_FRAMES as usize, "{frame:?}");
            assert!(content.iter().all(|frame| calm.take(*frame, at(0))), "{frame:?}");
            assert!(!calm.take(data(0, 1), at(0)), "a request ends once");
        }
    }

    #[test]
    fn who_reads_much_or_waits_may_send_more() {
        let mut calm = Calm::new(at(0));
        let drain = |calm: &mut Calm, now| (0..).take_while(|_| calm.take(PING, now)).count();
        drain(&mut calm, at(0));
        assert_eq!(drain(&mut calm, at(3)), 3 * IDLE_FRAMES_PER_SECOND as usize);
        assert_eq!(drain(&mut calm, at(100_000)), IDLE_FRAMES as usize, "time earns no more than at first");
        for _ in 0..3 {
            calm.wrote(IDLE_FRAME_BYTES / 2);
        }
        assert_eq!(drain(&mut calm, at(100_000)), 1);
        // A snapshot of 50 MiB, whose reader opens its window as often as any client does.
        calm.wrote(50 << 20);
        assert!(drain(&mut calm, at(100_000)) > 20_000);
    }

    #[test]
    fn n_10_a_stream_is_held_until_its_end_is_on_its_way() {
        const ROOM: usize = 3;
        let guest = Budget::new(2 * ROOM * STREAM_BYTES, 1).door(1).enter(Source::UNIX, 0).unwrap();
        let mut open = Open::new(Arc::new(Mutex::new(guest.hold(0).unwrap())));
        let frame = |kind, flags, stream| Frame { kind, flags, stream, bytes: 0 };
        let (head, data, reset) = (|s| frame(1, 4, s), |s, flags| frame(0, flags, s), |s| frame(3, 0, s));
        let held = |open: &Open| {
            let kept = (open.most - open.streams.len()) * STREAM_KEPT_BYTES;
            (open.held.lock().bytes() - kept) / STREAM_BYTES
        };
        for stream in [1, 3, 5] {
            open.received(head(stream)).expect("there is room");
            // The body, later frames and other mentions of the same stream begin no new stream.
            for more in [data(stream, 0), frame(1, 5, stream), data(stream, 1), frame(8, 0, stream)] {
                open.received(more).expect("the same stream");
            }
        }
        assert_eq!(held(&open), ROOM);
        let beyond = || (0..).map(|number| 7 + 2 * number).take(STREAMS_BEYOND);
        for stream in beyond() {
            open.received(head(stream)).expect("it has time to be refused");
        }
        open.received(head(101)).expect_err("these as well would be too many");
        beyond().for_each(|stream| open.sent(frame(1, 5, stream)));
        for stream in beyond() {
            open.received(head(102 + stream)).expect("the others have ended");
        }
        for unended in [frame(1, 4, 1), data(1, 0), frame(8, 0, 1), data(99, 1), PING] {
            open.sent(unended);
        }
        assert_eq!(held(&open), ROOM, "nothing has ended");
        for (ended, left) in [(data(1, 1), 2), (data(1, 1), 2), (frame(1, 5, 3), 1)] {
            open.sent(ended);
            assert_eq!(held(&open), left);
        }
        open.received(head(201)).expect("there is room again");
        assert_eq!(held(&open), 2);
        open.received(reset(5)).expect("the client has no use for it");
        open.received(reset(5)).expect("and says so twice");
        assert_eq!(held(&open), 1);
        open.sent(reset(201));
        assert_eq!(held(&open), 0);
        open.received(head(201)).expect("it was begun");
        assert_eq!(held(&open), 0, "a stream begins once");
        assert_eq!(open.held.lock().bytes(), ROOM * STREAM_KEPT_BYTES, "its place stays");
    }
}
