//! Carries bytes in both directions between two streams until both have ended.
//!
//! While a direction waits for bytes, it owns no buffer. The thread lends one for a read, and gets it back if there
//! was nothing to read. So idle connections cost only their sockets and TLS sessions. Reads begin with one TLS record
//! and grow while they fill the buffer.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::{BUFFER_BYTES, BUFFER_BYTES_MAX, POOLED_BUFFERS};

/// Bytes carried so far, readable while the relay runs.
#[derive(Debug)]
pub(crate) struct Carried {
    /// From the first stream to the second.
    pub(crate) forth: Flow,
    /// From the second stream to the first.
    pub(crate) back: Flow,
}

/// Bytes of one direction.
#[derive(Debug)]
pub(crate) struct Flow {
    bytes: AtomicU64,
    total: metrics::Counter,
}

impl Flow {
    /// Adds the bytes to a metric, too.
    pub(crate) fn into_metric(total: metrics::Counter) -> Self {
        Self { bytes: AtomicU64::new(0), total }
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.total.increment(bytes as u64);
    }
}

/// Carries bytes until both directions have ended or one failed.
///
/// The end of one direction is passed on (half-close); the other one continues.
pub(crate) async fn relay<A, B>(a: &mut A, b: &mut B, carried: &Carried) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut forth, mut back) = (Direction::new(), Direction::new());
    poll_fn(|cx| {
        // Poll both before a failure of either counts: a side may answer and then refuse to receive more.
        let there = forth.poll(cx, Pin::new(a), Pin::new(b), &carried.forth);
        // A write that fails takes the error of its socket with it, and a read then sees an end that is none.
        back.believes_ends = !matches!(there, Poll::Ready(Err(_)));
        let here = back.poll(cx, Pin::new(b), Pin::new(a), &carried.back);
        let (there, here) = (there?, here?);
        ready!(there);
        ready!(here);
        Poll::Ready(Ok(()))
    })
    .await
}

/// One direction of a relay.
struct Direction {
    state: State,
    size: usize,
    unflushed: bool,
    /// Whether an end that is read is passed on.
    believes_ends: bool,
}

enum State {
    ExpectBytes,
    ExpectRoom { buffer: Vec<u8>, from: usize, to: usize },
    ExpectShutdown,
    Ended,
}

impl Direction {
    fn new() -> Self {
        Self { state: State::ExpectBytes, size: BUFFER_BYTES, unflushed: false, believes_ends: true }
    }

    fn poll<R: AsyncRead, W: AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
        count: &Flow,
    ) -> Poll<io::Result<()>> {
        loop {
            match &mut self.state {
                State::ExpectBytes => {
                    let mut buffer = lend(self.size);
                    let mut target = ReadBuf::new(&mut buffer);
                    let polled = reader.as_mut().poll_read(cx, &mut target);
                    let read = target.filled().len();
                    match polled {
                        Poll::Pending => {
                            give_back(buffer);
                            if self.unflushed && writer.as_mut().poll_flush(cx)?.is_ready() {
                                self.unflushed = false;
                            }
                            return Poll::Pending;
                        }
                        Poll::Ready(Err(error)) => {
                            give_back(buffer);
                            return Poll::Ready(Err(error));
                        }
                        Poll::Ready(Ok(())) if read == 0 => {
                            give_back(buffer);
                            if !self.believes_ends {
                                return Poll::Pending;
                            }
                            self.state = State::ExpectShutdown;
                        }
                        Poll::Ready(Ok(())) => {
                            if read == buffer.len() {
                                self.size = BUFFER_BYTES_MAX;
                            } else if read < BUFFER_BYTES {
                                self.size = BUFFER_BYTES;
                            }
                            self.state = State::ExpectRoom { buffer, from: 0, to: read };
                        }
                    }
                }
                State::ExpectRoom { buffer, from, to } => {
                    let written = ready!(writer.as_mut().poll_write(cx, &buffer[*from..*to]))?;
                    if written == 0 {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    self.unflushed = true;
                    count.add(written);
                    *from += written;
                    if from == to {
                        give_back(std::mem::take(buffer));
                        self.state = State::ExpectBytes;
                    }
                }
                State::ExpectShutdown => {
                    ready!(writer.as_mut().poll_shutdown(cx))?;
                    self.state = State::Ended;
                }
                State::Ended => return Poll::Ready(Ok(())),
            }
        }
    }
}

