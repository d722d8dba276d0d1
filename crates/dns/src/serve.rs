//! The sockets: one task for the datagrams of a socket, one for each connection. Nothing is decided here.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use concord_runtime::{Door, Guest, Scope, Source, listen, timeout};
use futures::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use crate::answer::Answerer;
use crate::limits::{
    CONNECTION_BYTES, IDLE_TIMEOUT, QUESTION_BYTES, QUESTIONS_PER_CONNECTION, QUESTIONS_WAITING,
    TRANSFER_TIMEOUT,
};
use crate::sparing::{Sparing, amplifies, cut};
use crate::transport::Transport;

/// Pause after a failed `accept` or `recv`, whose usual cause is a lack of memory or file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// Attempts to find a port that is free for both, if the system chooses it.
const PORT_ATTEMPTS: usize = 16;

/// The sockets at one address: both have the same port.
#[derive(Debug)]
pub struct Bound {
    udp: UdpSocket,
    tcp: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Binds both. Port 0 lets the system choose one that is free for both.
    ///
    /// # Errors
    /// When the address is in use, not local, or not allowed.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let mut attempts = 1..=if address.port() == 0 { PORT_ATTEMPTS } else { 1 };
        loop {
            let is_last = attempts.next().is_none() || attempts.is_empty();
            let tcp = listen(address)?;
            let at = tcp.local_addr()?;
            match std::net::UdpSocket::bind(at) {
                Ok(udp) => {
                    udp.set_nonblocking(true)?;
                    return Ok(Self { udp: UdpSocket::from_std(udp)?, tcp, address: at });
                }
                Err(error) if is_last => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Answers questions at these sockets until the scope ends. Connections enter through this door.
pub fn serve(bound: Bound, answerer: Arc<Answerer>, door: Arc<Door>, scope: &Scope) {
    let Bound { udp, tcp, address: _ } = bound;
    let sparing = Sparing::new(&*answerer.entropy);
    let datagrams = Datagrams {
        socket: Arc::new(udp),
        answerer: Arc::clone(&answerer),
        sparing: Arc::new(sparing),
        waiting: Arc::new(Semaphore::new(QUESTIONS_WAITING)),
        scope: scope.clone(),
    };
    scope.spawn("DNS datagrams", datagrams.receive());
    let connections = Connections { answerer, door, scope: scope.clone() };
    scope.spawn("DNS connections", connections.accept(tcp));
}

fn dropped(reason: &'static str) {
    metrics::counter!("concord_dns_dropped_total", "reason" => reason).increment(1);
}

// === datagrams ===

struct Datagrams {
    socket: Arc<UdpSocket>,
    answerer: Arc<Answerer>,
    sparing: Arc<Sparing>,
    waiting: Arc<Semaphore>,
    scope: Scope,
}

impl Datagrams {
    async fn receive(self) {
        // One byte more than a question may have, so that a longer one is seen.
        let mut buffer = vec![0; QUESTION_BYTES + 1];
        loop {
            let received = tokio::select! {
                biased;
                () = self.scope.cancelled() => return,
                received = self.socket.recv_from(&mut buffer) => received,
            };
            match received {
                Ok((length, _)) if length > QUESTION_BYTES => dropped("too_long"),
                // Nobody sends from port 0.
                Ok((_, from)) if from.port() == 0 => dropped("no_port"),
                Ok((length, from)) => self.begin(buffer[..length].to_vec(), from).await,
                Err(error) => {
                    tracing::debug!(%error, "cannot receive a datagram of DNS");
                    self.scope.clock().sleep(PAUSE).await;
                }
            }
        }
    }

    /// Most questions are answered from what the process has: they need no task of their own.
    async fn begin(&self, question: Vec<u8>, from: SocketAddr) {
        let (socket, sparing) = (Arc::clone(&self.socket), Arc::clone(&self.sparing));
        let answerer = Arc::clone(&self.answerer);
        let work = async move {
            let Some(answer) = answerer.answer(&question, Transport::Udp, None).await else { return };
            let second = answerer.clock.now().since_epoch().as_secs();
            let is_spared = amplifies(question.len(), answer.len()) && !sparing.allows(from.ip(), second);
            let answer = if is_spared { cut(&answer) } else { Some(answer) };
            if is_spared {
                dropped("amplified");
            }
            let Some(answer) = answer else { return };
            // What the kernel has no room for is lost, as any datagram may be.
            if let Err(error) = socket.try_send_to(&answer, from) {
                tracing::debug!(%error, "cannot send an answer of DNS");
                dropped("unsent");
            }
        };
        let mut work = Box::pin(AssertUnwindSafe(work).catch_unwind());
        match futures::poll!(&mut work) {
            std::task::Poll::Ready(Ok(())) => {}
            std::task::Poll::Ready(Err(_)) => panicked(),
            std::task::Poll::Pending => match Arc::clone(&self.waiting).try_acquire_owned() {
                Ok(place) => {
                    self.scope.spawn("DNS question", async move {
                        let _place = place;
                        if work.await.is_err() {
                            panicked();
                        }
                    });
                }
                Err(_) => dropped("waiting"),
            },
        }
    }
}

/// A question must not end the task that receives the others.
fn panicked() {
    tracing::error!("a question of DNS caused a panic");
    dropped("panic");
}

// === connections ===

#[derive(Clone)]
struct Connections {
    answerer: Arc<Answerer>,
    door: Arc<Door>,
    scope: Scope,
}

impl Connections {
    async fn accept(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.scope.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (stream, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a connection of DNS");
                    self.scope.clock().sleep(PAUSE).await;
                    continue;
                }
            };
            let Ok(guest) = self.door.enter(Source::of(from.ip()), CONNECTION_BYTES) else {
                dropped("connections");
                continue;
            };
            let own = self.clone();
            self.scope.spawn("DNS connection", async move {
                tokio::select! {
                    biased;
                    // Other clients need its room.
                    () = guest.evicted() => dropped("evicted"),
                    ended = own.converse(stream, &guest) => if let Err(error) = ended {
                        tracing::debug!(%error, "a connection of DNS ended");
                    },
                }
            });
        }
    }

    /// Answers one question after the other (RFC 7766 allows that), until the client is silent or has asked enough.
    async fn converse(&self, mut stream: TcpStream, guest: &Arc<Guest>) -> io::Result<()> {
        stream.set_nodelay(true)?;
        for _ in 0..QUESTIONS_PER_CONNECTION {
            let length = tokio::select! {
                biased;
                () = self.scope.cancelled() => return Ok(()),
                length = self.in_time(IDLE_TIMEOUT, stream.read_u16()) => match length {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                    length => usize::from(length?),
                },
            };
            if length > QUESTION_BYTES {
                dropped("too_long");
                return Ok(());
            }
            let mut question = vec![0; length];
            self.in_time(TRANSFER_TIMEOUT, stream.read_exact(&mut question)).await?;
            let Some(answer) = self.answerer.answer(&question, Transport::Tcp, None).await else {
                return Ok(());
            };
            let Ok(length) = u16::try_from(answer.len()) else { return Ok(()) };
            // The answer, and once more with its length before it.
            let Ok(_held) = guest.hold(2 * answer.len()) else {
                dropped("no_room");
                return Ok(());
            };
            let framed = [&length.to_be_bytes(), answer.as_slice()].concat();
            self.in_time(TRANSFER_TIMEOUT, stream.write_all(&framed)).await?;
        }
        Ok(())
    }

    async fn in_time<T>(&self, most: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let late = |_| Err(io::Error::from(io::ErrorKind::TimedOut));
        timeout(&**self.scope.clock(), most, work).await.unwrap_or_else(late)
    }
}
