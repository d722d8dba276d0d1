//! The frames of one direction of an HTTP/2 connection, followed by their heads, and how many of those without content
//! a client may send.
//!
//! The library answers PING and SETTINGS as fast as they come and reads the rest as fast as it can, which costs a core for
//! nothing. Nothing but the nine bytes of a frame's head is read here (RFC 9113 §4.1).

use std::time::Duration;

use concord_runtime::Instant;

use super::limits::{IDLE_FRAME_BYTES, IDLE_FRAMES, IDLE_FRAMES_MAX, IDLE_FRAMES_PER_SECOND};

/// Bytes of a client's first words.
pub(super) const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;
/// Bytes of content below which a frame of data is no better than an empty one.
const SMALL_BYTES: usize = 64;

/// Where in a direction's frames the next byte stands.
#[derive(Debug)]
pub(super) struct Frames {
    head: [u8; HEAD_BYTES],
    have: usize,
    /// Bytes until the next head.
    left: usize,
}

/// A frame, by its head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Frame {
    kind: u8,
    flags: u8,
    bytes: usize,
}

impl Frames {
    /// What comes from the client: its first words, then frames.
    pub(super) fn from_client() -> Self {
        Self { head: [0; HEAD_BYTES], have: 0, left: PREFACE_BYTES }
    }

    /// What goes to the client.
    pub(super) fn to_client() -> Self {
        Self { left: 0, ..Self::from_client() }
    }

    /// Follows bytes and tells each head that becomes whole.
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
                let [a, b, c, kind, flags, ..] = self.head;
                let length = u32::from_be_bytes([0, a, b, c]) as usize;
                (self.have, self.left) = (0, length);
                seen(Frame { kind, flags, bytes: length });
            }
        }
    }

    /// Whether a frame of our own may stand next.
    pub(super) fn at_boundary(&self) -> bool {
        self.have == 0 && self.left == 0
    }
}

impl Frame {
    fn is_head(self) -> bool {
        self.kind == 1
    }

    /// Whether the frame carries something.
    fn fills_request(self) -> bool {
        self.kind == 0 && self.bytes >= SMALL_BYTES
    }

    fn ends_request(self) -> bool {
        const END_STREAM: u8 = 1;
        self.kind <= 1 && self.flags & END_STREAM != 0
    }
}

/// How many frames without content a client may still send.
#[derive(Debug)]
pub(super) struct Calm {
    left: u32,
    /// Requests begun whose end may still come with an empty frame.
    begun: u32,
    /// Until when time has been credited.
    at: Instant,
    /// Bytes written that have not earned a frame yet.
    written: usize,
}

impl Calm {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: IDLE_FRAMES, begun: 0, at: now, written: 0 }
    }

    /// Counts a frame; false if it is one too many.
    pub(super) fn take(&mut self, frame: Frame, now: Instant) -> bool {
        if frame.is_head() {
            self.begun = self.begun.saturating_add(u32::from(!frame.ends_request()));
            return true;
        }
        // Each request ends once; whatever else says so is as empty as the rest.
        if frame.ends_request() && self.begun > 0 {
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

    /// Credits what the client will have to open its window for.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        let more = u32::try_from(self.written / IDLE_FRAME_BYTES).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(more).min(IDLE_FRAMES_MAX);
        self.written %= IDLE_FRAME_BYTES;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: Frame = Frame { kind: 6, flags: 0, bytes: 8 };

    fn at(seconds: u64) -> Instant {
        Instant::from_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn heads_are_found_wherever_the_bytes_are_cut() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(b"\0\0\0\x04\0\0\0\0\0");
        bytes.extend(b"\0\0\x08\x06\x01\0\0\0\0abcdefgh");
        bytes.extend(b"\0\0\x02\0\x01\0\0\0\x01ab");
        let expected = [(4, 0, 0), (6, 1, 8), (0, 1, 2)];
        for size in 1..bytes.len() {
            let (mut frames, mut found) = (Frames::from_client(), Vec::new());
            for part in bytes.chunks(size) {
                frames.pass(part, |Frame { kind, flags, bytes }| found.push((kind, flags, bytes)));
            }
            assert_eq!(found, expected, "in parts of {size}");
            assert!(frames.at_boundary());
            frames.pass(b"\0", |_| ());
            assert!(!frames.at_boundary());
        }
    }

    #[test]
    fn n_17_frames_without_content_run_out() {
        let data = |bytes, flags| Frame { kind: 0, flags, bytes };
        let content = [data(SMALL_BYTES, 0), Frame { kind: 1, flags: 4, bytes: 10 }, data(0, 1)];
        let none = [
            PING,
            Frame { kind: 6, flags: 1, bytes: 8 },
            Frame { kind: 2, flags: 0, bytes: 5 },
            Frame { kind: 3, flags: 0, bytes: 4 },
            Frame { kind: 4, flags: 0, bytes: 600 },
            Frame { kind: 8, flags: 0, bytes: 4 },
            Frame { kind: 9, flags: 0, bytes: 100 },
            Frame { kind: 77, flags: 0, bytes: 16_000 },
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
        // A snapshot of 50 MiB, with a window opened as often as by anybody.
        calm.wrote(50 << 20);
        assert!(drain(&mut calm, at(100_000)) > 20_000);
    }
}