thread_local! {
    /// Buffers that are not in use: small ones and large ones.
    static POOL: RefCell<[Vec<Vec<u8>>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

fn shelf(size: usize) -> usize {
    usize::from(size > BUFFER_BYTES)
}

fn lend(size: usize) -> Vec<u8> {
    POOL.with_borrow_mut(|pool| pool[shelf(size)].pop()).unwrap_or_else(|| vec![0; size])
}

fn give_back(buffer: Vec<u8>) {
    POOL.with_borrow_mut(|pool| {
        let shelf = &mut pool[shelf(buffer.len())];
        if shelf.len() < POOLED_BUFFERS {
            shelf.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn carried() -> Carried {
        let flow = || Flow::into_metric(metrics::Counter::noop());
        Carried { forth: flow(), back: flow() }
    }

    /// A socket that was reset: the first call hears of it, and a read after that sees an end.
    struct Reset {
        told: bool,
    }

    impl AsyncRead for Reset {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if std::mem::replace(&mut self.told, true) {
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
        }
    }

    impl AsyncWrite for Reset {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            self.told = true;
            Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_break_that_a_write_hears_of_first_is_not_passed_on_as_an_end() {
        let (mut client, mut left) = duplex(1 << 16);
        client.write_all(b"a question").await.unwrap();
        let end = relay(&mut left, &mut Reset { told: false }, &carried()).await;
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        // Nobody has told the client that this was all.
        let mut room = [0; 8];
        let waits = poll_fn(|cx| {
            Poll::Ready(Pin::new(&mut client).poll_read(cx, &mut ReadBuf::new(&mut room)).is_pending())
        });
        assert!(waits.await);
    }

    #[tokio::test]
    async fn an_answer_arrives_though_the_question_was_cut_short() {
        let (mut client, mut left) = duplex(1 << 16);
        let (mut right, mut server) = duplex(1 << 16);
        client.write_all(b"a question").await.unwrap();
        server.write_all(b"too long; go away").await.unwrap();
        drop(server);
        let end = relay(&mut left, &mut right, &carried()).await;
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        drop(left);
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"too long; go away");
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_ends_are_passed_on() {
        let (mut client, mut left) = duplex(1024);
        let (mut right, mut server) = duplex(1024);
        let carried = carried();
        let talk = async {
            let sent: Vec<u8> = (0..200_000u32).map(|n| u8::try_from(n % 251).expect("below 251")).collect();
            let (mut read, mut write) = tokio::io::split(&mut server);
            let echo = async {
                let copied = tokio::io::copy(&mut read, &mut write).await.unwrap();
                write.shutdown().await.unwrap();
                copied
            };
            let (mut from, mut to) = tokio::io::split(&mut client);
            let speak = async {
                to.write_all(&sent).await.unwrap();
                to.shutdown().await.unwrap();
            };
            let listen = async {
                let mut heard = Vec::new();
                from.read_to_end(&mut heard).await.unwrap();
                heard
            };
            let (copied, (), heard) = tokio::join!(echo, speak, listen);
            assert_eq!(copied, sent.len() as u64);
            assert_eq!(heard, sent);
            sent.len() as u64
        };
        let (relayed, len) = tokio::join!(relay(&mut left, &mut right, &carried), talk);
        relayed.unwrap();
        assert_eq!(carried.forth.bytes(), len);
        assert_eq!(carried.back.bytes(), len);
    }

    #[tokio::test]
    async fn one_side_may_end_while_the_other_goes_on() {
        let (mut client, mut left) = duplex(64);
        let (mut right, mut server) = duplex(64);
        let carried = carried();
        let talk = async {
            client.shutdown().await.unwrap();
            let mut heard = Vec::new();
            server.read_to_end(&mut heard).await.unwrap();
            assert!(heard.is_empty());
            server.write_all(b"late answer").await.unwrap();
            server.shutdown().await.unwrap();
            client.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"late answer");
        };
        let (relayed, ()) = tokio::join!(relay(&mut left, &mut right, &carried), talk);
        relayed.unwrap();
    }

    #[tokio::test]
    async fn a_side_that_vanishes_ends_the_relay() {
        let (client, mut left) = duplex(64);
        let (mut right, mut server) = duplex(64);
        drop(client);
        server.write_all(b"nobody reads this").await.unwrap();
        assert!(relay(&mut left, &mut right, &carried()).await.is_err());
    }
}
