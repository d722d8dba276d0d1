//! The sockets of both faces: TCP or unix, bound by the program, accepted from here.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use concord_runtime::{SocketFile, Source};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tracing::debug;

/// A bound socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket; its file is removed at the end.
    Unix(UnixListener, SocketFile),
}

/// A connection that came to a socket.
#[derive(Debug)]
pub(crate) enum Io {
    /// TCP.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
}

impl Socket {
    /// The next connection, and from which address it comes: none through a unix socket.
    pub(crate) async fn accept(&self) -> io::Result<(Io, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                if let Err(error) = stream.set_nodelay(true) {
                    debug!(%error, "cannot set TCP_NODELAY");
                }
                Ok((Io::Tcp(stream), Some(peer.ip().to_canonical())))
            }
            Self::Unix(listener, _) => Ok((Io::Unix(listener.accept().await?.0), None)),
        }
    }
}

impl fmt::Display for Socket {
    /// As a client is told: `127.0.0.1:8500` or `unix:///run/concord.sock`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.fmt(f),
                Err(error) => write!(f, "({error})"),
            },
            Self::Unix(_, file) => write!(f, "unix://{}", file.path().display()),
        }
    }
}

/// With whose connections one of that address counts.
pub(crate) fn source(address: Option<IpAddr>) -> Source {
    address.map_or(Source::UNIX, Source::of)
}

impl Io {
    /// Waits for the first byte, which stays where it is; false if the other side goes without one.
    pub(crate) async fn is_spoken_to(&self) -> bool {
        match self {
            Self::Tcp(stream) => matches!(stream.peek(&mut [0]).await, Ok(1..)),
            // Tokio cannot peek here: that it ended is found by whoever reads.
            Self::Unix(stream) => stream.readable().await.is_ok(),
        }
    }

    /// Whether a caller's first words are letters, as those of HTTP in clear; not known of unix sockets.
    pub(crate) async fn begins_with_a_letter(&self) -> bool {
        let first = &mut [0];
        match self {
            Self::Tcp(stream) => matches!(stream.peek(first).await, Ok(1..)) && first[0].is_ascii_uppercase(),
            Self::Unix(_) => false,
        }
    }

    /// Whether it came to us on a loopback address.
    pub(crate) fn is_on_loopback(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.local_addr().is_ok_and(|own| own.ip().to_canonical().is_loopback()),
            Self::Unix(_) => false,
        }
    }

    /// Writes what fits at once.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    /// Reads what is there: to close over something unread would take our last words back.
    pub(crate) fn try_read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(bytes),
            Self::Unix(stream) => stream.try_read(bytes),
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
